"""`mirror check` and `mirror rebuild` on the command line."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import BUNDLES, Mirror, SampleStore

DEMO = BUNDLES / "demo.tar"
KEYS = BUNDLES / "demo-keys.json"


@pytest.fixture
def store(sample_store: SampleStore) -> Path:
    """A store of the demo bag."""
    return sample_store(DEMO, "--keys", KEYS)


def _break(store: Path, query: str) -> None:
    with closing(sqlite3.connect(store, isolation_level=None)) as conn:
        conn.execute(query)


def test_a_sound_store_checks_out(store: Path, mirror: Mirror) -> None:
    """Nothing is found, in whole or in part, and rebuilding changes nothing."""
    before = mirror("merge", DEMO, "--json").stdout
    for options in ([], ["--quick"], ["--part", "2/3"], ["--time-limit", "10m"]):
        assert mirror("check", *options).exit_code == 0
    ran = mirror("rebuild")
    assert (0, True) == (ran.exit_code, b"rebuilt  8 records" in ran.stdout)
    assert before == mirror("merge", DEMO, "--json").stdout
    assert store.exists()


def test_damage_is_named_and_repaired(store: Path, mirror: Mirror) -> None:
    """Table, row and record; then it is moved aside, and the bundle brings it back."""
    states = mirror("merge", DEMO, "--json").stdout
    _break(store, "UPDATE arrival SET content = x'00' WHERE id = 7")
    ran = mirror("check")
    assert (1, True) == (ran.exit_code, "damaged: arrival 7 of pith:" in ran.stderr)
    line, last = mirror("check", "--json").lines
    assert {"checked": 8, "damaged": 1, "known": 0, "finished": True} == last
    assert ("arrival", 7) == (line["table"], line["row_id"])
    number = line["pith_number"]
    shown = mirror("show", number, "--bundle")
    assert (4, True) == (shown.exit_code, "store.damaged" in shown.stderr)
    repaired = mirror("check", "--repair")
    assert repaired.exit_code == 1
    assert f"need a bundle  {number}" in repaired.stdout.decode()
    assert mirror("check").exit_code == 0
    again = mirror("merge", DEMO, "--json")
    assert (states, True) == (again.stdout, "17 events," in again.stderr)


def test_rebuild_names_what_it_cannot_derive(store: Path, mirror: Mirror) -> None:
    """Exit 1, and the record stays as it was."""
    _break(store, "UPDATE arrival SET content = x'00' WHERE id = 7")
    ran = mirror("rebuild")
    assert (1, True) == (ran.exit_code, "damaged: record" in ran.stderr)


@pytest.mark.parametrize(
    "options",
    [["--part", "0/3"], ["--part", "4/3"], ["--part", "x"],
     ["--time-limit", "10"], ["--time-limit", "soon"],
     ["--repair", "--quick"], ["--repair", "--part", "1/2"], ["--repair", "--time-limit", "1h"]],
)  # fmt: skip
def test_invalid_arguments_are_a_usage_error(options: list[str], mirror: Mirror) -> None:
    """Exit 2, and what it should be like."""
    assert mirror("check", *options).exit_code == 2


def test_a_missing_store_is_an_error(mirror: Mirror) -> None:
    """None is made by looking after it."""
    for command in ("check", "rebuild"):
        assert mirror(command).exit_code == 4
    assert not Path("mirror.db").exists()
