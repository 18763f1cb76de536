"""The answers to the questions of `docs/tables.md`, counted slowly from states and bundles.

Nothing here uses the tables or the code that makes them: only the JSON that `mirror show` and
`mirror verify` print, the sources, and plain loops.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

Rows = list[tuple[Any, ...]]
Json = dict[str, Any]


@dataclass(frozen=True)
class Plain:
    """What the program prints of a store, as parsed JSON."""

    states: list[Json]
    """Of `mirror show --all --json`."""
    bundles: list[Json]
    """Of `mirror show --all --bundle`."""
    findings: list[Json]
    """Of `mirror verify --json` on the sources."""
    sources: list[str]
    upstreams: list[str]

    def valid_events(self) -> Iterator[tuple[Json, Json]]:
        """Yield each state with each of its valid events, those with one id once."""
        by_number = {one["pith_number"]: one for one in self.bundles}
        for state in self.states:
            refused = {one["digest"] for one in state["invalid_events"]}
            found: dict[str, Json] = {}
            for event in by_number[state["pith_number"]]["events"]:
                if _digest(event) not in refused:
                    found.setdefault(event["event_id"], event)
            for event in found.values():
                yield state, event


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _first(rows: Iterable[tuple[Any, ...]], key: Any, limit: int | None = None) -> Rows:
    return sorted(rows, key=key)[:limit]


def records_without_receipt(plain: Plain) -> Rows:
    years: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for state in plain.states:
        counts = years[int(state["pith_number"].split(":")[1])]
        counts[0] += 1
        counts[1] += state["current"]["receipt"] is None
    return _first(((year, *two) for year, two in years.items()), lambda row: -row[0], 4)


def most_cited(plain: Plain) -> Rows:
    found = Counter(
        (state["pith_number"], one["signer"]["signer_id"])
        for state in plain.states
        for one in state["current"]["citations"]
    )
    return _first(((*who, n) for who, n in found.items()), lambda row: (-row[2], *row[:2]), 3)


def signers(plain: Plain) -> Rows:
    events, records = Counter[str](), defaultdict[str, set[str]](set)
    for state, event in plain.valid_events():
        signer = event["signer"]["signer_id"]
        events[signer] += 1
        records[signer].add(state["pith_number"])
    rows = ((one, count, len(records[one])) for one, count in events.items())
    return _first(rows, lambda row: (-row[1], row[0]))


def retired(plain: Plain) -> Rows:
    types = {event["event_id"]: event["event_type"] for _, event in plain.valid_events()}
    found = Counter(
        (types[one["event_id"]], one["reason"])
        for state in plain.states
        for one in state["retired_events"]
    )
    return _first(((*why, n) for why, n in found.items()), lambda row: (-row[2], *row[:2]), 5)


def equivocations(plain: Plain) -> Rows:
    return [
        (state["pith_number"], one["signer_id"], one["event_type"], one["created_at"])
        for state in sorted(plain.states, key=lambda one: str(one["pith_number"]))
        for one in state["equivocations"]
    ]


def arrived(plain: Plain) -> Rows:
    """All of it is from today; an event that came before is not new."""
    rows, seen = [], set()
    for source in plain.sources:
        bundles = new = 0
        for bundle in _read(Path(source)):
            bundles += 1
            for event in bundle["events"]:
                name = bundle["pith_number"], _digest(event)
                new += name not in seen
                seen.add(name)
        rows.append((source, bundles, new))
    return _first(rows, lambda row: row[0])


def _read(path: Path) -> Iterator[Json]:
    if path.suffix != ".tar":
        yield json.loads(path.read_bytes())
        return
    with tarfile.open(path) as archive:
        for member in archive:
            if member.name.endswith("bundle.json"):
                file = archive.extractfile(member)
                assert file is not None
                yield json.load(file)


def references_held(plain: Plain) -> Rows:
    rows = []
    for state in plain.states:
        snapshots = state["current"]["graph_snapshots"]
        if not snapshots:
            continue
        graph = snapshots[-1]["payload"]["graph_snapshot"]
        for reference in graph.get("references", {}).get("sample", []):
            names = {reference.get(name) for name in ("cited_pith_number", "pith_number")}
            for other in plain.states:
                source = other["current"]["canonical_record"]["source"]
                is_named = source["kind"] == "arxiv" and source["id"] == reference.get("arxiv_id")
                if other["pith_number"] in names or is_named:
                    rows.append((state["pith_number"], other["pith_number"]))
    return sorted(rows)


def claims_by_category(plain: Plain) -> Rows:
    found = Counter[str]()
    for state in plain.states:
        metadata = state["current"]["canonical_record"]["metadata"]
        shown = state["valid_event_count"] - len(state["retired_events"])
        for category in {metadata["primary_cat"], *metadata["cross_cats_sorted"]}:
            found[category] += shown
    return _first(found.items(), lambda row: (-row[1], row[0]), 5)


def refused(plain: Plain) -> Rows:
    found = Counter(
        (one["code"], one["source"]) for one in plain.findings if one["code"].startswith("event.")
    )
    return _first(((*why, n) for why, n in found.items()), lambda row: row[:2])


def licences(plain: Plain) -> Rows:
    found = Counter(
        (
            int(state["pith_number"].split(":")[1]),
            state["current"]["canonical_record"]["metadata"]["license"],
        )
        for state in plain.states
    )
    return _first(
        ((*one, n) for one, n in found.items()), lambda row: (-row[0], -row[2], row[1]), 5
    )


def upstream_differs(plain: Plain) -> Rows:
    here = {one["pith_number"]: one for one in plain.states}
    return sorted(
        (theirs["pith_number"], upstream)
        for upstream in plain.upstreams
        for theirs in map(json.loads, Path(upstream).read_bytes().splitlines())
        if theirs["pith_number"] in here and theirs != here[theirs["pith_number"]]
    )


def days_to_receipt(plain: Plain) -> Rows:
    found: dict[str, list[float | None]] = defaultdict(list)
    for state in plain.states:
        receipt, record = state["current"]["receipt"], state["current"]["canonical_record"]
        if receipt is not None:
            signed_at, days = receipt.get("signed_at"), None
            if signed_at:
                submitted = datetime.fromisoformat(record["metadata"]["submitted_at"])
                spent = datetime.fromisoformat(signed_at) - submitted
                days = spent.total_seconds() / 86400
            found[receipt["key_id"]].append(days)
    rows: Rows = []
    for key, all_days in sorted(found.items()):
        dated = [one for one in all_days if one is not None]
        mean = round(sum(dated) / len(dated), 1) if dated else None
        rows.append((key, len(all_days), len(dated), mean))
    return rows


ANSWERS = (
    records_without_receipt,
    most_cited,
    signers,
    retired,
    equivocations,
    arrived,
    references_held,
    claims_by_category,
    refused,
    licences,
    upstream_differs,
    days_to_receipt,
)
"""By the order of the questions."""
