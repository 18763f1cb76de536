"""A cluster gives the same as one machine: root, states, findings in order, counts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from distributed import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror.archive import ReadLimits
from mirror.core.keys import parse_key_set
from mirror.engine.cluster import (
    ClusterRequest,
    ClusterResult,
    TaskSizes,
    merge_on_cluster,
)
from mirror.errors import OutputError
from tests import oracle
from tests.archive.tar_builders import write_files
from tests.builders import (
    Object,
    Signer,
    author_claim,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    revocation,
    sign_event_again,
    to_json,
)
from tests.cluster.dask_program import local_cluster
from tests.cluster.scenarios import NO_KEYS, USUAL, Answer, clustered, single
from tests.cluster.sources import KINDS
from tests.engine.invented_envelopes import ALICE as WRITER
from tests.engine.invented_envelopes import RECORD as PAPER
from tests.engine.invented_envelopes import THREE, by_nobody, other_names
from tests.helpers import keys_of
from tests.profiles import of_make, profile_of, trusting
from tests.properties.strategies import ALICE, JUDGE, KEY_SETS, groupings, worlds
from tests.vectors.test_bundles import bundles_in

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"
DEMO_KEYS = parse_key_set((BUNDLES / "demo-keys.json").read_bytes())
INVALID = sorted({*(BUNDLES / "invalid").glob("*.json")} - {*BUNDLES.rglob("*.expected.json")})
CUT = TaskSizes(split_bytes=15_000, row_group_bytes=10_000, prefix_digits=1)
SAMPLES = [str(path) for path in (BUNDLES / "demo.tar", *INVALID, BUNDLES / "pith.tar")]


# Random worlds -------------------------------------------------------------------------------


@cache
def others() -> list[bytes]:
    """Bundles of other records than the one of `worlds`, which a merge must distinguish."""
    found: list[Object] = []
    for number in range(5):
        record = make_record(f"Paper {number}", arxiv_id=f"2402.{number:05}")
        claims = [
            make_event(record, ALICE, "author_claimed", author_claim(method=method))
            for method in ("orcid", "email")
        ]  # one authority, one slot, one instant: an equivocation
        revoked = make_event(record, JUDGE, "event_revoked", revocation(claims[0]["event_id"]))
        found += [
            make_bundle(record, alias_claims=[]),
            make_bundle(record, claims[:1], [make_receipt(record, ALICE)]),
            make_bundle(record, claims[1:]),
            make_bundle(record, [revoked, {**claims[1], "payload": {}}]),
            make_bundle(record, [sign_event_again(claims[0], ALICE)]),
        ]
    return [*map(to_json, found), *(oracle.canonical(one) for one in found)]


BROKEN = [b"", b"{", b"[]", b'{"a":1,"a":1}', *(path.read_bytes().strip() for path in INVALID)]


@st.composite
def texts(draw: st.DrawFn) -> list[bytes]:
    """Bundles of up to six records, with repeats, other spellings and invalid text."""
    found = [to_json(one) for one in draw(groupings(draw(worlds())))]
    found += [json.dumps(json.loads(one), sort_keys=True).encode() for one in found[:1]]
    found += draw(st.lists(st.sampled_from(others()), max_size=9))
    found += draw(st.lists(st.sampled_from(BROKEN), max_size=3))
    return draw(st.permutations(found))


Deal = list[tuple[str, list[bytes]]]
"""Sources in order: the kind and the content of each."""


@st.composite
def deals(draw: st.DrawFn) -> Deal:
    """Bundles distributed over one to five sources of any kind."""
    kinds = draw(st.lists(st.sampled_from([*KINDS]), min_size=1, max_size=5))
    deal: Deal = [(kind, []) for kind in kinds]
    for text in draw(texts()):
        draw(st.sampled_from(deal))[1].append(text)
    return deal


def sizes() -> st.SearchStrategy[TaskSizes]:
    """Whole sources or small splits, in few or many partitions."""
    limits = st.sampled_from([1, 3000, 1 << 24])
    digits = st.sampled_from([0] * 7 + [2])  # with 256 partitions it takes four times as long
    return st.builds(TaskSizes, split_bytes=limits, row_group_bytes=limits, prefix_digits=digits)


def write_deal(folder: Path, deal: Deal) -> list[str]:
    """Write every source; return their names in order."""
    names = []
    for number, (kind, found) in enumerate(deal):
        path = folder / f"{number}"
        KINDS[kind](path, found)
        names.append(str(path))
    return names


@pytest.mark.filterwarnings(  # Dask's own threads do, at any time
    "ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning"
)
@settings(max_examples=settings().max_examples // 12)
@given(
    deal=deals(),
    sizes=sizes(),
    signers=st.sampled_from([KEY_SETS[0], *KEY_SETS]),
    chance=st.randoms(use_true_random=False),
)
def test_random_bundles_in_random_sources_give_the_result_of_one_machine(
    client: Client,
    tmp_path_factory: pytest.TempPathFactory,
    *,
    deal: Deal,
    sizes: TaskSizes,
    signers: Sequence[Signer],
    chance: Random,
) -> None:
    """For any distribution; in another order of the sources, the states are the same."""
    folder, keys = tmp_path_factory.mktemp("world"), keys_of(*signers)
    names = write_deal(folder, deal)
    expected = single(names, keys)
    chance.shuffle(names)
    answer = clustered(client, names, folder / "out", keys=keys, sizes=sizes)
    assert single(names, keys) == answer
    assert (expected.root, expected.states) == (answer.root, answer.states)


# The committed samples -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def expected() -> Answer:
    """The result of one machine for all samples."""
    return single(SAMPLES, DEMO_KEYS)


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Client]:
    """A cluster whose size can be changed."""
    with local_cluster(1) as client:
        yield client


@pytest.mark.parametrize("workers", [1, 3])
def test_result_does_not_depend_on_the_number_of_workers(
    own_cluster: Client, tmp_path: Path, expected: Answer, workers: int
) -> None:
    """One worker does all, or three do little each."""
    cluster = own_cluster.cluster
    assert cluster is not None
    cluster.scale(workers)
    own_cluster.wait_for_workers(workers)
    assert expected == clustered(own_cluster, SAMPLES, tmp_path / "1", keys=DEMO_KEYS, sizes=CUT)


@pytest.mark.parametrize("sizes", [USUAL, CUT], ids=["whole", "cut"])
def test_samples_on_two_workers(
    client: Client, tmp_path: Path, expected: Answer, sizes: TaskSizes
) -> None:
    """The cluster that the other tests use."""
    assert expected == clustered(client, SAMPLES, tmp_path / "out", keys=DEMO_KEYS, sizes=sizes)


def test_events_of_other_envelopes(client: Client, tmp_path: Path) -> None:
    """The shipped key set has the profiles, whose verdicts are shuffled, too."""
    keys = trusting(profile_of(of_make(other_names)), profile_of(of_make(by_nobody), "z"))
    events = [make(said, WRITER) for make in (other_names, by_nobody) for said in THREE]
    forged = {**events[0], "body": {"changed": 1}}
    dealt: list[list[Any]] = [events[:4], [*events[2:], forged, "junk"]]
    for number, some in enumerate(dealt):
        (tmp_path / f"{number}.json").write_bytes(to_json(make_bundle(PAPER, some)))
    names = [str(tmp_path / "0.json"), str(tmp_path / "1.json")]
    answer = clustered(client, names, tmp_path / "out", keys=keys)
    assert single(names, keys) == answer
    assert (6, 2) == (answer.root.events_valid, answer.root.events_invalid)


@pytest.mark.parametrize("name", ["demo", "pith"])
def test_states_equal_the_committed_ones(client: Client, tmp_path: Path, name: str) -> None:
    """And not only the profiles that this program makes elsewhere."""
    keys = DEMO_KEYS if name == "demo" else NO_KEYS
    answer = clustered(client, [str(BUNDLES / f"{name}.tar")], tmp_path / "out", keys=keys)
    committed = (BUNDLES / f"{name}.states.jsonl").read_bytes().splitlines(keepends=True)
    assert sorted(committed) == sorted(text.encode() for text in answer.texts.values())
    assert [] == answer.findings


def test_digests_equal_those_of_the_oracle(client: Client, tmp_path: Path) -> None:
    """M12: both digests of a row are those of its state, by the oracle."""
    oracle_keys = oracle.load_keys((BUNDLES / "demo-keys.json").read_bytes())
    bundles = bundles_in("demo.tar")
    answer = clustered(client, [str(BUNDLES / "demo.tar")], tmp_path / "out", keys=DEMO_KEYS)
    for row in answer.states.values():
        read = [one for one in bundles if one["pith_number"] == row.pith_number]
        assert oracle.state_digest(oracle.merge(read, oracle_keys)) == row.state_digest
        assert oracle.core_digest(read, oracle_keys) == row.core_digest


def test_an_event_with_two_signatures_is_counted_as_by_mirror_root(
    client: Client, tmp_path: Path
) -> None:
    """M1: one event, two values; both ways count both."""
    record = make_record()
    event = make_event(record, ALICE, "author_claimed", author_claim())
    bundle = make_bundle(record, [event, sign_event_again(event, ALICE)])
    (tmp_path / "source").write_bytes(to_json(bundle))
    names, keys = [str(tmp_path / "source")], keys_of(ALICE)
    assert single(names, keys).root == clustered(client, names, tmp_path / "out", keys=keys).root


# The results of another run ------------------------------------------------------------------


def order_of(folder: Path, **changes: Any) -> ClusterRequest:
    """The request, with some members replaced."""
    return replace(
        ClusterRequest([str(folder / "source")], str(folder / "out"), DEMO_KEYS), **changes
    )


@pytest.fixture(scope="module")
def finished(
    client: Client, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, ClusterResult]:
    """A folder with a source and the results of a run, and its answer."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "source").write_bytes((BUNDLES / "demo.tar").read_bytes())
    return folder, merge_on_cluster(client, order_of(folder))


def traces(folder: Path) -> dict[str, tuple[int, int]]:
    """All files of a folder, and when each was written."""
    found = {path: path.stat() for path in sorted(folder.rglob("*"))}
    return {f"{path}": (about.st_ino, about.st_mtime_ns) for path, about in found.items()}


def test_repeated_request_returns_the_same_result_and_writes_nothing(
    client: Client, finished: tuple[Path, ClusterResult]
) -> None:
    """All results exist: neither sources nor states are read."""
    folder, dataset = finished
    before = traces(folder)
    assert dataset == merge_on_cluster(client, order_of(folder))
    assert before == traces(folder)


OTHERS: dict[str, dict[str, Any]] = {
    "key set": {"keys": NO_KEYS},
    "limits": {"limits": ReadLimits(events=7)},
    "task sizes": {"sizes": TaskSizes(row_group_bytes=7)},
    "sources": {"names": SAMPLES[1:3]},
    "key set, limits, task sizes, sources": {
        "keys": NO_KEYS,
        "limits": ReadLimits(depth=60),
        "sizes": TaskSizes(row_group_bytes=7),
        "names": [],
    },
}


@pytest.mark.parametrize(("differing", "changes"), OTHERS.items(), ids=OTHERS)
def test_results_of_another_run_are_not_overwritten(
    client: Client, finished: tuple[Path, ClusterResult], differing: str, changes: dict[str, Any]
) -> None:
    """`output.other_run`, with the difference; no file is changed."""
    folder, _ = finished
    before = traces(folder)
    with pytest.raises(OutputError, match=rf"output\.other_run.*differs in: {differing}$"):
        merge_on_cluster(client, order_of(folder, **changes))
    assert before == traces(folder)


def test_a_source_that_changed_since_makes_another_run(client: Client, tmp_path: Path) -> None:
    """Also if it has the same name and size; the earlier results are not returned."""
    source = tmp_path / "source"
    source.write_bytes(to_json(make_bundle(make_record("a"))))
    merge_on_cluster(client, order_of(tmp_path))
    before = traces(tmp_path / "out")
    source.write_bytes(to_json(make_bundle(make_record("b"))))
    with pytest.raises(OutputError, match=r"output\.other_run.*differs in: sources$"):
        merge_on_cluster(client, order_of(tmp_path))
    assert before == traces(tmp_path / "out")


@pytest.mark.parametrize(
    "name", ["dataset.json", "states/prefix=a/x", "findings/x", "_work/verified/x"]
)
def test_results_without_a_run_file_are_not_overwritten(
    client: Client, tmp_path: Path, name: str
) -> None:
    """`output.other_run`: other files could be taken for results, or be overwritten."""
    (tmp_path / "source").write_bytes(b"{")
    write_files(tmp_path / "out", {name: b"theirs"})
    before = traces(tmp_path)
    with pytest.raises(OutputError, match=r"output\.other_run"):
        merge_on_cluster(client, order_of(tmp_path))
    assert before == traces(tmp_path)


def test_other_files_beside_the_results_are_not_changed(client: Client, tmp_path: Path) -> None:
    """They are not changed."""
    (tmp_path / "source").write_bytes(to_json(make_bundle(make_record())))
    write_files(tmp_path / "out", {"README": b"ours", "notes/x": b"too"})
    assert 1 == merge_on_cluster(client, order_of(tmp_path)).root.records
    assert b"ours" == (tmp_path / "out/README").read_bytes()
    assert b"too" == (tmp_path / "out/notes/x").read_bytes()
