"""What a comparison found, as a page that needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files

from markupsafe import Markup

from mirror.core.values import Object
from mirror.web.pages import environment

__all__ = ["render_report"]


def render_report(
    upstream: str, figures: Mapping[str, str | list[str]], findings: list[Object]
) -> bytes:
    """Return the page.

    Args:
        upstream: Who was compared with.
        figures: How many records came to what, in words.
        findings: All that is not the same, as `to_value` gives it.
    """
    style = (files("mirror.web") / "static" / "style.css").read_text()
    page = (
        environment()
        .get_template("comparison.html")
        .render(
            upstream=upstream,
            figures=figures,
            findings=findings,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            style=Markup(style),  # noqa: S704 - our own style sheet, not a word from outside
        )
    )
    return page.encode()
