"""The LaTeX package `pith.sty`, and the lines by which a paper uses it (`docs/latex.md`).

A wheel contains the package; in a checkout it is in `latex`.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from pathlib import Path

from mirror.engine.bibliography.citations import REGISTRY_URL

__all__ = ["latex_lines", "latex_package"]

_ADDRESS = re.compile(r"https?://[A-Za-z0-9._~:/@!$&'*+;-]+")
"""Addresses that can be written in an option of a LaTeX package."""


@cache
def latex_package() -> bytes:
    """Return the source of `pith.sty`."""
    packaged = files("mirror.web") / "pith.sty"
    if packaged.is_file():
        return packaged.read_bytes()
    return (Path(__file__).resolve().parents[3] / "latex" / "pith.sty").read_bytes()


def latex_lines(base_url: str, suffix: str) -> str:
    """Return the two lines for the preamble of a paper, with links to the mirror at `base_url`.

    The links are to the registry if the address has a character that LaTeX does not take, like `%`.
    """
    is_named = base_url != REGISTRY_URL and _ADDRESS.fullmatch(base_url)
    option = f"[url={base_url}]" if is_named else ""
    return f"\\usepackage{option}{{pith}}\n\\pithnumber{{{suffix}}}"
