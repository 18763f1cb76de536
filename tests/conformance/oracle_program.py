"""Answers conformance tasks by the tests' oracle, which shares no code with the package.

python -m tests.conformance.oracle_program < tasks.jsonl
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Iterator
from typing import Any

from tests import oracle

Object = dict[str, Any]


def answer(task: Object) -> Object:
    """The answer to a task, without its id."""
    answers = {"digest": digest, "verify": verify, "merge": merge, "root": root, "compare": compare}
    try:
        return answers[task["task"]](task)
    except oracle.Refused as refused:
        return {"code": refused.code}


def digest(task: Object) -> Object:
    value = oracle.parse(base64.b64decode(task["text"]))
    return {"digest": hashlib.sha256(oracle.canonical(value)).hexdigest()}


def verify(task: Object) -> Object:
    keys = keys_of(task)
    return {"bundles": [verdicts(text, keys) for text in texts(task)]}


def verdicts(text: bytes, keys: list[Object]) -> Object:
    try:
        bundle = oracle.read_bundle(text)
    except oracle.Refused as refused:
        return {"code": refused.code}
    found = dict(oracle.findings(bundle, keys))
    lists = {"aliases": "source_aliases", "receipts": "receipts", "events": "events"}
    return {
        "findings": sorted(code for where, code in found.items() if where.count("/") == 1),
        **{
            name: [found.get(f"/{member}/{index}") for index in range(len(bundle.get(member, [])))]
            for name, member in lists.items()
        },
    }


def merge(task: Object) -> Object:
    return {
        "states": [
            {
                "pith_number": state["pith_number"],
                "state": base64.b64encode(oracle.state_text(state)).decode(),
                "digest": oracle.state_digest(state),
                "core_digest": oracle.core_digest(bundles, keys_of(task)),
            }
            for state, bundles in states(task)
        ]
    }


def root(task: Object) -> Object:
    keys = keys_of(task)
    leaves = [
        (oracle.record_digest(bundles[0]["canonical_record"]), oracle.core_digest(bundles, keys))
        for _, bundles in states(task)
    ]
    return {
        "root": subtree([(bytes.fromhex(a), bytes.fromhex(b)) for a, b in leaves], 0).hex(),
        "key_set_digest": oracle.key_set_digest(keys),
    }


def subtree(leaves: list[tuple[bytes, bytes]], depth: int) -> bytes:
    """The digest of a subtree, as the page about the tree computes it."""
    if not leaves:
        return bytes(32)
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0][0] + leaves[0][1]).digest()
    children = [
        subtree([leaf for leaf in leaves if leaf[0].hex()[depth] == digit], depth + 1)
        for digit in "0123456789abcdef"
    ]
    return hashlib.sha256(b"\x01" + b"".join(children)).digest()


def keys_of(task: Object) -> list[Object]:
    if task["keys"] is None:
        return oracle.builtin_keys()
    return oracle.load_keys(base64.b64decode(task["keys"]))


def texts(task: Object) -> list[bytes]:
    return [base64.b64decode(text) for text in task["bundles"]]


def states(task: Object) -> Iterator[tuple[Object, list[Object]]]:
    """Each state with the bundles of its record, ascending by Pith Number."""
    keys = keys_of(task)
    of_records: dict[str, list[Object]] = {}
    for text in texts(task):
        try:
            bundle = oracle.read_bundle(text)
        except oracle.Refused:
            continue
        of_records.setdefault(bundle["pith_number"], []).append(bundle)
    for number in sorted(of_records):
        yield oracle.merge(of_records[number], keys), of_records[number]


# Comparisons ---------------------------------------------------------------------------------


def compare(task: Object) -> Object:
    """By the table of docs/conformance.md."""
    here, there = (oracle.parse(base64.b64decode(task[name])) for name in ("here", "there"))
    record = there["current"]["canonical_record"]
    causes = set()
    if not oracle.record_shape_ok(record) or oracle.pith_number_of(record) != here["pith_number"]:
        causes.add("record.digest")
    if here["pith_number"] != there["pith_number"]:
        causes.add("record.changed")
    else:
        causes |= set(causes_of_events(here, there))
    return {"same": oracle.canonical(here) == oracle.canonical(there), "causes": sorted(causes)}


def causes_of_events(here: Object, there: Object) -> Iterator[str]:
    ours, theirs = shown(here), shown(there)
    retired = {entry["event_id"]: entry["reason"] for entry in here["retired_events"]}
    if any(
        oracle.canonical(ours[one]) != oracle.canonical(theirs[one])
        for one in ours
        if one in theirs
    ):
        yield "event.content"
    for event_id, reason in retired.items():
        if event_id in theirs:
            yield f"event.{reason}"
    if named(there) - named(here):
        yield "event.missing_here"
    if (ours.keys() | retired.keys()) - named(there):
        yield "event.missing_upstream"


def shown(state: Object) -> Object:
    """The entries of the lists of `current`, by event id."""
    lists = [value for name, value in state["current"].items() if isinstance(value, list)]
    return {
        entry["event_id"]: entry for entries in lists for entry in entries if "event_id" in entry
    }


def named(state: Object) -> set[str]:
    """The ids of all events that a state names."""
    found = set(shown(state))
    for entry in state["retired_events"]:
        found |= {entry["event_id"], *entry["by"]}
    for entry in state["equivocations"]:
        found |= set(entry["event_ids"])
    return found


if __name__ == "__main__":
    for line in sys.stdin.buffer:
        if line.strip():
            asked = json.loads(line)
            sys.stdout.write(json.dumps({"id": asked["id"], **answer(asked)}) + "\n")
