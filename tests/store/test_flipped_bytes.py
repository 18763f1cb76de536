"""A store with any byte flipped: each command ends with a code, and never with a traceback."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import BUNDLES, Mirror, mirror

__all__ = ["mirror"]  # the fixture

PLACES = int(os.environ.get("MIRROR_FLIPS", "4"))
"""Bytes of the store to flip in turn; set it to some thousands for a long run."""
SEED = int(os.environ.get("MIRROR_SEED", "8"))

ID = "EI5HAOZQLTRXHSO6XXITW2U5X6"
COMMANDS: tuple[tuple[object, ...], ...] = (
    ("status",),
    ("show", ID),
    ("show", ID, "--bundle"),
    ("find", "quantum"),
    ("root",),
    ("prove", ID),
    ("keys", "list"),
    ("checkpoint", "--list"),
    ("export", "out.tar", "--force"),
    ("compare", "--upstream", BUNDLES / "demo.states.jsonl"),
    ("merge", BUNDLES / "demo.tar"),
    ("rebuild",),
    ("check",),
    ("check", "--repair"),
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the demo bag."""
    from click.testing import CliRunner

    from mirror.cli import main

    path = tmp_path_factory.mktemp("sound") / "m.db"
    arguments = ["merge", BUNDLES / "demo.tar", "--keys", BUNDLES / "demo-keys.json", "--db", path]
    assert 0 == CliRunner().invoke(main, list(map(str, arguments))).exit_code
    return path


def flipped(content: bytes, choose: random.Random) -> bytes:
    """The content with a byte changed: of the schema and the heads of pages more often."""
    page = choose.choice([0, 1, choose.randrange(len(content) // 8192)])
    within = choose.choice([choose.randrange(100), choose.randrange(8192)])
    place = (page * 8192 + within) % len(content)
    damaged = bytearray(content)
    damaged[place] ^= choose.randrange(1, 256)
    return bytes(damaged)


@pytest.mark.parametrize("number", range(PLACES))
def test_a_damaged_store_gives_codes(
    sound: Path, mirror: Mirror, tmp_path: Path, number: int
) -> None:
    """Whatever it is that is damaged, and whatever is asked for."""
    damaged = flipped(sound.read_bytes(), random.Random(SEED * 1_000_000 + number))
    for arguments in COMMANDS:
        shutil.rmtree(tmp_path / "work", ignore_errors=True)
        (tmp_path / "work").mkdir()
        store = tmp_path / "work" / "m.db"
        store.write_bytes(damaged)
        ran = mirror(*arguments, "--db", store)
        assert ran.exit_code in {0, 1, 4}, (arguments, ran)


@pytest.mark.parametrize("arguments", [("status",), ("check",), ("merge", BUNDLES / "demo.tar")])
def test_a_schema_that_is_no_text_is_an_error(
    sound: Path, mirror: Mirror, tmp_path: Path, arguments: tuple[object, ...]
) -> None:
    """SQLite quotes it in its message, which Python then cannot decode."""
    store = tmp_path / "m.db"
    store.write_bytes(
        sound.read_bytes().replace(b"record_by_suffix ON", b"record_by\xec \xce\xec\xec\xec\xec ON")
    )
    ran = mirror(*arguments, "--db", store)
    assert (4, True) == (ran.exit_code, "store.corrupt at " in ran.stderr), ran
