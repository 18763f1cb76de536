"""Entries of a feed, and what all of them say alike: known time, record, damage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mirror.core.values import instant
from mirror.engine.bibliography.description import Description, describe
from mirror.engine.feeds.positions import FeedPosition, entry_id
from mirror.errors import CorruptStoreError
from mirror.store import ArrivalHead, Store

__all__ = ["MAX_CONTENT_BYTES", "MAX_NAMES", "EntryReader", "FeedEntry", "FeedPage", "counted",
           "first_names"]  # fmt: skip

MAX_CONTENT_BYTES = 64 << 10
"""Largest arrival whose facts are read for a feed, decompressed."""
MAX_NAMES = 20
"""Signers, types, codes or keys that an entry names."""
_NO_TIME = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEntry:
    """An entry of a feed."""

    position: FeedPosition
    entry_id: str
    """A URN, different from those of all other entries."""
    known_at: str
    """When this mirror stored the facts."""
    headline: str
    """The entry in a few words."""
    words: str
    """The entry in sentences."""
    suffix: str = ""
    """Suffix of the record; empty if it is not about one, or if that is damaged."""
    record: Description | None = None
    """None if it is not about a record, or if the record is damaged."""
    signers: tuple[str, ...] = ()
    """`signer_id` of the verified events, at most `MAX_NAMES`."""
    labels: tuple[str, ...] = ()
    """Codes and kinds of findings."""
    fault: str = ""
    """The damage, if the facts could not be read."""


@dataclass(frozen=True, slots=True)
class FeedPage:
    """A page of a feed."""

    entries: list[FeedEntry]
    """Descending by position."""
    following: FeedPosition | None
    """The next page begins before this position; None if there is none."""


class EntryReader:
    """Reads records and known times for the entries of one page."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._records: dict[int, Description] = {}

    def known_at(self, head: ArrivalHead) -> str:
        """Return when an arrival was stored.

        Raises:
            CorruptStoreError: `store.damaged`
        """
        commit = self.store.commits.of(head.id)
        return _time_or_epoch(head.started_at) if commit is None else commit.stored_at

    def described(self, record_id: int) -> Description:
        """Return the description of a record; raises as `describe`."""
        if record_id not in self._records:
            self._records[record_id] = describe(self.store, record_id)
        return self._records[record_id]

    def described_or_none(self, record_id: int) -> Description | None:
        """Return the description of a record; None if it is damaged."""
        try:
            return self.described(record_id)
        except CorruptStoreError:
            return None

    def damaged(self, head: ArrivalHead, error: CorruptStoreError) -> FeedEntry:
        """Return the entry of an arrival that cannot be read."""
        try:
            at = self.known_at(head)
        except CorruptStoreError:
            at = _time_or_epoch(head.started_at)
        return FeedEntry(
            position=FeedPosition(head.id),
            entry_id=entry_id("damaged", at, head.checksum.hex(), error.message),
            known_at=at,
            headline="damaged here",
            words=f"Stored by this mirror at {at}, and damaged since, so that it cannot be shown: "
            f"{error.message}",
            suffix=self._suffix(head.record_id),
            labels=(error.code,),
            fault=error.message,
        )

    def _suffix(self, record_id: int) -> str:
        try:
            return self.store.records.suffix(record_id)
        except CorruptStoreError:
            return ""


def counted(number: int, noun: str, ending: str = "s") -> str:
    """Return a number with its noun, such as `1 event` or `2 events`."""
    return f"{number:,} {noun}{ending if number != 1 else ''}"


def first_names(names: Iterable[str]) -> str:
    """Return the first names of a list in one text, and how many more there are."""
    listed = [*names]
    hidden = len(listed) - MAX_NAMES
    more = [f"and {hidden:,} more"] if hidden > 0 else []
    return ", ".join(listed[:MAX_NAMES] + more)


def _time_or_epoch(at: str) -> str:
    """Return a time of a row that may be damaged; the start of Unix time if it is none."""
    return at if instant(at) is not None else _NO_TIME
