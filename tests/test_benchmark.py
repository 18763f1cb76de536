"""The benchmark starts its parts as programs, by their names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "scripts" / "benchmark"
STARTED = sorted(
    {
        name
        for path in FOLDER.glob("*.py")
        for name in re.findall(r'\bmodule\(\s*"(\w+)"', path.read_text("utf-8"))
    }
)


def test_programs_are_found() -> None:
    """The pattern that finds the names finds them."""
    assert {"corpus", "machine", "stages"} <= {*STARTED}


@pytest.mark.parametrize("name", STARTED)
def test_each_program_is_a_module_that_can_be_started(name: str) -> None:
    """A program has its own file and does its work when it is the main module."""
    text = (FOLDER / f"{name}.py").read_text("utf-8")
    assert 'if __name__ == "__main__":' in text
