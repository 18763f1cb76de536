"""Every sample bundle, played through the command line: states, findings and exit code."""

from __future__ import annotations

import io
import json
import random
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import BUNDLES, Mirror, Ran

SAMPLES = sorted(
    path for path in (*BUNDLES.glob("*.tar"), *BUNDLES.glob("invalid/*.json"))
    if not path.name.endswith(".expected.json")
)  # fmt: skip
KEYS = BUNDLES / "demo-keys.json"


def _expected(sample: Path) -> dict[str, Any]:
    expected: dict[str, Any] = json.loads(_beside(sample, ".expected.json").read_text())
    return expected


def _beside(sample: Path, ending: str) -> Path:
    return sample.with_name(sample.name.removesuffix(sample.suffix) + ending)


def _keys(sample: Path) -> list[object]:
    keys = _expected(sample)["keys"]
    return ["--keys", BUNDLES / keys] if keys else []


def _findings(ran: Ran, like: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What `verify --json` printed, cut to the members that are expected."""
    assert len(like) == len(ran.lines)
    return [
        {name: line[name] for name in expected}
        for expected, line in zip(like, ran.lines, strict=True)
    ]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_sample_gives_the_expected_results(sample: Path, mirror: Mirror) -> None:
    """States to the byte, findings by code and place, exit code: stored or not, and again.

    The second merge of the same sample finds the same, and finds nothing new.
    """
    expected = _expected(sample)
    in_memory = mirror("merge", sample, *_keys(sample), "--in-memory", "--json")
    assert _beside(sample, ".states.jsonl").read_bytes() == in_memory.stdout
    assert expected["exit_code"] == in_memory.exit_code
    checked = mirror("verify", sample, *_keys(sample), "--json")
    assert expected["findings"] == _findings(checked, expected["findings"])
    assert expected["exit_code"] == checked.exit_code
    stored = mirror("merge", sample, *_keys(sample), "--json")
    before = mirror("status", "--json").lines
    again = mirror("merge", sample, *_keys(sample), "--json")
    assert in_memory.stdout == stored.stdout == again.stdout
    assert expected["exit_code"] == stored.exit_code == again.exit_code
    assert "0 records, 0 events, 0 receipts, 0 alias times" in again.stderr
    assert before == mirror("status", "--json").lines


# The demo bag, taken apart -------------------------------------------------------------------


def _members() -> dict[str, dict[str, Any]]:
    with tarfile.open(BUNDLES / "demo.tar") as tar:
        return {
            info.name: json.loads(tar.extractfile(info).read())  # type: ignore[union-attr]
            for info in tar
            if info.name.endswith("bundle.json")
        }


def _shuffled(seed: int) -> list[tuple[str, dict[str, Any]]]:
    """The demo bundles and the items within them in another order."""
    order = random.Random(seed)
    members = list(_members().items())
    order.shuffle(members)
    for _, bundle in members:
        for name in ("events", "source_aliases", "receipts"):
            order.shuffle(bundle.get(name, []))
    return members


def _write_folder(folder: Path, members: list[tuple[str, dict[str, Any]]]) -> Path:
    for name, bundle in members:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(bundle, indent=1))
    return folder


def _write_tar(path: Path, members: list[tuple[str, dict[str, Any]]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, bundle in members:
            content = json.dumps(bundle).encode()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def _demo_states() -> bytes:
    return (BUNDLES / "demo.states.jsonl").read_bytes()


@pytest.mark.parametrize("seed", range(3))
def test_unpacked_and_shuffled_gives_the_same_states(
    seed: int, mirror: Mirror, tmp_path: Path
) -> None:
    """Neither the container nor any order in it leaves a trace in a state."""
    folder = _write_folder(tmp_path / "folder", _shuffled(seed))
    tar = _write_tar(tmp_path / "shuffled.tar", _shuffled(seed + 100))
    for source in (folder, tar):
        ran = mirror("merge", source, "--keys", KEYS, "--in-memory", "--json")
        assert (_demo_states(), 0) == (ran.stdout, ran.exit_code)


@pytest.mark.parametrize("seed", range(3))
def test_three_pieces_in_any_order_give_the_same_states(
    seed: int, mirror: Mirror, tmp_path: Path
) -> None:
    """Each event goes to one of three pieces; the store comes to the union's states."""
    order = random.Random(seed)
    pieces: list[list[tuple[str, dict[str, Any]]]] = [[], [], []]
    for name, bundle in _shuffled(seed):
        events = bundle["events"]
        cut = sorted(order.sample(range(len(events) + 1), k=min(2, len(events))))
        parts = [events[start:end] for start, end in zip([0, *cut], [*cut, None], strict=True)]
        for piece, part in zip(pieces, parts, strict=False):
            piece.append((name, {**bundle, "events": part}))
    order.shuffle(pieces)
    for number, piece in enumerate(pieces):
        mirror("merge", _write_folder(tmp_path / str(number), piece), "--keys", KEYS)
    whole = mirror("merge", BUNDLES / "demo.tar", "--json")
    assert (_demo_states(), 0) == (whole.stdout, whole.exit_code)
    assert "0 records, 0 events, 0 receipts, 0 alias times" in whole.stderr


def test_exports_of_equal_facts_are_equal_bytes(mirror: Mirror, tmp_path: Path) -> None:
    """However a store came to its facts, its bag is the same, and merges to the same states."""
    mirror("merge", BUNDLES / "demo.tar", "--db", "one.db", "--keys", KEYS)
    for number, member in enumerate(_shuffled(7)):
        folder = _write_folder(tmp_path / f"piece{number}", [member])
        mirror("merge", folder, "--db", "two.db")
    assert mirror("export", "one.tar", "--db", "one.db").exit_code == 0
    assert mirror("export", "two.tar", "--db", "two.db").exit_code == 0
    assert Path("one.tar").read_bytes() == Path("two.tar").read_bytes()
    ran = mirror("merge", "one.tar", "--keys", KEYS, "--in-memory", "--json")
    assert (_demo_states(), 0) == (ran.stdout, ran.exit_code)


# As a person runs it -------------------------------------------------------------------------


def test_pith_tar_merges_without_a_warning(mirror_process: Mirror) -> None:
    """In a process of its own, with warnings as errors, nothing but states is on stdout."""
    ran = mirror_process("merge", BUNDLES / "pith.tar", "--json")
    assert (BUNDLES / "pith.states.jsonl").read_bytes() == ran.stdout
    assert ran.exit_code == 0
    assert "10 verified" in ran.stderr


def test_a_forged_event_is_named(mirror_process: Mirror) -> None:
    """`verify --json` names the code of a bad signature, and exits with 1."""
    sample = BUNDLES / "invalid" / "event.signature.json"
    ran = mirror_process("verify", sample, "--json")
    assert [line["code"] for line in ran.lines] == ["event.signature"]
    members = ["source", "member", "pith_number", "code", "where", "message"]
    assert [*members, "digest", "is_known"] == list(ran.lines[0])
    assert ran.exit_code == 1
