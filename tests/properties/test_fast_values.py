"""Every other quick way, held to the slow one that the rule describes (V1, V5, V6, R1, R3, M13)."""

from __future__ import annotations

import base64
import hashlib
import re
import string
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mirror.core import record as record_module
from mirror.core.events.event import ValidEvent
from mirror.core.merge import fill, merge
from mirror.core.record import Record, parse_record, suffix_of
from mirror.core.values import (
    canonical,
    decode_base64,
    dump_fragments,
    encode,
    encode_integers,
    instant,
    nesting,
    nests_within,
    raw_fragment,
)
from mirror.errors import FormatError
from tests import oracle
from tests.builders import (
    Object,
    Signer,
    key_set_file,
    make_record,
    without,
)
from tests.helpers import keys_of, verified
from tests.properties.strategies import KEY_SETS, World, as_read, json_values, worlds

# Nesting (V1, E1) ----------------------------------------------------------------------------

_bracketed = st.text('[]{}"\\,:a\u00e9\n', max_size=8)


def _nested_values() -> st.SearchStrategy[Any]:
    """Values that are mostly brackets, strings that look like brackets, and lists of them."""
    return st.recursive(
        _bracketed | st.none() | st.integers(-9, 9) | st.floats(0, 1),
        lambda children: (
            st.lists(children, max_size=4) | st.dictionaries(_bracketed, children, max_size=3)
        ),
        max_leaves=25,
    )


def _depth(value: Any) -> int:
    """The nesting of a value, as the rule says it."""
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


@given(_nested_values() | json_values())
@example('"')
@example("\\")
@example(['"', '"'])
@example(['\\"', "[", '"\\'])
@example({'"[': ['["', "\\\\"], "": "", "[": ""})
def test_nesting_is_that_of_the_value(value: Any) -> None:
    """V1, E1: whatever stands in strings, and at the border, too."""
    for text in (canonical(value), encode(value)):
        depth = _depth(value)
        assert depth == nesting(text)
        assert nests_within(text, depth)
        assert depth == 0 or not nests_within(text, depth - 1)


@pytest.mark.parametrize("depth", [1, 31, 32, 33, 63, 64, 65, 200])
def test_nesting_at_its_borders(depth: int) -> None:
    """V1, E1: deep on one side, wide on the other, and full of brackets that are none."""
    for text in (
        b"[" * depth + b"]" * depth,
        b'{"[":' * depth + b"0" + b"}" * depth,
        b"[" + b"[]," * 300 + b"[" * (depth - 1) + b"]" * (depth - 1) + b"]"
        if depth > 1
        else b"[]",
        b"[" * depth + b'"' + b"[{" * 300 + b'\\""' + b"]" * depth,
        b"[" * depth + b'"\\\\"' + b"]" * depth,
    ):
        assert depth == nesting(text)
        assert nests_within(text, depth)
        assert not nests_within(text, depth - 1)


# Embedded parts (V2) -------------------------------------------------------------------------


@given(st.dictionaries(_bracketed, json_values()), json_values())
def test_an_embedded_value_is_not_encoded_again(outer: Object, inner: Any) -> None:
    """V2, M13: a part that was encoded before stands in the whole as if it had been now."""
    text = canonical(inner)
    whole = {**dict.fromkeys(outer), "inner": inner, "list": [inner, 1]}
    parts = {**whole, "inner": raw_fragment(text), "list": [raw_fragment(text), 1]}
    assert canonical(whole) == encode_integers(parts)
    ordered: Any = {"b": inner, "a": {"d": 1, "c": [inner]}}
    shuffled: Any = {
        "b": raw_fragment(encode(inner)),
        "a": {"d": 1, "c": [raw_fragment(encode(inner))]},
    }
    assert encode(ordered) == dump_fragments(shuffled)


# Records (R1, R3) ----------------------------------------------------------------------------

_NAMES = {
    "": ("metadata", "schema_version", "source", "more"),
    "metadata": (*make_record()["metadata"], "more"),
    "source": (*make_record()["source"], "more"),
}
_PLACES = [(outer, name) for outer, names in _NAMES.items() for name in names]
_OTHER_VALUES: list[Any] = [
    None, True, 0, 1, -1, 1.0, 2**53 - 1, "", "x", "1.0", "0" * 64, "A" * 64, "0" * 64 + "\n",
    [], ["a", "b"], ["b", "a"], ["a", "a"], ["", "\U0001f600"], ["\U0001f600", "\uffff"], ["a", 1],
    {}, "2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", make_record()["source"],
    make_record()["metadata"], ["metadata", "schema_version", "source"],
]  # fmt: skip
_GONE = object()
_others = st.sampled_from(_OTHER_VALUES)


def _replaced(record: Any, outer: str, name: str, other: Any) -> Any:
    """A copy of a record with one member replaced, or gone, if there is an object to hold it."""
    place = record.get(outer) if outer else record
    if not isinstance(place, dict):
        return record
    changed = without(place, name) if other is _GONE else {**place, name: other}
    return {**record, outer: changed} if outer else changed


@st.composite
def _records(draw: st.DrawFn) -> Any:
    """A record with up to three members changed, gone or more."""
    record = make_record(kind=draw(st.sampled_from(["arxiv", "zenodo"])))
    for outer, name in draw(st.lists(st.sampled_from(_PLACES), max_size=3)):
        record = _replaced(record, outer, name, draw(_others | json_values() | st.just(_GONE)))
    return record


def _parsed(value: Any) -> Record | tuple[str, str, str]:
    try:
        return parse_record(value, "/at")
    except FormatError as error:
        return error.code, error.where, error.message


def _assert_read_alike(value: Any) -> None:
    """Assert that both ways make the same record of a value, or refuse it at the same place."""
    quick = _parsed(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record_module, "_is_record_fast", lambda _value: False)
        slow = _parsed(value)
    assert slow == quick
    assert isinstance(slow, Record) == oracle.record_shape_ok(value)
    if isinstance(slow, Record) and isinstance(quick, Record):
        assert (slow.value, slow.aliases) == (quick.value, quick.aliases)


@pytest.mark.parametrize(("outer", "name"), _PLACES)
def test_a_record_with_one_member_changed_is_read_alike(outer: str, name: str) -> None:
    """R1: each member gone, or of another type or value."""
    for other in (*_OTHER_VALUES, _GONE):
        _assert_read_alike(_replaced(make_record(), outer, name, other))


@given(_records() | _others | json_values())
def test_a_record_is_read_the_quick_way_as_the_slow_one(value: Any) -> None:
    """R1: the same record, or the same refusal at the same place."""
    _assert_read_alike(value)


@given(st.binary(min_size=32, max_size=32))
@example(bytes(32))
@example(b"\xff" * 32)
@example(bytes(16) + b"\x3f" + b"\xff" * 15)
@example(bytes(16) + b"\x40" + bytes(15))
def test_a_suffix_is_the_start_of_base32(digest: bytes) -> None:
    """R3 (RFC 4648)."""
    assert base64.b32encode(digest)[:26].decode() == suffix_of(digest)


# Times (V5) ----------------------------------------------------------------------------------

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_endings = st.sampled_from(["Z", "+00:00"])


@given(st.datetimes(timezones=st.just(UTC)), st.integers(0, 6), _endings)
@example(datetime(1, 1, 1, tzinfo=UTC), 0, "Z")
@example(datetime.max.replace(tzinfo=UTC), 6, "+00:00")
def test_a_time_is_the_instant_that_a_calendar_says(at: datetime, digits: int, ending: str) -> None:
    """V5: of any date, with a fraction of any length."""
    fraction = f".{at.microsecond:06}"[: digits + 1] if digits else ""
    text = f"{at.year:04}-{at:%m-%dT%H:%M:%S}{fraction}{ending}"
    said = at.replace(microsecond=int(fraction[1:].ljust(6, "0")))
    assert (said - _EPOCH) // timedelta(microseconds=1) == instant(text)


_PATTERN = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6}))?(?:Z|\+00:00)"
)


def _slow_instant(text: str) -> int | None:
    """The instant, part by part."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        return None
    *parts, fraction = match.groups()
    year, month, day, hour, minute, second = map(int, parts)
    micros = int((fraction or "").ljust(6, "0"))
    try:
        at = datetime(year, month, day, hour, minute, second, micros, UTC)
    except ValueError:
        return None
    return (at - _EPOCH) // timedelta(microseconds=1)


@given(st.datetimes().map(datetime.isoformat), _endings, st.data())
def test_a_damaged_time_is_read_strictly(text: str, ending: str, data: st.DataObject) -> None:
    """V5: with other characters in some places, it is another time or none."""
    characters = list(text + ending)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(characters) - 1))
        new = st.sampled_from([*string.digits, "", " ", "-", ":", ".", "T", "Z", "+", "\u0661"])
        characters[at] = data.draw(new)
    damaged = "".join(characters)
    assert _slow_instant(damaged) == instant(damaged)


# Base64 (V6) ---------------------------------------------------------------------------------

_ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"


def _slow_base64(text: str) -> bytes | None:
    """The bytes, bit by bit (RFC 4648 section 4)."""
    letters = text.rstrip("=")
    padding = len(text) - len(letters)
    if not letters or len(text) % 4 or padding > 2 or not set(letters) <= set(_ALPHABET):
        return None
    bits = "".join(f"{_ALPHABET.index(letter):06b}" for letter in letters)
    length = len(bits) // 8 * 8
    if "1" in bits[length:] or len(bits) - length != 2 * padding:
        return None
    return int(bits[:length], 2).to_bytes(length // 8, "big")


@given(st.binary(min_size=1, max_size=70))
def test_base64_of_any_bytes_is_read_back(data: bytes) -> None:
    """V6: and the slow way reads the same."""
    text = base64.b64encode(data).decode()
    assert data == decode_base64(text) == _slow_base64(text)


@given(st.binary(max_size=12), st.data())
def test_damaged_base64_is_read_strictly(raw: bytes, data: st.DataObject) -> None:
    """V6: with other characters in some places, it says other bytes or is refused."""
    characters = list(base64.b64encode(raw).decode())
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(characters)))
        new = [
            "",
            "=",
            "A",
            "B",
            "Q",
            "/",
            "-",
            "_",
            " ",
            "\n",
            "\x00",
            "\u00e9",
            "\uff21",
            "\u2028",
        ]
        characters[at : at + data.draw(st.integers(0, 1))] = data.draw(st.sampled_from(new))
    text = "".join(characters)
    assert _slow_base64(text) == decode_base64(text)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_every_two_last_letters_are_read_as_the_slow_way_reads_them(length: int) -> None:
    """V6: unused bits and all."""
    start = base64.b64encode(bytes(length)).decode()
    for one in _ALPHABET + "=":
        for other in _ALPHABET + "=":
            text = start[:2] + one + other
            assert _slow_base64(text) == decode_base64(text)


# States (M12, M13) ---------------------------------------------------------------------------


@settings(max_examples=settings().max_examples // 2)
@given(worlds(), st.sampled_from(KEY_SETS))
def test_a_state_is_filled_from_its_outline(world: World, signers: tuple[Signer, ...]) -> None:
    """M13: outline, record and payloads make up the oracle's text; M12: and its digests."""
    keys, oracle_keys = keys_of(*signers), oracle.load_keys(key_set_file(*signers))
    bundle = verified(world.bundle(), keys)
    state = merge(bundle.record, bundle.receipts, bundle.alias_claims, bundle.events, keys)
    events = [event for event in bundle.events if isinstance(event, ValidEvent)]
    payloads = {event.event_id: oracle.canonical(event.value["payload"]) for event in events}
    read = as_read([world.bundle()])
    expected = oracle.merge(read, oracle_keys)
    assert oracle.state_text(expected) == state.text
    assert (state.text, state.raw_digest) == fill(state.outline, bundle.record, payloads)
    assert hashlib.sha256(oracle.canonical(expected)).digest() == state.raw_digest
    assert oracle.core_digest(read, oracle_keys) == state.raw_core_digest.hex()
    assert oracle.compact(expected) == oracle.compact(state.value)
    names = ("event_count", "valid_event_count", "invalid_event_count", "equivocation_count")
    assert [expected[name] for name in names] == [state.count(name) for name in names]
