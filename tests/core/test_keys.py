"""Keys, trust and the key set digest (K1 to K3)."""

from __future__ import annotations

from typing import Any

import pytest

from mirror.core.keys import BUILT_IN, KeySet, parse_key, parse_key_set
from mirror.core.values import canonical, instant
from mirror.errors import FormatError, LimitError
from tests import oracle
from tests.builders import Signer, key_set_file, to_json, without
from tests.helpers import code_of, keys_of
from tests.oracle.merge import read_key
from tests.shared import shared

ALICE = Signer("alice")
BOB = Signer("bob", may_revoke_others=True, event_types=("author_claimed", "citation_signed"))


# K1 ------------------------------------------------------------------------------------------


def test_the_fingerprints_of_the_registrys_key() -> None:
    """K1: both printed forms, as the registry's manifest has them."""
    hexadecimal = "8d4b5ee74e4693bcd1df2446408b0d54"
    base32 = "RVFV5Z2OI2J3ZUO7ERDEBCYNKS"
    assert hexadecimal == BUILT_IN.fingerprint
    assert base32 == BUILT_IN.fingerprint_base32


def test_the_built_in_key_is_the_one_of_the_real_manifest() -> None:
    """K1, K2."""
    manifest = oracle.parse(shared("real/pith-mirrors.json").read_bytes())
    printed = manifest["mirrors"][0]["public_key"]
    assert printed["key_id"] == BUILT_IN.key_id
    assert printed["public_key_hex"] == BUILT_IN.public_key_hex
    assert bytes.fromhex(printed["public_key_hex"]) == BUILT_IN.public_key
    assert printed["fingerprint_sha256_hex"] == BUILT_IN.fingerprint
    assert printed["fingerprint_sha256_b32_first128bits"] == BUILT_IN.fingerprint_base32


# K2 ------------------------------------------------------------------------------------------


def test_the_built_in_key_may_do_everything_always() -> None:
    """K2: its members, one by one."""
    expected = {
        "algorithm": "ed25519",
        "event_types": ["*"],
        "key_id": "pith-v1-2026-05",
        "may_revoke_others": True,
        "public_key_hex": "b2d552b68890857171a78b36a5dccf368a953413288c353f7c9d9d6f94b709b3",
        "signer_id": "pith.science",
        "signer_type": "pith_registry",
        "valid_from": None,
        "valid_until": None,
    }
    assert expected == BUILT_IN.to_value()
    assert oracle.builtin_keys() == [expected]


def test_a_key_set_file_adds_to_the_built_in_set() -> None:
    """K2: keys come out ascending by id, and only those are trusted."""
    keys = keys_of(BOB, ALICE)
    expected = ["key-alice", "key-bob", "pith-v1-2026-05"]
    assert expected == [key.key_id for key in keys]
    assert len(keys) == 3
    assert keys.get("key-alice") == parse_key(ALICE.key_value())
    assert keys.get("key-carol") is None
    assert list(KeySet()) == [BUILT_IN]


def test_keys_are_added_to_a_set_without_changing_it() -> None:
    """K2: and a key of a known id must be the same."""
    keys = keys_of(ALICE)
    more = keys.with_added([parse_key(BOB.key_value()), parse_key(ALICE.key_value())])
    assert keys_of(ALICE, BOB).digest == more.digest
    assert len(keys) == 2
    with pytest.raises(FormatError, match=r"keys\.conflict"):
        keys.with_added([parse_key(BOB.key_value(key_id="key-alice"))])


def test_members_that_may_be_absent_or_unknown() -> None:
    """K2: `may_revoke_others` is false if absent, unknown members are ignored."""
    plain = parse_key(ALICE.key_value())
    assert plain.may_revoke_others is False
    assert plain == parse_key(ALICE.key_value(may_revoke_others=False))
    assert plain == parse_key(ALICE.key_value(comment="mine", rotates_at=None))
    assert plain != parse_key(ALICE.key_value(may_revoke_others=True))


NOT_NAME: list[Any] = [None, 1, True, [], {}, ""]
NOT_BOUND: list[Any] = ["", 0, False, [], {}, "2026-01-01", "2026-01-01T00:00:00+01:00"]
Y_OF_P = (2**255 - 19).to_bytes(32, "little").hex()
NOT_ON_THE_CURVE = (2).to_bytes(32, "little").hex()
FAULTS: dict[str, list[Any]] = {
    "key_id": NOT_NAME,
    "algorithm": [*NOT_NAME, "Ed25519", "ed448"],
    "public_key_hex": [
        *NOT_NAME,
        ALICE.public_key.hex().upper(),
        ALICE.public_key.hex()[:-2],
        ALICE.public_key.hex() + "00",
        "0x" + ALICE.public_key.hex()[2:],
        "01" + "00" * 31,
        "00" * 32,
        "ff" * 32,
        Y_OF_P,
        NOT_ON_THE_CURVE,
    ],
    "signer_id": NOT_NAME,
    "signer_type": NOT_NAME,
    "valid_from": NOT_BOUND,
    "valid_until": NOT_BOUND,
    "event_types": [None, "*", {}, 1, [1], ["a", None], [["a"]]],
    "may_revoke_others": [None, 0, 1, "true", []],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in FAULTS.items() for value in values]
)
def test_a_fault_in_any_key_refuses_the_file_whole(name: str, value: Any) -> None:
    """K2: with the JSON Pointer of the member at fault."""
    data = to_json({"keys": [ALICE.key_value(), BOB.key_value(**{name: value})]})
    with pytest.raises(FormatError) as refused:
        parse_key_set(data)
    assert ("keys.shape", f"/keys/1/{name}") == (refused.value.code, refused.value.where)
    with pytest.raises(oracle.Refused, match=r"keys\.shape"):
        oracle.load_keys(data)


@pytest.mark.parametrize("name", list(without(BOB.key_value(), "may_revoke_others")))
def test_no_other_member_of_a_key_may_be_absent(name: str) -> None:
    """K2: a bound is null, never absent."""
    data = to_json({"keys": [without(BOB.key_value(), name)]})
    assert code_of(lambda: parse_key_set(data)) == "keys.shape"


@pytest.mark.parametrize("raw", oracle.small_order_encodings(), ids=bytes.hex)
def test_a_key_of_small_order_is_refused(raw: bytes) -> None:
    """K2, S1."""
    data = to_json({"keys": [ALICE.key_value(public_key_hex=raw.hex())]})
    assert code_of(lambda: parse_key_set(data)) == "keys.shape"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "json.syntax"),
        (b'{"keys":[],"keys":[]}', "json.duplicate_key"),
        (b"[]", "keys.shape"),
        (b"null", "keys.shape"),
        (b"{}", "keys.shape"),
        (b'{"keys":null}', "keys.shape"),
        (b'{"keys":{}}', "keys.shape"),
        (b'{"keys":[null]}', "keys.shape"),
        (b'{"keys":[[]]}', "keys.shape"),
        (b'{"keys":[],"more":1}', None),
    ],
)
def test_a_key_set_file_is_an_object_with_a_list(data: bytes, code: str | None) -> None:
    """K2."""
    assert code == code_of(lambda: parse_key_set(data))


CONFLICTS = [
    {"public_key_hex": BOB.public_key.hex()},
    {"signer_id": "other"},
    {"signer_type": "other"},
    {"valid_from": "2026-01-01T00:00:00Z"},
    {"valid_until": "2026-01-01T00:00:00Z"},
    {"event_types": []},
    {"event_types": ["*", "*"]},
    {"may_revoke_others": True},
]


@pytest.mark.parametrize("difference", CONFLICTS)
def test_two_keys_of_one_id_may_not_differ(difference: dict[str, Any]) -> None:
    """K2: they differ as K3 writes them, in whatever member."""
    same = ALICE.key_value(may_revoke_others=False, note="ignored")
    assert len(parse_key_set(to_json({"keys": [ALICE.key_value(), same]}))) == 2
    data = to_json({"keys": [ALICE.key_value(), ALICE.key_value(**difference)]})
    assert code_of(lambda: parse_key_set(data)) == "keys.conflict"
    with pytest.raises(oracle.Refused, match=r"keys\.conflict"):
        oracle.load_keys(data)


def test_two_spellings_of_one_bound_differ() -> None:
    """K2, K3: the digest is of the text, so the conflict is too."""
    values = [
        ALICE.key_value(valid_from=f"2026-01-01T00:00:00{ending}") for ending in ("Z", "+00:00")
    ]
    assert code_of(lambda: parse_key_set(to_json({"keys": values}))) == "keys.conflict"


def test_the_built_in_key_can_be_named_again_but_not_changed() -> None:
    """K2: the built-in ones included."""
    value = BUILT_IN.to_value()
    assert KeySet().digest == parse_key_set(to_json({"keys": [value]})).digest
    for changed in ({**value, "may_revoke_others": False}, without(value, "may_revoke_others")):
        data = to_json({"keys": [changed]})
        assert code_of(lambda data=data: parse_key_set(data)) == "keys.conflict"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2025-12-31T23:59:59.999999Z", False),
        ("2026-01-01T00:00:00Z", True),
        ("2026-06-01T00:00:00+00:00", True),
        ("2026-12-31T23:59:59.999999Z", True),
        ("2027-01-01T00:00:00Z", False),
        ("9999-12-31T23:59:59Z", False),
    ],
)
def test_a_window_includes_its_start_and_excludes_its_end(at: str, *, expected: bool) -> None:
    """K2: from inclusive, until exclusive."""
    value = ALICE.key_value(valid_from="2026-01-01T00:00:00Z", valid_until="2027-01-01T00:00:00Z")
    moment = instant(at)
    assert moment is not None
    assert expected == parse_key(value).is_valid_at(moment)


def test_null_is_no_bound() -> None:
    """K2: on either side, and a window can be empty."""
    middle, distant = 1_767_225_600_000_000, 10**18
    start = parse_key(ALICE.key_value(valid_from="2026-01-01T00:00:00Z"))
    end = parse_key(ALICE.key_value(valid_until="2026-01-01T00:00:00Z"))
    both = parse_key(ALICE.key_value())
    assert [start.is_valid_at(at) for at in (-distant, middle, distant)] == [False, True, True]
    assert [end.is_valid_at(at) for at in (-distant, middle, distant)] == [True, False, False]
    assert [both.is_valid_at(at) for at in (-distant, middle, distant)] == [True, True, True]


@pytest.mark.parametrize(
    ("event_types", "expected"),
    [
        ((), False),
        (("*",), True),
        (("citation_signed",), True),
        (("other", "citation_signed"), True),
        (("other", "*"), True),
        (("citation",), False),
        (("citation_*",), False),
        (("",), False),
    ],
)
def test_event_types_are_a_list_of_names(event_types: tuple[str, ...], *, expected: bool) -> None:
    """K2: the star stands for all only where it is an item of its own."""
    key = parse_key(Signer("carol", event_types=event_types).key_value())
    assert expected == key.may_sign("citation_signed")


# K2: without the built-in key ------------------------------------------------------------------


def test_a_set_without_the_built_in_key() -> None:
    """K2: it is in no set then, and K3 shows that; what else is trusted stays."""
    none = KeySet(built_in=False)
    assert ([], None, False) == ([*none], none.get(BUILT_IN.key_id), none.has_built_in)
    assert oracle.key_set_digest([]) == none.digest
    added = none.with_added(keys_of(ALICE))
    assert [ALICE.key_id] == [key.key_id for key in added]
    assert oracle.key_set_digest([read_key(ALICE.key_value())]) == added.digest
    assert not added.with_profiles([]).has_built_in


def test_the_built_in_key_is_restored_only_by_name() -> None:
    """K2: a key set file adds its own keys; a person adds the built-in one."""
    none = KeySet(built_in=False)
    named = parse_key_set(to_json({"keys": [BUILT_IN.to_value(), ALICE.key_value()]}))
    assert keys_of(ALICE).digest == none.with_added(named).digest
    assert KeySet().digest == none.with_added([BUILT_IN]).digest
    assert keys_of(ALICE).digest == KeySet().with_added(keys_of(ALICE)).digest
    assert KeySet().has_built_in


def test_no_other_key_takes_the_name_of_the_built_in_one() -> None:
    """K2: two keys of that id are a conflict, be the built-in one trusted or not."""
    other = parse_key({**ALICE.key_value(), "key_id": BUILT_IN.key_id})
    for built_in in (True, False):
        assert code_of(lambda one=built_in: KeySet([other], built_in=one)) == "keys.conflict"  # type: ignore[misc]


@pytest.mark.parametrize("built_in", [True, False])
def test_a_whole_set_is_read_as_it_was_written(*, built_in: bool) -> None:
    """As workers of a cluster read it."""
    keys = KeySet([parse_key(ALICE.key_value())], built_in=built_in)
    assert keys.digest == parse_key_set(canonical(keys.to_value()), built_in=False).digest


@pytest.mark.parametrize(
    ("members", "where"),
    [
        ({"keys": [{}] * 1001}, "/keys"),
        ({"keys": [], "profiles": [{}] * 101}, "/profiles"),
        ({"keys": [ALICE.key_value(event_types=["x.y"] * 1001)]}, "/keys/0/event_types"),
    ],
)
def test_a_file_beyond_a_limit_is_refused(members: dict[str, Any], where: str) -> None:
    """B4: before what is in it is looked at."""
    with pytest.raises(LimitError) as caught:
        parse_key_set(to_json(members))
    assert ("limit.count", where) == (caught.value.code, caught.value.where)


def test_the_limit_of_keys_counts_those_of_all_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """B4: the keys of several files."""
    monkeypatch.setattr("mirror.core.keys.MAX_KEYS", 2)
    alice, bob = keys_of(ALICE), keys_of(BOB)
    assert 2 == len(alice.with_added(alice))
    with pytest.raises(LimitError, match=r"limit\.count: 3 keys, more than 2"):
        alice.with_added(bob)


# K3 ------------------------------------------------------------------------------------------


def test_the_digest_of_the_built_in_set() -> None:
    """K3: a literal, so that no release changes it unseen."""
    expected = "8b87f39f2449da3bd1894fbf0aec5b0e1d423457646a66dab052cd78c84308e1"
    assert expected == KeySet().digest
    assert expected == oracle.key_set_digest(oracle.builtin_keys())


def test_the_digest_is_of_the_keys_ascending_by_id() -> None:
    """K3: not of their order in the file, nor of what the file says besides."""
    expected = oracle.key_set_digest(oracle.load_keys(key_set_file(ALICE, BOB)))
    assert expected == keys_of(ALICE, BOB).digest
    assert expected == keys_of(BOB, ALICE, BOB).digest
    noted = to_json({"keys": [ALICE.key_value(note=1), BOB.key_value()], "note": 2})
    assert expected == parse_key_set(noted).digest
    assert expected != keys_of(ALICE).digest


def test_ids_ascend_by_code_point() -> None:
    """K3, V6."""
    signers = [Signer("x", key_id=key_id) for key_id in ("\U0001f600", "\ufffd", "z", "B")]
    keys = keys_of(*signers)
    assert [key.key_id for key in keys] == ["B", "pith-v1-2026-05", "z", "\ufffd", "\U0001f600"]
    assert oracle.key_set_digest(oracle.load_keys(key_set_file(*signers))) == keys.digest


def test_a_set_without_some_keys_has_the_others() -> None:
    """Also without the built-in key, which then stays away."""
    keys = parse_key_set(key_set_file(Signer("alice"), Signer("bob")))
    without = keys.without({"key-bob", BUILT_IN.key_id}, set())
    assert ["key-alice"] == [key.key_id for key in without]
    assert ["key-alice", BUILT_IN.key_id] == [key.key_id for key in keys.without({"key-bob"}, ())]
