"""`mirror checkpoint` and `mirror keys new`: mirrors that watch each other, as people run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest

from mirror.cli import checkpoint as module
from mirror.core.transparency.checkpoint import Checkpoint, format_checkpoint
from mirror.core.transparency.signed_note import (
    MAX_BYTES,
    make_signer,
    parse_note,
    sign_note,
    verify_note,
)
from mirror.engine.transparency.checkpoints import make_checkpoint
from mirror.store import open_store
from tests.builders import Signer, author_claim, make_bundle, make_event, make_record, to_json
from tests.cli.conftest import BUNDLES, Mirror

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "checkpoints.md").read_text()
OURS = make_signer("ours.example/pith", Signer("ours").seed)
THEIRS = make_signer("theirs.example/pith", Signer("theirs").seed)
AUTHOR = Signer("author")
RECORD = make_record()


class _Clock:
    """A second later each time that it is asked."""

    at = datetime(2026, 1, 1, 12, tzinfo=UTC)

    @classmethod
    def now(cls, zone: tzinfo) -> datetime:
        """The time."""
        cls.at += timedelta(seconds=1)
        return cls.at.astimezone(zone)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> type[_Clock]:
    """The only clock of these tests."""
    monkeypatch.setattr(_Clock, "at", _Clock.at)
    monkeypatch.setattr(module, "datetime", _Clock)
    return _Clock


@pytest.fixture
def grow(mirror: Mirror, tmp_path: Path) -> Callable[..., None]:
    """`grow(db, claimant)` merges an event; the store trusts its author."""

    def work(db: str, claimant: str) -> None:
        path = tmp_path / "bundle.json"
        event = make_event(RECORD, AUTHOR, "author_claimed", author_claim(claimant))
        path.write_bytes(to_json(make_bundle(RECORD, [event])))
        keys = tmp_path / "keys.json"
        keys.write_bytes(to_json({"keys": [AUTHOR.key_value()]}))
        assert mirror("merge", path, "--db", db, "--keys", keys).exit_code == 0

    return work


@pytest.fixture(autouse=True)
def key_files(tmp_path: Path) -> None:
    """The keys of both mirrors, and what each knows of the other."""
    for signer, name in ((OURS, "ours"), (THEIRS, "theirs")):
        (tmp_path / f"{name}.key").write_text(f"{signer.text}\n")
    known = f"# who may speak\n\n{OURS.verifier.text}\n  {THEIRS.verifier.text}\n"
    (tmp_path / "known.txt").write_text(known)


KNOWN = ("--verifier", "@known.txt")


# Signing -------------------------------------------------------------------------------------


def test_a_new_key_signs(mirror: Mirror, grow: Callable[..., None]) -> None:
    """Its public half is printed, its private half never; and it is made only once."""
    grow("mirror.db", "one")
    made = mirror("keys", "new", "new.key", "--name", "new.example")
    assert made.exit_code == 0
    private = Path("new.key").read_text().strip()
    assert private.split("+", 4)[4] not in made.stdout.decode() + made.stderr
    note = mirror("checkpoint", "sign", "--key", "new.key").stdout
    verifier = made.stdout.decode().strip()
    kept = mirror("checkpoint", "verify", "-", "--verifier", verifier, stdin=note)
    assert (0, True) == (kept.exit_code, verifier in kept.stdout.decode())
    again = mirror("keys", "new", "new.key", "--name", "new.example")
    assert (3, b"") == (again.exit_code, again.stdout)
    assert private == Path("new.key").read_text().strip()
    assert mirror("keys", "new", "other.key", "--name", "a name").exit_code == 3
    assert not Path("other.key").exists()


def test_a_checkpoint_is_printed_stored_and_written(
    mirror: Mirror, grow: Callable[..., None]
) -> None:
    """On stdout the note and nothing else; or in a file; or as a line of JSON."""
    grow("mirror.db", "one")
    printed = mirror("checkpoint", "sign", "--key", "ours.key").stdout
    text = verify_note(parse_note(printed), [OURS.verifier]).text
    assert text.startswith("ours.example/pith\n1\n")
    assert text.endswith("events-valid 1\nevents-invalid 0\ntime 2026-01-01T12:00:01Z\n")
    ran = mirror(
        "checkpoint", "sign", "--key", "ours.key", "--origin", "a.name", "--out", "note.txt"
    )
    assert (0, b"") == (ran.exit_code, ran.stdout)
    written = Path("note.txt").read_bytes()
    assert written.startswith(b"a.name\n1\n")
    (line,) = mirror("checkpoint", "sign", "--key", "ours.key", "--json").lines
    assert (True, "2026-01-01T12:00:03Z", 1) == (line["own"], line["time"], line["events_valid"])
    listed = mirror("checkpoint", "list", "--json").lines
    assert [printed.decode(), written.decode(), line["note"]] == [one["note"] for one in listed]
    assert line == listed[-1]
    assert line["key_set_digest"] == mirror("status", "--json").lines[0]["key_set_digest"]
    shown = mirror("checkpoint", "list").stdout.decode()
    assert (3, True) == (shown.count(line["root"]), shown.endswith("\n3 checkpoints\n"))


def test_errors_of_signing_name_their_cause(mirror: Mirror, grow: Callable[..., None]) -> None:
    """No store, no key, a public key, two roots in one second."""
    assert mirror("checkpoint", "sign", "--key", "ours.key").exit_code == 4
    assert not Path("mirror.db").exists()
    grow("mirror.db", "one")
    assert mirror("checkpoint", "sign", "--key", "no.key").exit_code == 3
    Path("public.key").write_text(OURS.verifier.text)
    ran = mirror("checkpoint", "sign", "--key", "public.key")
    assert (3, True) == (ran.exit_code, "error: note.key at public.key: " in ran.stderr)
    assert mirror("checkpoint", "sign", "--key", "ours.key", "--origin", "a name").exit_code == 3
    assert mirror("checkpoint", "list").stdout == b"0 checkpoints\n"


def test_a_fork_of_our_own_is_not_signed(
    mirror: Mirror, grow: Callable[..., None], clock: type[_Clock]
) -> None:
    """Exit 1, and what to do; a clock that stands still is enough."""
    grow("mirror.db", "one")
    before = clock.at
    mirror("checkpoint", "sign", "--key", "ours.key")
    grow("mirror.db", "two")
    clock.at = before
    ran = mirror("checkpoint", "sign", "--key", "ours.key")
    assert (1, b"") == (ran.exit_code, ran.stdout)
    assert "error: checkpoint.fork: two roots for one time" in ran.stderr
    assert "hint: nothing was signed" in ran.stderr
    assert mirror("checkpoint", "sign", "--key", "ours.key").exit_code == 0


# Watching ------------------------------------------------------------------------------------


def test_two_mirrors_watch_each_other(mirror: Mirror, grow: Callable[..., None]) -> None:
    """Each grows, signs, and reads the other's; nothing is found, and both end in one root."""
    roots = {}
    for claimant in ("one", "two", "three"):
        for db, name in (("ours.db", "ours"), ("theirs.db", "theirs")):
            grow(db, claimant)
            note = mirror("checkpoint", "sign", "--key", f"{name}.key", "--db", db).stdout
            other = "theirs.db" if db == "ours.db" else "ours.db"
            ran = mirror("checkpoint", "verify", "-", *KNOWN, "--db", other, stdin=note)
            assert (0, "") == (ran.exit_code, ran.stderr)
            roots[name] = mirror("checkpoint", "list", "--json", "--db", db).lines[-1]["root"]
    assert roots["ours"] == roots["theirs"]
    lines = mirror("checkpoint", "list", "--json", "--db", "ours.db").lines
    assert [True, False] * 3 == [line["own"] for line in lines]


def test_a_fork_is_shown_with_both_notes(mirror: Mirror, grow: Callable[..., None]) -> None:
    """They sign one root for us and another for the world; exchanged, the notes convict them."""
    notes = []
    for db, claimant in (("for-us.db", "one"), ("for-others.db", "two")):
        grow(db, claimant)
        ran = mirror("checkpoint", "sign", "--key", "theirs.key", "--db", db)
        notes.append(ran.stdout)
    assert mirror("checkpoint", "verify", "-", *KNOWN, stdin=notes[0]).exit_code == 0
    told = mirror("checkpoint", "verify", "-", *KNOWN, "--historical", stdin=notes[1])
    assert told.exit_code == 1
    assert "checkpoint.fork: two roots for the same 1 records and 1 valid events" in told.stderr
    for line in notes[0].decode().splitlines():
        assert f"    {line}\n" in told.stderr
    (line,) = mirror("checkpoint", "verify", "-", *KNOWN, "--json", stdin=notes[0]).lines
    assert ["checkpoint.fork", "checkpoint.rollback"] == [one["code"] for one in line["findings"]]
    assert [notes[1].decode()] * 2 == [one["evidence"] for one in line["findings"]]
    assert (notes[0].decode(), False, [THEIRS.verifier.text]) == (
        line["note"], line["new"], line["signed_by"]
    )  # fmt: skip
    assert len(mirror("checkpoint", "list", "--json").lines) == 2


def test_an_old_note_is_a_rollback_unless_it_is_called_historical(
    mirror: Mirror, grow: Callable[..., None]
) -> None:
    """A mirror that publishes it now hides what came since."""
    grow("theirs.db", "one")
    work = ("checkpoint", "sign", "--key", "theirs.key", "--db", "theirs.db")
    old, new = mirror(*work).stdout, mirror(*work).stdout
    read = ("checkpoint", "verify", "-", *KNOWN)
    assert mirror(*read, stdin=new).exit_code == 0
    assert mirror(*read, "--historical", stdin=old).exit_code == 0
    late = mirror(*read, stdin=old)
    assert (1, True) == (late.exit_code, "checkpoint.rollback: dated" in late.stderr)
    assert "it was stored before" in late.stdout.decode()


def test_a_note_without_a_known_signature_is_refused(
    mirror: Mirror, grow: Callable[..., None]
) -> None:
    """Unsigned, or badly signed: exit 1, nothing is stored, and nothing of it is shown as true."""
    grow("theirs.db", "one")
    note = mirror("checkpoint", "sign", "--key", "theirs.key", "--db", "theirs.db").stdout
    read = ("checkpoint", "verify", "-", "--json", "--verifier")
    unsigned = mirror(*read, OURS.verifier.text, stdin=note)
    (line,) = unsigned.lines
    assert (1, ["checkpoint.unsigned"]) == (
        unsigned.exit_code, [one["code"] for one in line["findings"]]
    )  # fmt: skip
    assert (None, None, [], False) == (line["origin"], line["root"], line["signed_by"], line["new"])
    forged = mirror(*read, THEIRS.verifier.text, stdin=note.replace(b"\n1\n", b"\n2\n"))
    assert (1, "note.signature") == (forged.exit_code, forged.lines[0]["findings"][0]["code"])
    plain = mirror("checkpoint", "verify", "-", "--verifier", OURS.verifier.text, stdin=note)
    assert (1, b"", True) == (plain.exit_code, plain.stdout, "checkpoint.unsigned" in plain.stderr)
    assert mirror("checkpoint", "list", "--json").lines == []


BAD_NOTES = {
    "empty": (b"", "note.shape"),
    "large": (b"x" * (MAX_BYTES + 1), "note.size"),
    "larger": (b"x" * (MAX_BYTES * 3), "note.size"),
    "no checkpoint": (sign_note("hello\n", [OURS]), "checkpoint.shape"),
}


@pytest.mark.parametrize("name", BAD_NOTES)
def test_a_file_that_is_no_checkpoint_is_exit_3(name: str, mirror: Mirror) -> None:
    """Exit 3, with the file, read by name or from standard input."""
    data, code = BAD_NOTES[name]
    Path("note.txt").write_bytes(data)
    read = mirror("checkpoint", "verify", "note.txt", *KNOWN)
    assert (3, True) == (read.exit_code, f"error: {code} at note.txt" in read.stderr)
    piped = mirror("checkpoint", "verify", "-", *KNOWN, stdin=data)
    assert (3, True) == (piped.exit_code, f"error: {code} at standard input" in piped.stderr)


def test_unusable_files_are_named(mirror: Mirror) -> None:
    """The note, the list of keys, and the line of a key that is none."""
    assert mirror("checkpoint", "verify", "none.txt", *KNOWN).exit_code == 3
    assert mirror("checkpoint", "verify", "a\x00b", *KNOWN).exit_code == 3
    read = ("checkpoint", "verify", "-", "--verifier")
    assert mirror(*read, "@none.txt", stdin=b"").exit_code == 3
    ran = mirror(*read, "theirs", stdin=b"")
    assert (3, True) == (ran.exit_code, "error: note.key: " in ran.stderr)
    Path("bad.txt").write_text(f"{OURS.verifier.text}\n\nno key\n")
    ran = mirror(*read, "@bad.txt", stdin=b"")
    assert (3, True) == (ran.exit_code, "error: note.key at bad.txt: line 3: " in ran.stderr)


@pytest.mark.parametrize(
    "arguments",
    [["sign"], ["verify", "-"], ["verify", *KNOWN], ["verify", "-", "--verifier", "@no.txt"],
     ["list", *KNOWN], ["list", "--key", "ours.key"], ["sign", "--key", "x", "--historical"]],
)  # fmt: skip
def test_invalid_arguments_are_a_usage_error(arguments: list[str], mirror: Mirror) -> None:
    """Exit 2."""
    Path("no.txt").write_text("# nobody yet\n")
    assert mirror("checkpoint", *arguments, stdin=b"").exit_code == 2


def test_options_may_come_from_the_environment(
    mirror: Mirror, grow: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The private key, and the public keys to trust, as in a nightly run."""
    grow("mirror.db", "one")
    monkeypatch.setenv("MIRROR_CHECKPOINT_SIGN_KEY", "ours.key")
    monkeypatch.setenv("MIRROR_CHECKPOINT_VERIFY_VERIFIER", "@known.txt")
    note = mirror("checkpoint", "sign").stdout
    assert note.startswith(b"ours.example/pith\n")
    assert mirror("checkpoint", "verify", "-", stdin=note).exit_code == 0
    assert len(mirror("checkpoint", "list", "--json").lines) == 1


def test_texts_of_notes_are_escaped_on_the_terminal(mirror: Mirror) -> None:
    """No name or line turns the direction of writing, or moves the cursor."""
    said = Checkpoint(
        origin="evil\u202ename", size=1, root=bytes(32), others=("more \x9b31m", "and \x7f")
    )
    ran = mirror(
        "checkpoint", "verify", "-", *KNOWN, stdin=sign_note(format_checkpoint(said), [THEIRS])
    )
    assert ran.exit_code == 0
    shown = ran.stdout.decode() + mirror("checkpoint", "list").stdout.decode()
    for shy in ("evil\\u202ename", "more \\x9b31m", "and \\x7f"):
        assert shown.count(shy) == 2
    assert not {"\u202e", "\x9b", "\x7f"} & set(shown)


# The page ------------------------------------------------------------------------------------


def _block(language: str, beginning: str) -> str:
    blocks = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if block.startswith(beginning)]
    return str(found)


def test_the_test_vector_is_reproduced(mirror: Mirror, tmp_path: Path) -> None:
    """From the sample bundles and the seed; and the program on the page accepts it."""
    vector: dict[str, Any] = dict(
        re.split(r" {2,}|(?<=file) ", line) for line in _block("text", "seed").splitlines()
    )
    signer = make_signer("mirror.example.org/pith", bytes.fromhex(vector["seed"]))
    assert (vector["private file"], vector["verifier"]) == (signer.text, signer.verifier.text)
    assert signer.verifier.public_key.hex() == vector["public key"]
    keys = BUNDLES / "demo-keys.json"
    assert mirror("merge", BUNDLES / "demo.tar", "--keys", keys).exit_code == 0
    with open_store(Path("mirror.db")) as store:
        note = make_checkpoint(store, signer, datetime(2026, 1, 1, 12, tzinfo=UTC))
    assert note == _block("text", "mirror.example.org/pith\n")
    (tmp_path / "check.py").write_text(_block("python", ""))
    for data, is_good in ((note, True), (note.replace("valid 81", "valid 82"), False)):
        (tmp_path / "note.txt").write_text(data)
        done = subprocess.run(
            [sys.executable, "check.py", "note.txt", vector["verifier"]],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": ""},
            capture_output=True,
            check=False,
        )
        assert is_good == (done.returncode == 0)


def test_every_code_is_on_the_page() -> None:
    """What the program can say of notes and checkpoints, the page explains."""
    package = Path(module.__file__).parents[1]
    code = "".join(path.read_text() for path in package.rglob("*.py"))
    codes = set(re.findall(r'"((?:note|checkpoint)\.[a-z_]+)"', code))
    assert len(codes) > 10
    assert sorted(found for found in codes - {"note.unsigned"} if f"`{found}`" not in PAGE) == []
