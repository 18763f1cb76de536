"""Checkpoints: one text for each, and which two of one origin cannot both be true."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.transparency.checkpoint import (
    Checkpoint,
    MirrorExtension,
    describe_fork,
    describe_rollback,
    format_checkpoint,
    parse_checkpoint,
)
from mirror.core.transparency.signed_note import make_signer, parse_note, sign_note, verify_note
from mirror.errors import FormatError, MirrorError
from tests.builders import Signer as Person
from tests.helpers import code_of

ROOT = bytes(range(32))
KEYS = "ab" * 32
TEXT = (
    "mirror.example.org/pith\n"
    "72\n"
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    f"key-set {KEYS}\n"
    "merge-version pith-open-graph-merge-v1\n"
    "events-valid 81\n"
    "events-invalid 0\n"
    "time 2026-01-01T12:00:00Z\n"
)
PARTICULARS = MirrorExtension(
    key_set_digest=KEYS,
    merge_version="pith-open-graph-merge-v1",
    events_valid=81,
    events_invalid=0,
    time="2026-01-01T12:00:00Z",
)
ONE = Checkpoint(origin="mirror.example.org/pith", size=72, root=ROOT, particulars=PARTICULARS)
PLAIN = replace(ONE, particulars=None)
ALICE = make_signer("alice.example", Person("alice").seed)


def _with(one: Checkpoint = ONE, **changes: Any) -> Checkpoint:
    """A copy with other values, of its particulars too."""
    own = {name: changes.pop(name) for name in list(changes) if hasattr(PARTICULARS, name)}
    return replace(one, particulars=replace(PARTICULARS, **own), **changes)


# One text ------------------------------------------------------------------------------------


def test_a_checkpoint_by_hand() -> None:
    """Line by line."""
    assert TEXT == format_checkpoint(ONE)
    assert parse_checkpoint(TEXT) == ONE


def test_a_checkpoint_of_another_program() -> None:
    """Three lines are enough; what else it says is kept as it is."""
    text = "a log: with spaces\n0\n" + base64.b64encode(bytes(32)).decode() + "\n"
    plain = Checkpoint(origin="a log: with spaces", size=0, root=bytes(32))
    assert plain == parse_checkpoint(text)
    assert (None, None, None) == (plain.basis, plain.time, plain.events_valid)
    others = ("timestamp 1714156800", "key set 1", " time", "Time 1")
    extended = text + "".join(f"{line}\n" for line in others)
    assert replace(plain, others=others) == parse_checkpoint(extended)
    assert extended == format_checkpoint(parse_checkpoint(extended))


def test_unknown_lines_of_a_checkpoint_are_accepted() -> None:
    """Below its own lines."""
    text = TEXT + "colour blue\n"
    assert replace(ONE, others=("colour blue",)) == parse_checkpoint(text)


def _changed(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new, 1)


REFUSED = {
    "empty": ("", "checkpoint.shape"),
    "a newline": ("\n", "checkpoint.shape"),
    "two lines": ("origin\n1\n", "checkpoint.shape"),
    "no newline at the end": (TEXT[:-1], "checkpoint.shape"),
    "an empty line at the end": (TEXT + "\n", "checkpoint.shape"),
    "an empty line within": (_changed("\nkey-set", "\n\nkey-set"), "checkpoint.shape"),
    "an empty origin": (_changed("mirror.example.org/pith", ""), "checkpoint.shape"),
    "a tab": (_changed("mirror.", "mirror\t"), "checkpoint.shape"),
    "carriage returns": (TEXT.replace("\n", "\r\n"), "checkpoint.shape"),
    "a leading zero": (_changed("\n72", "\n072"), "checkpoint.size"),
    "a sign": (_changed("\n72", "\n+72"), "checkpoint.size"),
    "a negative size": (_changed("\n72", "\n-1"), "checkpoint.size"),
    "a space": (_changed("\n72", "\n 72"), "checkpoint.size"),
    "a fraction": (_changed("\n72", "\n72.0"), "checkpoint.size"),
    "other digits": (_changed("\n72", "\n٧٢"), "checkpoint.size"),
    "2^53": (_changed("\n72", f"\n{2**53}"), "checkpoint.size"),
    "a very large size": (_changed("\n72", "\n" + "9" * 5000), "checkpoint.size"),
    "no size": (_changed("\n72", "\nmany"), "checkpoint.size"),
    "31 bytes": (_changed("AAEC", ""), "checkpoint.root"),
    "33 bytes": (_changed("Hh8=", "Hh8A"), "checkpoint.root"),
    "no padding": (_changed("Hh8=", "Hh8"), "checkpoint.root"),
    "unused bits": (_changed("Hh8=", "Hh9="), "checkpoint.root"),
    "hexadecimal": (_changed("AAEC", "zz"), "checkpoint.root"),
    "a line missing": (_changed("events-invalid 0\n", ""), "checkpoint.extension"),
    "the last line missing": (_changed("time 2026-01-01T12:00:00Z\n", ""), "checkpoint.extension"),
    "only a time": (TEXT[: TEXT.index("key-set")] + TEXT[TEXT.index("time") :],
                    "checkpoint.extension"),
    "a name without a value": (TEXT[: TEXT.index("key-set")] + "time\n", "checkpoint.extension"),
    "two lines changed": (
        _changed("events-valid 81\nevents-invalid 0", "events-invalid 0\nevents-valid 81"),
        "checkpoint.extension",
    ),
    "a line twice": (TEXT + "events-valid 81\n", "checkpoint.extension"),
    "another line before ours": (_changed("key-set", "colour blue\nkey-set"),
                                 "checkpoint.extension"),
    "two spaces": (_changed("key-set ", "key-set  "), "checkpoint.extension"),
    "a space at the end": (_changed("Z\n", "Z \n"), "checkpoint.extension"),
    "capitals": (_changed(KEYS, KEYS.upper()), "checkpoint.extension"),
    "a short digest": (_changed(KEYS, KEYS[1:]), "checkpoint.extension"),
    "no merge version": (_changed("pith-open-graph-merge-v1", ""), "checkpoint.extension"),
    "words": (_changed("pith-open-graph-merge-v1", "version 1"), "checkpoint.extension"),
    "a long word": (_changed("pith-open-graph-merge-v1", "v" * 101), "checkpoint.extension"),
    "a zero before events": (_changed("valid 81", "valid 081"), "checkpoint.extension"),
    "many events": (_changed("invalid 0", f"invalid {2**53}"), "checkpoint.extension"),
    "a fraction of a second": (_changed("00Z", "00.0Z"), "checkpoint.extension"),
    "another zone": (_changed("00Z", "00+00:00"), "checkpoint.extension"),
    "a small z": (_changed("00Z", "00z"), "checkpoint.extension"),
    "a space in the time": (_changed("01T", "01 "), "checkpoint.extension"),
    "a day that is none": (_changed("2026-01-01", "2026-02-29"), "checkpoint.extension"),
    "a leap second": (_changed("12:00:00", "23:59:60"), "checkpoint.extension"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_any_other_form_of_a_checkpoint_is_refused(name: str) -> None:
    """With its code."""
    text, code = REFUSED[name]
    assert code == code_of(lambda: parse_checkpoint(text))


def test_the_line_of_a_fault_is_named() -> None:
    """Counted from 1."""
    for text, where in (
        (_changed("\n72", "\n072"), "line 2"),
        (_changed("AAEC", "A"), "line 3"),
        (_changed("valid 81", "valid x"), "line 6"),
    ):
        with pytest.raises(FormatError) as caught:
            parse_checkpoint(text)
        assert where == caught.value.where


@pytest.mark.parametrize(
    ("one", "code"),
    [
        (replace(ONE, origin=""), "checkpoint.shape"),
        (replace(ONE, origin="a\nb"), "checkpoint.size"),
        (replace(ONE, size=-1), "checkpoint.size"),
        (replace(ONE, root=b"short"), "checkpoint.root"),
        (replace(ONE, others=("",)), "checkpoint.shape"),
        (replace(ONE, others=("time 1",)), "checkpoint.extension"),
        (replace(PLAIN, others=("one\ntwo",)), "checkpoint.shape"),
        (_with(time="2026-01-01T12:00:00.5Z"), "checkpoint.extension"),
    ],
)
def test_what_would_not_read_back_is_not_written(one: Checkpoint, code: str) -> None:
    """A value has one spelling, or none."""
    assert code == code_of(lambda: format_checkpoint(one))


_COUNTS = st.integers(0, 2**53 - 1)
_LINES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=20)
_PARTICULARS = st.builds(
    MirrorExtension,
    key_set_digest=st.binary(min_size=32, max_size=32).map(bytes.hex),
    merge_version=st.text("abcxyz019.-_", min_size=1, max_size=20),
    events_valid=_COUNTS,
    events_invalid=_COUNTS,
    time=st.datetimes().map(lambda at: at.replace(microsecond=0).isoformat() + "Z"),
)
_CHECKPOINTS = st.builds(
    Checkpoint,
    origin=_LINES,
    size=_COUNTS,
    root=st.binary(min_size=32, max_size=32),
    particulars=st.none() | _PARTICULARS,
    others=st.lists(
        _LINES.filter(lambda line: not line.startswith(("key", "merge", "events", "time")))
    ).map(tuple),
)


@given(_CHECKPOINTS)
def test_any_checkpoint_reads_back(one: Checkpoint) -> None:
    """Through a signed note, too."""
    text = format_checkpoint(one)
    assert one == parse_checkpoint(text)
    signed = parse_note(sign_note(text, [ALICE]))
    assert one == parse_checkpoint(verify_note(signed, [ALICE.verifier]).text)


@given(_CHECKPOINTS, st.data())
def test_a_checkpoint_has_one_spelling(one: Checkpoint, data: st.DataObject) -> None:
    """What is read from a changed text is written as that very text."""
    text = format_checkpoint(one)
    at = data.draw(st.integers(0, len(text) - 1))
    with_another = text[:at] + data.draw(st.characters(codec="utf-8")) + text[at + 1 :]
    for changed in (with_another, text[:at] + text[at + 1 :], text[:at] + text[at:] * 2):
        try:
            found = parse_checkpoint(changed)
        except FormatError:
            continue
        assert changed == format_checkpoint(found)


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80])
def test_no_flipped_bit_changes_what_a_signed_checkpoint_means(mask: int) -> None:
    """Each byte of the note: it is refused."""
    signed = sign_note(TEXT, [ALICE])
    for at in range(len(signed)):
        data = signed[:at] + bytes([signed[at] ^ mask]) + signed[at + 1 :]
        with pytest.raises(MirrorError):
            verify_note(parse_note(data), [ALICE.verifier])


# Two of one origin ---------------------------------------------------------------------------

OTHER_ROOT = bytes(32)
LATER = "2026-01-02T12:00:00Z"
EARLIER = "2025-12-31T12:00:00Z"

FORKS = {
    "two roots of one time": (_with(root=OTHER_ROOT), "for one time"),
    "two roots of one time and other counts": (
        _with(root=OTHER_ROOT, size=80, events_valid=99),
        "for one time",
    ),
    "two roots of the same counts": (_with(root=OTHER_ROOT, time=LATER), "the same 72 records"),
    "one root of two sizes": (_with(size=73, time=LATER), "one root for 72 and for 73 records"),
    "one root of two sizes, whatever the keys": (
        _with(size=73, time=LATER, key_set_digest="cd" * 32),
        "one root",
    ),
}
NO_FORKS = {
    "the same": ONE,
    "the same at another time": _with(time=LATER),
    "the same with more invalid events": _with(events_invalid=5),
    "an event more": _with(root=OTHER_ROOT, events_valid=82, time=LATER),
    "a record more": _with(root=OTHER_ROOT, size=73, time=LATER),
    "another key set": _with(root=OTHER_ROOT, key_set_digest="cd" * 32),
    "another key set, and the same root": _with(key_set_digest="cd" * 32),
    "another merge": _with(root=OTHER_ROOT, merge_version="pith-open-graph-merge-v2"),
    "another program's": replace(PLAIN, root=OTHER_ROOT),
}


@pytest.mark.parametrize("name", FORKS)
def test_what_cannot_both_be_true_is_a_fork(name: str) -> None:
    """Whichever came first."""
    other, why = FORKS[name]
    assert why in (describe_fork(ONE, other) or "")
    assert describe_fork(other, ONE) is not None


@pytest.mark.parametrize("name", NO_FORKS)
def test_what_can_both_be_true_is_no_fork(name: str) -> None:
    """Whichever came first."""
    assert describe_fork(ONE, NO_FORKS[name]) is None
    assert describe_fork(NO_FORKS[name], ONE) is None


def test_a_log_has_one_root_for_one_size() -> None:
    """Without a mirror's lines, there is nothing else to go by."""
    assert describe_fork(PLAIN, replace(PLAIN, root=OTHER_ROOT)) == "two roots for one size, 72"
    assert describe_fork(PLAIN, replace(PLAIN, root=OTHER_ROOT, size=73)) is None
    assert describe_fork(PLAIN, replace(PLAIN, others=("more",))) is None


ROLLBACKS = {
    "an earlier date": (_with(time=EARLIER), f"dated {EARLIER}, before 2026-01-01T12:00:00Z"),
    "an earlier date, and more": (_with(time=EARLIER, size=80, root=OTHER_ROOT), "dated"),
    "a record less": (_with(time=LATER, size=71, root=OTHER_ROOT), "72 records, and then 71"),
    "a record less, under other keys": (
        _with(time=LATER, size=71, key_set_digest="cd" * 32),
        "72 records, and then 71",
    ),
    "an event less": (_with(time=LATER, events_valid=80), "81 valid events, and then 80"),
    "a log's leaf less": (replace(PLAIN, size=71), "72 records, and then 71"),
}
NO_ROLLBACKS = {
    "the same": ONE,
    "more": _with(time=LATER, size=73, events_valid=82, root=OTHER_ROOT),
    "fewer invalid events": _with(time=LATER, events_invalid=0),
    "fewer valid events under other keys": _with(events_valid=0, key_set_digest="cd" * 32),
    "fewer valid events by another merge": _with(events_valid=0, merge_version="v2"),
    "another program's": PLAIN,
}


@pytest.mark.parametrize("name", ROLLBACKS)
def test_a_checkpoint_of_smaller_counts_is_a_rollback(name: str) -> None:
    """The reason is named."""
    new, why = ROLLBACKS[name]
    assert why in (describe_rollback(new, ONE) or "")


@pytest.mark.parametrize("name", NO_ROLLBACKS)
def test_a_checkpoint_of_equal_or_greater_counts_is_no_rollback(name: str) -> None:
    """Under other rules, fewer events may be valid."""
    assert describe_rollback(NO_ROLLBACKS[name], ONE) is None


def test_a_log_may_grow() -> None:
    """Without a time, what was read first counts as earlier."""
    assert describe_rollback(replace(PLAIN, size=73), PLAIN) is None
    assert describe_rollback(PLAIN, replace(PLAIN, size=73)) is not None
