"""The result of a comparison as a self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files

from markupsafe import Markup

from mirror.core.comparison.diff import truncate
from mirror.core.shape import list_member
from mirror.core.values import Object, Value, canonical, time_text
from mirror.web.pages.environment import environment

__all__ = ["ComparisonReport"]

_LISTED = 10_000
_LISTED_BYTES = 16 << 20
"""Most findings, and bytes of findings, on the page; the others are counted."""
_VALUE_BYTES = 4096
_TEXT = 500
_NAMES = 100
_CAUSES = 20
"""Most bytes of a value, characters of a text, names, and causes shown of a finding."""


class ComparisonReport:
    """Collects the findings of a comparison in bounded memory."""

    def __init__(self, upstream: str) -> None:
        """Prepare a report on a comparison with `upstream`."""
        self._upstream = upstream
        self._findings: list[Object] = []
        self._size_bytes = 0
        self._unlisted = 0

    def add(self, finding: Object) -> None:
        """Add a finding in the form of its `to_value`."""
        finding = _abridged(finding)
        self._size_bytes += len(canonical(finding))
        if len(self._findings) < _LISTED and self._size_bytes <= _LISTED_BYTES:
            self._findings.append(finding)
        else:
            self._unlisted += 1

    def render(self, figures: Mapping[str, str | list[str]], stopped: str = "") -> bytes:
        """Return the page.

        Args:
            figures: Numbers of records by result, in words.
            stopped: Why the comparison ended early; empty if it did not.
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
                style=Markup(style),  # noqa: S704 - our own style sheet
            )
        )
        return page.encode()


def _abridged(finding: Object) -> Object:
    """Return a finding shortened for the page, and the number of left out items."""
    shown: Object = {**finding, "cause": None}
    more: Object = {}
    for name, limit in (("causes", _CAUSES), ("only_here", _NAMES), ("only_upstream", _NAMES)):
        items = list_member(finding, name)
        more[name] = max(0, len(items) - limit)
        shown[name] = [_short(item) for item in items[:limit]]
    if isinstance(first := finding.get("first_difference"), dict):
        sides = {name: _small(value) for name, value in first.items() if name != "pointer"}
        shown["first_difference"] = {"pointer": _short(first["pointer"]), **sides}
    return {**shown, "more": more}


def _short(value: Value) -> Value:
    """Return a text, or the texts of an object, each truncated."""
    if isinstance(value, dict):
        return {name: _short(one) for name, one in value.items()}
    return truncate(str(value), _TEXT)


def _small(value: Value) -> Value:
    size = len(canonical(value))
    if size <= _VALUE_BYTES:
        return value
    return f"{size:,} bytes, too large for this page; --json prints all of it"
