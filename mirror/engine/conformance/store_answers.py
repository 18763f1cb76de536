"""Answers of this program as it works: through a store in memory, and by the native engine.

They are compared with those of `answers`, which follow from the rules alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mirror.archive import ReadLimits
from mirror.core.bundle import UNLIMITED, parse_bundle
from mirror.core.keys import KeySet
from mirror.core.shape import list_member
from mirror.core.values import Object, Value, decode, encode
from mirror.engine.conformance.answers import answer, read_keys
from mirror.engine.conformance.signing import base64_text
from mirror.engine.conformance.task import ConformanceTask, parse_task
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.native_engine import engine_for
from mirror.engine.states.root import read_root, update_root
from mirror.engine.states.trust import add_keys
from mirror.errors import FormatError
from mirror.store import Store, open_store

__all__ = ["answer_lines"]

_MOST = 1 << 40
_LIMITS = ReadLimits(values=_MOST, events=_MOST, invalid=_MOST, kept_invalid=_MOST)
_LIMITS = replace(_LIMITS, record_bytes=_MOST, receipt_bytes=_MOST)
"""The limits of B4 are not applied to tasks."""


def answer_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the line of an answer for each line of a task; blank lines are passed over.

    Raises:
        FormatError: `task.shape`, or a code of V1, if a line is no task.
    """
    for line in lines:
        if line.strip():
            number, task = parse_task(decode(line))
            yield encode({"id": number, **_answer(task)}) + b"\n"


def _answer(task: ConformanceTask) -> Object:
    if task.kind not in _ANSWERS:
        return answer(task)
    try:
        return _ANSWERS[task.kind](task, read_keys(task))
    except FormatError as error:
        return {"code": error.code}


def _verify(task: ConformanceTask, keys: KeySet) -> Object:
    """Verify by the native engine if it is on; what it leaves, the rules verify."""
    engine = engine_for(keys)
    if engine is None:
        return answer(task)
    texts = [(text, False) for text in task.bundles]
    found = engine.verify(texts, 0, encode=False)
    return {
        "bundles": [
            _of_one(task, text) if one is None else _all_valid(text)
            for text, one in zip(task.bundles, found, strict=True)
        ]
    }


def _of_one(task: ConformanceTask, text: bytes) -> Value:
    return list_member(answer(replace(task, bundles=(text,))), "bundles")[0]


def _all_valid(text: bytes) -> Value:
    """Return the verdicts on a bundle in which nothing is found."""
    bundle = parse_bundle(text, UNLIMITED)
    lists: dict[str, Sequence[object]] = {
        "aliases": bundle.alias_claims, "receipts": bundle.receipts, "events": bundle.events,
    }  # fmt: skip
    return {"findings": [], **{name: [None] * len(items) for name, items in lists.items()}}


def _merge(task: ConformanceTask, keys: KeySet) -> Object:
    with _merged(task, keys) as store:
        return {"states": [_state(store, one) for one in store.records.in_number_order()]}


def _state(store: Store, record_id: int) -> Object:
    digest, (core_digest, _) = (
        store.states.digest(record_id),
        store.states.core_digests([record_id])[record_id],
    )
    return {
        "pith_number": store.records.get(record_id).pith_number,
        "state": base64_text(store.states.text(record_id)),
        "digest": digest.hex(),
        "core_digest": core_digest.hex(),
    }


def _root(task: ConformanceTask, keys: KeySet) -> Object:
    with _merged(task, keys) as store:
        update_root(store)
        with store.snapshot():
            root = read_root(store)
    return {"root": root.root, "key_set_digest": root.key_set_digest}


@contextmanager
def _merged(task: ConformanceTask, keys: KeySet) -> Iterator[Store]:
    """Give a store in memory into which the bundles were merged, as files of a folder."""
    with tempfile.TemporaryDirectory() as folder, open_store(None) as store:
        for number, text in enumerate(task.bundles):
            Path(folder, f"{number:06}.bundle.json").write_bytes(text)
        add_keys(store, keys)
        if task.bundles:
            ingest(store, ReadRequest([folder], lambda _: None, limits=_LIMITS))
        yield store


_ANSWERS = {"verify": _verify, "merge": _merge, "root": _root}
