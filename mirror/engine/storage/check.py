"""`mirror storage check`: asks archives whether they still have the captures of attestations.

Each answer is stored at once, so an interruption loses none. An archive that does not answer
several times in a row is left out for the rest of the run, and holds up no other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from mirror.core.values import time_text
from mirror.engine.storage.answer import Answer, ask_for
from mirror.engine.storage.attestations import StorageAttestation, read_attestations
from mirror.engine.storage.status import CaptureStatus
from mirror.errors import CorruptStoreError, UpstreamError
from mirror.net import Client, origin, parse_url
from mirror.store import StorageCheck, Store

__all__ = ["CaptureResult", "StorageCheckOptions", "StorageSummary", "check_storage"]

MAX_FAILURES = 3
"""Captures of one archive in a row without a response, after which it is asked no more."""
_MAX_ARCHIVES = 10_000
"""Archives whose failures are counted at a time: their addresses are the words of strangers."""


class CaptureResult(NamedTuple):
    """The result for one capture."""

    attestation: StorageAttestation
    check: StorageCheck
    """The answer; the last one stored if the archive was not asked again."""
    is_asked: bool
    """Whether the archive was asked in this run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageCheckOptions:
    """Options of a run, and its callbacks."""

    older_than: timedelta | None = None
    """Ask only where the last answer is older; None: ask for every capture."""
    on_result: Callable[[CaptureResult], None] = lambda _result: None
    """Called with the result of each capture."""
    progress: Callable[[int], None] = lambda _records: None
    """Called with the number of records that were done since the last call."""


@dataclass(slots=True)
class StorageSummary:
    """Counts of the results of a run."""

    statuses: Counter[str] = field(default_factory=Counter)
    """Captures by the status of their last answer (`CaptureStatus`)."""
    asked: int = 0
    """Captures for which the archive was asked."""
    recent: int = 0
    """Captures whose last answer was recent enough."""
    damaged: int = 0
    """Records that could not be read."""

    def count(self, result: CaptureResult) -> None:
        """Count a result."""
        status = CaptureStatus(result.check.status)
        self.statuses[status] += 1
        self.asked += result.is_asked
        self.recent += not result.is_asked and status is not CaptureStatus.NOT_ASKED

    @property
    def is_all_present(self) -> bool:
        """Whether every record was read, and every capture is there."""
        return not self.damaged and self.statuses.keys() <= {CaptureStatus.PRESENT}

    @property
    def is_without_response(self) -> bool:
        """Whether there are captures, and no archive answered on any."""
        return bool(self.statuses) and not any(
            CaptureStatus(one).is_response for one in self.statuses
        )


def check_storage(
    store: Store, record_ids: Iterable[int], client: Client, options: StorageCheckOptions
) -> StorageSummary:
    """Ask for every capture that a storage attestation in force names, and store the answers.

    Args:
        store: The store.
        record_ids: The records; damaged ones are counted, and left out.
        client: The HTTP client.
        options: Which captures to ask for again, and the callbacks.

    Raises:
        StoreError: If an answer cannot be stored; those before are.
    """
    summary, archives = StorageSummary(), _Archives()
    before = _before(options.older_than)
    for record_id in record_ids:
        try:
            wanted = list(_read(store, record_id))
        except CorruptStoreError:
            summary.damaged += 1
            wanted = []
        for attestation, last in wanted:
            if last is not None and last.at > before:
                result = CaptureResult(attestation, last, is_asked=False)
            else:
                result = _ask(store, attestation, client, archives)
            summary.count(result)
            options.on_result(result)
        options.progress(1)
    return summary


def _before(older_than: timedelta | None) -> str:
    """Return the time after which an answer is recent; such texts sort like the times."""
    if older_than is None:
        return "~"  # after every time
    return time_text(datetime.now(UTC) - older_than, microseconds=True)


def _read(store: Store, record_id: int) -> Iterator[tuple[StorageAttestation, StorageCheck | None]]:
    """Yield the attestations of a record in force, each with the last answer."""
    with store.snapshot():
        attestations = read_attestations(store, record_id)
        if not attestations:
            return
        last = store.storage_checks.last(attestations[0].pith_number)
    for one in attestations:
        yield one, last.get(one.event_id)


def _ask(
    store: Store, attestation: StorageAttestation, client: Client, archives: _Archives
) -> CaptureResult:
    """Ask for a capture and store the answer, unless its archive is left out."""
    if archives.is_left_out(attestation.url):
        message = f"Its archive did not answer {MAX_FAILURES} times in a row, and is left out now."
        answer = Answer("", CaptureStatus.NOT_ASKED, "storage.not_asked", 0, "", "", message)
        return CaptureResult(attestation, _row(attestation, answer), is_asked=False)
    answer = ask_for(client, attestation.url, attestation.captured_at)
    archives.count(attestation.url, answer.status)
    row = _row(attestation, answer)
    with store.transaction():
        store.storage_checks.append(row)
    return CaptureResult(attestation, row, is_asked=True)


def _row(attestation: StorageAttestation, answer: Answer) -> StorageCheck:
    number, event_id, url = attestation.pith_number, attestation.event_id, attestation.url
    return StorageCheck(number, event_id, url, *answer)._replace(status=answer.status.value)


class _Archives:
    """The archives of a run that did not answer, with the number of failures in a row."""

    def __init__(self) -> None:
        self._failures: dict[tuple[str, str, int], int] = {}

    def is_left_out(self, url: str) -> bool:
        """Whether the archive of a URL is asked no more."""
        return self._failures.get(_origin(url), 0) >= MAX_FAILURES

    def count(self, url: str, status: CaptureStatus) -> None:
        """Count an answer, or that there was none."""
        archive = _origin(url)
        failures = self._failures.pop(archive, 0)
        if status is CaptureStatus.UNREACHABLE:
            self._failures[archive] = failures + 1
        if len(self._failures) > _MAX_ARCHIVES:
            del self._failures[next(iter(self._failures))]  # the one that failed the longest ago


def _origin(url: str) -> tuple[str, str, int]:
    try:
        return origin(parse_url(url))
    except UpstreamError:
        return "", "", 0
