"""The modules of the verifier in JavaScript, as a page or a file of evidence needs them.

A wheel contains them; in a checkout they are in `verifier`.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

__all__ = ["ENTRY", "verifier_modules"]

ENTRY = "index.js"
"""The module that exports what others use."""

_PROGRAM = "conformance.js"
"""A program for Node, not a module."""


@cache
def verifier_modules() -> dict[str, bytes]:
    """Return the source of each module by its file name; they import each other as `./name.js`."""
    return {
        one.name: one.read_bytes()
        for one in sorted(_folder().iterdir(), key=lambda one: one.name)
        if one.name.endswith(".js") and one.name != _PROGRAM
    }


def _folder() -> Traversable:
    packaged = files("mirror") / "verifier"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "verifier"
