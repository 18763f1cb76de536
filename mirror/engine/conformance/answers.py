"""The answers that tasks should get: by the rules in `mirror.core`, and nothing else.

No store, no native engine and no limits are in between, so an answer follows from the rules alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from mirror.core.bundle import VerifiedBundle, parse_bundle, verify_bundle
from mirror.core.comparison.causes import LocalRecord, compare, parse_upstream_state, shown_events
from mirror.core.events.event import ValidEvent
from mirror.core.keys import KeySet, parse_key_set
from mirror.core.merge import State, merge_bundles
from mirror.core.state_view import parse_state
from mirror.core.transparency import merkle
from mirror.core.values import Object, Value, canonical, decode, equal, hexdigest
from mirror.engine.conformance.signing import base64_text
from mirror.engine.conformance.task import ConformanceTask
from mirror.errors import FormatError

__all__ = ["COMPARED", "answer", "merged", "read_keys"]

COMPARED = frozenset(
    {
        "event.content",
        "event.missing_here",
        "event.missing_upstream",
        "event.revoked",
        "event.superseded",
        "event.withdrawn",
        "record.changed",
        "record.digest",
    }
)
"""Codes of causes that an answer names; those of docs/conformance.md."""


def answer(task: ConformanceTask) -> Object:
    """Return the answer to a task, without its id."""
    try:
        return _ANSWERS[task.kind](task)
    except FormatError as error:
        return {"code": error.code}


def read_keys(task: ConformanceTask) -> KeySet:
    """Return the trusted keys of a task.

    Raises:
        FormatError: As `parse_key_set`.
    """
    return KeySet() if task.keys is None else parse_key_set(task.keys)


def merged(bundles: Iterable[bytes], keys: KeySet) -> list[tuple[str, bytes, State]]:
    """Return Pith Number, `canonical_sha256` and state of each record, ascending by number."""
    found: dict[bytes, list[VerifiedBundle]] = defaultdict(list)
    for text in bundles:
        try:
            bundle = verify_bundle(parse_bundle(text), keys)
        except FormatError:
            continue
        found[bytes.fromhex(bundle.record.canonical_sha256)].append(bundle)
    states = [
        (of_record[0].record.pith_number, digest, merge_bundles(of_record, keys))
        for digest, of_record in found.items()
    ]
    return sorted(states, key=lambda one: one[:2])


def _digest(task: ConformanceTask) -> Object:
    return {"digest": hexdigest(canonical(decode(task.text)))}


def _verify(task: ConformanceTask) -> Object:
    keys = read_keys(task)
    return {"bundles": [_verdicts(one, keys) for one in task.bundles]}


def _verdicts(text: bytes, keys: KeySet) -> Value:
    try:
        bundle = parse_bundle(text)
    except FormatError as error:
        return {"code": error.code}
    verified = verify_bundle(bundle, keys)
    faults = {one.where: one.code for one in bundle.findings}
    aliases = len(bundle.alias_claims) + sum(one == "bundle.alias" for one in faults.values())
    return {
        "findings": [*sorted(code for code in faults.values() if code != "bundle.alias")],
        "aliases": [faults.get(f"/source_aliases/{index}") for index in range(aliases)],
        "receipts": [one.code for one in verified.receipts],
        "events": [None if isinstance(one, ValidEvent) else one.code for one in verified.events],
    }


def _merge(task: ConformanceTask) -> Object:
    return {
        "states": [
            {
                "pith_number": number,
                "state": base64_text(state.text),
                "digest": state.digest,
                "core_digest": state.core_digest,
            }
            for number, _, state in merged(task.bundles, read_keys(task))
        ]
    }


def _root(task: ConformanceTask) -> Object:
    keys = read_keys(task)
    leaves = [(digest, state.raw_core_digest) for _, digest, state in merged(task.bundles, keys)]
    return {"root": merkle.root(leaves).hex(), "key_set_digest": keys.digest}


def _compare(task: ConformanceTask) -> Object:
    here, there = parse_state(task.here).value, parse_upstream_state(decode(task.there))
    ours = LocalRecord(state=here, valid=frozenset(shown_events(here)))
    codes = {cause.code for cause in compare(ours, there).causes}
    return {"same": equal(here, there), "causes": [*sorted(codes & COMPARED)]}


_ANSWERS: dict[str, Callable[[ConformanceTask], Object]] = {
    "digest": _digest,
    "verify": _verify,
    "merge": _merge,
    "root": _root,
    "compare": _compare,
}
