"""The modules of the verifier: those of the folder, complete, and all of them in a wheel."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from mirror.engine.verifier_modules import ENTRY, verifier_modules

START = "evidence_page.js"
ROOT = Path(__file__).resolve().parents[2]


def test_the_modules_import_each_other_and_nothing_else() -> None:
    """No dependency, and no module that nothing imports."""
    modules = verifier_modules()
    imported = {ENTRY, START}  # of pages, and of evidence files
    for source in modules.values():
        imported |= set(re.findall(r' from "\./([^"]+)"', source.decode()))
        assert not re.search(r' from "(?!\./)', source.decode())
    assert imported == set(modules)


def test_a_wheel_contains_them() -> None:
    """Each is listed, as no pattern is possible there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    expected = {f"verifier/{name}": f"mirror/verifier/{name}" for name in verifier_modules()}
    assert expected == {name: to for name, to in listed.items() if name.startswith("verifier/")}
