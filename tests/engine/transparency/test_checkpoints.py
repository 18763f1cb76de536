"""Signing roots, keeping what others sign, and finding who contradicts themselves."""

from __future__ import annotations

import os
import stat
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mirror.core.transparency import merkle
from mirror.core.transparency.checkpoint import (
    Checkpoint,
    MirrorExtension,
    format_checkpoint,
    parse_checkpoint,
)
from mirror.core.transparency.signed_note import (
    Signer,
    Verifier,
    make_signer,
    parse_note,
    parse_signer,
    sign_note,
    verify_note,
)
from mirror.engine.atomic_file import OutputFile
from mirror.engine.states.trust import add_keys
from mirror.engine.transparency.checkpoints import (
    CheckpointResult,
    keep_checkpoint,
    last_own_checkpoint,
    make_checkpoint,
    write_new_key,
)
from mirror.errors import CheckpointConflictError, CorruptStoreError, FormatError, OutputError
from mirror.store import SourceRun, Store, open_store
from tests.builders import Signer as Person
from tests.builders import author_claim, make_bundle, make_event, make_record
from tests.helpers import keys_of, state_leaves, take

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
OURS = make_signer("ours.example/pith", Person("ours").seed)
ALICE = make_signer("alice.example", Person("alice").seed)
BOB = make_signer("bob.example", Person("bob").seed)
KNOWN = (ALICE.verifier, BOB.verifier)
AUTHOR = Person("author")
KEYS = keys_of(AUTHOR)
RECORD = make_record()


@pytest.fixture
def store() -> Iterator[Store]:
    """An empty store, which trusts the author."""
    with open_store(None) as opened:
        add_keys(opened, KEYS)
        yield opened


def _merge(store: Store, *claimants: str, record: Any = RECORD) -> None:
    """Write an event for each claimant, as a merge that was cut off before its end."""
    events = [make_event(record, AUTHOR, "author_claimed", author_claim(one)) for one in claimants]
    with store.transaction():
        take(
            store,
            make_bundle(record, events),
            store.trust_log.key_set(),
            SourceRun("a test", "now"),
        )


def _checkpoint(text: str) -> Checkpoint:
    return parse_checkpoint(parse_note(text.encode()).text)


# Signing -------------------------------------------------------------------------------------


def test_a_checkpoint_has_the_root_of_the_store(store: Store) -> None:
    """Root, key set, merge and counts; states that lag behind are brought up to date first."""
    _merge(store, "one", "two")
    note = make_checkpoint(store, OURS, NOW)
    said = _checkpoint(note)
    assert (OURS.verifier,) == verify_note(parse_note(note.encode()), [OURS.verifier]).signed_by
    assert (OURS.name, 1) == (said.origin, said.size)
    assert merkle.root(state_leaves(store)) == said.root
    assert said.particulars == MirrorExtension(
        key_set_digest=KEYS.digest,
        merge_version="pith-open-graph-merge-v1",
        events_valid=2,
        events_invalid=0,
        time="2026-01-01T12:00:00Z",
    )
    assert store.status().stale == 0


def test_an_empty_store_has_a_checkpoint(store: Store) -> None:
    """No records, and the root of nothing."""
    said = _checkpoint(make_checkpoint(store, OURS, NOW))
    assert (0, merkle.EMPTY) == (said.size, said.root)


def test_the_time_is_of_whole_seconds_in_utc(store: Store) -> None:
    """Wherever the clock is."""
    local = NOW.astimezone(datetime(2026, 1, 1).astimezone().tzinfo).replace(microsecond=999_999)
    assert _checkpoint(make_checkpoint(store, OURS, local)).time == "2026-01-01T12:00:00Z"


def test_an_unchanged_root_is_signed_once(store: Store) -> None:
    """Ed25519 has no dice; a second run in one second changes nothing."""
    notes = [make_checkpoint(store, OURS, NOW) for _ in range(2)]
    later = make_checkpoint(store, OURS, NOW + DAY)
    assert notes[0] == notes[1] != later
    assert [notes[0], later] == [one.note for one in store.checkpoints.all()]
    assert later == last_own_checkpoint(store)
    assert [True, True] == [one.is_own for one in store.checkpoints.all()]


def test_an_origin_may_have_another_name_than_its_key(store: Store) -> None:
    """But none that no key could have."""
    note = make_checkpoint(store, OURS, NOW, "a.better.name/pith")
    assert _checkpoint(note).origin == "a.better.name/pith"
    for origin in ("a name", "a+b", "a\nb", "\udc80"):
        with pytest.raises(FormatError, match=r"^checkpoint\.origin"):
            make_checkpoint(store, OURS, NOW, origin)


def test_growth_is_never_refused(store: Store) -> None:
    """Records, events about known records, another key set, nothing at all."""
    steps: list[Callable[[], object]] = [
        lambda: _merge(store, "one"),
        lambda: _merge(store, "two"),
        lambda: _merge(store, record=make_record(arxiv_id="2401.00002")),
        lambda: add_keys(store, keys_of(Person("library"))),
        lambda: None,
    ]
    notes = []
    for day, step in enumerate(steps):
        step()
        notes.append(make_checkpoint(store, OURS, NOW + day * DAY))
    assert notes == [one.note for one in store.checkpoints.all()]
    with open_store(None) as watcher:
        for note in notes:
            assert keep_checkpoint(
                watcher, note.encode(), [OURS.verifier], NOW + 9 * DAY
            ) == CheckpointResult(
                note, _checkpoint(note), (OURS.verifier,), is_new=True, findings=()
            )


def test_two_roots_are_not_signed_for_one_second(store: Store) -> None:
    """Whoever watches would take it for a fork; a second later it is none."""
    first = make_checkpoint(store, OURS, NOW)
    _merge(store, "one")
    with pytest.raises(CheckpointConflictError, match=r"^checkpoint\.fork: two roots for one time"):
        make_checkpoint(store, OURS, NOW)
    assert first == last_own_checkpoint(store)
    second = make_checkpoint(store, OURS, NOW + timedelta(seconds=1))
    assert second == last_own_checkpoint(store)


def test_a_clock_that_was_set_back_signs_nothing(store: Store) -> None:
    """In this origin; another may say what it likes."""
    make_checkpoint(store, OURS, NOW)
    with pytest.raises(CheckpointConflictError, match=r"^checkpoint\.rollback: dated"):
        make_checkpoint(store, OURS, NOW - DAY)
    make_checkpoint(store, OURS, NOW - DAY, "another.example")


def test_a_store_that_lost_records_signs_nothing(store: Store) -> None:
    """What was signed elsewhere with this key, as by a copy of the store, does not count here."""
    larger = _said(OURS.name, 5)
    elsewhere = sign_note(format_checkpoint(larger), [OURS, ALICE])
    assert keep_checkpoint(store, elsewhere, [OURS.verifier], NOW).is_new
    make_checkpoint(store, OURS, NOW + DAY)
    with store.transaction():
        here = sign_note(format_checkpoint(larger), [OURS]).decode()
        store.checkpoints.insert(larger, here, "now", is_own=True)
    with pytest.raises(
        CheckpointConflictError, match=r"^checkpoint\.rollback: 5 records, and then 0"
    ):
        make_checkpoint(store, OURS, NOW + 2 * DAY)


# Keeping -------------------------------------------------------------------------------------


def _said(origin: str, size: int, day: int = 0, root: int | None = None, **said: Any) -> Checkpoint:
    """A checkpoint of the mirror `origin`, so many days after `NOW`; each size has its root."""
    values: dict[str, Any] = {
        "key_set_digest": "ab" * 32,
        "merge_version": "v1",
        "events_valid": size,
        "events_invalid": 0,
        "time": (NOW + day * DAY).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    digest = bytes([size if root is None else root]) * 32
    particulars = MirrorExtension(**(values | said))
    return Checkpoint(origin=origin, size=size, root=digest, particulars=particulars)


def _read(
    store: Store,
    one: Checkpoint,
    *signers: Signer,
    known: Collection[Verifier] = KNOWN,
    at: datetime = NOW + 9 * DAY,
    is_old: bool = False,
) -> CheckpointResult:
    note = sign_note(format_checkpoint(one), signers or [ALICE])
    return keep_checkpoint(store, note, known, at, is_old=is_old)


def _codes(kept: CheckpointResult) -> list[str]:
    return [finding.code for finding in kept.findings]


def _notes(store: Store) -> list[str]:
    return [one.note for one in store.checkpoints.all()]


FIRST = _said("alice.example", 10)
FORKED = _said("alice.example", 10, day=1, root=1)


def test_a_note_is_stored_once(store: Store) -> None:
    """Read again, it is known; with another's signature, it is another note."""
    kept = _read(store, FIRST)
    assert (FIRST, (ALICE.verifier,), True, ()) == (
        kept.checkpoint, kept.signed_by, kept.is_new, kept.findings
    )  # fmt: skip
    assert replace(kept, is_new=False) == _read(store, FIRST)
    both = _read(store, FIRST, ALICE, BOB)
    assert (KNOWN, True, ()) == (both.signed_by, both.is_new, both.findings)
    assert [kept.note, both.note] == _notes(store)
    (first, second) = store.checkpoints.of("alice.example")
    assert (FIRST, "2026-01-10T12:00:00Z", False) == (first.checkpoint, first.read_at, first.is_own)
    assert second.note == both.note
    assert store.checkpoints.of("bob.example") == []
    assert last_own_checkpoint(store) is None


@pytest.mark.parametrize("order", [(FIRST, FORKED), (FORKED, FIRST)])
def test_a_fork_is_found_and_both_notes_are_stored(
    order: tuple[Checkpoint, Checkpoint], store: Store
) -> None:
    """Whichever is read first; and again each time that either is read."""
    one, other = order
    first, second = _read(store, one), _read(store, other)
    assert () == first.findings
    finding = second.findings[0]
    assert ("checkpoint.fork", first.note) == (finding.code, finding.evidence)
    assert [first.note, second.note] == _notes(store)
    again = _read(store, one)
    assert ("checkpoint.fork", second.note) == (again.findings[0].code, again.findings[0].evidence)
    for note in _notes(store):
        assert verify_note(parse_note(note.encode()), KNOWN).signed_by == (ALICE.verifier,)


def test_the_last_note_that_shows_it_is_the_evidence(store: Store) -> None:
    """One finding for each code, however many notes contradict."""
    for size in (10, 11, 12):
        last = _read(store, _said("alice.example", size, day=size - 10))
    low = _read(store, _said("alice.example", 10, day=2))
    assert ["checkpoint.fork", "checkpoint.rollback"] == _codes(low)
    assert [last.note, last.note] == [finding.evidence for finding in low.findings]


def test_another_key_set_is_no_fork(store: Store) -> None:
    """Nor is another merge: a root follows from them as well (K3)."""
    _read(store, FIRST)
    for other in (
        _said("alice.example", 10, root=1, key_set_digest="cd" * 32),
        _said("alice.example", 10, root=2, merge_version="v2"),
    ):
        assert _codes(_read(store, other)) == []


def test_a_smaller_or_earlier_checkpoint_is_a_rollback(store: Store) -> None:
    """Fewer records, fewer valid events, an earlier date; what is old is found out, too."""
    first = _read(store, FIRST)
    for less in (
        _said("alice.example", 9, day=1),
        _said("alice.example", 10, day=1, events_valid=9),
        _said("alice.example", 12, day=-1),
    ):
        with open_store(None) as fresh:
            _read(fresh, FIRST)
            kept = _read(fresh, less)
            assert "checkpoint.rollback" in _codes(kept)
            assert first.note == kept.findings[-1].evidence
            assert [first.note, kept.note] == _notes(fresh)
    _read(store, _said("alice.example", 11, day=1))
    assert _codes(_read(store, FIRST)) == ["checkpoint.rollback"]


def test_an_old_note_is_compared_with_later_ones(store: Store) -> None:
    """If it is said to be old, its date is no finding: what contradicts it in order of dates is."""
    _read(store, _said("alice.example", 11, day=2))
    assert _codes(_read(store, FIRST)) == ["checkpoint.rollback"]
    assert _codes(_read(store, FIRST, is_old=True)) == []
    assert _codes(_read(store, FORKED, is_old=True)) == ["checkpoint.fork"]
    more = _read(store, _said("alice.example", 12, time="2026-01-02T23:00:00Z"), is_old=True)
    assert [("checkpoint.rollback", "12 records, and then 11")] == [
        (finding.code, finding.message) for finding in more.findings
    ]
    less = _read(store, _said("alice.example", 10, day=3), is_old=True)
    assert "checkpoint.rollback" in _codes(less)
    plain = replace(FIRST, size=9, root=bytes(32), particulars=None)
    assert _codes(_read(store, plain, is_old=True)) == []


def test_a_time_far_in_the_future_is_reported(store: Store) -> None:
    """A day ahead may be a matter of clocks."""
    assert _codes(_read(store, FIRST, at=NOW - DAY)) == []
    late = _read(store, FIRST, at=NOW - DAY - timedelta(seconds=1))
    assert _codes(late) == ["checkpoint.future"]
    assert late.findings[0].evidence == ""


def test_the_checkpoint_of_another_program_is_stored(store: Store) -> None:
    """A log's: it has no time, and one root for one size."""
    plain = replace(FIRST, particulars=None)
    assert _codes(_read(store, plain)) == []
    assert _codes(_read(store, replace(plain, root=b"\x01" * 32))) == ["checkpoint.fork"]
    assert _codes(_read(store, replace(plain, size=9))) == [
        "checkpoint.fork",
        "checkpoint.rollback",
    ]
    assert len(_notes(store)) == 3


# Whose word it is ----------------------------------------------------------------------------


def test_a_note_without_a_known_signature_is_refused(store: Store) -> None:
    """Nor kept, nor a note that a known key did not sign though its name is there."""
    unsigned = _read(store, FIRST, BOB, known=[ALICE.verifier])
    assert (None, (), False) == (unsigned.checkpoint, unsigned.signed_by, unsigned.is_new)
    assert _codes(unsigned) == ["checkpoint.unsigned"]
    note = sign_note(format_checkpoint(FIRST), [ALICE]).replace(b"\n10\n", b"\n11\n")
    forged = keep_checkpoint(store, note, KNOWN, NOW)
    assert (None, False, ["note.signature"]) == (forged.checkpoint, forged.is_new, _codes(forged))
    assert _notes(store) == []


def test_a_signed_text_that_is_no_checkpoint_is_refused(store: Store) -> None:
    """Whoever signed it."""
    for text, code in (("hello\n", "checkpoint.shape"), ("a\n01\nb\n", "checkpoint.size")):
        with pytest.raises(FormatError, match=f"^{code}"):
            keep_checkpoint(store, sign_note(text, [ALICE]), KNOWN, NOW)
    with pytest.raises(FormatError, match=r"^note\.shape"):
        keep_checkpoint(store, b"hello\n", KNOWN, NOW)
    assert _notes(store) == []


def test_a_note_signed_by_another_key_is_no_fork(store: Store) -> None:
    """A note in Alice's origin that only Bob signed says nothing about Alice."""
    _read(store, FIRST, ALICE)
    assert _codes(_read(store, FORKED, BOB)) == []
    assert _codes(_read(store, FORKED, BOB, ALICE)) == ["checkpoint.fork"]


def test_a_line_in_another_name_does_not_help(store: Store) -> None:
    """Bob adds a line that looks like Alice's, with an id that nobody knows, or hers."""
    for key_id in (b"1234", ALICE.verifier.key_id):
        with open_store(None) as fresh:
            made_up = "— alice.example ".encode() + b64encode(key_id + bytes(64)) + b"\n"
            note = sign_note(format_checkpoint(FORKED), [BOB]) + made_up
            keep_checkpoint(fresh, note, [BOB.verifier], NOW + DAY)
            assert len(_notes(fresh)) == 1
            assert _codes(_read(fresh, FIRST, ALICE)) == []
    assert _notes(store) == []


def test_notes_of_an_old_key_count_for_a_new_key_of_the_same_name(store: Store) -> None:
    """If the old one is still named among the keys."""
    new = make_signer(ALICE.name, Person("alice's next").seed)
    _read(store, FIRST, ALICE)
    assert _codes(_read(store, FORKED, new, known=[new.verifier])) == []
    both = [new.verifier, ALICE.verifier]
    assert _codes(_read(store, FORKED, new, known=both)) == ["checkpoint.fork"]


# The table -----------------------------------------------------------------------------------

COLUMNS = ("id", "origin", "size", "root", "key_set_digest", "at", "note", "read_at", "is_own",
           "checksum")  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS)
def test_a_changed_row_is_found(column: str, store: Store) -> None:
    """In every column; and nothing is read past it."""
    make_checkpoint(store, OURS, NOW)
    _read(store, FIRST)
    assert [row[0] for row in store.checkpoints.table.damaged_rows()] == []
    conn = store.connection
    query = "SELECT name FROM pragma_table_info('checkpoint')"
    assert COLUMNS == tuple(name for (name,) in conn.execute(query))
    query = f"SELECT {column} FROM checkpoint WHERE id = 1"  # noqa: S608
    (value,) = conn.execute(query).fetchone()
    changed = value + 7 if isinstance(value, int) else value[1:]
    conn.execute(f"UPDATE checkpoint SET {column} = ? WHERE id = 1", (changed,))  # noqa: S608
    assert [8 if column == "id" else 1] == [
        row[0] for row in store.checkpoints.table.damaged_rows()
    ]
    for work in (
        lambda: last_own_checkpoint(store),
        lambda: make_checkpoint(store, OURS, NOW + DAY),
        lambda: _read(store, FIRST),
        lambda: list(store.checkpoints.all()),
    ):
        with pytest.raises(CorruptStoreError, match=r"^store\.damaged"):
            work()


# Keys ----------------------------------------------------------------------------------------


def test_a_new_key_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    """Each is another; the file holds one line."""
    path = tmp_path / "mirror.key"
    verifier = write_new_key(OutputFile(path), "mirror.example")
    text = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert parse_signer(text.removesuffix("\n")).verifier == verifier
    assert verifier != write_new_key(OutputFile(tmp_path / "other.key"), "mirror.example")


def test_no_key_is_overwritten(tmp_path: Path) -> None:
    """Nor anything else; nor does a link lead elsewhere."""
    path, link = tmp_path / "mirror.key", tmp_path / "link"
    path.write_text("precious")
    link.symlink_to(tmp_path / "nowhere")
    for taken, code in (path, "exists"), (link, "refused"), (tmp_path, "failed"):
        with pytest.raises(OutputError, match=rf"^output\.{code}"):
            write_new_key(OutputFile(taken), "mirror.example")
    assert path.read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


def test_a_key_that_cannot_be_written_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No folder, a full disk, or a name that no key may have."""
    with pytest.raises(OutputError, match=r"^output\.failed"):
        write_new_key(OutputFile(tmp_path / "no" / "mirror.key"), "mirror.example")

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match=r"^output\.failed.*No space left"):
            write_new_key(OutputFile(tmp_path / "mirror.key"), "mirror.example")
    with pytest.raises(FormatError, match=r"^note\.name"):
        write_new_key(OutputFile(tmp_path / "mirror.key"), "my mirror")
    assert list(tmp_path.iterdir()) == []
