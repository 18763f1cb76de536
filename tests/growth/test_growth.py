"""Time grows linearly with the input, not quadratically: each entry point at n, 2n and 4n.

Work is counted, not timed (`tests.growth.work`). An entry point of cost n² would show 4 here,
n·log n a little more than 2. Cost that has a fixed limit, such as events on a page, shows less.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from hashlib import sha256

import pytest

from mirror.archive import ReadLimits
from mirror.engine.ingest import merge as ingest_module
from mirror.engine.ingest import pipeline as verify_module
from mirror.store import UpstreamStatementRow, open_store
from mirror.store.acknowledgements import AcknowledgementRequest, CoveredFindings
from tests.builders import Object, make_bundle, make_record, to_json
from tests.growth.inputs import (
    AUTHOR,
    NUMBER,
    RECORD,
    STRANGER,
    SUFFIX,
    Action,
    Prepare,
    adding_keys,
    adding_many_keys,
    alias,
    bag_of,
    bags,
    changing_trust,
    cited,
    claim,
    command,
    comparing,
    contradiction,
    export,
    files_in,
    finding,
    folder_of,
    headers_of,
    increment,
    json_of,
    listing,
    malformed,
    members,
    merging,
    merging_lines,
    one_changed,
    receipt,
    record_of,
    requesting,
    revoked,
    said_again,
    stamped,
    store_of,
    tar_of,
    vouched,
)
from tests.growth.work import growth

SIZE = 12
"""n."""
LINEAR = 2.3
"""Largest accepted growth; 2 is linear."""


@pytest.fixture(autouse=True, scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make many transactions and batches of few bundles; inputs are in a separate folder."""
    with pytest.MonkeyPatch.context() as changes, files_in(tmp_path_factory.mktemp("inputs")):
        changes.setattr(ingest_module, "TRANSACTION_BUNDLES", 4)
        changes.setattr(ingest_module, "LARGE_RECORD_FACTS", 8)
        changes.setattr(verify_module, "BATCH_BUNDLES", 2)
        yield


def _events(*events: Object) -> Object:
    return make_bundle(RECORD, events, None, [])


def _each(*bundles: Object) -> Action:
    return merging_lines(bundles)


def _revoking(size: int, *, one: bool) -> Action:
    targets = [claim(number) for number in range(1 if one else size)]
    revocations = [revoked(n, targets[0 if one else n]) for n in range(size)]
    return _each(_events(*targets, *revocations))


BUNDLES: dict[str, Prepare] = {
    "valid events": lambda n: _each(*(_events(claim(i)) for i in range(n))),
    "events of unknown keys": lambda n: _each(*(_events(claim(i, STRANGER)) for i in range(n))),
    "malformed events": lambda n: merging_lines(make_bundle(RECORD, [i]) for i in range(n)),
    "alias times": lambda n: _each(*(make_bundle(RECORD, [], None, [alias(i)]) for i in range(n))),
    "receipts": lambda n: _each(*(make_bundle(RECORD, [], [receipt(i)], []) for i in range(n))),
    "beyond the quota": lambda n: merging_lines(
        (make_bundle(RECORD, [i], [receipt(i)], [alias(i)]) for i in range(n)),
        ReadLimits(kept_invalid=3),
    ),
    "repeats": lambda n: _each(*[_events(claim(1))] * n),
    "two records in turn": lambda n: merging_lines(
        make_bundle(record_of(i % 2), [claim(i, STRANGER, i % 2)]) for i in range(n)
    ),
    "records": lambda n: merging_lines(vouched(n)),
    "records of one name": lambda n: merging_lines(
        make_bundle(make_record(f"title {i}")) for i in range(n)
    ),
    "citations": lambda n: _each(*(_events(cited(i)) for i in range(n))),
}
"""n bundles as JSON Lines, of different records by default."""

BUNDLE: dict[str, Prepare] = {
    "valid events": lambda n: _each(_events(*map(claim, range(n)))),
    "events of unknown keys": lambda n: _each(_events(*(claim(i, STRANGER) for i in range(n)))),
    "malformed events": lambda n: _each(make_bundle(RECORD, list(range(n)))),
    "alias times": lambda n: _each(make_bundle(RECORD, [], None, list(map(alias, range(n))))),
    "receipts": lambda n: _each(make_bundle(RECORD, [], [receipt(i, STRANGER) for i in range(n)])),
    "revocations of one event": lambda n: _revoking(n, one=True),
    "events each revoked": lambda n: _revoking(n, one=False),
    "one slot said again": lambda n: _each(_events(*map(said_again, range(n)))),
    "equivocations": lambda n: _each(_events(*map(contradiction, range(2 * n)))),
    "citations": lambda n: _each(_events(*map(cited, range(n)))),
    "references": lambda n: _each(_events(listing(n))),
}
"""One bundle with n of each."""

ARCHIVES: dict[str, Prepare] = {
    "members of a tar": lambda n: merging(tar_of(members(n))),
    "members of one name": lambda n: merging(tar_of([("bundle.json", b"{}")] * n)),
    "members that are one name in NFC": lambda n: merging(
        bag_of([(f"e\N{COMBINING ACUTE ACCENT}/{'é' * i}/bundle.json", b"{}") for i in range(n)])
    ),
    "members of a bag": lambda n: merging(bag_of(members(n))),
    "members that are no bundles": lambda n: merging(bag_of([(f"{i}", b"") for i in range(n)])),
    "lines of a manifest": lambda n: merging(bag_of(members(1), [f"{i}" for i in range(n)])),
    "bags in a tar": lambda n: merging(tar_of(bags(n))),
    "files of a folder": lambda n: merging(folder_of(n)),
}

TRUST: dict[str, Prepare] = {
    "keys in a key set": adding_many_keys(one_public_key=False),
    "names of one public key": adding_many_keys(one_public_key=True),
    "records that a new key touches": adding_keys,
    "records that a key leaves": lambda n: command(
        "keys", "remove", AUTHOR.key_id, "--db", store_of(vouched(n)), "--jobs", 1
    ),
}

DOCUMENTS: dict[str, Prepare] = {
    "integrity findings": lambda n: command(
        "verify", json_of({"events": list(map(finding, range(n)))})
    ),
    "findings below a long name": lambda n: command(
        "verify", json_of({"e" * 1000 * n: list(map(finding, range(n)))})
    ),
}

COMMANDS: dict[str, Prepare] = {
    "export": lambda n: export()(vouched(n)),
    "export packed": lambda n: export("--packed")(vouched(n)),
    "export what is verified": lambda n: export("--valid-only")(vouched(n)),
    "export one record": lambda n: export("--valid-only")(
        [_events(*map(claim, range(n)), *(claim(i, STRANGER) for i in range(n)), *range(n))]
    ),
    "export an increment": increment,
    "show": lambda n: command("show", NUMBER, "--db", store_of([_events(*map(claim, range(n)))])),
    "show an event": lambda n: command(
        "show", "sha256:00000000", "--db", store_of([*map(_events, map(claim, range(n)))])
    ),
    "history of one arrival": lambda n: command(
        "history", NUMBER, "--db", store_of([_events(*map(claim, range(n)))])
    ),
    "history of trust": lambda n: changing_trust(n, AUTHOR, "history", NUMBER),
    "history beside changes of other keys": lambda n: changing_trust(
        n, STRANGER, "history", NUMBER
    ),
    "diff": lambda n: command(
        "diff", NUMBER, "2001-09-09", "--db", store_of([_events(*map(claim, range(n)))])
    ),
    "diff of all records": lambda n: command(
        "diff", "--since", "2001-09-09", "--db", store_of(vouched(n))
    ),
    "show citations": lambda n: command(
        "show", NUMBER, "--db", store_of([_events(*map(cited, range(n)))])
    ),
    "compare a state": lambda n: comparing(list(map(claim, range(n)))),
    "check records": lambda n: command("check", "--db", store_of(vouched(n)), "--jobs", 1),
    "check a record of many arrivals": lambda n: command(
        "check", "--db", store_of(_events(claim(i, STRANGER)) for i in range(n)), "--jobs", 1
    ),
    "rebuild": lambda n: command("rebuild", "--db", store_of(vouched(n)), "--jobs", 1),
    "add headers": lambda n: command(
        "headers", "add", headers_of(50 * n), "--height", 0, "--db", store_of([])
    ),
    "check time-stamps": lambda n: command(
        "anchors", "--db", store_of([_events(*map(stamped, range(n)))])
    ),
    "check time-stamps of records without": lambda n: command(
        "anchors", "--db", store_of(vouched(n))
    ),
    "index": lambda n: command("find", "cs", "--db", store_of(vouched(n))),
    "index one record": lambda n: command(
        "find", "cs", "--db", store_of([_events(*map(claim, range(n)))])
    ),
    "find by a name of many": lambda n: command(
        "find",
        "2401.00001",
        "--db",
        store_of((make_bundle(make_record(f"{i}")) for i in range(n)), indexed=True),
    ),
    "findings": lambda n: command("findings", "--db", store_of(malformed(n))),
    "findings of a code": lambda n: command(
        "findings", "--db", store_of(malformed(n)), "--code", "event.shape", "--json"
    ),
}


def _page(path: str, bundles: Callable[[int], Iterable[Object]]) -> Prepare:
    return lambda n: requesting(store_of(bundles(n), indexed=True), path)


PAGES: dict[str, Prepare] = {
    "valid events": _page(f"/pith/{SUFFIX}", lambda n: [_events(*map(claim, range(n)))]),
    "events that fail": _page(
        f"/pith/{SUFFIX}", lambda n: [_events(*(claim(i, STRANGER) for i in range(n)))]
    ),
    "malformed events": _page(f"/pith/{SUFFIX}", lambda n: [make_bundle(RECORD, list(range(n)))]),
    "citations": _page(f"/pith/{SUFFIX}", lambda n: [_events(*map(cited, range(n)))]),
    "time-stamps": _page(f"/pith/{SUFFIX}", lambda n: [_events(*map(stamped, range(n)))]),
    "references": _page(f"/pith/{SUFFIX}", lambda n: [_events(listing(n))]),
    "state": _page(f"/pith/{SUFFIX}/state.json", lambda n: [_events(*map(claim, range(n)))]),
    "bundle": _page(f"/pith/{SUFFIX}/bundle.json", lambda n: [_events(*map(claim, range(n)))]),
    "home": _page("/", vouched),
    "counts of findings": _page("/findings", malformed),
    "findings": _page("/findings?code=event.shape", malformed),
    "search": _page("/find?q=cs", vouched),
    "records of one name": _page(
        "/find?q=2401.00001", lambda n: [make_bundle(make_record(f"{i}")) for i in range(n)]
    ),
    "changes": _page("/mirror/changes", vouched),
}


def _history(size: int, *words: str) -> Action:
    """This many upstream statements about a record, for a command."""
    db = store_of([_events()])
    with open_store(db) as store, store.transaction():
        for number in range(size):
            text = to_json({"pith_number": NUMBER, "current": {}, "event_count": number})
            at = f"2026-01-01T00:00:00.{number:06}Z"
            row = UpstreamStatementRow("folder", NUMBER, "state", sha256(text).digest(), at, text)
            store.upstream_history.append(row)
    return command(*words, "--db", db)


def _log(size: int) -> Action:
    """A log of acknowledgements."""
    db = store_of(malformed(1))
    with open_store(db) as store, store.transaction():
        for number in range(size):
            request = AcknowledgementRequest(
                "2026-01-01T00:00:00Z", "a person", f"reason {number}", "all"
            )
            item = CoveredFindings(
                "event", 0, "event.shape", 0, 0, sha256(bytes([number])).digest()
            )
            store.acknowledgements.add(request, [item])
    return command("findings", "ack", "--list", "--db", db)


LISTS: dict[str, Prepare] = {
    "history": lambda n: _history(n, "compare", "--history", NUMBER),
    "history with statements": lambda n: _history(n, "history", NUMBER),
    "acknowledgements": _log,
}

WAYS = {
    "bundles": BUNDLES,
    "bundle": BUNDLE,
    "archive": ARCHIVES,
    "trust": TRUST,
    "document": DOCUMENTS,
    "command": COMMANDS,
    "page": PAGES,
    "list": LISTS,
}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, ways in WAYS.items() for name in ways]
)
def test_work_grows_as_the_input(kind: str, name: str) -> None:
    """From 2n to 4n it grows by twice as much as from n to 2n."""
    assert growth(WAYS[kind][name], SIZE) < LINEAR


def test_a_history_merges_once_for_each_arrival() -> None:
    """The facts so far, so it grows as the square of the arrivals, and not faster."""

    def history(size: int) -> Action:
        db = store_of([_events(claim(number)) for number in range(size)])
        return command("history", NUMBER, "--json", "--db", db)

    assert growth(history, SIZE) < 4.5


@pytest.mark.parametrize("is_trust", [False, True])
def test_differences_since_a_time_do_not_grow_with_the_store(*, is_trust: bool) -> None:
    """One record changed, by new facts or by trust in a key that it names; others did not."""
    assert growth(lambda size: one_changed(size, is_trust=is_trust), SIZE) < 0.5


def test_quadratic_work_is_measured_as_such() -> None:
    """In Python, within one line of it, and in SQLite."""

    def of_python(size: int) -> Action:
        return lambda: [[None for _ in range(size)] for _ in range(size)]

    def of_sqlite(size: int) -> Action:
        pairs_of = """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?)
            SELECT count(*) FROM n a, n b
        """

        def pairs() -> None:
            with closing(sqlite3.connect(":memory:")) as conn:
                conn.execute(pairs_of, (size,)).fetchone()

        return pairs

    for square in (of_python, of_sqlite):
        assert growth(square, 40) > 3.5
