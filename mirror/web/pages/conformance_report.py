"""The report of a run of `mirror conformance` as a self-contained HTML page."""

from __future__ import annotations

from importlib.resources import files

from markupsafe import Markup

from mirror.core.rule_numbers import TITLES
from mirror.engine.conformance.report import ConformanceReport
from mirror.web.pages.environment import environment

__all__ = ["render"]


def render(report: ConformanceReport) -> bytes:
    """Return the page."""
    style = (files("mirror.web") / "static" / "style.css").read_text()
    template = environment().get_template("conformance.html")
    page = template.render(
        report=report.to_value(),
        titles=TITLES,
        style=Markup(style),  # noqa: S704 - our own style sheet
    )
    return page.encode()
