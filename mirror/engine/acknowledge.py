"""`mirror findings ack`: acknowledges findings, so that only new ones affect the exit code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from mirror.core.values import Value, decode, time_text
from mirror.engine.findings import Finding
from mirror.errors import FormatError, LookUpError
from mirror.store import Store
from mirror.store.acknowledgements import DIGEST, AcknowledgementRequest, CoveredFindings
from mirror.store.findings import FindingFilter

__all__ = ["AcknowledgeOptions", "AcknowledgedFindings", "acknowledge", "read_reports", "withdraw"]

_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_RECORDS_IN_MEMORY = 64


class AcknowledgedFindings:
    """Tests whether a finding was acknowledged in a store.

    The log is read once, so a run uses the acknowledgements from before its start.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._is_any = store.acknowledgements.is_any()
        self._digests = store.acknowledgements.digests() if self._is_any else set()
        self._of_record = lru_cache(_RECORDS_IN_MEMORY)(self._facts)

    def __call__(self, report: Finding) -> bool:
        """Whether the finding is known: by its digest, or as a fact that the store holds."""
        if not self._is_any:
            return False
        found = (report.code, bytes.fromhex(report.digest))
        if found in self._digests:
            return True
        return report.pith_number is not None and found in self._of_record(report.pith_number)

    def _facts(self, pith_number: str) -> set[tuple[str, bytes]]:
        """Return code and digest of the facts of a record whose positions are acknowledged."""
        return {
            found
            for record_id in self._store.records.by_suffix(pith_number.rpartition(":")[2])
            if (ranges := self._store.acknowledgements.of_record(record_id))
            for found in _digests_of(self._store, record_id, ranges)
        }


def _digests_of(
    store: Store, record_id: int, ranges: Iterable[CoveredFindings]
) -> Iterator[tuple[str, bytes]]:
    by_arrival: dict[int, list[CoveredFindings]] = {}
    for one in ranges:
        by_arrival.setdefault(one.subject_id, []).append(one)
    for row in store.facts.arrivals(record_id):
        if row.id not in by_arrival:
            continue
        contents = row.contents()
        facts = {"event": contents.events, "receipt": contents.receipts}
        for one in by_arrival[row.id]:
            for digest, _ in facts[one.kind][one.first : one.last + 1]:
                yield one.code, digest


# Acknowledging -------------------------------------------------------------------------------


class AcknowledgeOptions(NamedTuple):
    """Findings to acknowledge, by whom and why."""

    name: str
    reason: str
    only: FindingFilter = FindingFilter()
    is_any_chosen: bool = False
    """Whether `only` is used; an empty filter would select everything."""
    events: tuple[str, ...] = ()
    """Digests or ids of events; digests of receipts and other findings."""
    reports: tuple[tuple[str, str], ...] = ()
    """Code and digest of findings, from the output of `--json`."""


def acknowledge(store: Store, options: AcknowledgeOptions) -> int:
    """Write an acknowledgement to the log.

    Returns:
        The number of findings and digests that it covers.

    Raises:
        LookUpError: `findings.none` if there is nothing to acknowledge.
        CorruptStoreError: `store.damaged`
    """
    at = time_text(datetime.now(UTC), microseconds=True)
    request = AcknowledgementRequest(at, options.name, options.reason, _in_words(options))
    with store.transaction():
        found = store.findings.new(options.only) if options.is_any_chosen or options.events else []
        if options.events:
            found = list(_named(store, found, frozenset(options.events)))
        known = store.acknowledgements.digests()
        items = [*found, *(one for one in _digests(options) if (one.code, one.digest) not in known)]
        count = store.acknowledgements.add(request, items)
    if not count:
        hint = "`mirror findings` lists the findings; known ones need no acknowledgement"
        raise LookUpError("findings.none", "no new finding is selected", hint=hint)
    return count


def withdraw(store: Store, line_id: int, name: str, reason: str) -> None:
    """Append the withdrawal of an acknowledgement to the log.

    Raises:
        LookUpError: `findings.none` if there is no such acknowledgement in force.
    """
    at = time_text(datetime.now(UTC), microseconds=True)
    with store.transaction():
        log = store.acknowledgements.log()
        if not any(line.id == line_id and line.is_in_force for line in log):
            hint = "`mirror findings ack --list` shows them"
            message = f"no acknowledgement {line_id} is in force"
            raise LookUpError("findings.none", message, hint=hint)
        request = AcknowledgementRequest(at, name, reason, f"withdraws {line_id}")
        store.acknowledgements.withdraw(line_id, request)


def _named(
    store: Store, ranges: Iterable[CoveredFindings], names: frozenset[str]
) -> Iterator[CoveredFindings]:
    """Yield the positions of the facts that have one of these digests or event ids."""
    for one in ranges:
        if one.kind not in {"event", "receipt"}:
            continue
        contents = store.facts.contents(one.subject_id)
        facts = contents.events if one.kind == "event" else contents.receipts
        for position in range(one.first, one.last + 1):
            if names & _names_of(*facts[position]):
                yield one._replace(first=position, last=position)


def _names_of(digest: bytes, value: Value) -> set[str]:
    claimed = value.get("event_id") if isinstance(value, dict) else None
    names = {digest.hex(), f"sha256:{digest.hex()}"}
    return names | {claimed} if isinstance(claimed, str) else names


def _digests(options: AcknowledgeOptions) -> Iterator[CoveredFindings]:
    for code, digest in dict.fromkeys(options.reports):
        yield CoveredFindings(DIGEST, 0, code, digest=bytes.fromhex(digest))


def _in_words(options: AcknowledgeOptions) -> str:
    only = options.only
    words = {"code": only.code, "record": str(only.record_id or ""), "source": only.source}
    parts = [f"{name} {value}" for name, value in words.items() if value]
    parts += [f"event {name}" for name in options.events]
    if options.reports:
        parts.append(f"{len(options.reports)} findings of a run")
    return ", ".join(parts)


def read_reports(data: bytes) -> tuple[tuple[str, str], ...]:
    """Return code and digest of findings, from the JSON Lines that `--json` prints.

    Lines without both, such as a summary, are skipped.

    Raises:
        FormatError: A code of V1, if a line is not JSON.
    """
    found = []
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value: Any = decode(line)
        except FormatError as error:
            raise type(error)(error.code, error.message, where=f"line {number}") from error
        if (one := _report_of(value)) is not None:
            found.append(one)
    return tuple(found)


def _report_of(value: Any) -> tuple[str, str] | None:
    if not isinstance(value, Mapping):
        return None
    code, digest = value.get("code", value.get("status")), value.get("digest")
    if not isinstance(code, str) or not isinstance(digest, str):
        return None
    match = _DIGEST.fullmatch(digest)
    return None if match is None else (code, match[1])
