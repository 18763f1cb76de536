"""The modules of the verifier are all in a wheel."""

from __future__ import annotations

import tomllib
from pathlib import Path

from mirror.engine.verifier_modules import verifier_modules

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def test_a_wheel_holds_each_module() -> None:
    """Those that a page loads, and those that an evidence file holds."""
    build = tomllib.loads(PROJECT.read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    listed = [one for one in build["force-include"] if one.startswith("verifier/")]
    assert sorted(listed) == sorted(f"verifier/{name}" for name in verifier_modules())
