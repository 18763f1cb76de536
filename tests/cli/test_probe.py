"""`mirror probe`: output for people and for scripts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mirror.core.events.checks import check_event
from mirror.core.profile import MIRROR_V1
from mirror.core.profile_file import parse_profile
from tests import oracle
from tests.builders import (
    Object,
    Signer,
    author_claim,
    citation,
    key_set_file,
    make_bundle,
    make_event,
    make_record,
    to_json,
)
from tests.cli.conftest import BUNDLES, Mirror, Terminal
from tests.engine.invented_envelopes import (
    ALICE,
    INVENTED,
    RECORD,
    THREE,
    Said,
    digest,
    flat,
    of_several_shapes,
    other_names,
    payload_alone,
    without_id,
)
from tests.helpers import keys_of
from tests.test_docs import ROOT, _steps

DEMO, PITH, DEMO_KEYS = BUNDLES / "demo.tar", BUNDLES / "pith.tar", BUNDLES / "demo-keys.json"
NUMBER = oracle.pith_number_of(RECORD)

Write = Callable[..., str]


@pytest.fixture
def write(mirror: Mirror, tmp_path: Path) -> Write:
    """`write(event, ...)` makes `bundle.json` with these events, and there are Alice's keys."""
    (tmp_path / "keys.json").write_bytes(key_set_file(ALICE))

    def write_bundle(*events: Object, name: str = "bundle.json", record: Object = RECORD) -> str:
        (tmp_path / name).write_bytes(to_json(make_bundle(record, events)))
        return name

    return write_bundle


def _three(make: Callable[[Said, Signer], Object], signer: Signer = ALICE) -> list[Object]:
    return [make(said, signer) for said in THREE]


# What people see -----------------------------------------------------------------------------


def test_a_profile_that_is_found(write: Write, mirror: Mirror) -> None:
    """What is hashed and signed, what stands where, and what is not protected."""
    write(*_three(other_names))
    ran = mirror("probe", "bundle.json", "--keys", "keys.json")
    assert (0, "") == (ran.exit_code, ran.stderr)
    assert ran.stdout.decode() == (
        "examined 3 events\n"
        "all 3 ids recompute: /hash is <hex>, the SHA-256 of\n"
        "  the event less /hash, /proof\n"
        "all 3 signatures verify with key key-alice: /proof/value is over\n"
        "  the raw 32 bytes of the SHA-256 of the event less /hash, /proof\n"
        "type: /kind\n"
        "subject: /about\n"
        "time: /timestamp\n"
        "payload: /body\n"
        "key: /by/kid\n"
        "NOT protected by the signature, so anyone can change it: /proof/alg\n"
        "no other profile fits\n"
    )
    assert not Path("mirror.db").exists()


def test_a_profile_without_id(write: Write, mirror: Mirror) -> None:
    """And one in which everything is protected."""
    write(*_three(without_id))
    text = mirror("probe", "bundle.json", "--keys", "keys.json").stdout.decode()
    assert "id: no text in the event is a digest of the whole event\n" in text
    assert "every member is protected by the signature\n" in text


def test_the_form_in_words(write: Write, mirror: Mirror) -> None:
    """V7 where the events show it, and that they do not where they are all ASCII."""
    (invented,) = [one for one in INVENTED if one.make is flat and one.ascii]
    write(*invented.events())
    text = mirror("probe", "bundle.json", "--keys", "keys.json").stdout.decode()
    assert "of the event less /event_id, /signature_b64, in ASCII form (V7)\n" in text
    assert "all ASCII, so they" not in text
    write(*(flat(said, ALICE) for said in (THREE[0], THREE[2])))
    text = mirror("probe", "bundle.json", "--keys", "keys.json").stdout.decode()
    assert "whether other text is hashed\n  as it is (V2) or escaped (V7); V2 is assumed\n" in text


@pytest.mark.parametrize(
    ("sign", "words"),
    [
        (lambda body: body["event_id"].encode(), "  the text of the id\n"),
        (oracle.canonical, "  the canonical bytes of the event less /sig\n"),
        (
            lambda body: digest(body).hex().encode(),
            "  the 64 hexadecimal digits, as text, of the SHA-256 of the event less /sig\n",
        ),
    ],
)
def test_what_is_signed_in_words(
    write: Write, mirror: Mirror, sign: Callable[[Any], bytes], words: str
) -> None:
    """The id, the bytes, or digits."""
    events = []
    for said in THREE:
        body = flat(said, ALICE)
        del body["signature_b64"]
        events.append({**body, "sig": ALICE.sign(sign(body))})
    write(*events)
    assert words in mirror("probe", "bundle.json", "--keys", "keys.json").stdout.decode()


def test_weak_points_are_reported(write: Write, mirror: Mirror) -> None:
    """An id that can be changed, and an event that speaks in its payload only."""
    events = [{**event, "seen": str(one)} for one, event in enumerate(_three(without_id))]
    write(*({**event, "event_id": digest(event).hex()} for event in events))
    text = mirror("probe", "bundle.json", "--keys", "keys.json").stdout.decode()
    assert "the id depends on /seen: a change of it makes the same event look like\n" in text
    write(*_three(payload_alone))
    text = mirror("probe", "bundle.json", "--keys", "keys.json").stdout.decode()
    assert "type, subject and time are in the payload: only a person can decide" in text


def test_nothing_is_found(write: Write, mirror: Mirror) -> None:
    """What was tried is reported, with a hint."""
    write({"event_type": "x.y", "signature": ALICE.sign(b"something else"), "payload": {}})
    ran = mirror("probe", "bundle.json", "--keys", "keys.json")
    assert (1, "") == (ran.exit_code, ran.stderr)
    assert ran.stdout.decode() == (
        "examined 1 event\n"
        "no profile is proposed\n"
        "tried: 16 candidate texts, and 42 signatures over them, their\n"
        "  digests, the digits of these, and ids\n"
        "hint: --report FILE writes the tried methods and the structure of the events, no content\n"
    )


def test_a_profile_that_is_not_proposed(write: Write, mirror: Mirror) -> None:
    """Why, and which events do not fit it."""
    first, *others = _three(flat)
    write({**first, "payload": {}}, *others)
    ran = mirror("probe", "bundle.json", "--keys", "keys.json", "--save", "profile.json")
    lines = ran.stdout.decode().splitlines()
    assert (1, "no profile is proposed") == (ran.exit_code, lines[1])
    assert lines[2:5] == [
        "not proposed, though 2 signatures of 3 verify:",
        "  1 of 3 events do not fit it",
        f"  does not fit: bundle.json:/events/0 ({NUMBER})",
    ]
    assert not Path("profile.json").exists()


def test_a_key_that_is_not_trusted(write: Write, mirror: Mirror) -> None:
    """The ids recompute, so only the key is missing."""
    write(*_three(flat))
    ran = mirror("probe", "bundle.json")
    lines = ran.stdout.decode().splitlines()
    assert 1 == ran.exit_code
    assert lines[1:4] == [
        "no profile is proposed",
        "in every event /event_id is the SHA-256 of the event less /event_id, /signature_b64",
        "but no trusted key made the signatures: `mirror keys add` trusts a signer's key",
    ]


def test_keys_of_the_store_are_trusted(write: Write, mirror: Mirror) -> None:
    """As `mirror verify` trusts them; the store is only read."""
    write(*_three(flat))
    mirror("merge", "bundle.json")
    assert 1 == mirror("probe", "bundle.json").exit_code
    mirror("keys", "add", "keys.json")
    before = Path("mirror.db").read_bytes()
    assert 0 == mirror("probe", "bundle.json").exit_code
    assert 1 == mirror("probe", "bundle.json", "--db", "other.db").exit_code
    assert (before, False) == (Path("mirror.db").read_bytes(), Path("other.db").exists())


def test_bundles_of_the_built_in_profile(mirror: Mirror) -> None:
    """Nothing is searched, because nothing is missing."""
    ran = mirror("probe", DEMO, "--keys", DEMO_KEYS, "--save", "profile.json")
    lines = ran.stdout.decode().splitlines()
    assert 0 == ran.exit_code
    assert lines[:4] == [
        "examined 83 events",
        "valid under the built-in profile mirror-v1 (E1 to E3): 83",
        "all 83 ids recompute: /event_id is sha256:<hex>, the SHA-256 of",
        "  the event less /event_id, /signature",
    ]
    assert "no other profile fits" not in lines
    saved = parse_profile(Path("profile.json").read_bytes())
    assert (MIRROR_V1.pointers, MIRROR_V1.id) == (saved.pointers, saved.id)


def test_one_event_of_the_built_in_profile(write: Write, mirror: Mirror) -> None:
    """It is as it should be, and proves nothing by itself."""
    write(make_event(RECORD, ALICE, "x.y", {"a": 1}))
    ran = mirror("probe", "bundle.json", "--keys", "keys.json")
    expected = ["examined 1 event", "valid under the built-in profile mirror-v1 (E1 to E3): 1"]
    assert (1, expected) == (ran.exit_code, ran.stdout.decode().splitlines()[:2])


def test_bundles_without_events(mirror: Mirror) -> None:
    """There is nothing to look at."""
    ran = mirror("probe", PITH, "--save", "profile.json")
    assert (1, b"examined 0 events\n", "") == (ran.exit_code, ran.stdout, ran.stderr)
    assert not Path("profile.json").exists()


def test_two_profiles_that_fit_are_not_saved(write: Write, mirror: Mirror) -> None:
    """Two signatures, each of all that is said."""
    events = []
    for said in THREE:
        body = without_id(said, ALICE)
        del body["signature"]
        twice = {"a": ALICE.sign(digest(body)), "b": ALICE.sign(oracle.canonical(body))}
        events.append({**body, **twice})
    write(*events)
    ran = mirror("probe", "bundle.json", "--keys", "keys.json", "--save", "profile.json")
    expected = "not reliable, because it is not the only fit: 1 other profile\n"
    assert (1, True) == (ran.exit_code, expected in ran.stdout.decode())
    assert not Path("profile.json").exists()


def test_reached_limits_are_reported(write: Write, mirror: Mirror) -> None:
    """Events and tries that were left out, be something found or not."""
    write(*_three(flat))
    ran = mirror("probe", "bundle.json", "--keys", "keys.json", "--sample-size", "2")
    expected = "not tried: there are more than 2 events; --sample-size allows more"
    assert (0, expected) == (ran.exit_code, ran.stdout.decode().splitlines()[-1])
    ran = mirror("probe", "bundle.json", "--max-tries", "10")
    expected = "not tried: the search ended after 10 tries; --max-tries allows more"
    assert (1, expected) == (ran.exit_code, ran.stdout.decode().splitlines()[-1])


def test_line_breaks_in_names_are_escaped(write: Write, mirror: Mirror) -> None:
    """A line break and what turns the direction of writing are shown by their codes."""
    name = "x\nevery member is protected by the signature\u202e"
    write(*({**event, name: one} for one, event in enumerate(_three(flat))))
    ran = mirror("probe", "bundle.json", "--keys", "keys.json")
    shown = r"/x\nevery member is protected by the signature\u202e"
    assert f"anyone can change it: {shown}\n" in ran.stdout.decode()


def test_many_names_are_not_all_shown(write: Write, mirror: Mirror) -> None:
    """Twenty, and how many there are."""
    events = _three(other_names)
    for event in events:
        event["proof"] |= {f"m{one:02}": one for one in range(30)}
    write(*events)
    text = mirror("probe", "bundle.json", "--keys", "keys.json").stdout.decode()
    assert "change it: /proof/alg, /proof/m00, /proof/m01, " in text
    assert ", /proof/m18 and 11 more\n" in text


def test_it_works_on_a_terminal(write: Write, terminal: Terminal) -> None:
    """Progress and all."""
    event = {f"m{one}": one for one in range(9)} | {"signature": ALICE.sign(b"something else")}
    write(event)
    shown = terminal("probe", "bundle.json")
    assert (1, True) == (shown.exit_code, "texts and signatures" in shown.text)
    assert "Traceback" not in shown.text


def test_the_example_in_its_document_is_real(write: Write, mirror: Mirror) -> None:
    """Each command prints what stands below it, and the file is that which is shown."""
    write(*_three(other_names))
    page = ROOT / "docs" / "probing.md"
    steps = _steps(page)
    assert 2 == len(steps)
    for step in steps:
        ran = mirror(*step.command.split()[1:])
        assert step.printed == ran.stdout.decode() + ran.stderr
    assert f"```json\n{Path('profile.json').read_text()}```" in page.read_text()


# What is left out of the sources -------------------------------------------------------------


def test_refused_bundles_are_reported(write: Write, mirror: Mirror, tmp_path: Path) -> None:
    """The others prove a profile, and the exit code says that something was left out."""
    write(*_three(flat))
    (tmp_path / "bad.json").write_bytes(b"{}")
    ran = mirror("probe", "bad.json", "bundle.json", "--keys", "keys.json", "--save", "p.json")
    assert (1, True) == (ran.exit_code, "no other profile fits" in ran.stdout.decode())
    assert ran.stderr.startswith("bundle.shape: bad.json: the member bundle_type is missing\n")
    assert Path("p.json").exists()


def test_members_that_are_no_events_are_reported(
    write: Write, mirror: Mirror, tmp_path: Path
) -> None:
    """E1: an event is an object."""
    bundle = make_bundle(RECORD, [*_three(flat), "no event", None])
    (tmp_path / "bundle.json").write_bytes(to_json(bundle))
    ran = mirror("probe", "bundle.json", "--keys", "keys.json")
    assert (1, b"examined 3 events") == (ran.exit_code, ran.stdout.splitlines()[0])
    assert ran.stderr.splitlines() == [
        f"event.shape: bundle.json:/events/{one} ({NUMBER}): an event must be an object"
        for one in (3, 4)
    ]


def test_sources_that_cannot_be_read(write: Write, mirror: Mirror) -> None:
    """They do not stop the others."""
    write(*_three(flat))
    ran = mirror("probe", "nowhere.json", "bundle.json", "--keys", "keys.json")
    assert (3, True) == (ran.exit_code, "no other profile fits" in ran.stdout.decode())
    assert ran.stderr.startswith("source.unreadable: nowhere.json: ")


def test_many_findings_are_counted(write: Write, mirror: Mirror, tmp_path: Path) -> None:
    """The first are shown."""
    (tmp_path / "bundle.json").write_bytes(to_json(make_bundle(RECORD, [None] * 30)))
    ran = mirror("probe", "bundle.json")
    assert (1, 21) == (ran.exit_code, len(ran.stderr.splitlines()))
    assert "and 10 more findings" in ran.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--keys", "keys.json"],
        ["x", "--sample-size", "1"],
        ["x", "--sample-size", "many"],
        ["x", "--max-tries", "0"],
        ["x", "--save", "."],
        ["x", "--report", "."],
        ["x", "--more"],
    ],
)
def test_invalid_arguments_are_a_usage_error(mirror: Mirror, arguments: list[str]) -> None:
    """What cannot be meant is exit code 2."""
    assert 2 == mirror("probe", *arguments).exit_code


def test_key_files_and_outputs_that_fail(write: Write, mirror: Mirror, tmp_path: Path) -> None:
    """As everywhere: exit code 3, with what was wrong."""
    write(*_three(flat))
    (tmp_path / "bad.json").write_bytes(b"{}")
    ran = mirror("probe", "bundle.json", "--keys", "bad.json")
    assert (3, True) == (ran.exit_code, "keys.shape" in ran.stderr)
    for option in ("--save", "--report"):
        ran = mirror("probe", "bundle.json", "--keys", "keys.json", option, "nowhere/file.json")
        assert (3, True) == (ran.exit_code, "output.failed" in ran.stderr)


# What is written -----------------------------------------------------------------------------


def test_a_profile_is_saved(write: Write, mirror: Mirror) -> None:
    """By the name that is given; it holds for the events, and says so in members that are known."""
    events = _three(of_several_shapes)
    write(*events)
    ran = mirror(
        "probe", "bundle.json", "--keys", "keys.json", "--save", "p.json", "--name", "new-v2"
    )
    assert (
        "the profile is in p.json; read it before you trust it:\n"
        "`mirror keys trust-profile p.json`\n" == ran.stderr
    )
    profile = parse_profile(Path("p.json").read_bytes())
    assert "new-v2" == profile.name
    assert [None] * 3 == [check_event(event, profile, keys_of(ALICE)) for event in events]
    assert profile.to_value() == json.loads(Path("p.json").read_bytes())
    ran = mirror("probe", "bundle.json", "--keys", "keys.json", "--save", "p.json", "--force")
    assert "probed" == parse_profile(Path("p.json").read_bytes()).name


def test_json_is_the_report(write: Write, mirror: Mirror) -> None:
    """One line on stdout, and nothing else there."""
    write(*_three(other_names))
    options = ("--keys", "keys.json", "--name", "x", "--report", "report.json", "--json")
    ran = mirror("probe", "bundle.json", *options)
    (value,) = ran.lines
    assert (0, value) == (ran.exit_code, json.loads(Path("report.json").read_bytes()))
    proposed = value.pop("proposed")
    assert ("x", []) == (proposed["profile"]["name"], proposed["objections"])
    assert {"report_type": "pith_probe_report", "report_version": "1.0", "events": 3} == {
        name: value[name] for name in ("report_type", "report_version", "events")
    }
    assert ([], [], [], []) == tuple(
        value[name] for name in ("alternatives", "not_proposed", "not_tried", "types")
    )
    assert [{"at": "/hash", "sha256_of": "the event less /hash, /proof"}] == value["digests"]
    assert (384, 1) == (value["texts_hashed"], value["signatures_tried"])


def test_the_report_says_how_events_look(write: Write, mirror: Mirror) -> None:
    """What kind of thing stands where, and how long texts are."""
    event = flat(THREE[0], ALICE)
    event["payload"] = {"list": ["x"], "null": None, "yes": True, "one": 1, "half": 0.5}
    event["payload"]["deep"] = {"er": {"and": {"deeper": {}}}}
    event["payload"]["when"] = "2026-01-01T00:00:00Z"
    write(event)
    mirror("probe", "bundle.json", "--report", "report.json")
    (shape,) = json.loads(Path("report.json").read_bytes())["shapes"]
    assert shape == {
        "/event_type": "text of 14 characters",
        "/subject_pith_number": "Pith Number of 36 characters",
        "/created_at": "time of 20 characters",
        "/payload/list": "list",
        "/payload/null": "null",
        "/payload/yes": "boolean",
        "/payload/one": "integer",
        "/payload/half": "float",
        "/payload/deep/er/and": "object",
        "/payload/when": "time of 20 characters",
        "/target": "text of 6 characters",
        "/key_id": "text of 9 characters",
        "/event_id": "digest of 71 characters",
        "/signature_b64": "signature of 88 characters",
    }


MARK = "secretmarker"


def _marked(said: Said) -> Said:
    """An event with a mark wherever a payload can have text."""
    payload = {
        **said.payload,
        "note": f"a {MARK}",
        "list": [MARK, {MARK: MARK}],
        "map": {f"a {MARK} name": MARK, "of": {"maps": {"n": MARK}}},
        f"{MARK}, a name": MARK,
        "digest": f"{MARK}:" + "0" * 64,
        "proof": f"{MARK}:" + ALICE.sign(MARK.encode()),
        "more": {"digest": f"{MARK}:" + "0" * 64},
    }
    return Said(said.event_type, payload, said.created_at, said.number)


@pytest.mark.parametrize("keys", [[], ["--keys", "keys.json"]])
@pytest.mark.parametrize("spoilt", [False, True])
@pytest.mark.parametrize("make", [flat, payload_alone, without_id])
def test_the_report_has_no_content_of_events(
    write: Write,
    mirror: Mirror,
    keys: list[str],
    spoilt: bool,  # noqa: FBT001
    make: Callable[[Said, Signer], Object],
) -> None:
    """Be something found, something that is not proposed, or nothing."""
    events = [make(_marked(said), ALICE) for said in THREE]
    if spoilt:
        events[0]["payload"]["spoilt"] = MARK
    write(*events)
    mirror("probe", "bundle.json", *keys, "--report", "report.json")
    text = Path("report.json").read_text()
    assert MARK in Path("bundle.json").read_text()
    assert MARK not in text
    assert "key-alice" not in text or keys
    for said in THREE:
        for word in (said.created_at, said.subject, "0000-0002-1825-0097", RECORD["source"]["id"]):
            assert word not in text


def test_the_size_of_the_report_is_limited(write: Write, mirror: Mirror) -> None:
    """Of a large event, some places."""
    large: Object = {f"m{one}": one for one in range(1000)}
    write(large, large, *({f"n{one}": 1} for one in range(20)))
    mirror("probe", "bundle.json", "--report", "report.json", "--max-tries", "10")
    shapes = json.loads(Path("report.json").read_bytes())["shapes"]
    assert (8, 200) == (len(shapes), max(map(len, shapes)))


# Types that E4 does not name -----------------------------------------------------------------


def _of_type(event_type: str, payload: Object, day: int) -> Object:
    return flat(Said(event_type, payload, f"2026-01-{day:02}T00:00:00Z", day), ALICE)


def test_types_with_matching_payloads_are_suggested(write: Write, mirror: Mirror) -> None:
    """All of them must fit; what it means is a person's to say."""
    write(
        _of_type("paper.cited", citation(), 1),
        _of_type("paper.cited", citation(status="withdrawn"), 2),
        _of_type("claimed", author_claim(), 3),
        _of_type("claimed", {"note": "it fits nothing"}, 4),
        _of_type("author_claimed", author_claim(), 5),
    )
    ran = mirror("probe", "bundle.json", "--keys", "keys.json")
    lines = [line for line in ran.stdout.decode().splitlines() if "(E4)" in line]
    (line,) = lines
    assert line == (
        "type 'paper.cited' is not known; its 2 events would fit 'citation_signed' (E4): "
        "only a person can decide whether that is meant"
    )
    (value,) = mirror("probe", "bundle.json", "--keys", "keys.json", "--json").lines
    expected = {"event_type": "paper.cited", "like": "citation_signed", "events": 2}
    assert [expected] == value["types"]


def test_a_type_that_e1_does_not_allow(write: Write, mirror: Mirror) -> None:
    """Its place is found; what it means, a person must say."""
    write(
        _of_type("Paper-Cited", citation(), 1),
        _of_type("Paper-Cited", citation(), 2),
        _of_type("Odd-One", {"a": 1}, 3),
    )
    ran = mirror("probe", "bundle.json", "--keys", "keys.json", "--save", "p.json")
    lines = [line for line in ran.stdout.decode().splitlines() if "E4" in line or "hint" in line]
    assert lines == [
        (
            "type 'Paper-Cited' is not known; its 2 events would fit 'citation_signed' (E4): "
            "only a person can decide whether that is meant"
        ),
        (
            "type 'Odd-One' is not a valid event type (E1), and fits none in E4: its 1 events stay "
            "refused"
        ),
        "hint: `mirror keys trust-profile FILE --map NAME=TYPE` maps a type of events",
    ]
    mirror("keys", "add", "keys.json")
    mirror("keys", "trust-profile", "p.json", "--map", "Paper-Cited=citation_signed")
    assert b"2 valid, 1 invalid (event.shape 1)" in mirror("merge", "bundle.json").stdout


def test_types_of_the_built_in_profile_are_suggested_too(write: Write, mirror: Mirror) -> None:
    """But not if one of them has no payload that could fit."""
    made = [make_event(RECORD, ALICE, "x.y", citation(), f"2026-01-0{day}T00:00:00Z")
            for day in (1, 2)]  # fmt: skip
    write(*made)
    text = mirror("probe", "bundle.json", "--keys", "keys.json").stdout.decode()
    assert "type 'x.y' is not known; its 2 events would fit 'citation_signed'" in text
    write(*made, make_event(RECORD, ALICE, "x.y", ["no object"]))
    assert "(E4)" not in mirror("probe", "bundle.json", "--keys", "keys.json").stdout.decode()


def test_a_payload_must_be_of_the_record_where_its_type_asks_for_that(
    write: Write, mirror: Mirror
) -> None:
    """A digest of another record does not fit."""
    payload: Object = {"method": "other", "proof_b64": "AA=="}
    for digest_of, is_told in ((RECORD, True), (make_record(arxiv_id="x"), False)):
        payload["digest"] = oracle.record_digest(digest_of)
        write(*(_of_type("stamped", payload, day) for day in (1, 2)))
        text = mirror("probe", "bundle.json", "--keys", "keys.json").stdout.decode()
        assert is_told == ("would fit 'timestamp_anchored'" in text)
