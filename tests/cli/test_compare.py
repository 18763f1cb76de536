"""`mirror compare` as people run it: against folders, bags, lines and servers, honest or not.

The registry here is simulated: a real HTTP server that answers with what an honest merge gives, but
for the one thing that a test spoils.
"""

from __future__ import annotations

import copy
import gzip
import hashlib
import io
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import zstandard

from mirror.archive import write_bag
from mirror.engine.compare import states as compare_module
from mirror.net import Client, Response
from mirror.web import ServerSettings
from tests import oracle
from tests.builders import (
    Object,
    Signer,
    author_claim,
    citation,
    created,
    key_set_file,
    make_bundle,
    make_event,
    make_record,
    revocation,
    snapshot,
    storage,
    to_json,
    without,
)
from tests.cli.conftest import BUNDLES, Mirror, Ran
from tests.helpers import keys_of, merged
from tests.net.server import Exchange, Site, message, running, saying
from tests.shared import real_lines
from tests.web.conftest import make_store, served

PAGE = Path(__file__).resolve().parents[2] / "docs" / "comparing.md"

ALICE = Signer("alice")
JUDGE = Signer("judge", may_revoke_others=True)
STRANGER = Signer("stranger")
SIGNERS = (ALICE, JUDGE)
KEYS = keys_of(*SIGNERS)

PAPER = make_record("A paper", arxiv_id="2401.00001")
NEWER = make_record("A paper", arxiv_id="2401.00001", version=2)
OTHER = make_record("Another", arxiv_id="2401.00002")
ABSENT = make_record("Not merged", arxiv_id="2401.00009")

CREATED = make_event(PAPER, ALICE, "record_created", created(PAPER, ALICE))
GRAPH = make_event(PAPER, ALICE, "graph_snapshot", snapshot())
OLD_GRAPH = make_event(PAPER, ALICE, "graph_snapshot", snapshot({}), "2025-12-31T12:00:00Z")
REVOCATION = make_event(PAPER, JUDGE, "event_revoked", revocation(OLD_GRAPH["event_id"]))
CLAIM = make_event(PAPER, ALICE, "author_claimed", author_claim(), "2025-12-31T12:00:00Z")
NEWER_CLAIM = make_event(PAPER, ALICE, "author_claimed", author_claim(strength="weak"))
STRANGE = make_event(PAPER, STRANGER, "storage_attested", storage())
FORGED = {
    **make_event(PAPER, ALICE, "citation_signed", citation("arxiv:2501.00009")),
    "signature": GRAPH["signature"],
}
NEWS = make_event(PAPER, ALICE, "citation_signed", citation())
EVENTS = (CREATED, GRAPH, OLD_GRAPH, REVOCATION, CLAIM, NEWER_CLAIM, STRANGE, FORGED)
G = GRAPH["event_id"]

PAPER_BUNDLE = make_bundle(PAPER, EVENTS)
BUNDLES_HERE = (PAPER_BUNDLE, make_bundle(NEWER), make_bundle(OTHER))


def number_of(record: Object) -> str:
    """Its Pith Number."""
    return oracle.pith_number_of(record)


P, Q = number_of(PAPER), number_of(OTHER)


def state_of(bundle: Object) -> Any:
    """What an honest registry prints of a record."""
    return merged([bundle], KEYS).value


def states() -> dict[str, Any]:
    """All that an honest registry prints, by suffix; made anew, so that it can be spoiled."""
    return {bundle["pith_number"][-26:]: copy.deepcopy(state_of(bundle)) for bundle in BUNDLES_HERE}


def entry(event: Object) -> Object:
    """An event as a state shows it."""
    names = ("event_id", "target", "created_at", "signer", "payload")
    return {name: event[name] for name in names}


# The store, and the registry -----------------------------------------------------------------


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store that holds three records."""
    folder = tmp_path_factory.mktemp("template")
    (folder / "keys.json").write_bytes(key_set_file(*SIGNERS))
    (folder / "bundles.jsonl").write_bytes(b"\n".join(map(to_json, BUNDLES_HERE)))
    make_store(folder / "mirror.db", folder / "bundles.jsonl", keys=folder / "keys.json")
    return folder


@pytest.fixture(autouse=True)
def store(mirror: Mirror, template: Path, tmp_path: Path) -> Path:
    """A copy of it, where `mirror` runs."""
    for file in template.glob("mirror.db*"):
        shutil.copy(file, tmp_path)
    return tmp_path / "mirror.db"


class Registry:
    """A simulated registry; it has the true states until a test changes them."""

    def __init__(self, site: Site) -> None:
        self.site = site
        for bundle in BUNDLES_HERE:
            self.say(state_of(bundle))
            self.say(bundle, kind="bundle")

    @property
    def url(self) -> str:
        """Its address."""
        return self.site.url("")

    def say(self, value: Any, of: str = "", kind: str = "state") -> None:
        """Answer for a record with a value, or with raw bytes."""
        suffix = (of or value["pith_number"])[-26:]
        body = value if isinstance(value, bytes) else to_json(value)
        self.site.at(f"/pith/{suffix}/{kind}.json", saying(message(body)))

    def spoil(self, change: Callable[[Any], object]) -> None:
        """Change what it says of the paper."""
        state = copy.deepcopy(state_of(PAPER_BUNDLE))
        change(state)
        self.say(state, P)


@pytest.fixture
def registry() -> Iterator[Registry]:
    """A registry on a real socket."""
    with running(Site()) as site:
        yield Registry(site)


POLITE = ("--allow-private", "--rate", "0", "--retries", "0")


def ask(mirror: Mirror, registry: Registry, *arguments: object) -> Ran:
    """Compare with a registry; findings as JSON."""
    return mirror("compare", "--upstream", registry.url, *POLITE, "--json", *arguments)


def found(ran: Ran) -> dict[str, Any]:
    """The one finding that is not the same."""
    (one,) = [line for line in ran.lines if line["status"] not in {"match", "match_known"}]
    return dict(one)


# An honest registry --------------------------------------------------------------------------


def test_an_unaltered_registry_matches(mirror: Mirror, registry: Registry) -> None:
    """Each record is asked for once, by its whole suffix; exit 0."""
    ran = ask(mirror, registry)
    assert ran.exit_code == 0
    assert [line["status"] for line in ran.lines] == ["match"] * 3
    assert sorted(registry.site.paths) == sorted(f"/pith/{one}/state.json" for one in states())
    assert "match     3 records\nrequests  3\n" in ran.stderr


def test_unknown_members_of_a_registry_are_listed_and_match(
    mirror: Mirror, registry: Registry
) -> None:
    """Exit 0 too, and what it says more is listed."""
    registry.spoil(lambda state: state["current"].update(rating=5))
    ran = ask(mirror, registry, P)
    assert ran.exit_code == 0
    assert ran.lines[0]["status"] == "match_known"
    assert ran.lines[0]["only_upstream"] == ["/current/rating"]


def test_bundles_are_merged_and_their_states_compared(mirror: Mirror, registry: Registry) -> None:
    """Under the keys of the store."""
    assert ask(mirror, registry, "--bundles").exit_code == 0
    registry.say(make_bundle(PAPER, [*EVENTS, NEWS]), kind="bundle")
    ran = ask(mirror, registry, "--bundles")
    assert ran.exit_code == 1
    assert found(ran)["status"] == "behind"
    assert found(ran)["only_upstream"] == [NEWS["event_id"]]


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [("canonical_sha256", "0" * 64, "record.digest"), ("pith_number", P, "record.number")],
)
def test_a_bundle_whose_record_does_not_hash_to_its_number_is_proof(
    member: str, value: str, code: str, mirror: Mirror, registry: Registry
) -> None:
    """Nothing of it can be merged, and it is more than unreadable: exit 1."""
    registry.say({**make_bundle(OTHER), member: value}, of=Q, kind="bundle")
    ran = ask(mirror, registry, "--bundles", Q)
    assert ran.exit_code == 1
    assert (found(ran)["pith_number"], found(ran)["status"]) == (Q, "differs")
    assert found(ran)["causes"][0]["code"] == code
    assert found(ran)["cause"].endswith("upstream is provably wrong")


def test_another_mirror_is_an_upstream(mirror: Mirror, store: Path, tmp_path: Path) -> None:
    """Its paths are the registry's: states and bundles of the same store match."""
    shutil.copytree(tmp_path, tmp_path / "other")
    with served(ServerSettings(store=tmp_path / "other" / "mirror.db")) as url:
        for more in ((), ("--bundles",)):
            ran = mirror("compare", "--upstream", url, *POLITE, *more)
            assert (ran.exit_code, ran.stderr) == (0, "")
            assert ran.stdout == b"match     3 records\nrequests  3\n"


# A registry that misbehaves in one way -------------------------------------------------------


def _set(*way: Any) -> Callable[[Any], None]:
    """A change of one place: names that lead there, and what to put."""
    *names, last, value = way

    def change(state: Any) -> None:
        for name in names:
            state = state[name]
        state[last] = value

    return change


def _drop(state: Any) -> None:
    state["current"]["graph_snapshots"] = []


def _fork(state: Any) -> None:
    state["current"].update(graph_snapshots=[], citations=[entry(NEWS)])


def _become_another(state: Any) -> None:
    state.update(state_of(make_bundle(OTHER)))


MISBEHAVIOUR: dict[str, tuple[Callable[[Any], object], str, str, str]] = {
    "shows an event that is missing here": (
        _set("current", "citations", [entry(NEWS)]),
        "behind", "event.missing_here", f"upstream shows {NEWS['event_id']} in citations",
    ),
    "keeps an event back": (
        _drop, "ahead", "event.missing_upstream", f"{G} is valid here",
    ),
    "does both": (
        _fork, "forked", "event.missing_here", f"upstream shows {NEWS['event_id']}",
    ),
    "shows an event of a key that is not trusted here": (
        _set("current", "storage_attestations", [entry(STRANGE)]),
        "differs", "event.refused", "it is refused here: event.key_unknown",
    ),
    "shows an event whose signature is forged": (
        _set("current", "citations", [entry(FORGED)]),
        "differs", "event.refused", "it is refused here: event.signature",
    ),
    "shows a revoked event as current": (
        _set("current", "graph_snapshots", [entry(OLD_GRAPH), entry(GRAPH)]),
        "differs", "event.revoked", f"as current; it is revoked by {REVOCATION['event_id']}",
    ),
    "shows a superseded event as current": (
        _set("current", "author_claims", [entry(CLAIM), entry(NEWER_CLAIM)]),
        "differs", "event.superseded", f"it is superseded by {NEWER_CLAIM['event_id']}",
    ),
    "shows an event with another content": (
        _set("current", "graph_snapshots", 0, "payload", {}),
        "differs", "event.content", f"upstream shows {G} with another /payload",
    ),
    "merges by another version": (
        _set("merge_version", "pith-open-graph-merge-v2"),
        "differs", "merge_version", 'upstream merges by "pith-open-graph-merge-v2"',
    ),
    "counts what it does not have": (
        _set("event_count", 99), "differs", "counts", "event_count is 99, but 6 are valid",
    ),
    "counts less than it shows": (
        _set("valid_event_count", 1), "differs", "counts", "but 5 events are shown",
    ),
    "counts one more that nobody can see": (
        _set("valid_event_count", 7), "differs", "counts", "7 are valid",
    ),
    "changes a record": (
        _set("current", "canonical_record", "metadata", "license", "none"),
        "differs", "record.digest", "upstream is provably wrong",
    ),
    "has a record that is none": (
        _set("current", "canonical_record", []), "differs", "record.digest", "no Pith Number",
    ),
    "changes an alias": (
        _set("current", "source_aliases", 0, "alias_value", "2401.99999"),
        "differs", "aliases", '"2401.99999" upstream; they follow from the record',
    ),
    "dates an alias otherwise": (
        _set("current", "source_aliases", 0, "created_at", "2027-01-01T00:00:00Z"),
        "differs", "aliases", "their times are not signed",
    ),
    "answers with another record": (
        _become_another, "differs", "record.changed", f"upstream answers for {P} with {Q}",
    ),
    "comes to another outcome": (
        _set("current", "receipt", None), "differs", "outcome", "/current/receipt differs",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISBEHAVIOUR)
def test_each_fault_of_a_registry_is_found(name: str, mirror: Mirror, registry: Registry) -> None:
    """With its status, its cause, its first difference and exit 1; the others still match."""
    change, status, code, text = MISBEHAVIOUR[name]
    registry.spoil(change)
    ran = ask(mirror, registry)
    one = found(ran)
    assert ran.exit_code == 1
    assert (one["pith_number"], one["status"]) == (P, status)
    assert one["causes"][0]["code"] == code
    assert any(text in cause["text"] for cause in one["causes"] if cause["code"] == code)
    assert one["cause"] == one["causes"][0]["text"]
    assert one["first_difference"]["pointer"].startswith("/")
    assert {"here", "upstream"} & set(one["first_difference"])
    assert [line["status"] for line in ran.lines].count("match") == 2


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        (message(b"<html></html>", media_type="text/html"), "upstream.type", "text/html"),
        (message(b"<html></html>"), "json.syntax", "not JSON"),
        (message(b""), "json.syntax", "empty"),
        (message(b"[]"), "state.shape", "a state must be an object"),
        (message(b"{}"), "state.shape", "/pith_number: must be a Pith Number"),
        (message(b'{"a":1,"a":2}'), "json.duplicate_key", "repeated"),
        (message(b"[" * 100), "json.depth", "64 nested"),
        (message(b'["\\ud800"]'), "json.surrogate", "surrogate"),
        (message(b"{}", status="403 Forbidden"), "upstream.status", "403"),
        (message(b"{}", status="500 Oops"), "upstream.status", "500"),
        (message(b"[]", status="300 Multiple Choices"), "upstream.ambiguous", "several records"),
        (message(b'{"x":[' + b"0," * 300 + b"0]}"), "limit.count", "more than 250"),
        (message(b'"' + b"x" * 200_000 + b'"'), "upstream.size", "larger than"),
        (message(b"{}", content_length="5"), "upstream.truncated", "ended before"),
    ],
)
def test_an_unreadable_response_is_named(
    answer: bytes, code: str, text: str, mirror: Mirror, registry: Registry
) -> None:
    """It is no proof of anything; the others are compared, and the record is not called missing."""
    ends = code == "upstream.truncated"
    registry.site.at(f"/pith/{P[-26:]}/state.json", saying(answer, then_hang_up=ends))
    ran = ask(mirror, registry, "--max-values", "250", "--max-bundle", "100000")
    one = found(ran)
    assert ran.exit_code == 1
    assert (one["pith_number"], one["status"]) == (P, "unreadable")
    assert one["causes"][0]["code"] == code
    assert text in one["causes"][0]["text"]
    assert registry.url in one["causes"][0]["text"]
    assert one["first_difference"] is None


def test_a_record_that_upstream_does_not_have_is_missing_there(
    mirror: Mirror, registry: Registry
) -> None:
    """404, and nothing else."""
    del registry.site.routes[f"/pith/{P[-26:]}/state.json"]
    ran = ask(mirror, registry)
    one = found(ran)
    assert ran.exit_code == 1
    assert (one["pith_number"], one["status"]) == (P, "missing_upstream")
    assert [cause["code"] for cause in one["causes"]] == ["upstream.gone"]


def test_a_registry_of_which_nothing_can_be_read_is_exit_5(
    mirror: Mirror, registry: Registry
) -> None:
    """Three pages for people are no states."""
    for suffix in states():
        registry.say(b"<html>Please log in</html>", suffix)
    ran = ask(mirror, registry)
    assert ran.exit_code == 5
    assert [line["status"] for line in ran.lines] == ["unreadable"] * 3


def test_a_registry_that_cannot_be_reached_is_exit_5(mirror: Mirror) -> None:
    """Nothing is reported about any record."""
    with running(Site()) as site:
        url = site.url("")
    ran = mirror("compare", "--upstream", url, *POLITE, "--report", "report.html")
    assert (ran.exit_code, ran.stdout) == (5, b"")
    assert "upstream.unreachable" in ran.stderr
    assert not Path("report.html").exists()


def test_private_addresses_are_not_requested_unless_allowed(
    mirror: Mirror, registry: Registry
) -> None:
    """`--allow-private` is a decision."""
    ran = mirror("compare", "--upstream", registry.url, "--rate", "0", "--retries", "0")
    assert ran.exit_code == 5
    assert registry.site.requests == []


def test_a_registry_that_fails_midway_is_exit_5_and_earlier_results_are_reported(
    mirror: Mirror, registry: Registry
) -> None:
    """On the screen, in the memory, and in a report that says that it is not whole."""
    registry.spoil(_drop)
    last = list(states())[-1]
    registry.site.at(f"/pith/{last}/state.json", Exchange.hang_up)
    ran = ask(mirror, registry, "--report", "report.html")
    assert ran.exit_code == 5
    assert [line["status"] for line in ran.lines] == ["ahead", "match"]
    assert "ahead     1 record\nmatch" not in ran.stderr  # in the order of the statuses
    assert "match  1 record\nahead  1 record\n" in ran.stderr
    assert "error: upstream.unreachable" in ran.stderr
    page = Path("report.html").read_text()
    assert "Not finished." in page
    assert G in page
    assert mirror("compare", "--history", P).exit_code == 0


# From files ----------------------------------------------------------------------------------


def _jsonl() -> bytes:
    return b"\n".join(map(to_json, states().values())) + b"\n"


def _bag(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    write_bag(out, lambda: sorted(members.items()))
    return out.getvalue()


def _bag_of_states() -> bytes:
    members = {
        f"pith/{suffix[:2]}/{suffix}/state.json": to_json(state)
        for suffix, state in states().items()
    }
    bundles = {
        f"pith/{one['pith_number'][-26:][:2]}/{one['pith_number'][-26:]}/bundle.json": to_json(one)
        for one in BUNDLES_HERE
    }
    return _bag(members | bundles)


FILES: dict[str, Callable[[], bytes]] = {
    "states.jsonl": _jsonl,
    "states.jsonl.gz": lambda: gzip.compress(_jsonl()),
    "states.jsonl.zst": lambda: zstandard.compress(_jsonl()),
    "bag.tar": _bag_of_states,
    "bag.tar.gz": lambda: gzip.compress(_bag_of_states()),
    "bag.tar.zst": lambda: zstandard.compress(_bag_of_states()),
}


@pytest.mark.parametrize("name", FILES)
def test_states_are_read_from_a_file(name: str, mirror: Mirror) -> None:
    """Known by content; bundles beside the states in a bag are passed over."""
    Path(name).write_bytes(FILES[name]())
    ran = mirror("compare", "--upstream", name)
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, b"match  3 records\n", "")


@pytest.mark.parametrize("name", ["states.jsonl", "bag.tar"])
def test_states_are_read_from_standard_input(name: str, mirror: Mirror) -> None:
    """`-`, as everywhere."""
    ran = mirror("compare", "--upstream", "-", "--upstream-name", "dump", stdin=FILES[name]())
    assert (ran.exit_code, ran.stdout) == (0, b"match  3 records\n")


def test_one_state_is_read_from_a_file_of_its_own(mirror: Mirror) -> None:
    """Of any name, spread over lines, for the record that was named."""
    state = states()[P[-26:]]
    text = to_json(state).replace(b",", b",\n")
    Path("downloaded").write_bytes(text)
    assert mirror("compare", "--upstream", "downloaded", P).exit_code == 0
    ran = mirror("compare", "--upstream", "downloaded", "--json")
    assert ran.exit_code == 1
    assert [line["status"] for line in ran.lines] == ["match", *["missing_upstream"] * 2]


def test_what_a_merge_writes_with_out_is_a_folder_to_compare_with(
    mirror: Mirror, template: Path
) -> None:
    """`mirror merge --out DIR`, and back."""
    mirror("merge", template / "bundles.jsonl", "--out", "states")
    ran = mirror("compare", "--upstream", "states")
    assert (ran.exit_code, ran.stdout) == (0, b"match  3 records\n")
    shutil.rmtree(f"states/{Q[-26:]}")
    ran = mirror("compare", "--upstream", "states/", "--json")
    assert ran.exit_code == 1
    assert (found(ran)["pith_number"], found(ran)["status"]) == (Q, "missing_upstream")


def test_bundles_are_read_from_a_bag_where_they_are_asked_for(mirror: Mirror) -> None:
    """Packed or plain, as `mirror export` writes them."""
    for more in ((), ("--packed",)):
        mirror("export", "bag.tar", *more)
        ran = mirror("compare", "--upstream", "bag.tar", "--bundles")
        assert (ran.exit_code, ran.stdout) == (0, b"match  3 records\n")
        ran = mirror("compare", "--upstream", "bag.tar")
        assert ran.exit_code == 5
        assert "no state.json or *.state.json is in it" in ran.stderr


def test_unreadable_members_among_good_ones_are_named(mirror: Mirror) -> None:
    """Exit 1: the others were compared, and what is missing may be among the unreadable."""
    for suffix, state in states().items():
        folder = Path("states", suffix)
        folder.mkdir(parents=True)
        (folder / "state.json").write_bytes(to_json(state) if suffix != P[-26:] else b"{")
    ran = mirror("compare", "--upstream", "states", "--json")
    assert ran.exit_code == 1
    unreadable = next(line for line in ran.lines if line["status"] == "unreadable")
    assert unreadable["causes"][0]["code"] == "json.syntax"
    assert f"{P[-26:]}/state.json: " in unreadable["cause"]
    assert sorted(line["status"] for line in ran.lines) == [
        "match", "match", "missing_upstream", "unreadable",
    ]  # fmt: skip


def test_files_of_which_nothing_can_be_read_are_exit_5(mirror: Mirror) -> None:
    """What upstream has is not known then, so nothing is called missing."""
    Path("states.jsonl").write_bytes(b"{\n[]\nnull\n")
    ran = mirror("compare", "--upstream", "states.jsonl", "--json")
    assert ran.exit_code == 5
    assert {line["status"] for line in ran.lines} == {"unreadable"}
    Path("empty").write_bytes(b"")
    ran = mirror("compare", "--upstream", "empty")
    assert ran.exit_code == 5
    assert "unreadable: the text is empty" in ran.stderr


@pytest.mark.parametrize("place", ["nowhere", "nowhere.json", "folder", "", "nul\x00", "ftp://x/"])
def test_a_path_without_states_is_exit_5(place: str, mirror: Mirror) -> None:
    """No such file, no state in a folder."""
    Path("folder").mkdir()
    ran = mirror("compare", "--upstream", place)
    assert ran.exit_code == 5
    assert "error: upstream.unreadable" in ran.stderr
    assert "hint: give an address, a folder, a bag" in ran.stderr


def test_a_truncated_bag_is_compared_as_far_as_it_can_be_read(mirror: Mirror) -> None:
    """What came before counts; what did not come is named."""
    Path("bag.tar.gz").write_bytes(gzip.compress(_bag_of_states())[:-400])
    ran = mirror("compare", "--upstream", "bag.tar.gz", "--json")
    assert ran.exit_code in {1, 5}
    assert any(
        line["causes"] and line["causes"][0]["code"] == "archive.truncated" for line in ran.lines
    )


# Which records -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [P, P[-26:], P[-26:][:8], f"pith:{P[-26:][:8]}", "2401.00001v1"])
def test_a_record_is_named_in_any_way(name: str, mirror: Mirror, registry: Registry) -> None:
    """It is asked for by its suffix."""
    ran = ask(mirror, registry, name)
    assert (ran.exit_code, [line["pith_number"] for line in ran.lines]) == (0, [P])
    assert registry.site.paths == [f"/pith/{P[-26:]}/state.json"]


def test_a_name_of_several_records_is_refused_before_any_request(
    mirror: Mirror, registry: Registry
) -> None:
    """They are listed."""
    ran = ask(mirror, registry, "2401.00001")
    assert (ran.exit_code, ran.stdout) == (1, b"")
    assert "lookup.ambiguous" in ran.stderr
    assert P in ran.stderr
    assert registry.site.requests == []


def test_an_unknown_name_is_missing_upstream(mirror: Mirror, registry: Registry) -> None:
    """It is called by that name, over HTTP and in files."""
    for ran in (
        ask(mirror, registry, "2499.99999"),
        mirror("compare", "--upstream", "-", "--json", "2499.99999", stdin=_jsonl()),
    ):
        assert ran.exit_code == 1
        assert [(line["pith_number"], line["status"]) for line in ran.lines] == [
            ("2499.99999", "missing_upstream")
        ]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (number_of(ABSENT), number_of(ABSENT)[-26:]),
        (number_of(ABSENT)[-26:], number_of(ABSENT)[-26:]),
        (number_of(ABSENT)[-26:][:12], number_of(ABSENT)[-26:][:12]),
        ("2401.00009", "2401.00009"),
        ("arxiv:2401.00009", "2401.00009"),
        ("2401.00009v1", "2401.00009v1"),
        ("10.48550/arxiv.2401.00009", "2401.00009"),
    ],
)
def test_a_record_that_only_upstream_has_is_missing_here(
    name: str, path: str, mirror: Mirror, registry: Registry
) -> None:
    """Whatever it is called: it is not called missing upstream, too."""
    state = state_of(make_bundle(ABSENT))
    registry.say(state)
    registry.site.at(f"/pith/{path}/state.json", saying(message(to_json(state))))
    text = _jsonl() + to_json(state)
    for ran in (
        ask(mirror, registry, name),
        mirror("compare", "--upstream", "-", "--json", name, stdin=text),
    ):
        assert ran.exit_code == 1
        assert [(line["pith_number"], line["status"]) for line in ran.lines] == [
            (number_of(ABSENT), "missing_here")
        ]


def test_records_that_only_upstream_has_are_reported_from_all_files(mirror: Mirror) -> None:
    """Without an ID, both sides are looked through."""
    text = _jsonl() + to_json(state_of(make_bundle(ABSENT)))
    ran = mirror("compare", "--upstream", "-", "--json", stdin=text)
    assert found(ran)["status"] == "missing_here"
    assert found(ran)["causes"][0]["code"] == "record.missing_here"


def test_unreadable_members_are_reported_when_a_record_is_named(mirror: Mirror) -> None:
    """They could be about it, so they are reported; other records are not."""
    text = _jsonl() + b"{\n"
    ran = mirror("compare", "--upstream", "-", "--json", P, stdin=text)
    assert ran.exit_code == 1
    assert sorted(line["status"] for line in ran.lines) == ["match", "unreadable"]
    ran = mirror("compare", "--upstream", "-", "--json", "2499.99999", stdin=text)
    assert [line["status"] for line in ran.lines] == ["unreadable", "missing_upstream"]
    assert ran.exit_code == 1


def test_unusual_names_are_looked_up_and_escaped(mirror: Mirror, registry: Registry) -> None:
    """Bytes of a command line that are not UTF-8, and what turns the direction of writing."""
    for name in ("\udcff\udcfe", "\u202eevil", "x" * 5000, "../../etc", "a b?c#d", '"'):
        ran = ask(mirror, registry, name)
        assert (ran.exit_code, ran.lines[0]["status"]) == (1, "missing_upstream")
        expected = 2 if "\udcff" in name else 1  # an option is text
        assert mirror("compare", "--history", name).exit_code == expected
    Path("folder\udcff").mkdir()
    Path("folder\udcff/state.json").write_bytes(to_json(states()[P[-26:]]))
    assert mirror("compare", "--upstream", "folder\udcff", P, "--report", "r.html").exit_code == 0
    assert "Comparison with folder<U+DCFF>" in _page("r.html").text


# Memory --------------------------------------------------------------------------------------


def test_a_rollback_is_found_and_both_versions_are_stored(
    mirror: Mirror, registry: Registry
) -> None:
    """An event that was shown yesterday and is gone today: rollback."""
    honest = state_of(PAPER_BUNDLE)
    assert ask(mirror, registry, P).exit_code == 0
    registry.spoil(_drop)
    ran = ask(mirror, registry, P)
    comparison, rollback = ran.lines
    assert ran.exit_code == 1
    assert comparison["status"] == "ahead"
    assert rollback["status"] == "rollback"
    assert rollback["upstream"] == registry.url
    assert rollback["kind"] == "state"
    assert rollback["causes"] == [{"code": "rollback.event", "text": f"{G} was shown and is gone"}]
    assert "rollbacks  1\n" in ran.stderr

    first, second = mirror("compare", "--history", P, "--json").lines
    assert (first["took_back"], second["took_back"]) == ([], [f"{G} was shown and is gone"])
    assert first["said"] == honest
    assert second["said"]["current"]["graph_snapshots"] == []
    for kept, said in ((first, rollback["before"]), (second, rollback["after"])):
        assert kept["sha256"] == said["sha256"]
        assert kept["sha256"] == hashlib.sha256(oracle.canonical(kept["said"])).hexdigest()
        assert kept["at"] == said["at"]
    shown = mirror("compare", "--history", "2401.00001v1").stdout.decode()
    assert "took back     nothing" in shown
    assert f"took back     {G} was shown and is gone" in shown
    # Said again, it is no news.
    again = ask(mirror, registry, P)
    assert [line["status"] for line in again.lines] == ["ahead"]
    assert len(mirror("compare", "--history", P, "--json").lines) == 2


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        (_set("valid_event_count", 5), "rollback.count", "valid_event_count fell from 6 to 5"),
        (_set("event_count", 0), "rollback.count", "event_count fell from 8 to 0"),
        (_set("current", "canonical_record", OTHER), "rollback.record", "record changed"),
        (_become_another, "rollback.record", "the canonical record changed"),
        (_set("current", "graph_snapshots", 0, "payload", {}), "rollback.event", "another content"),
        (_set("retired_events", []), "rollback.event", "was shown and is gone"),
    ],
)
def test_each_kind_of_rollback_is_found(
    change: Callable[[Any], object], code: str, text: str, mirror: Mirror, registry: Registry
) -> None:
    """A smaller count, a changed record, a changed event."""
    ask(mirror, registry, P)
    registry.spoil(change)
    ran = ask(mirror, registry, P)
    rollback = ran.lines[-1]
    assert (ran.exit_code, rollback["status"]) == (1, "rollback")
    assert rollback["pith_number"] == P
    assert (rollback["causes"][0]["code"], text in rollback["cause"]) == (code, True)


def test_a_bundle_that_lacks_an_earlier_event_is_a_rollback(
    mirror: Mirror, registry: Registry
) -> None:
    """Also one whose event was swapped under its id."""
    ask(mirror, registry, "--bundles", P)
    swapped = [one for one in EVENTS if one is not GRAPH] + [{**GRAPH, "payload": {}}]
    for events, text in (
        (swapped, "is shown with another content than before"),
        (swapped[:-1], "was shown and is gone"),
    ):
        registry.say(make_bundle(PAPER, events), kind="bundle")
        ran = ask(mirror, registry, "--bundles", P)
        assert ran.exit_code == 1
        assert ran.lines[-1]["kind"] == "bundle"
        assert ran.lines[-1]["cause"] == f"{G} {text}"


def test_a_removed_record_is_reported_with_its_earlier_state(
    mirror: Mirror, registry: Registry
) -> None:
    """404 now: the report has the earlier state and its time."""
    ask(mirror, registry, P)
    (before,) = mirror("compare", "--history", P, "--json").lines
    del registry.site.routes[f"/pith/{P[-26:]}/state.json"]
    one = found(ask(mirror, registry, P))
    assert [cause["code"] for cause in one["causes"]] == ["upstream.gone", "rollback.record"]
    assert one["causes"][1]["text"] == (
        f"upstream reported it before: state {before['sha256']}, {before['at']}"
    )
    Path("all.jsonl").write_bytes(_jsonl())
    mirror("compare", "--upstream", "all.jsonl", "--upstream-name", "dumps")
    Path("less.jsonl").write_bytes(to_json(states()[Q[-26:]]))
    ran = mirror("compare", "--upstream", "less.jsonl", "--upstream-name", "dumps", "--json", P)
    assert [cause["code"] for cause in ran.lines[0]["causes"]] == [
        "record.missing_upstream", "rollback.record",
    ]  # fmt: skip


def test_the_documented_program_checks_the_digests_of_a_history(
    mirror: Mirror, registry: Registry
) -> None:
    """By the program in docs/comparing.md, which uses nothing of ours."""
    ask(mirror, registry, P)
    registry.spoil(_set("more", [1, 1.5, 1e-7, "\u2028ä\x7f"]))
    ask(mirror, registry, P, "--bundles")
    ask(mirror, registry, P)
    history = mirror("compare", "--history", P, "--json")
    assert len(history.lines) == 3
    (program,) = re.findall("```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    command = [sys.executable, "-c", program]
    for text, code in ((history.stdout, 0), (history.stdout.replace(b'"more"', b'"less"'), 1)):
        Path("evidence.jsonl").write_bytes(text)
        assert subprocess.run(command, check=False, capture_output=True).returncode == code


def test_more_events_are_no_rollback(mirror: Mirror, registry: Registry) -> None:
    """More events are no rollback."""
    ask(mirror, registry, P)
    registry.say(state_of(make_bundle(PAPER, [*EVENTS, NEWS])))
    ran = ask(mirror, registry, P)
    assert [line["status"] for line in ran.lines] == ["behind"]
    assert [line["took_back"] for line in mirror("compare", "--history", P, "--json").lines] == [
        [], [],
    ]  # fmt: skip


def test_upstreams_are_distinguished_by_their_names(mirror: Mirror) -> None:
    """One says less than another: that is no rollback. Under one name, it is."""
    text = to_json(states()[P[-26:]])
    less = states()[P[-26:]]
    _drop(less)
    mirror("compare", "--upstream", "-", "--upstream-name", "one", P, stdin=text)
    ran = mirror(
        "compare", "--upstream", "-", "--upstream-name", "two", P, "--json", stdin=to_json(less)
    )
    assert [line["status"] for line in ran.lines] == ["ahead"]
    ran = mirror("compare", "--upstream", "-", "--upstream-name", "one", P, stdin=to_json(less))
    assert f"rollback: {P}: {G} was shown and is gone\n" in ran.stderr
    upstreams = [line["upstream"] for line in mirror("compare", "--history", P, "--json").lines]
    assert upstreams == ["one", "one", "two"]


def _bytes_of(store: Path) -> bytes:
    return hashlib.sha256(store.read_bytes()).digest()


def test_without_memory_the_store_is_only_read(
    mirror: Mirror, registry: Registry, store: Path
) -> None:
    """Not a byte of it changes, and there is no history."""
    before = _bytes_of(store)
    registry.spoil(_drop)
    ran = ask(mirror, registry, "--no-history")
    assert (ran.exit_code, found(ran)["status"]) == (1, "ahead")
    assert _bytes_of(store) == before
    ran = mirror("compare", "--history", P)
    assert ran.exit_code == 1
    assert "no statement of an upstream on" in ran.stderr


def test_without_memory_earlier_statements_are_still_compared(
    mirror: Mirror, registry: Registry, store: Path
) -> None:
    """They are read and not changed: a record that upstream removed is still a rollback."""
    ask(mirror, registry, P)
    del registry.site.routes[f"/pith/{P[-26:]}/state.json"]
    before = _bytes_of(store)
    one = found(ask(mirror, registry, P, "--no-history"))
    assert [cause["code"] for cause in one["causes"]] == ["upstream.gone", "rollback.record"]
    assert _bytes_of(store) == before


def test_upstream_statements_are_never_merged(mirror: Mirror, registry: Registry) -> None:
    """Neither states nor bundles."""
    before = mirror("status", "--json").stdout
    registry.say(make_bundle(PAPER, [*EVENTS, NEWS]), kind="bundle")
    registry.say(make_bundle(ABSENT), kind="bundle")
    ask(mirror, registry, "--bundles", P, number_of(ABSENT))
    assert mirror("status", "--json").stdout == before
    history = mirror("compare", "--history", number_of(ABSENT), "--json").lines
    assert [line["kind"] for line in history] == ["bundle"]


def test_the_history_of_a_name_of_several_records_is_refused(mirror: Mirror) -> None:
    """They are listed; a record that was never compared has no history, and that is reported."""
    assert "lookup.ambiguous" in mirror("compare", "--history", "2401.00001").stderr
    ran = mirror("compare", "--history", Q)
    assert ran.exit_code == 1
    assert "hint: `mirror compare --upstream` stores what an upstream states" in ran.stderr


def test_an_interrupted_run_keeps_its_results(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 130: statements are stored, and the report says that it is incomplete."""
    db = make_store(tmp_path / "many.db", BUNDLES / "pith.tar")
    get, count = Client.get, iter(range(100))

    def get_some(client: Client, url: str, **options: Any) -> Response:
        if next(count) == 25:
            raise KeyboardInterrupt
        return get(client, url, **options)

    with served(ServerSettings(store=db)) as url:
        monkeypatch.setattr(Client, "get", get_some)
        ran = mirror("compare", "--upstream", url, *POLITE, "--json", "--db", db, "--report", "r")
    assert ran.exit_code == 130
    told = [line["pith_number"] for line in ran.lines]
    assert len(told) == 20
    with closing(sqlite3.connect(db)) as conn:
        kept = [
            number
            for (number,) in conn.execute("SELECT pith_number FROM upstream_history ORDER BY id")
        ]
    assert kept == told
    assert "Interrupted." in Path("r").read_text()


def test_a_damaged_upstream_statement_is_named_and_nothing_is_lost(
    mirror: Mirror, registry: Registry, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 4 after the earlier results; other records are compared, and a repair moves it aside."""
    ask(mirror, registry)
    with closing(sqlite3.connect(store)) as conn, conn:
        conn.execute(
            "UPDATE upstream_history SET first_read_at = '1999' WHERE pith_number = ?", (Q,)
        )
    registry.spoil(_drop)
    monkeypatch.setattr(compare_module, "_FEW", 1)  # records of one transaction
    ran = ask(mirror, registry, "--report", "report.html")
    assert [line["status"] for line in ran.lines] == ["ahead", "rollback", "match"]
    assert "Not finished." in _page("report.html").text
    for one in (ran, mirror("compare", "--history", Q)):
        assert one.exit_code == 4
        assert f"store.damaged at statement on {Q}" in one.stderr
        assert "hint: run `mirror check`" in one.stderr
    with closing(sqlite3.connect(store)) as conn:
        assert conn.execute("SELECT count(*) FROM upstream_history").fetchone() == (4,)
    assert ask(mirror, registry, Q, "--no-history").exit_code == 0
    assert ask(mirror, registry, P).exit_code == 1
    checked = mirror("check")
    assert "upstream_history" in checked.stderr + checked.stdout.decode()
    mirror("check", "--repair")
    assert ask(mirror, registry, Q).exit_code == 0
    assert len(mirror("compare", "--history", Q, "--json").lines) == 1


# What a person sees --------------------------------------------------------------------------


def test_plain_output_has_status_cause_and_first_difference(
    mirror: Mirror, registry: Registry
) -> None:
    """Two lines for each finding, and a table."""
    registry.spoil(_drop)
    del registry.site.routes[f"/pith/{Q[-26:]}/state.json"]
    ran = mirror("compare", "--upstream", registry.url, *POLITE)
    first, second, third = ran.stderr.splitlines()
    assert first == f"ahead: {P}: {G} is valid here; upstream does not show it"
    assert second.startswith('  first difference at /current/graph_snapshots/0: {"created_at"')
    assert second.endswith(" characters) here, nothing upstream")
    assert third.startswith(f"missing_upstream: {Q}: {registry.url}/pith/{Q[-26:]}/state.json: ")
    assert ran.stdout.decode().splitlines() == [
        "match             1 record",
        "ahead             1 record",
        "missing_upstream  1 record",
        "requests          3",
    ]


def test_only_some_findings_are_shown_and_the_rest_are_counted(mirror: Mirror) -> None:
    """`--json` names each."""
    many = [make_record(f"Paper {number}", arxiv_id=f"2402.{number:05}") for number in range(25)]
    text = b"\n".join(to_json({"pith_number": number_of(one)}) for one in many)
    ran = mirror("compare", "--upstream", "-", stdin=text)
    assert ran.stderr.count("missing_here: ") == 20
    assert "… and 8 more; --json prints all of them" in ran.stderr
    assert len(mirror("compare", "--upstream", "-", "--json", stdin=text).lines) == 28


def test_control_characters_from_upstream_are_escaped(mirror: Mirror, registry: Registry) -> None:
    """Whatever upstream sends, it cannot write on the terminal as it likes."""
    registry.spoil(_set("merge_version", "\x1b[31m\u202e<script>" + "x" * 10**5))
    ran = mirror("compare", "--upstream", registry.url, *POLITE, P)
    assert "\x1b" not in ran.stderr
    assert "\\u202e<script>" in ran.stderr
    assert len(ran.stderr) < 1500


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


def _page(path: str) -> _Page:
    page = _Page()
    page.feed(Path(path).read_text())
    return page


def test_a_report_has_each_finding_and_no_active_content(
    mirror: Mirror, registry: Registry
) -> None:
    """Statuses, causes, both values; strings are escaped, and invisible characters are shown."""
    evil = "<script>document.title='owned'</script>\u202e\x00<img src=x onerror=alert(1)>"
    ask(mirror, registry, P)
    state = copy.deepcopy(state_of(PAPER_BUNDLE))
    _drop(state)
    registry.say({**state, "merge_version": evil})
    registry.say(b"<script>", Q)
    ran = ask(mirror, registry, "--report", "report.html")
    assert ran.exit_code == 1
    assert "report written to report.html\n" in ran.stderr
    page = _page("report.html")
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert "\u202e" not in page.text
    assert "<U+202E>" in page.text
    assert f"Comparison with {registry.url}" in page.text
    for text in (
        "<script>document.title=", f"{P}: ahead", f"{P}: rollback", f"{Q}: unreadable",
        "event.missing_upstream", "rollback.event", "json.syntax", "/merge_version",
        "pith-open-graph-merge-v1", "Only here: 1", "first read", "1 record",
    ):  # fmt: skip
        assert text in page.text, text
    assert "default-src 'none'" in Path("report.html").read_text()


def test_a_report_without_differences_says_so(mirror: Mirror, registry: Registry) -> None:
    """And is written whole or not at all."""
    assert ask(mirror, registry, "--report", "report.html").exit_code == 0
    assert "None: everything that both sides have is equal." in _page("report.html").text
    ran = ask(mirror, registry, "--report", "no/such/folder/report.html")
    assert ran.exit_code == 3
    assert "output.failed" in ran.stderr


def test_the_size_of_a_report_is_limited(mirror: Mirror, registry: Registry) -> None:
    """A huge value is given by its size; of many names and causes, the rest is counted."""
    state = copy.deepcopy(state_of(PAPER_BUNDLE))
    state["current"]["citations"] = [
        {**entry(NEWS), "event_id": f"sha256:{number:064x}"} for number in range(3000)
    ]
    state["event_count"] = "x" * 10**6
    state["x" * 10**6] = 1
    registry.say(state)
    assert ask(mirror, registry, "--report", "report.html").exit_code == 1
    page = _page("report.html")
    assert len(Path("report.html").read_bytes()) < 100_000
    assert "1,000,002 bytes, too large for this page" in page.text
    assert "Only upstream: 3,001" in page.text
    assert "and 2,901 more" in page.text


# Real states ---------------------------------------------------------------------------------


def test_real_states_are_behind_by_one_event_that_is_named(mirror: Mirror) -> None:
    """States as the registry sent them, against its records merged without events."""
    heads = real_lines("state_heads")
    bundles = [
        make_bundle(one["canonical_record"], alias_claims=one["source_aliases"]) for one in heads
    ]
    upstream = [
        {
            "pith_number": one["pith_number"],
            "current": {
                "canonical_record": one["canonical_record"],
                "source_aliases": one["source_aliases"],
                "graph_snapshots": [
                    {"event_id": one["graph_event_id"], "created_at": one["graph_created_at"]}
                ],
            },
        }
        for one in heads
    ]
    Path("states.jsonl").write_bytes(b"\n".join(map(to_json, upstream)))
    Path("bundles.jsonl").write_bytes(b"\n".join(map(to_json, bundles)))
    mirror("merge", "bundles.jsonl", "--db", "real.db")
    ran = mirror("compare", "--upstream", "states.jsonl", "--db", "real.db", "--json")
    assert ran.exit_code == 1
    assert [line["status"] for line in ran.lines] == ["behind"] * len(heads)
    for line, one in zip(ran.lines, heads, strict=True):
        assert line["only_upstream"] == [one["graph_event_id"]]
        assert one["graph_event_id"] in line["cause"]
        assert line["first_difference"]["pointer"] == "/current/graph_snapshots/0"


# What is typed wrongly -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "give one of --upstream, --mirror, --history"),
        (("--upstream", "x", "--mirror", "y"), "give one of"),
        (("--upstream", "x", "--history", "y"), "give one of"),
        (("--mirror", "http://x", "2401.00001"), "go with --upstream"),
        (("--mirror", "http://x", "--no-history"), "go with --upstream"),
        (("--mirror", "http://x", "--bundles"), "go with --upstream"),
        (("--history", "x", "--upstream-name", "y"), "go with --upstream"),
        (("--history", "x", "y"), "go with --upstream"),
        (("--upstream", "x", "--quick"), "--quick goes with --mirror"),
        (("--history", "x", "--report", "y"), "--report goes with"),
    ],
)
def test_contradictory_options_are_a_usage_error(
    arguments: tuple[str, ...], text: str, mirror: Mirror
) -> None:
    """Nothing that was asked for is left out in silence: exit 2."""
    ran = mirror("compare", *arguments)
    assert ran.exit_code == 2
    assert text in ran.stderr


def test_a_missing_store_is_an_error(mirror: Mirror) -> None:
    """None is made."""
    for more in ((), ("--no-history",)):
        ran = mirror("compare", "--upstream", "x", "--db", "absent.db", *more)
        assert ran.exit_code == 4
        assert "store.absent" in ran.stderr
        assert not Path("absent.db").exists()


def test_an_empty_store_compares_with_nothing(mirror: Mirror, registry: Registry) -> None:
    """Without a record there is no request: exit 0, and a message."""
    mirror("keys", "list", "--db", "empty.db")
    with closing(sqlite3.connect("empty.db")):
        pass
    mirror("merge", "-", "--db", "empty.db", stdin=b"{}")
    ran = mirror("compare", "--upstream", registry.url, *POLITE, "--db", "empty.db")
    assert (ran.exit_code, ran.stdout) == (0, b"compared  nothing: there are no records\n")
    assert without(found(
        mirror("compare", "--upstream", "-", "--db", "empty.db", "--json",
               stdin=to_json(states()[Q[-26:]]))
    ), "causes", "cause", "digest", "is_known") == {
        "pith_number": Q, "status": "missing_here", "first_difference": None,
        "only_here": [], "only_upstream": [],
    }  # fmt: skip
