"""Envelopes as data: pointers, spellings, what is signed, profiles from files (E1 to E3, S4)."""

from __future__ import annotations

import base64
import hashlib
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.events.checks import check_event
from mirror.core.events.event import EncodedEvent
from mirror.core.events.profiled_event import keys_of, signers
from mirror.core.keys import KeySet, parse_key_set
from mirror.core.profile import (
    FIELDS,
    FORMS,
    INTEGRITY_V1,
    MIRROR_V1,
    Encoding,
    IdRule,
    Profile,
    SignatureRule,
    SignedContent,
    message,
)
from mirror.core.profile_file import parse_profile
from mirror.core.values import sha256
from mirror.errors import FormatError
from tests import oracle
from tests.builders import Object, Signer, make_event, make_record, payload_of, sign_event
from tests.helpers import keys_of as key_set_of
from tests.helpers import verdict
from tests.properties.strategies import KEYS as WORLD_KEYS
from tests.properties.strategies import RECORD as WORLD_RECORD
from tests.properties.strategies import World, worlds
from tests.shared import real_lines

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"
ALICE, BOB = Signer("alice"), Signer("bob")
KEYS = key_set_of(ALICE, BOB)
RECORD = make_record()


def an_event(**members: Any) -> Object:
    """A valid event by Alice; `members` are signed with it."""
    event = make_event(RECORD, ALICE, "x.y", payload_of("citation_signed", RECORD, ALICE))
    return sign_event({**event, **members}, ALICE)


# Spelling ------------------------------------------------------------------------------------

SPELLED = [
    (Encoding("", "hex"), b"\x00\xff", "00ff"),
    (Encoding("sha256:", "hex"), b"\xab", "sha256:ab"),
    (Encoding("", "base64"), b"\xfb\xff", "+/8="),
    (Encoding("", "base64"), b"\xfb", "+w=="),
    (Encoding("x ", "base64"), b"\xfb\xff\xfe", "x +//+"),
    (Encoding("", "base64url"), b"\xfb\xff", "-_8"),
    (Encoding("y:", "base64url"), b"\xfb", "y:-w"),
]


@pytest.mark.parametrize(("spelling", "data", "text"), SPELLED)
def test_spellings(spelling: Encoding, data: bytes, text: str) -> None:
    """Each value has one text, and each text one value."""
    assert (text, data) == (spelling.write(data), spelling.read(text))


NOT_SPELLED: dict[str, list[Any]] = {
    "hex": [
        "00F0",
        "0",
        "000",
        "0g",
        "",
        " 00",
        "00\n",
        "0x00",
        None,
        0,
        True,
        [],
        b"00",
        "\u0660\u0660",
    ],
    "base64": [
        "+w",
        "+w=",
        "+x==",
        "-w==",
        "+/9=",
        "+w==\n",
        "+w== ",
        "",
        "=",
        "====",
        "A",
        "+/8==",
    ],
    "base64url": ["-x", "-w==", "-w=", "+w", "-_9", "A", "AAAAA", "", "-w\n", "-w "],
}


@pytest.mark.parametrize(
    ("encoding", "text"), [(name, text) for name, texts in NOT_SPELLED.items() for text in texts]
)
def test_texts_of_another_encoding_are_refused(encoding: str, text: Any) -> None:
    """Capitals, padding that lacks or is too much, bits that are left over, white space."""
    assert Encoding("", encoding).read(text) is None


def test_a_prefix_must_be_there() -> None:
    """The whole of it, and as it is."""
    spelling = Encoding("sha256:", "hex")
    assert [None] * 3 == [spelling.read(text) for text in ("00", "SHA256:00", "sha256:sha256:00")]


@given(st.binary(min_size=1, max_size=70), st.sampled_from(["hex", "base64", "base64url"]))
def test_any_profile_that_is_written_is_read_alike(data: bytes, encoding: str) -> None:
    """And what is read was written so."""
    spelling = Encoding("p:", encoding)
    assert data == spelling.read(spelling.write(data))


@given(st.text("+/-_=Aw0aF9", max_size=9), st.sampled_from(["hex", "base64", "base64url"]))
def test_any_profile_that_is_read_is_written_alike(text: str, encoding: str) -> None:
    """No text is taken that another way of writing gives."""
    spelling = Encoding("", encoding)
    data = spelling.read(text)
    assert data is None or (data != b"" and text == spelling.write(data))
    if encoding == "base64":
        assert oracle.decode_base64(text) == data  # V6


# What is hashed ------------------------------------------------------------------------------

HASHED: list[tuple[SignedContent, Any, str]] = [
    (SignedContent("event"), {"p": {"x": 1, "y": 2}, "a": 1}, "the event"),
    (SignedContent("event", ("/a",)), {"p": {"x": 1, "y": 2}}, "the event less /a"),
    (SignedContent("event", ("/a", "/p/x")), {"p": {"y": 2}}, "the event less /a, /p/x"),
    (SignedContent("event", (), ("a", "z")), {"a": 1}, "the members a, z of the event"),
    (SignedContent("payload"), {"x": 1, "y": 2}, "the payload"),
    (SignedContent("payload", (), ("y",)), {"y": 2}, "the members y of the payload"),
    (
        SignedContent("payload", wrapped=True),
        {"payload": {"x": 1, "y": 2}},
        '{"payload": the payload}',
    ),
    (
        SignedContent("event", ("/p",), wrapped=True),
        {"payload": {"a": 1}},
        '{"payload": the event less /p}',
    ),
]


@pytest.mark.parametrize(("image", "value", "words"), HASHED)
def test_pre_images(image: SignedContent, value: Any, words: str) -> None:
    """V2, V4: canonical bytes of what is taken, and what it is in words."""
    event: Any = {"p": {"y": 2, "x": 1}, "a": 1}
    assert oracle.canonical(value) == image.text(event, "/p")
    assert words == image.words


def test_pre_images_in_ascii_form() -> None:
    """V7: of just what is taken, wrapped or not."""
    event: Any = {"p": {"\U0001f600": "\xe9"}, "a": "\x7f"}
    image = SignedContent("payload", wrapped=True, ascii=True)
    assert oracle.canonical_ascii({"payload": event["p"]}) == image.text(event, "/p")
    assert image.words == '{"payload": the payload}, in ASCII form (V7)'
    less = SignedContent("event", ("/p",), ascii=True)
    assert (b'{"a":"\\u007f"}', "the event less /p") == (less.text(event, "/p"), less.extent)


def test_a_payload_that_is_no_object() -> None:
    """Nothing can be taken of it; it is hashed as it is, and as null where it is not."""
    assert b'"x"' == SignedContent("payload", (), ("a",)).text({"p": "x"}, "/p")
    assert b"null" == SignedContent("payload").text({}, "/p")


def _profile(signature: SignatureRule, identity: IdRule | None = MIRROR_V1.id) -> Profile:
    return Profile("p", {"payload": "/payload"}, identity, signature)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_signed(form: Any) -> None:
    """The raw digest, its digits as text, the text of the id, or the canonical bytes."""
    event = an_event()
    image = SignedContent("event", ("/event_id", "/signature"))
    rule = SignatureRule("/s", Encoding("", "hex"), form, None if form == "id" else image)
    digest = oracle.event_digest(event)
    expected = {
        "digest": bytes.fromhex(digest),
        "hex": digest.encode(),
        "id": f"sha256:{digest}".encode(),
        "canonical": image.text(event, "/payload"),
    }
    assert expected[form] == message(event, _profile(rule))


def test_an_event_without_the_signed_content_has_no_message() -> None:
    """No id, an id that is no text, a named digest that is none (V3)."""
    rule = SignatureRule("/s", Encoding("", "hex"), "id")
    assert message(an_event(), _profile(rule, None)) is None
    assert message({"event_id": 1}, _profile(rule)) is None
    no_digests: list[Any] = ["00", "F" * 64, "0" * 66, "sha256:" + "0" * 64, None, 1]
    for value in no_digests:
        assert message({"payload_sha256": value}, INTEGRITY_V1) is None
    assert bytes(32) == message({"payload_sha256": "0" * 64}, INTEGRITY_V1)


# Keys ----------------------------------------------------------------------------------------


def test_how_a_key_is_named() -> None:
    """K1: by its id, its fingerprint of 32 digits, or all 64 digits of itself; by nothing else."""
    (key,) = [key for key in KEYS if key.key_id == ALICE.key_id]
    assert (ALICE.key_id, ALICE.fingerprint, ALICE.public_key.hex()) == key.names
    profile = Profile("p", {"key": "/by/it"}, None, MIRROR_V1.signature)
    for name in key.names:
        assert [key] == keys_of({"by": {"it": name}}, profile, KEYS)
    others: list[Any] = [key.fingerprint_base32, ALICE.key_id.upper(), "", None, 1, [ALICE.key_id]]
    for value in others:
        assert [] == keys_of({"by": {"it": value}}, profile, KEYS)
    assert [] == keys_of({}, profile, KEYS)


def test_where_no_key_is_named_every_key_may_have_signed() -> None:
    """Those that did are reported."""
    profile = Profile("p", {}, MIRROR_V1.id, MIRROR_V1.signature)
    assert [*KEYS] == keys_of(an_event(), profile, KEYS)
    assert [BOB.key_id] == [
        key.key_id for key in signers(sign_event(an_event(), BOB), profile, KEYS)
    ]
    assert "signature" == check_event(sign_event(an_event(), Signer("eve")), profile, KEYS)


# The built-in profiles -----------------------------------------------------------------------

FAULTS = {
    "event.id": "id",
    "event.key_unknown": "key",
    "event.signature": "signature",
    "event.role": None,
    "event.payload": None,
    None: None,
}
"""What E3's verdict is in the words of `check_event`, where it says anything about that."""


def _agrees(event: Any, record: Object, keys: KeySet) -> str | None:
    """The verdict on an event, with which the built-in profile agrees."""
    code = verdict(event, record, keys)
    if code in FAULTS:
        assert FAULTS[code] == check_event(event, MIRROR_V1, keys)
    return code


@given(worlds())
def test_mirror_v1_is_e2_and_s3(world: World) -> None:
    """It says of each event what E3 says, as far as id, key and signature go."""
    for event in world.events:
        if isinstance(event, dict) and "event_type" in event:
            _agrees(event, WORLD_RECORD, WORLD_KEYS)
            assert MIRROR_V1.id is not None
            digest = sha256(MIRROR_V1.id.hashes.text(event, "/payload"))
            assert EncodedEvent.of(event).event_digest() == digest == message(event, MIRROR_V1)


def _demo() -> list[tuple[Object, Object]]:
    """The events of the sample bag, each with its record."""
    found = []
    with tarfile.open(BUNDLES / "demo.tar") as bag:
        for member in bag:
            file = bag.extractfile(member)
            if file is not None and member.name.endswith(".json"):
                bundle = json.loads(file.read())
                found += [(bundle["canonical_record"], event) for event in bundle["events"]]
    return found


def test_all_events_of_the_sample_bag_are_as_mirror_v1_says() -> None:
    """With its keys; without them no key is known."""
    keys = parse_key_set((BUNDLES / "demo-keys.json").read_bytes())
    events = _demo()
    assert 83 == len(events)
    for record, event in events:
        assert _agrees(event, record, keys) is None
        assert _agrees(event, record, KeySet()) == "event.key_unknown"


def test_invalid_samples_are_not_as_mirror_v1_says() -> None:
    """The samples of `event.id`, `event.key_unknown` and `event.signature`."""
    keys = parse_key_set((BUNDLES / "demo-keys.json").read_bytes())
    for code in ("event.id", "event.key_unknown", "event.signature"):
        bundle = json.loads((BUNDLES / "invalid" / f"{code}.json").read_bytes())
        found = {_agrees(event, bundle["canonical_record"], keys) for event in bundle["events"]}
        assert code in found


@pytest.mark.parametrize("name", ["payload", "created_at", "target", "signer", "more", "event_id"])
def test_any_change_of_signed_content_is_detected(name: str) -> None:
    """E2: the id covers every member but itself and the signature."""
    event = an_event()
    assert check_event(event, MIRROR_V1, KEYS) is None
    assert "id" == check_event({**event, name: {"changed": 1}}, MIRROR_V1, KEYS)
    again = sign_event({**event, name: {"changed": 1}}, ALICE)
    assert check_event(again, MIRROR_V1, KEYS) == ("key" if name == "signer" else None)


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        "",
        "AA==",
        base64.b64encode(bytes(63)).decode(),
        base64.b64encode(bytes(65)).decode(),
    ],
)
def test_what_is_no_signature(value: Any) -> None:
    """E1, S1: not there, no text, or not of 64 bytes."""
    event = an_event()
    assert "signature" == check_event({**event, "signature": value}, MIRROR_V1, KEYS)
    event["signature"] = {"algorithm": "ed25519", "signature_b64": value}
    assert "signature" == check_event(event, MIRROR_V1, KEYS)


def test_a_profile_that_names_no_message_has_no_signature() -> None:
    """A rule without content, digest or id has nothing that could be signed."""
    rule = replace(MIRROR_V1.signature, signs=None)
    assert message(an_event(), replace(MIRROR_V1, signature=rule)) is None
    assert "signature" == check_event(an_event(), replace(MIRROR_V1, signature=rule), KEYS)


def test_real_findings() -> None:
    """S4: the registry's key signed each, and none with another digit or another's signature."""
    findings = real_lines("integrity_")
    assert len(findings) > 1
    for index, finding in enumerate(findings):
        assert check_event(finding, INTEGRITY_V1, KeySet()) is None
        digest = finding["payload_sha256"]
        changed = ("1" if digest[0] == "0" else "0") + digest[1:]
        for members in (
            {"payload_sha256": changed},
            {"payload_sha256": digest[:-1] + ("1" if digest[-1] == "0" else "0")},
            {"signature_b64": findings[index - 1]["signature_b64"]},
            {"signature_b64": None},
        ):
            assert "signature" == check_event({**finding, **members}, INTEGRITY_V1, KeySet())
        unknown = {**finding, "signing_key_id": "another"}
        assert "key" == check_event(unknown, INTEGRITY_V1, KeySet())


# Profiles from files -------------------------------------------------------------------------

PROFILES = [
    MIRROR_V1,
    INTEGRITY_V1,
    Profile(
        "",
        {},
        None,
        SignatureRule("/a~1b/~0", Encoding("x:", "base64url"), "hex", SignedContent("event")),
    ),
    Profile(
        "n",
        {field: f"/{field}" for field in FIELDS},
        IdRule("/i", Encoding("", "base64"), SignedContent("payload", wrapped=True)),
        SignatureRule("/s", Encoding("", "hex"), "id"),
    ),
    _profile(
        SignatureRule("/s", Encoding("", "hex"), "canonical", SignedContent("payload", (), ("a",)))
    ),
]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_is_read_as_it_was_written(profile: Profile) -> None:
    """And writing it again gives the same."""
    again = parse_profile(orjson.dumps(profile.to_value()))
    assert (profile, profile.to_value()) == (again, again.to_value())


def test_the_form_of_a_file() -> None:
    """What the built-in profile is in a file."""
    less = ["/event_id", "/signature"]
    hashes = {"of": "event", "less": less, "only": None, "wrapped": False, "ascii": False}
    assert MIRROR_V1.to_value() == {
        "types": {},
        "profile_type": "pith_event_profile",
        "profile_version": "1.0",
        "name": "mirror-v1",
        "places": {
            "type": "/event_type",
            "subject": "/subject_pith_number",
            "time": "/created_at",
            "target": "/target",
            "payload": "/payload",
            "key": "/signer/key_id",
        },
        "id": {
            "at": "/event_id",
            "spelling": {"prefix": "sha256:", "encoding": "hex"},
            "hashes": hashes,
        },
        "signature": {
            "at": "/signature/signature_b64",
            "spelling": {"prefix": "", "encoding": "base64"},
            "form": "digest",
            "signs": hashes,
            "digest_at": None,
        },
    }


def _with(value: Any, pointer: str, member: Any) -> Any:
    """A copy of a value with another member at a pointer; `...` for none."""
    first, *rest = pointer.split("/")[1:]
    if rest:
        return {**value, first: _with(value[first], "/" + "/".join(rest), member)}
    others = {name: other for name, other in value.items() if name != first}
    return others if member is ... else {**others, first: member}


NO_TEXT: list[Any] = [..., None, 1, True, [], {}]
NO_OBJECT: list[Any] = [..., None, 1, True, [], "x"]
NO_POINTER: list[Any] = [*NO_TEXT, "", "event_id", "event_id/", "/~", "/~2", "/a~"]
NO_IMAGE_MEMBERS: dict[str, list[Any]] = {
    "of": [..., None, "target", 1, ["event"]],
    "less": [..., None, "/a", 1, {}, [1], [None], ["a"], ["/a", ""], ["/~"]],
    "only": ["/a", 1, {}, [1], True],
    "wrapped": [..., None, 0, "false", []],
    "ascii": [None, 0, "false", []],
}
FILE_FAULTS: dict[str, list[Any]] = {
    "/profile_type": [..., None, "pith_event_profil", 1],
    "/profile_version": [..., None, "1.1", 1.0],
    "/name": NO_TEXT,
    "/places": [*NO_OBJECT, {"more": "/x"}],
    **{f"/places/{field}": [value for value in NO_POINTER if value is not ...] for field in FIELDS},
    "/id": [..., 1, True, [], "x"],
    "/id/at": NO_POINTER,
    "/id/spelling": NO_OBJECT,
    "/id/spelling/prefix": NO_TEXT,
    "/id/spelling/encoding": [*NO_TEXT, "base32", ""],
    "/id/hashes": NO_OBJECT,
    **{f"/id/hashes/{name}": values for name, values in NO_IMAGE_MEMBERS.items()},
    "/signature": NO_OBJECT,
    "/signature/at": NO_POINTER,
    "/signature/spelling": NO_OBJECT,
    "/signature/spelling/prefix": NO_TEXT,
    "/signature/spelling/encoding": [*NO_TEXT, "base32", ""],
    "/signature/form": [..., None, "raw", 1],
    "/signature/signs": [..., None, 1, True, [], "x"],
    **{f"/signature/signs/{name}": values for name, values in NO_IMAGE_MEMBERS.items()},
    "/signature/digest_at": [1, "", "x", "/~", {}],
}


def _fault(value: Any) -> FormatError:
    with pytest.raises(FormatError) as caught:
        parse_profile(orjson.dumps(value))
    return caught.value


@pytest.mark.parametrize(
    ("pointer", "member"),
    [(pointer, member) for pointer, members in FILE_FAULTS.items() for member in members],
)
def test_a_fault_in_a_file_is_named(pointer: str, member: Any) -> None:
    """Its code is `profile.shape`, and its place is where it is."""
    error = _fault(_with(MIRROR_V1.to_value(), pointer, member))
    assert ("profile.shape", pointer) == (error.code, error.where)
    assert "mirror probe --save" in error.hint
    assert error.message


@pytest.mark.parametrize(
    ("pointer", "member"),
    [
        ("/types", {f"t{one}": "x.y" for one in range(1001)}),
        ("/signature/signs/less", ["/x"] * 1001),
        ("/signature/signs/only", ["x"] * 1001),
    ],
)
def test_a_file_beyond_a_limit_is_refused(pointer: str, member: Any) -> None:
    """B4: each name costs time at every event."""
    error = _fault(_with(MIRROR_V1.to_value(), pointer, member))
    assert ("limit.count", pointer) == (error.code, error.where)


@pytest.mark.parametrize("text", ["null", "1", "[]", '"x"'])
def test_a_file_that_holds_no_object(text: str) -> None:
    """The fault is that of the whole."""
    with pytest.raises(FormatError) as caught:
        parse_profile(text.encode())
    assert ("profile.shape", "") == (caught.value.code, caught.value.where)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "json.syntax"),
        ('{"name":1,"name":1}', "json.duplicate_key"),
        ("[1e400]", "json.number"),
    ],
)
def test_a_file_that_is_no_json(text: str, code: str) -> None:
    """V1, as any file."""
    with pytest.raises(FormatError) as caught:
        parse_profile(text.encode())
    assert code == caught.value.code


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"/id": None, "/signature/form": "id", "/signature/signs": None}, "/signature/form"),
        ({"/signature/form": "id"}, "/signature/signs"),
        ({"/signature/digest_at": "/x"}, "/signature/signs"),
        ({"/signature/form": "id", "/signature/digest_at": "/x"}, "/signature/signs"),
        (
            {"/signature/digest_at": "/x", "/signature/signs": None, "/signature/form": "hex"},
            "/signature/form",
        ),
        ({"/id/hashes/of": "payload"}, "/id/hashes/less"),
        ({"/signature/signs/of": "payload"}, "/signature/signs/less"),
        (
            {"/places/payload": ..., "/id/hashes/of": "payload", "/id/hashes/less": []},
            "/places/payload",
        ),
        (
            {"/places": {}, "/signature/signs/of": "payload", "/signature/signs/less": []},
            "/places/payload",
        ),
    ],
)
def test_members_of_a_file_that_do_not_go_together(changes: dict[str, Any], pointer: str) -> None:
    """It must say just one thing that is signed, and nothing that cannot be."""
    value: Any = MIRROR_V1.to_value()
    for place, member in changes.items():
        value = _with(value, place, member)
    error = _fault(value)
    assert ("profile.shape", pointer) == (error.code, error.where)


def test_what_a_file_may_leave_out_or_add() -> None:
    """Places, `only` and `digest_at`, and members that nobody knows."""
    value: Any = MIRROR_V1.to_value()
    left_out = ("/types", "/signature/digest_at", "/signature/signs/only", "/id/hashes/only")
    for pointer in left_out:
        value = _with(value, pointer, ...)
    assert MIRROR_V1 == parse_profile(orjson.dumps({**value, "more": 1}))
    less = parse_profile(orjson.dumps(_with(value, "/places", {})))
    assert ({}, MIRROR_V1.id) == (less.pointers, less.id)
    assert hashlib.sha256(b"{}").digest() == sha256(SignedContent("event").text({}, ""))
