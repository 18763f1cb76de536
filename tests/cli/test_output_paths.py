"""Files that commands write: no store, key or source is replaced, and nothing without `--force`."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import stat
import subprocess
import tarfile
from pathlib import Path

import click
import pytest

from mirror.cli.options import SourceText
from mirror.cli.output_paths import OutputFolder, OutputPath
from mirror.engine.conformance.cases import rule_cases
from mirror.engine.conformance.vectors import vector_lines
from mirror.engine.transparency.stamping import choose_checkpoint
from mirror.store import CheckpointProof, open_store
from tests import proofs
from tests.builders import (
    NOON,
    Signer,
    key_set_file,
    make_bundle,
    make_event,
    make_record,
    payload_of,
    to_json,
)
from tests.cli.conftest import Mirror, Ran
from tests.commands import COMMANDS

ALICE = Signer("alice")

CONFORMANCE = ["--worlds", "0", "--task", "digest", "sh", "-c", "cat >/dev/null; cat answers.jsonl"]

RUNS: dict[tuple[str, str], list[str]] = {
    ("export", "out"): ["export", "OUT"],
    ("evidence", "out"): ["evidence", "2401.00001", "OUT"],
    ("prove", "out"): ["prove", "2401.00001", "--out", "OUT"],
    ("compare", "report"): ["compare", "--upstream", "states", "--report", "OUT"],
    ("probe", "save"): ["probe", "bundle.json", "--keys", "keys.json", "--save", "OUT"],
    ("probe", "report"): ["probe", "bundle.json", "--keys", "keys.json", "--report", "OUT"],
    ("checkpoint sign", "out"): ["checkpoint", "sign", "--key", "mirror.key", "--out", "OUT"],
    ("checkpoint proof", "out"): ["checkpoint", "proof", "OUT"],
    ("backup", "out"): ["backup", "OUT"],
    ("figures", "out"): ["figures", "OUT"],
    ("conformance", "report"): ["conformance", "--report", "OUT", *CONFORMANCE],
    ("conformance", "html"): ["conformance", "--html", "OUT", *CONFORMANCE],
    ("keys new", "file"): ["keys", "new", "OUT", "--name", "x.example/y"],
}
"""A run for each output of each command; `OUT` is what it writes."""

PEM = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n"


PARAMETERS = [(name, one) for name, command in COMMANDS.items() for one in command.params]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store, a key, sources, and states."""
    folder = tmp_path_factory.mktemp("outputs")
    record = make_record(arxiv_id="2401.00001")
    types = ("graph_snapshot", "citation_signed", "replication_recorded")
    events = [make_event(record, ALICE, one, payload_of(one, record, ALICE)) for one in types]
    bundle = make_bundle(record, events)
    (folder / "bundle.json").write_bytes(to_json(bundle))
    (folder / "keys.json").write_bytes(key_set_file(ALICE))
    (folder / "answers.jsonl").write_bytes(vector_lines(rule_cases("0", ["digest"]))[1])
    return folder


def _stamp(db: Path) -> None:
    """Give the last checkpoint a promise."""
    with open_store(db) as store, store.transaction():
        digest = choose_checkpoint(store, None).digest
        proof, _ = proofs.stamp(digest, (proofs.path(), proofs.promised()))
        store.checkpoint_proofs.append(CheckpointProof(digest, NOON, (), proof))


@pytest.fixture
def place(template: Path, tmp_path: Path, mirror: Mirror) -> Path:
    """The working folder, as in `template`."""
    if not (template / "mirror.db").exists():
        db = template / "mirror.db"
        keys = ["--keys", template / "keys.json"]
        ran = mirror("merge", template / "bundle.json", "--db", db, *keys)
        assert 0 == ran.exit_code, ran.stderr
        mirror("merge", template / "bundle.json", "--db", db, "--out", template / "states")
        mirror("keys", "new", template / "mirror.key", "--name", "mirror.example/pith")
        mirror("checkpoint", "sign", "--key", template / "mirror.key", "--db", db)
        _stamp(db)
        (template / "id.pem").write_text(f"Bag Attributes\n{PEM}")
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    shutil.copy("mirror.db", "other.db")
    (tmp_path / "more.json").write_bytes(key_set_file(Signer("bob")))
    mirror("keys", "add", "more.json", "--db", "other.db")
    return tmp_path


def run(mirror: Mirror, arguments: list[str], out: str, *more: str) -> Ran:
    """Run a command that writes `out`."""
    words = [out if one == "OUT" else one for one in arguments]
    end = words.index("sh") if "sh" in words else len(words)  # of our own options
    return mirror(*words[:end], *more, *words[end:])


def contents(folder: Path) -> dict[Path, bytes]:
    """All files, with what is in them; but for what SQLite keeps beside a store."""
    return {
        path: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


def test_every_output_option_is_tested() -> None:
    """Each parameter that names a file has a type that says whether it is read or written."""
    outputs = {(name, one.name) for name, one in PARAMETERS if isinstance(one.type, OutputPath)}
    assert set(RUNS) == outputs
    kinds = (click.Path, SourceText, OutputFolder)
    for name, one in PARAMETERS:
        if re.search("FILE|DIR|OUT|BAG|SOURCE", one.metavar or ""):
            assert isinstance(one.type, kinds), f"{name}: {one.name} is of no kind"


@pytest.mark.parametrize("arguments", RUNS.values(), ids=map(" ".join, RUNS))
def test_an_output_is_written_once(mirror: Mirror, place: Path, arguments: list[str]) -> None:
    """The run itself works; again it needs `--force`, and a link and a mode stay."""
    assert 0 == run(mirror, arguments, "out").exit_code
    (place / "out").write_bytes(b"precious")
    ran = run(mirror, arguments, "out")
    assert (3, b"precious") == (ran.exit_code, (place / "out").read_bytes())
    assert "output.exists at out: " in ran.stderr
    assert "--force" in ran.stderr
    is_key = arguments[:2] == ["keys", "new"]
    (place / "out").chmod(0o640)
    (place / "link").symlink_to("out")
    ran = run(mirror, arguments, "out" if is_key else "link", "--force")
    assert 0 == ran.exit_code, ran.stderr
    assert (place / "link").is_symlink()
    assert b"precious" != (place / "out").read_bytes()
    mode = stat.S_IMODE((place / "out").stat().st_mode)
    assert (0o600 if is_key else 0o640) == mode


@pytest.mark.parametrize("arguments", RUNS.values(), ids=map(" ".join, RUNS))
def test_no_store_key_or_source_is_replaced(
    mirror: Mirror, place: Path, arguments: list[str]
) -> None:
    """By no name, whatever `--force` says; nothing is changed, and no file is left."""
    (state,) = (place / "states").rglob("state.json")
    victims = ["mirror.db", "other.db", "mirror.key", "id.pem"]
    victims += [one for one in arguments if (place / one).is_file()]
    victims += [str(state.relative_to(place))] if "states" in arguments else []
    for at, victim in enumerate(victims):
        (place / f"{at}-symbolic").symlink_to(victim)
        # A file of a folder that is read is found by its path; another name for it is another file.
        other = "mirror.db" if victim.endswith("state.json") else victim
        (place / f"{at}-hard").hardlink_to(other)
    before = contents(place)
    for at, victim in enumerate(victims):
        for name in (victim, f"{at}-symbolic", f"{at}-hard", f"./states/../{victim}"):
            for more in ([], ["--force"]):
                ran = run(mirror, arguments, name, *more)
                assert 3 == ran.exit_code, (name, ran.stderr)
                # A copy of a store may be replaced, but not one that holds other facts.
                is_other = arguments[0] == "backup" and Path(name).samefile("other.db")
                code = "exists" if is_other and not more else "refused"
                assert f"output.{code} at {Path(name)}: " in ran.stderr
                assert "hint: " in ran.stderr
    after = contents(place)
    assert before == {path: after[path] for path in before}


@pytest.mark.parametrize("arguments", RUNS.values(), ids=map(" ".join, RUNS))
def test_nothing_of_a_store_is_replaced(mirror: Mirror, place: Path, arguments: list[str]) -> None:
    """Its log, also where there is none yet: SQLite would take any file of that name for one."""
    for db in ("mirror.db", "other.db"):
        for ending in ("-wal", "-shm", "-journal"):
            ran = run(mirror, arguments, f"{db}{ending}", "--force")
            assert (3, True) == (ran.exit_code, "output.refused" in ran.stderr), ran.stderr
    with sqlite3.connect("other.db") as conn:
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute("CREATE TABLE more (x)")
        conn.commit()
        log = Path("other.db-wal").read_bytes()
        assert log
        os.link("other.db-wal", "elsewhere")
        for name in ("other.db-wal", "other.db-shm", "elsewhere"):
            assert 3 == run(mirror, arguments, name, "--force").exit_code
        assert log == Path("other.db-wal").read_bytes()
    conn.close()


@pytest.mark.parametrize("arguments", RUNS.values(), ids=map(" ".join, RUNS))
def test_a_pipe_is_not_opened(mirror: Mirror, place: Path, arguments: list[str]) -> None:
    """`output.failed` at once: the command does not wait for a reader."""
    os.mkfifo("pipe")
    (place / "link").symlink_to("pipe")
    for name in ("pipe", "link", "/dev/null"):
        for more in ([], ["--force"]):
            ran = run(mirror, arguments, name, *more)
            assert 3 == ran.exit_code
            assert f"output.failed at {name}: it exists and is not a regular file" in ran.stderr
            assert "`mirror export -` writes to standard output" in ran.stderr
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)  # noqa: PTH116


def test_states_replace_states_and_nothing_else(mirror: Mirror, place: Path) -> None:
    """`merge --out DIR` writes over what it wrote, but over no store, key or source."""
    (state,) = (place / "states").rglob("state.json")
    expected = state.read_bytes()
    state.write_bytes(b"old")
    assert 0 == mirror("merge", "bundle.json", "--out", "states").exit_code
    assert expected == state.read_bytes()
    for victim in ("other.db", "id.pem", "bundle.json"):
        state.unlink()
        state.symlink_to(place / victim)
        before = (place / victim).read_bytes()
        ran = mirror("merge", "bundle.json", "--out", "states")
        assert (3, True) == (ran.exit_code, "output.refused" in ran.stderr)
        assert before == (place / victim).read_bytes()


def test_two_outputs_need_two_names(mirror: Mirror, place: Path) -> None:
    """One would replace the other."""
    (place / "link").symlink_to("out")
    keys = ["--keys", "keys.json"]
    ran = mirror("probe", "bundle.json", *keys, "--save", "out", "--report", "link", "--force")
    assert (2, False) == (ran.exit_code, (place / "out").exists())


@pytest.mark.parametrize(
    "arguments", [one for name, one in RUNS.items() if name != ("export", "out")]
)
def test_a_dash_names_no_file(mirror: Mirror, place: Path, arguments: list[str]) -> None:
    """It is a usage error, and no file of that name is made."""
    assert 2 == run(mirror, arguments, "-").exit_code
    assert not (place / "-").exists()


# Standard output -----------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [(), ("--packed",)], ids=["plain", "packed"])
def test_a_bag_goes_to_standard_output(
    mirror: Mirror, mirror_process: Mirror, place: Path, packed: tuple[str, ...]
) -> None:
    """The same bytes as in a file, and nothing else."""
    mirror("export", "out.tar", *packed)
    ran = mirror_process("export", "-", *packed)
    assert (0, (place / "out.tar").read_bytes()) == (ran.exit_code, ran.stdout)
    assert "standard output: 1 record, " in ran.stderr
    with tarfile.open("out.tar") as tar:
        assert any(name.startswith("pith/data/") for name in tar.getnames())


def test_a_bag_is_not_mixed_with_json(mirror: Mirror, place: Path) -> None:
    """Standard output holds one of them."""
    assert 2 == mirror("export", "-", "--json").exit_code
    assert sorted(contents(place))  # nothing was taken away


def test_standard_output_may_be_no_store(place: Path, program: Path) -> None:
    """`mirror export - >> mirror.db` would spoil it."""
    before = (place / "mirror.db").read_bytes()
    with (place / "mirror.db").open("ab") as file:
        done = subprocess.run(
            [program, "export", "-"], stdout=file, stderr=subprocess.PIPE, check=False
        )
    assert (3, True) == (done.returncode, b"output.refused" in done.stderr)
    assert before == (place / "mirror.db").read_bytes()
