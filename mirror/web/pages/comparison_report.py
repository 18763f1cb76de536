"""What a comparison found, as a page that needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import cast

from markupsafe import Markup

from mirror.core.comparison.diff import truncate
from mirror.core.values import Object, Value, canonical, time_text
from mirror.web.pages.handlers import environment

__all__ = ["ComparisonReport"]

_LISTED = 10_000
_LISTED_BYTES = 16 << 20
"""Findings, and bytes of them, that a page lists; the rest are counted."""
_VALUE_BYTES = 4096
_TEXT = 500
_NAMES = 100
_CAUSES = 20
"""Bytes of a value, characters of a sentence, names and causes that a page shows of a finding."""


class ComparisonReport:
    """Gathers what a comparison finds, whatever upstream sends within bounded memory."""

    def __init__(self, upstream: str) -> None:
        """Prepare a report on who was compared with."""
        self._upstream = upstream
        self._findings: list[Object] = []
        self._size_bytes = 0
        self._unlisted = 0

    def add(self, finding: Object) -> None:
        """Take something that is not the same, as `to_value` gives it."""
        finding = _abridged(finding)
        self._size_bytes += len(canonical(finding))
        if len(self._findings) < _LISTED and self._size_bytes <= _LISTED_BYTES:
            self._findings.append(finding)
        else:
            self._unlisted += 1

    def render(self, figures: Mapping[str, str | list[str]], stopped: str = "") -> bytes:
        """Return the page.

        Args:
            figures: How many records came to what, in words.
            stopped: Why the comparison did not come to its end; empty if it did.
        """
        style = (files("mirror.web") / "static" / "style.css").read_text()
        page = (
            environment()
            .get_template("comparison.html")
            .render(
                upstream=self._upstream,
                figures=figures,
                findings=self._findings,
                unlisted=self._unlisted,
                stopped=stopped,
                at=time_text(datetime.now(UTC)),
                style=Markup(style),  # noqa: S704 - our own style sheet, not a word from outside
            )
        )
        return page.encode()


def _abridged(finding: Object) -> Object:
    """Return a finding with no more of it than a page shows, and how much more there is."""
    shown: Object = {**finding, "cause": None}
    more: Object = {}
    for name, limit in (("causes", _CAUSES), ("only_here", _NAMES), ("only_upstream", _NAMES)):
        items = cast("list[Value]", finding.get(name, []))
        more[name] = max(0, len(items) - limit)
        shown[name] = [_short(item) for item in items[:limit]]
    if isinstance(first := finding.get("first_difference"), dict):
        sides = {name: _small(value) for name, value in first.items() if name != "pointer"}
        shown["first_difference"] = {"pointer": _short(first["pointer"]), **sides}
    return {**shown, "more": more}


def _short(value: Value) -> Value:
    """Return a text, or the texts of an object, none of them long."""
    if isinstance(value, dict):
        return {name: _short(one) for name, one in value.items()}
    return truncate(cast("str", value), _TEXT)


def _small(value: Value) -> Value:
    size = len(canonical(value))
    if size <= _VALUE_BYTES:
        return value
    return f"{size:,} bytes, too much for this page; --json prints all of it"
