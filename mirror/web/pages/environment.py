"""The environment of the templates of all pages, and the files that pages load."""

from __future__ import annotations

from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

from mirror.engine.verifier_modules import verifier_modules
from mirror.web.pages import escaping

__all__ = ["MEDIA_TYPES", "environment", "static_files"]

MEDIA_TYPES = {
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
    "xsd": "text/xml",
}
"""Media types of the files by their ending."""


def environment() -> Environment:
    """Return the template environment of all pages."""
    env = Environment(
        loader=PackageLoader("mirror.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "text": escaping.text,
        "plain": escaping.escape_hidden,
        "link": escaping.link,
        "pretty_json": escaping.pretty_json,
        "count": lambda number: f"{number:,}",
    }
    env.tests["copyable"] = escaping.is_plain
    return env


def static_files() -> dict[str, bytes]:
    """Return the files that pages load, by name: style, scripts, and the verifier's modules."""
    folder = files("mirror.web") / "static"
    modules = {f"verifier/{name}": body for name, body in verifier_modules().items()}
    return modules | {
        one.name: one.read_bytes()
        for one in folder.iterdir()
        if one.name.rpartition(".")[2] in MEDIA_TYPES
    }
