"""Signed notes: keys, their texts, and what is refused, passed over or believed."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.cli import exit_codes
from mirror.core.transparency.signed_note import (
    MAX_BYTES,
    MAX_SIGNATURES,
    Note,
    Signature,
    VerifiedNote,
    Verifier,
    format_note,
    is_key_name,
    make_signer,
    parse_note,
    parse_signer,
    parse_verifier,
    sign_note,
    verify_note,
)
from mirror.errors import FormatError, LimitError, MirrorError, UntrustedNoteError
from tests import oracle
from tests.builders import Signer as Person
from tests.helpers import code_of
from tests.oracle import ed25519 as curve

ALICE = make_signer("alice.example/pith", Person("alice").seed)
BOB = make_signer("bob.example", Person("bob").seed)
TEXT = "first line\n\nthird line: è ascoltato\n"
SIGNED = sign_note(TEXT, [ALICE, BOB])


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _key(name: str, data: bytes, *, key_id: str = "") -> str:
    """The text of a key, whatever is in it."""
    right = hashlib.sha256(f"{name}\n".encode() + data).hexdigest()[:8]
    return f"{name}+{key_id or right}+{_b64(data)}"


def _note(text: str, *lines: str) -> bytes:
    return "\n".join([text, *lines, ""]).encode()


def _line(name: str = "alice.example/pith", data: bytes = b"12345") -> str:
    return f"— {name} {_b64(data)}"


def _meaning(data: bytes) -> VerifiedNote | None:
    """What one who knows both keys takes from a note; None if it is refused."""
    try:
        return verify_note(parse_note(data), [ALICE.verifier, BOB.verifier])
    except MirrorError:
        return None


# Keys ----------------------------------------------------------------------------------------


def test_a_published_key_has_its_published_id() -> None:
    """Name, seed and texts of the key in the documentation of Go's `note` package."""
    seed = bytes.fromhex("810a1402d5146c8d84f2443330f54080ebf98ee17d9c74f6252fc5d5c7283173")
    signer = make_signer("PeterNeumann", seed)
    public = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert public == signer.verifier.text
    assert signer == parse_signer(
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
    )


def test_the_id_follows_from_name_and_key() -> None:
    """By the formula, written out."""
    public = Person("alice").public_key
    digest = hashlib.sha256(b"alice.example/pith\n" + b"\x01" + public).digest()
    assert (digest[:4], public) == (ALICE.verifier.key_id, ALICE.verifier.public_key)
    encoded = _b64(b"\x01" + public)
    assert f"alice.example/pith+{digest[:4].hex()}+{encoded}" == ALICE.verifier.text


@given(st.binary(min_size=32, max_size=32), st.text(min_size=1, max_size=20).filter(is_key_name))
def test_keys_read_back(seed: bytes, name: str) -> None:
    """Both halves, of any name."""
    signer = make_signer(name, seed)
    assert signer == parse_signer(signer.text)
    assert signer.verifier == parse_verifier(signer.verifier.text)


def test_a_public_key_reads_back() -> None:
    """As people hand it on."""
    assert parse_verifier(ALICE.verifier.text) == ALICE.verifier


PUBLIC = Person("alice").public_key
NOT_ON_THE_CURVE = b"\x02" + bytes(31)
NO_VERIFIERS = {
    "empty": "",
    "a word": "alice",
    "no base64": "alice+01234567+",
    "another id": _key("alice", b"\x01" + PUBLIC, key_id="01234567"),
    "an id in capitals": _key("alice", b"\x01" + PUBLIC).replace("+", "+ABCDEF01+", 1),
    "an id of another name": _key("alice", b"\x01" + PUBLIC).replace("alice", "bob"),
    "no padding": _key("alice", b"\x01" + PUBLIC + b"x").removesuffix("="),
    "loose base64": _key("alice", b"\x01" + PUBLIC) + "=",
    "a newline": _key("alice", b"\x01" + PUBLIC) + "\n",
    "another type": _key("alice", b"\x04" + PUBLIC),
    "too short": _key("alice", b"\x01" + PUBLIC[:31]),
    "too long": _key("alice", b"\x01" + PUBLIC + b"\x00"),
    "no name": _key("", b"\x01" + PUBLIC),
    "a name with a space": _key("al ice", b"\x01" + PUBLIC),
    "of small order": _key("alice", b"\x01\x01" + bytes(31)),
    "not on the curve": _key("alice", b"\x01" + NOT_ON_THE_CURVE),
    "a private key": ALICE.text,
}


@pytest.mark.parametrize("name", NO_VERIFIERS)
def test_what_is_no_public_key_is_refused(name: str) -> None:
    """Each in one spelling, with the id that is its own."""
    assert code_of(lambda: parse_verifier(NO_VERIFIERS[name])) == "note.key"


NO_SIGNERS = {
    "empty": "",
    "the public half": ALICE.verifier.text,
    "another id": ALICE.text.replace(ALICE.verifier.key_id.hex(), "01234567"),
    "no more than a mark": "PRIVATE+KEY+",
    "a seed that is too short": "PRIVATE+KEY+" + _key("alice", b"\x01" + PUBLIC[:31]),
    "a newline": ALICE.text + "\n",
}


@pytest.mark.parametrize("name", NO_SIGNERS)
def test_what_is_no_private_key_is_refused(name: str) -> None:
    """And whatever is said of it, nothing secret is."""
    with pytest.raises(FormatError, match=r"^note\.key: ") as caught:
        parse_signer(NO_SIGNERS[name])
    assert ALICE.text.split("+", 4)[4] not in f"{caught.value} {caught.value.hint}"


def test_a_private_key_is_not_shown() -> None:
    """Not where an object is printed."""
    assert "seed" not in repr(ALICE)
    assert str(ALICE.seed) not in repr(ALICE)


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "a+b", "a\tb", "a\nb", "a\x00b", "a\x1fb", "a\u00a0b", "a\u2003b", "a\u2028b",
     "a\u3000b", "a\u0085b", "a\udc80b"],
)  # fmt: skip
def test_names_that_no_key_may_have(name: str) -> None:
    """White space of all Unicode, plus, control characters, half characters."""
    assert not is_key_name(name)
    assert code_of(lambda: make_signer(name, ALICE.seed)) == "note.name"


@pytest.mark.parametrize(
    "name", ["a", "mirror.example.org/pith", "Bücherei", "鏡", "a\u200bb", "—"]
)
def test_names_that_a_key_may_have(name: str) -> None:
    """Any other."""
    assert is_key_name(name)
    assert make_signer(name, ALICE.seed).name == name


# Reading and writing -------------------------------------------------------------------------


def test_a_signed_note_by_hand() -> None:
    """The text, an empty line, and a line for each signature, made without our code."""
    person = Person("alice")
    signature = base64.b64decode(person.sign(TEXT.encode()))
    expected = f"{TEXT}\n— {ALICE.name} {_b64(ALICE.verifier.key_id + signature)}\n"
    assert expected.encode() == sign_note(TEXT, [ALICE])
    assert oracle.verify(person.public_key, TEXT.encode(), signature)


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Z"]) | st.just("\n")))
def test_any_text_reads_back(text: str) -> None:
    """Empty lines and lines that look like signatures are text, down to the last empty line."""
    data = sign_note(f"{text}\n", [ALICE, BOB])
    note = parse_note(data)
    assert (f"{text}\n", data) == (note.text, format_note(note))
    assert verify_note(note, [BOB.verifier]) == VerifiedNote(f"{text}\n", (BOB.verifier,))


@pytest.mark.parametrize("text", ["\n", "\n\n", "a\n\n", f"a\n\n{_line()}\n", f"{_line()}\n"])
def test_the_last_empty_line_ends_the_text(text: str) -> None:
    """Whatever stands above it."""
    assert text == parse_note(sign_note(text, [ALICE])).text


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8")))
def test_a_note_has_one_spelling(tail: bytes) -> None:
    """What is read is written in the very same bytes."""
    for data in (tail, SIGNED + tail, b"text\n\n" + tail, SIGNED.replace(b"bob", tail)):
        try:
            note = parse_note(data)
        except FormatError:
            continue
        assert data == format_note(note)


REFUSED = {
    "empty": (b"", "note.shape"),
    "no signature": (b"text\n\n", "note.shape"),
    "no empty line": (_note("text", _line()), "note.shape"),
    "an empty line too much": (_note("text\n", _line(), "", ""), "note.shape"),
    "no newline at the end": (_note("text\n", _line())[:-1], "note.shape"),
    "an empty line in the signatures": (_note("text\n", _line(), "", "x"), "note.shape"),
    "no text": (_note("", _line()), "note.shape"),
    "a hyphen": (_note("text\n", _line().replace("—", "-")), "note.shape"),
    "an en dash": (_note("text\n", _line().replace("—", "–")), "note.shape"),
    "no space": (_note("text\n", _line().replace("— ", "—")), "note.shape"),
    "two spaces": (_note("text\n", _line().replace("— ", "—  ")), "note.shape"),
    "a space at the end": (_note("text\n", _line() + " "), "note.shape"),
    "no name": (_note("text\n", _line("")), "note.shape"),
    "a name with plus": (_note("text\n", _line("a+b")), "note.shape"),
    "a name with a space": (_note("text\n", _line("a\u00a0b")), "note.shape"),
    "no base64": (_note("text\n", "— alice"), "note.shape"),
    "loose base64": (_note("text\n", "— alice MTIzNDU"), "note.shape"),
    "unused bits": (_note("text\n", "— alice MTIzNDV="), "note.shape"),
    "only an id": (_note("text\n", _line(data=b"1234")), "note.shape"),
    "not UTF-8": (b"text \xff\n\n" + _line().encode() + b"\n", "note.text"),
    "a surrogate": (b"text \xed\xa0\x80\n\n" + _line().encode() + b"\n", "note.text"),
    "NUL": (_note("te\x00xt\n", _line()), "note.text"),
    "a tab": (_note("te\txt\n", _line()), "note.text"),
    "carriage returns": (_note("text\n", _line()).replace(b"\n", b"\r\n"), "note.text"),
    "U+001F": (_note("text\n", _line("a\x1fb")), "note.text"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_any_other_form_of_a_note_is_refused(name: str) -> None:
    """With its code."""
    data, code = REFUSED[name]
    assert code == code_of(lambda: parse_note(data))


def test_the_place_of_a_fault_is_named() -> None:
    """The line, or the byte."""
    for data, where in (
        (_note("one\n\nthree\n", _line(), "x"), "line 6"),
        (_note("one\ntwo\x07\n", _line()), "line 2"),
        (b"one\xff", "byte 3"),
    ):
        with pytest.raises(FormatError) as caught:
            parse_note(data)
        assert where == caught.value.where


def test_other_characters_are_text() -> None:
    """Only what stands below U+0020 is a control character here."""
    text = "\ufeffDEL \x7f, C1 \x85, \u2028, \u202e\n"
    assert text == parse_note(sign_note(text, [ALICE])).text


def test_a_note_may_be_so_large() -> None:
    """To the byte."""
    spare = MAX_BYTES - len(sign_note("\n", [ALICE]))
    assert parse_note(sign_note("x" * spare + "\n", [ALICE])).text == "x" * spare + "\n"
    for work in (
        lambda: sign_note("x" * (spare + 1) + "\n", [ALICE]),
        lambda: parse_note(b"\xff" * (MAX_BYTES + 1)),
    ):
        with pytest.raises(LimitError, match=r"^note\.size"):
            work()


def test_a_note_may_have_so_many_signatures() -> None:
    """Sixteen of the longest kind, at least; a hundred of ours."""
    wide = parse_note(_note("text\n", *[_line(f"key{one}", bytes(5000)) for one in range(16)]))
    assert len(wide.signatures) == 16
    lines = [_line(f"key{one}") for one in range(MAX_SIGNATURES + 1)]
    assert len(parse_note(_note("text\n", *lines[1:])).signatures) == MAX_SIGNATURES
    with pytest.raises(LimitError, match=r"^note\.signatures"):
        parse_note(_note("text\n", *lines))


@pytest.mark.parametrize(
    ("text", "code"),
    [("no newline", "note.shape"), ("", "note.shape"), ("half \udc80\n", "note.text"),
     ("tab\t\n", "note.text"), (f"a\n\n{_line()}", "note.shape")],
)  # fmt: skip
def test_a_text_that_would_not_read_back_is_not_signed(text: str, code: str) -> None:
    """Nor is one that nobody signs."""
    assert code == code_of(lambda: sign_note(text, [ALICE]))
    assert code_of(lambda: sign_note("text\n", [])) == "note.shape"


def test_a_note_that_would_not_read_back_is_not_written() -> None:
    """An id is four bytes, a name has no space."""
    short, spaced = Signature("a", b"123", b"4567"), Signature("a b", b"1234", b"5")
    assert code_of(lambda: format_note(Note("text\n", (short,)))) == "note.shape"
    assert code_of(lambda: format_note(Note("text\n", (spaced,)))) == "note.shape"


# Verifying -----------------------------------------------------------------------------------


def _code(data: bytes, *verifiers: Verifier) -> str:
    with pytest.raises(UntrustedNoteError) as caught:
        verify_note(parse_note(data), verifiers)
    assert exit_codes.of_error(caught.value) == 1
    return caught.value.code


def test_only_signatures_of_known_keys_count() -> None:
    """A name alone is nothing, and other signatures are passed over."""
    note = parse_note(SIGNED)
    both = (ALICE.verifier, BOB.verifier)
    assert both == verify_note(note, [BOB.verifier, ALICE.verifier]).signed_by
    assert both[1:] == verify_note(note, both[1:]).signed_by
    assert _code(SIGNED) == "note.unsigned"
    impostor = make_signer(ALICE.name, BOB.seed)
    assert _code(sign_note(TEXT, [impostor]), ALICE.verifier) == "note.unsigned"
    mixed = sign_note(TEXT, [impostor, ALICE])
    assert verify_note(parse_note(mixed), both).signed_by == (ALICE.verifier,)


def test_a_signature_of_another_kind_is_passed_over() -> None:
    """Of any length, with any id, also in the name of a known key."""
    data = SIGNED + _note(_line(ALICE.name, b"\x00\x00\x00\x04" + bytes(2420)))
    assert verify_note(parse_note(data), [ALICE.verifier]).signed_by == (ALICE.verifier,)


def test_a_known_key_is_named_once() -> None:
    """However often it signed; and each time it must hold."""
    line = SIGNED.split(b"\n")[4] + b"\n"
    twice = parse_note(SIGNED + line)
    assert verify_note(twice, [ALICE.verifier]).signed_by == (ALICE.verifier,)
    wrong = ALICE.verifier.key_id + bytes(64)
    assert _code(SIGNED + _note(_line(ALICE.name, wrong)), ALICE.verifier) == "note.signature"


FAULTS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "another text": lambda _message, _signature: ALICE.sign(b"other"),
    "another key": lambda message, _signature: BOB.sign(message),
    "a byte less": lambda _message, signature: signature[:-1],
    "a byte more": lambda _message, signature: signature + b"\x00",
    "a large S": lambda _message, signature: curve.signature_with_large_s(signature),
    "only with the cofactor": lambda message, _signature: curve.sign_cofactored_only(
        ALICE.seed, message
    ),
    "the text without its newline": lambda message, _signature: ALICE.sign(message[:-1]),
    "the text with the empty line": lambda message, _signature: ALICE.sign(message + b"\n"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_known_key_whose_signature_fails_refuses_the_note(name: str) -> None:
    """Even if another known key signed it well (S1)."""
    message = TEXT.encode()
    faulty = FAULTS[name](message, ALICE.sign(message))
    good = Signature(BOB.name, BOB.verifier.key_id, BOB.sign(message))
    bad = Signature(ALICE.name, ALICE.verifier.key_id, faulty)
    data = format_note(Note(TEXT, (good, bad)))
    assert _code(data, ALICE.verifier, BOB.verifier) == "note.signature"
    assert verify_note(parse_note(data), [BOB.verifier]).signed_by == (BOB.verifier,)


def test_two_known_keys_of_one_name_and_id_are_refused() -> None:
    """An id is short: these two were found by trying. The same key twice is one key."""
    one, other = (Verifier("n", number.to_bytes(32, "big")) for number in (10011, 34185))
    assert one.key_id == other.key_id
    note = parse_note(SIGNED)
    assert code_of(lambda: verify_note(note, [one, other])) == "note.key"
    twice = [ALICE.verifier, ALICE.verifier, one]
    assert verify_note(note, twice).signed_by == (ALICE.verifier,)


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80])
def test_no_flipped_bit_changes_what_a_note_means(mask: int) -> None:
    """Each byte of a note that two known keys signed: refused, or the same text from fewer."""
    for at in range(len(SIGNED)):
        data = SIGNED[:at] + bytes([SIGNED[at] ^ mask]) + SIGNED[at + 1 :]
        found = _meaning(data)
        assert found is None or found.text == TEXT, at
        assert found is None or len(found.signed_by) == 1, at


@given(st.data())
def test_no_cut_or_doubled_piece_changes_what_a_note_means(data: st.DataObject) -> None:
    """Any piece left out, doubled or put elsewhere."""
    place = st.integers(0, len(SIGNED))
    start, end, to = data.draw(place), data.draw(place), data.draw(place)
    piece = SIGNED[start:end]
    for changed in (
        SIGNED[:start] + SIGNED[end:],
        SIGNED[:to] + piece + SIGNED[to:],
        piece,
    ):
        found = _meaning(changed)
        assert found is None or found.text == TEXT
