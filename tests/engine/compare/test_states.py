"""Comparing a store with upstream: what is read and how much of it at once, and what is kept."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mirror.archive import Bag, Member, ReadLimits, RefusedMember
from mirror.cli import exit_codes
from mirror.core.comparison.causes import Comparison
from mirror.core.keys import KeySet
from mirror.core.msgpack_values import pack
from mirror.core.values import canonical, decode, sha256
from mirror.engine.compare import states as compare_module
from mirror.engine.compare import upstream as upstream_module
from mirror.engine.compare.history import Rollback, history
from mirror.engine.compare.local import local_record, retired_ids
from mirror.engine.compare.states import (
    CompareOptions,
    CompareResult,
    CompareSummary,
    compare_with_upstream,
)
from mirror.engine.compare.upstream import (
    Unreadable,
    UpstreamSource,
    UpstreamStatement,
)
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.trust import add_keys
from mirror.engine.sync.requests import RecordRequest
from mirror.errors import LookUpError, SourceError, UpstreamError
from mirror.net import Client, ClientConfig
from mirror.store import Store, UpstreamStatementRow, open_store
from tests import oracle
from tests.builders import (
    Object,
    Signer,
    author_claim,
    citation,
    make_bundle,
    make_event,
    make_record,
    revocation,
    snapshot,
    to_json,
)
from tests.helpers import keys_of, merged

ALICE = Signer("alice")
STRANGER = Signer("stranger")
KEYS = keys_of(ALICE)

RECORDS = [make_record(f"Paper {index}", arxiv_id=f"2401.{index:05}") for index in range(6)]
NUMBERS = [oracle.pith_number_of(one) for one in RECORDS]
PAPER = RECORDS[0]
GRAPH = make_event(PAPER, ALICE, "graph_snapshot", snapshot())
CLAIM = make_event(PAPER, ALICE, "author_claimed", author_claim())
REVOCATION = make_event(PAPER, ALICE, "event_revoked", revocation(GRAPH["event_id"]))
STRANGE = make_event(PAPER, STRANGER, "citation_signed", citation())
BUNDLES = [make_bundle(PAPER, [GRAPH, CLAIM]), *map(make_bundle, RECORDS[1:])]


def merge_into(store: Store, folder: Path, *bundles: Any) -> None:
    """Merge bundles as `mirror merge` does."""
    path = folder / "bundles.jsonl"
    path.write_bytes(b"\n".join(map(to_json, bundles)))
    ingest(store, ReadRequest([str(path)], lambda _report: None))


def state_of(bundle: Object) -> Any:
    """What an honest registry prints of a record."""
    return merged([bundle], KEYS).value


def write_states(path: Path, *states: Any) -> str:
    """JSON Lines; the path."""
    path.write_bytes(b"\n".join(map(to_json, states)))
    return str(path)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store of six records, in a file."""
    with open_store(tmp_path / "mirror.db") as store:
        add_keys(store, KEYS)
        merge_into(store, tmp_path, *BUNDLES)
        yield store


@pytest.fixture
def client() -> Iterator[Client]:
    """A client that is not to be used."""
    with Client(ClientConfig(retries=0, requests_per_second=0)) as client:
        yield client


class Told(list[CompareResult]):
    """What was told, in order."""

    @property
    def statuses(self) -> list[str]:
        """What each comes to."""
        return ["rollback" if isinstance(one, Rollback) else one.status for one in self]

    @property
    def numbers(self) -> list[str]:
        """Of which record each is."""
        return [one.pith_number for one in self]


def run(
    store: Store, client: Client, place: str, *names: str, **changes: Any
) -> tuple[Told, CompareSummary]:
    """Compare a store with files; what was told, and what it came to."""
    told = Told()
    upstream = UpstreamSource(place, store.trust_log.key_set(), changes.pop("bundles", False))
    errand = CompareOptions(upstream=upstream, names=names, on_finding=told.append, **changes)
    return told, compare_with_upstream(store, errand, client)


# Reading -------------------------------------------------------------------------------------


@contextmanager
def _source_that_ends(*items: Any) -> Iterator[Any]:
    class Source:
        def items(self) -> Iterator[Any]:
            """Some items, and then the disk is gone."""
            yield from items
            raise SourceError("source.unreadable", "Input/output error", where="disk")

    yield Source()


def test_states_read_before_a_disk_error_are_compared(
    store: Store, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is exit 5, and nothing is called missing."""
    items = [Member(f"{index}", to_json(state_of(one))) for index, one in enumerate(BUNDLES[:3])]
    source = _source_that_ends(
        *items, Bag("0" * 64, {}), RefusedMember("x", "limit.size", "too large")
    )
    monkeypatch.setattr(upstream_module, "open_source", lambda *_: source)
    told = Told()
    upstream = UpstreamSource("disk", KEYS)
    with pytest.raises(UpstreamError) as caught:
        compare_with_upstream(
            store, CompareOptions(upstream=upstream, on_finding=told.append), client
        )
    assert (caught.value.code, caught.value.message) == (
        "upstream.unreadable",
        "Input/output error",
    )
    assert told.statuses == ["match", "match", "match", "unreadable"]
    assert len(history(store, NUMBERS[0])) == 1


def test_many_states_are_read_in_processes_and_stay_in_order(
    store: Store, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same findings, whoever reads."""
    monkeypatch.setattr(upstream_module, "_BATCH_MEMBERS", 1)
    place = write_states(tmp_path / "states", *map(state_of, BUNDLES), {"pith_number": "x"})
    told, _ = run(store, client, place)
    assert told.statuses == ["match"] * 6 + ["unreadable"]
    assert told.numbers[:6] == NUMBERS


def test_batches_are_limited_in_bytes(
    store: Store, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However large answers are, few of them are held."""
    monkeypatch.setattr(compare_module, "_BATCH_BYTES", 1)
    monkeypatch.setattr(upstream_module, "_BATCH_BYTES", 1)
    steps: list[int] = []
    place = write_states(tmp_path / "states", *map(state_of, BUNDLES[:4]))
    run(store, client, place, *NUMBERS[:4], progress=steps.append)
    assert steps == [1, 1, 1, 1]


def test_packed_bundles_are_read(client: Client) -> None:
    """MessagePack and JSON come to the same."""
    reader = UpstreamSource("-", KEYS, bundles=True)
    said = [
        reader.read("x", to_json(BUNDLES[0])),
        reader.read("x", pack(BUNDLES[0]), is_packed=True),
    ]
    assert said[0] == said[1]
    assert isinstance(said[0], UpstreamStatement)
    assert said[0].state == decode(canonical(state_of(BUNDLES[0])))
    assert said[0].text == canonical(BUNDLES[0])
    assert said[0].digest == sha256(canonical(state_of(BUNDLES[0])))


@pytest.mark.parametrize("number", [0.1, 1e-7, 1e16, 5e-324])
def test_another_notation_of_a_number_is_the_same_state(
    number: float, store: Store, client: Client, tmp_path: Path
) -> None:
    """Digests are of canonical bytes: a state with floats matches its own."""
    event = make_event(PAPER, ALICE, "x.y", {"n": number})
    bundle = make_bundle(PAPER, [event])
    merge_into(store, tmp_path, bundle)
    state = state_of(make_bundle(PAPER, [GRAPH, CLAIM, event]))
    text = to_json(state).replace(repr(number).encode(), f"{number:.20E}".encode())
    (tmp_path / "state").write_bytes(text)
    told, _ = run(store, client, str(tmp_path / "state"), NUMBERS[0])
    assert told.statuses == ["match"]
    (row, _), *_ = history(store, NUMBERS[0])
    assert row.text == canonical(state)


@pytest.mark.parametrize(
    ("data", "bundles", "code", "message"),
    [
        (b"{}", False, "state.shape", "/pith_number: must be a Pith Number"),
        (b"{}", True, "bundle.shape", ""),
        (b"\xff", False, "json.syntax", "byte 0: the text is not UTF-8"),
        (to_json({**BUNDLES[1], "canonical_sha256": "0" * 64}), True, "record.digest", ""),
        (to_json({**BUNDLES[1], "pith_number": NUMBERS[2]}), True, "record.number", ""),
        (to_json(make_bundle(PAPER, [0] * 7)), True, "limit.count", ""),
    ],
)
def test_a_statement_that_cannot_be_compared_has_a_code(
    data: bytes,
    bundles: bool,  # noqa: FBT001
    code: str,
    message: str,
) -> None:
    """And with the record that was asked for."""
    reader = UpstreamSource("-", KEYS, bundles, ReadLimits(events=6))
    answer = reader.read("place", data, RecordRequest(NUMBERS[0], "suffix", NUMBERS[0]))
    assert isinstance(answer, Unreadable)
    assert (answer.where, answer.pith_number, answer.code) == ("place", NUMBERS[0], code)
    assert message in answer.message
    assert answer.reason.startswith(f"place: {answer.message}")
    assert answer._replace(where="").reason.startswith(answer.message)
    assert answer.reason.endswith("provably wrong") == code.startswith("record.")


def test_an_answer_counts_for_the_record_that_was_asked_for() -> None:
    """Whatever it speaks of; without a question, for the one that it names."""
    reader = UpstreamSource("-", KEYS)
    data = to_json(state_of(BUNDLES[1]))
    for wish, number in (
        (RecordRequest("", ""), NUMBERS[1]),
        (RecordRequest("2401.00001", "2401.00001"), NUMBERS[1]),
        (RecordRequest(NUMBERS[0], NUMBERS[0][-26:], NUMBERS[0]), NUMBERS[0]),
    ):
        answer = reader.read("place", data, wish)
        assert isinstance(answer, UpstreamStatement)
        assert (answer.pith_number, answer.state["pith_number"]) == (number, NUMBERS[1])


# Our side ------------------------------------------------------------------------------------


def test_the_local_side_has_valid_events_and_codes_of_the_others(
    store: Store, tmp_path: Path
) -> None:
    """By the ids that they bear; of several of one id, the code of the true one."""
    forged = {**STRANGE, "payload": {}}
    shapeless = {"event_id": STRANGE["event_id"]}
    junk = [None, 7, {}, {"event_id": 7}]
    other = {"event_id": "sha256:" + "1" * 64}
    events = [shapeless, STRANGE, forged, other, REVOCATION, *junk]
    merge_into(store, tmp_path, make_bundle(PAPER, events))
    here = local_record(store, 1)
    assert here.valid == {one["event_id"] for one in (GRAPH, CLAIM, REVOCATION)}
    assert here.refused == {
        STRANGE["event_id"]: "event.key_unknown",
        other["event_id"]: "event.shape",
    }
    assert here.state == state_of(make_bundle(PAPER, [GRAPH, CLAIM, *events]))
    assert retired_ids(store, 1) == {GRAPH["event_id"]}


def test_states_that_lag_behind_are_made_first(
    store: Store, client: Client, tmp_path: Path
) -> None:
    """Also where the store is only read, and then they are not kept."""
    store.connection.execute("INSERT INTO stale VALUES (1, 0)")
    place = write_states(tmp_path / "states", state_of(BUNDLES[0]))
    told, _ = run(store, client, place, NUMBERS[0], keep_history=False)
    assert told.statuses == ["match"]
    assert store.states.staleness(1) is not None
    told, _ = run(store, client, place, NUMBERS[0])
    assert told.statuses == ["match"]
    assert store.states.staleness(1) is None


def test_records_that_come_meanwhile_are_not_expected(
    store: Store, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was merged after the run began, upstream need not speak of; it may, all the same."""
    monkeypatch.setattr(compare_module, "_MANY", 1)
    late, later = (
        make_bundle(make_record(f"Late {index}", arxiv_id=f"2402.{index:05}")) for index in range(2)
    )
    told = Told()

    def tell(finding: CompareResult) -> None:
        if not told:
            merge_into(store, tmp_path, late, later)
        told.append(finding)

    place = write_states(tmp_path / "states", *map(state_of, [*BUNDLES, late]))
    compare_with_upstream(
        store, CompareOptions(upstream=UpstreamSource(place, KEYS), on_finding=tell), client
    )
    assert told.statuses == ["match"] * 7


# Memory --------------------------------------------------------------------------------------


def kept(store: Store) -> list[tuple[str, str, bytes]]:
    """All that is kept of the first paper."""
    return [(row.upstream, row.kind, row.digest) for row, _ in history(store, NUMBERS[0])]


def test_a_repeated_statement_is_stored_once(store: Store, client: Client, tmp_path: Path) -> None:
    """What was said otherwise in between is kept again."""
    state = state_of(BUNDLES[0])
    other = {**state, "more": 1}
    for said in (state, state, other, other, state):
        (tmp_path / "said").write_bytes(to_json(said))
        run(store, client, str(tmp_path / "said"), NUMBERS[0], upstream_name="registry")
    digests = [sha256(canonical(one)) for one in (state, other, state)]
    assert kept(store) == [("registry", "state", digest) for digest in digests]


def test_states_and_bundles_have_separate_histories(
    store: Store, client: Client, tmp_path: Path
) -> None:
    """A bundle holds what no state shows: one is never held against the other."""
    place = write_states(tmp_path / "said", state_of(BUNDLES[0]))
    run(store, client, place, NUMBERS[0])
    (tmp_path / "said").write_bytes(to_json(BUNDLES[0]))
    told, _ = run(store, client, place, NUMBERS[0], bundles=True)
    assert told.statuses == ["match"]
    assert kept(store) == [
        (place, "bundle", sha256(canonical(BUNDLES[0]))),
        (place, "state", sha256(canonical(state_of(BUNDLES[0])))),
    ]


def test_an_event_that_is_retired_here_need_not_be_shown(
    store: Store, client: Client, tmp_path: Path
) -> None:
    """Where upstream prints no retired events, ours say what became of it."""
    merge_into(store, tmp_path, make_bundle(PAPER, [REVOCATION]))
    before = {"pith_number": NUMBERS[0], "current": {"graph_snapshots": [{
        "event_id": GRAPH["event_id"]}]}}  # fmt: skip
    after = {"pith_number": NUMBERS[0], "current": {"graph_snapshots": []}}
    for said in (before, after):
        place = write_states(tmp_path / "said", said)
        told, tally = run(store, client, place, NUMBERS[0])
        assert tally.rollbacks == 0
    assert told.statuses == ["match"]
    # A bundle holds what is retired, too.
    for events in ([GRAPH, CLAIM, REVOCATION], [CLAIM, REVOCATION]):
        (tmp_path / "said").write_bytes(to_json(make_bundle(PAPER, events)))
        told, _ = run(store, client, place, NUMBERS[0], bundles=True)
    assert told.statuses == ["ahead", "rollback"]


def test_a_rollback_of_a_record_that_is_not_here_is_found(
    store: Store, client: Client, tmp_path: Path
) -> None:
    """Upstream is held to its own word, whatever we have; its history goes by its number."""
    paper = make_record("Elsewhere", arxiv_id="2409.00001")
    event = make_event(paper, ALICE, "graph_snapshot", snapshot())
    for events, statuses in (([event], ["missing_here"]), ([], ["missing_here", "rollback"])):
        place = write_states(tmp_path / "said", state_of(make_bundle(paper, events)))
        told, tally = run(store, client, place, oracle.pith_number_of(paper))
        assert told.statuses == statuses
    assert (tally.rollbacks, exit_codes.of_comparison(tally)) == (1, 1)
    rollback = told[-1]
    assert isinstance(rollback, Rollback)
    printed: Any = rollback.to_value()
    assert list(printed) == [
        "pith_number", "status", "upstream", "kind", "cause", "causes", "before", "after",
    ]  # fmt: skip
    assert printed["before"]["sha256"] == rollback.before.digest.hex()
    assert [len(causes) for _, causes in history(store, oracle.pith_number_of(paper))] == [0, 3]


def test_a_history_of_nothing_is_an_error(store: Store) -> None:
    """For a record that is here, one that is not, and a name of nothing."""
    for name in (NUMBERS[0], "pith:2024:" + "A" * 26, "", "\udcff"):
        with pytest.raises(LookUpError) as caught:
            history(store, name)
        assert caught.value.code == "lookup.unknown"


def test_a_source_given_twice_is_compared_twice(
    store: Store, client: Client, tmp_path: Path
) -> None:
    """A source that contradicts itself takes back its own word."""
    state = state_of(BUNDLES[0])
    less = copy.deepcopy(state)
    less["current"]["graph_snapshots"] = []
    told, _ = run(store, client, write_states(tmp_path / "x", state, less), NUMBERS[0])
    assert told.statuses == ["match", "ahead", "rollback"]


# What a run comes to -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statuses", "rollbacks", "code"),
    [
        ({}, 0, 0),
        ({"match": 2}, 0, 0),
        ({"match": 2, "match_known": 1}, 0, 0),
        ({"match": 2}, 1, 1),
        ({"match": 2, "unreadable": 1}, 0, 1),
        ({"unreadable": 2}, 0, 5),
        ({"missing_upstream": 2}, 0, 1),
        ({"missing_upstream": 2, "unreadable": 1}, 0, 1),
        *(({one: 1}, 0, 1) for one in ("behind", "ahead", "forked", "differs", "missing_here")),
    ],
)
def test_exit_codes(statuses: dict[str, int], rollbacks: int, code: int) -> None:
    """0 only if all that was compared is the same; 5 if nothing could be read."""
    assert exit_codes.of_comparison(CompareSummary(Counter(statuses), rollbacks)) == code


def test_a_summary_counts_comparisons() -> None:
    """Comparisons by status; rollbacks apart."""
    claim = UpstreamStatementRow("x", NUMBERS[0], "state", b"", "", b"")
    tally = CompareSummary()
    tally.count(Comparison(pith_number=NUMBERS[0], status="match"))
    tally.count(Rollback(NUMBERS[0], "x", "state", [], claim, claim))
    assert (tally.statuses, tally.rollbacks) == ({"match": 1}, 1)


def test_the_name_of_an_upstream_is_always_text() -> None:
    """The slash at the end of an address means nothing; bytes that are no text are spelled out."""
    for place, called, name in (
        ("https://pith.science/", "", "https://pith.science"),
        ("folder/", "", "folder"),
        ("folder/", "registry", "registry"),
        ("\udcff", "", "\\xff"),
    ):
        errand = CompareOptions(upstream=UpstreamSource(place, KeySet()), upstream_name=called)
        assert errand.history_name == name
