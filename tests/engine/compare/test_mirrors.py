"""Two mirrors compared over real sockets: what differs is named, with few requests; liars fail."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias, cast

import pytest

from mirror.cli import exit_codes
from mirror.core.comparison.causes import Comparison
from mirror.core.values import decode, encode
from mirror.engine.compare.mirrors import MirrorCompareOptions, compare_with_mirror
from mirror.engine.compare.states import CompareSummary
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.current import current_text
from mirror.engine.states.trust import add_keys, remove_keys
from mirror.engine.transparency.tree_nodes import node_page
from mirror.errors import StoreError, UpstreamError
from mirror.net import Client, ClientConfig
from mirror.store import Store, open_store
from mirror.web import ServerSettings
from tests.builders import (
    Object,
    Signer,
    author_claim,
    make_bundle,
    make_event,
    make_record,
    to_json,
)
from tests.cli.conftest import Mirror, mirror
from tests.helpers import keys_of
from tests.net.server import Handler, Site, message, redirecting, running, saying
from tests.oracle import pith_number_of, record_digest
from tests.synthetic import fill, make_leaves
from tests.web.conftest import served

__all__ = ["mirror"]  # the fixture

ALICE, BOB = Signer("alice"), Signer("bob")

RECORDS = [make_record(arxiv_id=f"2403.{number:05}") for number in range(76)]
"""More than are told as leaves. All stores have the first 70, an event about each of 8 of them."""
NUMBERS = [pith_number_of(record) for record in RECORDS]


def bundle(record: Object, signer: Signer = ALICE) -> Object:
    """A bundle of one event."""
    return make_bundle(record, [make_event(record, signer, "author_claimed", author_claim())])


def merge(store: Store, folder: Path, bundles: list[Object]) -> None:
    """Merge bundles."""
    source = folder / "bundles.jsonl"
    source.write_bytes(b"\n".join(map(to_json, bundles)))
    ingest(store, ReadRequest([str(source)], lambda _report: None))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of all records but the last few."""
    folder = tmp_path_factory.mktemp("base")
    with open_store(folder / "base.db") as store:
        add_keys(store, keys_of(ALICE, BOB))
        merge(store, folder, [bundle(record) for record in RECORDS[:8]])
        merge(store, folder, [make_bundle(record) for record in RECORDS[8:70]])
    return folder / "base.db"


@pytest.fixture
def here(base: Path, tmp_path: Path) -> Path:
    """Our store: a copy of it."""
    return Path(shutil.copy(base, tmp_path / "here.db"))


@pytest.fixture
def there(base: Path, tmp_path: Path) -> Path:
    """The other mirror's: another copy."""
    return Path(shutil.copy(base, tmp_path / "there.db"))


@contextmanager
def opened(path: Path) -> Iterator[Store]:
    """A store, and an empty one if it is not there."""
    with open_store(path) as store:
        yield store


def serve(path: Path) -> AbstractContextManager[str]:
    """Serve a store; the address, in a `with`."""
    return served(ServerSettings(store=path))


POLITE = ClientConfig(allow_private=True, requests_per_second=0, retries=0)


def run(path: Path, url: str, *, quick: bool = False) -> tuple[CompareSummary, list[Comparison]]:
    """Compare a store with a mirror: the tally, and what was told."""
    told: list[Comparison] = []
    progress: list[int] = []
    with open_store(path) as store, Client(POLITE) as client:
        errand = MirrorCompareOptions(
            url=url, quick=quick, on_finding=told.append, progress=progress.append
        )
        tally = compare_with_mirror(store, errand, client)
    assert len(told) == sum(progress)
    assert client.requests == tally.requests
    return tally, told


def by_number(told: list[Comparison]) -> dict[str, str]:
    """The status of each record that was told of, once each."""
    assert len({one.pith_number for one in told}) == len(told)
    return {one.pith_number: one.status for one in told}


# Honest mirrors ------------------------------------------------------------------------------


def test_equal_mirrors_take_one_request(here: Path, there: Path) -> None:
    """Whatever their size; with a slash at the end of the address or without."""
    with serve(there) as url:
        for address in (url, f"{url}/"):
            tally, told = run(here, address)
            assert ([], 1, 0) == (told, tally.requests, exit_codes.of_comparison(tally))
            assert {"match": 70} == tally.statuses


@pytest.mark.parametrize("count", [1, 2, 6])
def test_records_that_differ_are_named_with_few_requests(
    here: Path, there: Path, tmp_path: Path, count: int
) -> None:
    """The bound of the task: 4, and 6 for each; here it is 1, and 3 for each."""
    changed = RECORDS[:70:4][:count]
    with opened(there) as store:
        merge(store, tmp_path, [bundle(record, BOB) for record in changed])
    with serve(there) as url:
        tally, told = run(here, url)
        assert {pith_number_of(record): "behind" for record in changed} == by_number(told)
        assert {"behind": count, "match": 70 - count} == tally.statuses
        assert tally.requests <= 1 + 3 * count <= 4 + 6 * count
        assert 1 == exit_codes.of_comparison(tally)
        assert {"event.missing_here"} == {cause.code for one in told for cause in one.causes}
        quick, named = run(here, url, quick=True)
        assert dict.fromkeys(by_number(told), "differs") == by_number(named)
        assert {()} == {one.causes for one in named}
        assert quick.requests <= 1 + 2 * count
        assert 1 == exit_codes.of_comparison(quick)


def test_the_mirror_with_more_facts_is_named(here: Path, there: Path, tmp_path: Path) -> None:
    """An event here, an event there, and one on each side."""
    with opened(here) as store:
        merge(store, tmp_path, [bundle(record, BOB) for record in RECORDS[:2]])
    others = [make_event(record, BOB, "author_claimed", author_claim(status="withdrawn"))
              for record in RECORDS[1:3]]  # fmt: skip
    with opened(there) as store:
        merge(store, tmp_path, [
            make_bundle(record, [event]) for record, event in zip(RECORDS[1:3], others, strict=True)
        ])  # fmt: skip
    with serve(there) as url:
        _, told = run(here, url)
    expected = dict(zip(NUMBERS, ["ahead", "forked", "behind"], strict=False))
    assert expected == by_number(told)


def test_records_of_one_side_only_are_named(here: Path, there: Path, tmp_path: Path) -> None:
    """Each with its Pith Number, and without a request of its own."""
    with opened(here) as store:
        merge(store, tmp_path, [bundle(record) for record in RECORDS[70:72]])
    with opened(there) as store:
        merge(store, tmp_path, [bundle(record) for record in RECORDS[72:76]])
    with serve(there) as url:
        tally, told = run(here, url)
    ours = dict.fromkeys(NUMBERS[70:72], "missing_upstream")
    theirs = dict.fromkeys(NUMBERS[72:76], "missing_here")
    assert ours | theirs == by_number(told)
    assert {"match": 70, "missing_upstream": 2, "missing_here": 4} == tally.statuses
    assert tally.requests <= 1 + 2 * 6
    assert {"record.missing_here", "record.missing_upstream"} == {
        one.causes[0].code for one in told
    }


def test_an_empty_store_is_compared(here: Path, tmp_path: Path) -> None:
    """Ours, theirs, or both."""
    empty, few = tmp_path / "empty.db", tmp_path / "few.db"
    with opened(empty):
        pass
    with opened(few) as store:
        merge(store, tmp_path, [make_bundle(record) for record in RECORDS[:9]])
    with serve(empty) as url:
        tally, told = run(empty, url)
        assert ([], 1, 0) == (told, tally.requests, exit_codes.of_comparison(tally))
        assert 0 == tally.statuses.total()
        tally, told = run(here, url)
        assert dict.fromkeys(NUMBERS[:70], "missing_upstream") == by_number(told)
        assert (1, 1) == (tally.requests, exit_codes.of_comparison(tally))
    with serve(few) as url:
        tally, told = run(empty, url)
        assert dict.fromkeys(NUMBERS[:9], "missing_here") == by_number(told)
        assert (1, 1) == (tally.requests, exit_codes.of_comparison(tally))


@pytest.mark.parametrize("quick", [False, True])
def test_other_keys_are_the_first_cause(here: Path, there: Path, *, quick: bool) -> None:
    """K3: a state is a function of the key set, too, so it is said that they differ."""
    with opened(there) as store:
        theirs = store.trust_log.key_set().digest
    with opened(here) as store:
        remove_keys(store, [ALICE.key_id])
        ours = store.trust_log.key_set().digest
    with serve(there) as url:
        tally, told = run(here, url, quick=quick)
    assert sorted(NUMBERS[:8]) == sorted(by_number(told))
    for one in told:
        assert "key_set" == one.causes[0].code
        assert ours in one.causes[0].text
        assert theirs in one.causes[0].text
    assert tally.requests <= 4 + 6 * 8


def test_keys_without_events_make_no_difference(here: Path, there: Path) -> None:
    """Nothing is found, though the key sets differ: no state follows from that."""
    with opened(here) as store:
        add_keys(store, keys_of(Signer("carol")))
    with serve(there) as url:
        tally, told = run(here, url)
    assert ([], 1, 0) == (told, tally.requests, exit_codes.of_comparison(tally))


def test_the_local_tree_is_updated_first(here: Path, there: Path) -> None:
    """A merge that was cut off here is not taken for a difference."""
    with opened(here) as store, store.transaction():
        store.state_tree.clear()
        store.states.mark_stale([3])
    with serve(there) as url:
        assert (1, 0) == (run(here, url)[0].requests, exit_codes.of_comparison(run(here, url)[0]))


def test_a_store_that_is_only_read_is_compared(here: Path, there: Path) -> None:
    """If nothing has to be made first."""
    with serve(there) as url:
        with open_store(here, read_only=True) as store, Client(POLITE) as client:
            assert 0 == exit_codes.of_comparison(
                compare_with_mirror(store, MirrorCompareOptions(url=url), client)
            )
        with opened(here) as store, store.transaction():
            store.state_tree.enqueue([1])
        with (
            pytest.raises(StoreError),
            open_store(here, read_only=True) as store,
            Client(POLITE) as client,
        ):
            compare_with_mirror(store, MirrorCompareOptions(url=url), client)


def test_thousands_of_states_are_compared(tmp_path: Path) -> None:
    """Made-up ones over a real socket, and only named: nobody could say why they differ."""
    leaves = make_leaves(1500)
    others = [(record, bytes(32)) if at % 300 == 0 else (record, core)
              for at, (record, core) in enumerate(leaves)]  # fmt: skip
    for name, states in (("here", leaves), ("there", others)):
        with opened(tmp_path / name) as store:
            fill(store, states)
    with serve(tmp_path / "there") as url:
        tally, told = run(tmp_path / "here", url, quick=True)
    assert {"differs": 5, "match": 1495} == tally.statuses
    assert tally.requests <= 1 + 2 * 5
    assert 5 == len(told)


# Mirrors that merge --------------------------------------------------------------------------


def test_a_mirror_that_is_merging_is_asked_again(here: Path, there: Path) -> None:
    """503 while its tree lags behind: asked again, and given up politely."""
    with opened(there) as store, store.transaction():
        store.state_tree.enqueue([1])
    with serve(there) as url:
        with pytest.raises(UpstreamError, match="503") as caught:
            run(here, url)
        assert "upstream.busy" == caught.value.code
        pauses: list[float] = []

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            with opened(there) as store, store.transaction():
                store.state_tree.update()

        patient = ClientConfig(allow_private=True, requests_per_second=0, retries=3)
        with opened(here) as store, Client(patient, pause=pause) as client:
            assert 0 == exit_codes.of_comparison(
                compare_with_mirror(store, MirrorCompareOptions(url=url), client)
            )
    assert 1 == len(pauses)


# Mirrors that lie ----------------------------------------------------------------------------


@pytest.fixture
def site() -> Iterator[Site]:
    """A server that answers as a test says."""
    with running(Site()) as site:
        yield site


ROOT = "/mirror/tree/"

QUICKLY = ("--allow-private", "--rate", "0", "--retries", "0")

ODD: dict[str, tuple[Handler, str]] = {
    "a page": (saying(message(b"<html>", media_type="text/html")), "upstream.type"),
    "a page without a type": (saying(message(b"<html>", content_type="")), "upstream.tree"),
    "nothing": (saying(message(b"")), "upstream.tree"),
    "an empty object": (saying(message(b"{}")), "upstream.tree"),
    "a list": (saying(message(b"[]")), "upstream.tree"),
    "a tower": (saying(message(b"[" * 100_000)), "upstream.tree"),
    "not there": (saying(message(b"{}", status="404 Not Found")), "upstream.status"),
    "gone": (saying(message(b"{}", status="410 Gone")), "upstream.status"),
    "several": (saying(message(b"{}", status="300 Multiple Choices")), "upstream.status"),
    "broken": (saying(message(b"{}", status="500 Oops")), "upstream.status"),
    "busy": (saying(message(b"{}", status="503 Busy")), "upstream.busy"),
    "refused": (saying(message(b"{}", status="403 Forbidden")), "upstream.status"),
    "a circle": (redirecting(ROOT), "upstream.redirect"),
    "too much": (saying(message(b" " * (1 << 20) + b" ")), "upstream.size"),
    "much, it says": (saying(message(b"{}", content_length=str(10**12))), "upstream.size"),
    "less than it says": (saying(message(b"{}", content_length="99"), then_hang_up=True),
                          "upstream.truncated"),
    "hanging up": (saying(b"", then_hang_up=True), "upstream.unreachable"),
    "no HTTP": (saying(b"\x00\xff\r\n\r\n", then_hang_up=True), "upstream.unreachable"),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_a_server_that_is_no_mirror_is_reported(
    mirror: Mirror, site: Site, here: Path, name: str
) -> None:
    """Exit code 5, one line that says why, and nothing found."""
    handler, code = ODD[name]
    site.at(ROOT, handler)
    ran = mirror("compare", "--mirror", site.url(""), "--db", here, *QUICKLY)
    assert (5, b"") == (ran.exit_code, ran.stdout)
    assert f"error: {code} at http://127.0.0.1" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert {ROOT} == set(site.paths)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "nonsense", "ftp://a.b", "http://", ""])
def test_an_unreachable_address_is_reported(mirror: Mirror, here: Path, address: str) -> None:
    """Whatever it is."""
    ran = mirror("compare", "--mirror", address, "--db", here, *QUICKLY)
    assert (5, b"") == (ran.exit_code, ran.stdout)
    assert ran.stderr.startswith("error: upstream.")


def test_a_private_address_is_not_requested(mirror: Mirror, site: Site, here: Path) -> None:
    """An address of this house needs --allow-private."""
    ran = mirror("compare", "--mirror", site.url(""), "--db", here, "--retries", "0")
    assert 5 == ran.exit_code
    assert site.requests == []


# Answers that contradict each other ----------------------------------------------------------

Answers: TypeAlias = dict[str, Object]


@pytest.fixture(scope="module")
def honest(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What a mirror with two more events answers on every path that a comparison asks."""
    folder = tmp_path_factory.mktemp("honest")
    path = Path(shutil.copy(base, folder / "mirror.db"))
    with open_store(path) as store:
        merge(store, folder, [bundle(record, BOB) for record in CHANGED])
        with store.snapshot():
            names = ["", *(f"{number:02x}" for number in range(256))]
            answers = {f"{ROOT}{name}": node_page(store, name) for name in names}
            for record in RECORDS[:70]:
                suffix = pith_number_of(record)[-26:]
                (record_id,) = store.records.by_suffix(suffix)
                state = decode(current_text(store, record_id).rstrip())
                answers[f"/pith/{suffix}/state.json"] = cast("Object", state)
    return answers


CHANGED = sorted(RECORDS[20:22], key=record_digest)
"""The records that differ, as they come."""
FIRST, SECOND = (f"{ROOT}{record_digest(record)[:2]}" for record in CHANGED)
"""Where the tree leads to them."""


def publish(site: Site, answers: Answers) -> None:
    """Answer so."""
    for path, said in answers.items():
        site.at(path, saying(message(encode(said))))


def test_unchanged_pages_give_the_differences(site: Site, here: Path, honest: Answers) -> None:
    """What is told of in the tests below is what makes the difference."""
    publish(site, honest)
    tally, told = run(here, site.url(""))
    assert [pith_number_of(record) for record in CHANGED] == [one.pith_number for one in told]
    assert {"behind": 2, "match": 68} == tally.statuses
    assert 5 == tally.requests


def test_a_node_that_differs_from_the_page_above_ends_the_comparison(
    site: Site, here: Path, base: Path, honest: Answers
) -> None:
    """The node of a time before: true in itself, and no part of the root that was told."""
    with open_store(base, read_only=True) as store, store.snapshot():
        before = node_page(store, SECOND.removeprefix(ROOT))
    publish(site, honest | {SECOND: before})
    told: list[Comparison] = []
    with open_store(here) as store, Client(POLITE) as client:
        errand = MirrorCompareOptions(url=site.url(""), on_finding=told.append)
        with pytest.raises(UpstreamError, match="not the one that its page above lists") as caught:
            compare_with_mirror(store, errand, client)
    assert "upstream.changed" == caught.value.code
    assert [pith_number_of(CHANGED[0])] == [one.pith_number for one in told]


def test_a_root_that_changes_meanwhile_does_not_matter(
    site: Site, here: Path, honest: Answers
) -> None:
    """If the nodes that are asked for are those that were told: the rest is not ours to judge."""
    about = cast("Object", honest[FIRST]["about"])
    publish(site, honest | {FIRST: {**honest[FIRST], "about": {**about, "root": "1" * 64}}})
    assert {"behind": 2, "match": 68} == run(here, site.url(""))[0].statuses


LIES: dict[str, Callable[[Answers], Answers]] = {
    "a root of other nodes": lambda it: {ROOT: {**it[ROOT], "digest": "1" * 64}},
    "a node less": lambda it: {ROOT: {**it[ROOT], "nodes": _items(it[ROOT], "nodes")[1:]}},
    "another's node": lambda it: {FIRST: it[SECOND]},
    "the root everywhere": lambda it: {FIRST: it[ROOT]},
    "no leaves": lambda it: {FIRST: {**it[FIRST], "leaves": []}},
    "a leaf twice": lambda it: {
        FIRST: {**it[FIRST], "leaves": 2 * _items(it[FIRST], "leaves")}},
    "a size below zero": lambda it: {ROOT: {**it[ROOT], "size": -1}},
    "a size that is true": lambda it: {FIRST: {**it[FIRST], "size": True}},
    "another's number": lambda it: {FIRST: {**it[FIRST], "leaves": [
        {**leaf, "pith_number": "pith:2024:" + "A" * 26} for leaf in _items(it[FIRST], "leaves")
    ]}},
    "keys without end": lambda it: {ROOT: {**it[ROOT], "about": {"key_set_digest": "k" * 10**6}}},
}  # fmt: skip


def _items(said: Object, name: str) -> list[Object]:
    return cast("list[Object]", said[name])


@pytest.mark.parametrize("lie", LIES)
def test_a_page_that_contradicts_itself_ends_the_comparison(
    mirror: Mirror, site: Site, here: Path, honest: Answers, lie: str
) -> None:
    """Exit code 5, and no finding that rests on it."""
    publish(site, honest | LIES[lie](honest))
    ran = mirror("compare", "--mirror", site.url(""), "--db", here, *QUICKLY, "--json")
    assert (5, b"") == (ran.exit_code, ran.stdout)
    assert "error: upstream.tree at " in ran.stderr
    assert "Is this the address of a mirror?" in ran.stderr


STATES: dict[str, tuple[Handler, str, str]] = {
    "a page": (saying(message(b"<html>", media_type="text/html")), "unreadable", "upstream.type"),
    "no state": (saying(message(b"{}")), "unreadable", "state.shape"),
    "no JSON": (saying(message(b"nonsense")), "unreadable", "json.syntax"),
    "not there": (saying(message(b"{}", status="404 Not Found")), "unreadable", "upstream.status"),
    "cut off": (saying(message(b"{}", content_length="9"), then_hang_up=True), "unreadable",
                "upstream.truncated"),
}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_a_state_that_cannot_be_read_is_one_finding(
    mirror: Mirror, site: Site, here: Path, honest: Answers, name: str
) -> None:
    """The other records are compared all the same; exit code 1."""
    handler, status, code = STATES[name]
    publish(site, honest)
    site.at(_state_path(CHANGED[0]), handler)
    ran = mirror("compare", "--mirror", site.url(""), "--db", here, *QUICKLY, "--json")
    assert 1 == ran.exit_code
    assert [status, "behind"] == [line["status"] for line in ran.lines]
    assert code in ran.lines[0]["cause"]


def _state_path(record: Object) -> str:
    return f"/pith/{pith_number_of(record)[-26:]}/state.json"


def test_a_busy_mirror_ends_the_comparison_of_states(
    site: Site, here: Path, honest: Answers
) -> None:
    """It would be no better at the next."""
    publish(site, honest)
    site.at(_state_path(CHANGED[0]), saying(message(b"{}", status="503 Busy")))
    with pytest.raises(UpstreamError) as caught:
        run(here, site.url(""))
    assert "upstream.busy" == caught.value.code


def test_a_tree_that_its_states_contradict_is_a_finding(
    mirror: Mirror, site: Site, here: Path, base: Path, honest: Answers
) -> None:
    """It says that a record differs, and shows the state that we have."""
    with open_store(base, read_only=True) as store:
        (record_id,) = store.records.by_suffix(pith_number_of(CHANGED[0])[-26:])
        ours = cast("Object", decode(current_text(store, record_id).rstrip()))
    publish(site, honest | {_state_path(CHANGED[0]): ours})
    ran = mirror("compare", "--mirror", site.url(""), "--db", here, *QUICKLY, "--json")
    assert 1 == ran.exit_code
    assert ["differs", "behind"] == [line["status"] for line in ran.lines]
    assert ["tree"] == [cause["code"] for cause in ran.lines[0]["causes"]]


def test_the_state_of_another_record_is_no_match(site: Site, here: Path, honest: Answers) -> None:
    """Nor does it make anything crash."""
    other = honest[_state_path(RECORDS[5])]
    publish(site, honest | {_state_path(CHANGED[0]): other})
    _, told = run(here, site.url(""))
    assert not told[0].is_same
    assert pith_number_of(CHANGED[0]) == told[0].pith_number


# The command ---------------------------------------------------------------------------------


def test_the_command_names_what_differs(
    mirror: Mirror, site: Site, here: Path, honest: Answers
) -> None:
    """To a person and as JSON Lines; --quick says no more than that."""
    publish(site, honest)
    names = [pith_number_of(record) for record in CHANGED]
    ran = mirror("compare", "--mirror", site.url(""), "--db", here, *QUICKLY)
    assert 1 == ran.exit_code
    assert all(f"behind: {name}: " in ran.stderr for name in names)
    assert b"68 records" in ran.stdout
    assert re.search(rb"requests +5\n", ran.stdout)
    ran = mirror("compare", "--mirror", site.url(""), "--db", here, *QUICKLY, "--json", "--quick")
    assert 1 == ran.exit_code
    assert names == [line["pith_number"] for line in ran.lines]
    assert ["differs"] * 2 == [line["status"] for line in ran.lines]
    assert re.search(r"requests +3\n", ran.stderr)


def test_the_command_finds_nothing_between_equals(mirror: Mirror, here: Path, there: Path) -> None:
    """Exit code 0."""
    with serve(there) as url:
        ran = mirror("compare", "--mirror", url, "--db", here, *QUICKLY)
    assert 0 == ran.exit_code
    assert re.search(rb"match +70 records\n", ran.stdout)


def test_mirror_and_upstream_exclude_each_other(mirror: Mirror, here: Path) -> None:
    """Not with an upstream at the same time."""
    ran = mirror("compare", "--mirror", "http://a", "--upstream", "b", "--db", here)
    assert 2 == ran.exit_code
