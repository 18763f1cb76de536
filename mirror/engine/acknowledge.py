"""`mirror findings ack`: findings that a person knows are no alarm any more; new ones are."""

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
    """Answers whether a finding of a run was acknowledged in this store.

    It reads the log once, so a run sees the acknowledgements that were there when it began.
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
        """Return code and digest of the facts of a record that are known by their place."""
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
    """The findings that a person acknowledges, and who and why."""

    name: str
    reason: str
    only: FindingFilter = FindingFilter()
    is_any_chosen: bool = False
    """Whether `only` chooses anything; else it means nothing, and not everything."""
    events: tuple[str, ...] = ()
    """Digests or ids of events, of receipts the digest, of other findings the digest."""
    reports: tuple[tuple[str, str], ...] = ()
    """Code and digest of findings, as `--json` prints them."""


def acknowledge(store: Store, wish: AcknowledgeOptions) -> int:
    """Write an acknowledgement to the log.

    Returns:
        How many findings and digests it covers.

    Raises:
        LookUpError: `findings.none` if nothing is there to acknowledge.
        CorruptStoreError: `store.damaged`
    """
    at = time_text(datetime.now(UTC), microseconds=True)
    request = AcknowledgementRequest(at, wish.name, wish.reason, _in_words(wish))
    with store.transaction():
        standing = store.findings.new(wish.only) if wish.is_any_chosen or wish.events else []
        if wish.events:
            standing = list(_named(store, standing, frozenset(wish.events)))
        known = store.acknowledgements.digests()
        items = [*standing, *(one for one in _digests(wish) if (one.code, one.digest) not in known)]
        count = store.acknowledgements.add(request, items)
    if not count:
        hint = "`mirror findings` lists what is there; known findings need no more"
        raise LookUpError("findings.none", "no new finding is chosen", hint=hint)
    return count


def withdraw(store: Store, line_id: int, name: str, reason: str) -> None:
    """Write to the log that an acknowledgement does not hold any more.

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


def _digests(wish: AcknowledgeOptions) -> Iterator[CoveredFindings]:
    for code, digest in dict.fromkeys(wish.reports):
        yield CoveredFindings(DIGEST, 0, code, digest=bytes.fromhex(digest))


def _in_words(wish: AcknowledgeOptions) -> str:
    only = wish.only
    words = {"code": only.code, "record": str(only.record_id or ""), "source": only.source}
    said = [f"{name} {value}" for name, value in words.items() if value]
    said += [f"event {name}" for name in wish.events]
    if wish.reports:
        said.append(f"{len(wish.reports)} findings of a run")
    return ", ".join(said)


def read_reports(data: bytes) -> tuple[tuple[str, str], ...]:
    """Return code and digest of findings, from the JSON Lines that `--json` prints.

    Lines without both, such as a summary, say nothing here.

    Raises:
        FormatError: `json.syntax` and its like, if a line is no JSON.
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
