"""Changes of what this mirror knows: arrivals of new facts, and changes of trust, newest first.

An entry says what came, with the verdicts under the keys that were trusted when it was stored, so
that it never changes. Its time is the *known* one: when this mirror stored it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import attrgetter

from mirror.core.events.event import ValidEvent
from mirror.core.msgpack_values import pack
from mirror.core.values import instant
from mirror.engine.bibliography.description import Description, describe
from mirror.engine.feeds.positions import FeedPosition, FeedScope, entry_id
from mirror.engine.history.change_times import trust_changes_of
from mirror.engine.states.current import verify_arrival
from mirror.engine.states.reverify import KeySetChange
from mirror.errors import CorruptStoreError
from mirror.store import ArrivalHead, Store, TrustChange, Verdicts

__all__ = ["MAX_CONTENT_BYTES", "MAX_SCANNED", "ChangeEntry", "ChangePage", "change_page"]

MAX_CONTENT_BYTES = 64 << 10
"""Largest arrival whose facts are counted for a feed, decompressed."""
MAX_SCANNED = 20_000
"""Arrivals that are looked at for one page of a category."""
_MAX_NAMES = 20
"""Signers, types, codes or keys that an entry names."""
_NO_TIME = "1970-01-01T00:00:00Z"
_DID = {"add": "trusted", "remove": "no longer trusted"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeEntry:
    """A change of what this mirror knows."""

    position: FeedPosition
    entry_id: str
    """A URN, different from those of all other entries."""
    known_at: str
    """When this mirror stored it."""
    headline: str
    """The change in a few words."""
    words: str
    """The change in sentences."""
    suffix: str = ""
    """Suffix of the record; empty for a change that is not of one record, or if it is damaged."""
    record: Description | None = None
    """None for a change that is not of one record, or if the record is damaged."""
    signers: tuple[str, ...] = ()
    """`signer_id` of the verified events, at most `_MAX_NAMES`."""
    fault: str = ""
    """The damage, if the entry could not be read."""


@dataclass(frozen=True, slots=True)
class ChangePage:
    """A page of a feed."""

    entries: list[ChangeEntry]
    """Descending by position."""
    following: FeedPosition | None
    """The next page begins before this position; None if there is none."""


def change_page(store: Store, scope: FeedScope, before: FeedPosition, limit: int) -> ChangePage:
    """Return the changes before a position, the latest first.

    Changes of trust are in the feed of everything, and in those of the records whose verdicts may
    depend on them; the feed of a category has none. Of a category, at most `MAX_SCANNED` arrivals
    are looked at, so a page may have fewer entries than there are, or none, and another one follow.

    Args:
        store: The store; call within a snapshot.
        scope: The feed.
        before: Only changes before this position.
        limit: At most so many.

    Raises:
        CorruptStoreError: `store.damaged` if the log of trusted keys is damaged. A damaged arrival
            or record has an entry that says so.
    """
    reader = _ChangeReader(store, scope)
    if scope.category is not None:
        return reader.of_category(scope.category, before, limit)
    found = reader.listed(before, limit + 1)
    following = found[limit - 1][0] if len(found) > limit else None
    return ChangePage([*map(reader.entry, found[:limit])], following)


_Item = tuple[FeedPosition, ArrivalHead | list[TrustChange]]


class _ChangeReader:
    """Reads entries of one page."""

    def __init__(self, store: Store, scope: FeedScope) -> None:
        self._store = store
        self._scope = scope
        self._log = store.trust_log.log()
        self._own = store.trust_log.key_set()
        self._changes: dict[int, KeySetChange] = {}
        self._records: dict[int, Description] = {}

    # Which changes ---------------------------------------------------------------------------

    def listed(self, before: FeedPosition, limit: int) -> list[_Item]:
        """Return arrivals and changes of trust before a position."""
        last = before.arrival + (before.trust > 0)
        heads = self._store.arrival_pages.before(last, limit, self._scope.record_id)
        found: list[_Item] = [(FeedPosition(head.id), head) for head in heads]
        found += (one for one in self._trust() if one[0] < before)
        return sorted(found, key=lambda one: one[0], reverse=True)[:limit]

    def of_category(self, category: str, before: FeedPosition, limit: int) -> ChangePage:
        """Return the page of a category."""
        text = pack(category)  # as the value of a record holds it
        scanned = self._store.arrival_pages.of_records_with(
            text, before.arrival, limit, MAX_SCANNED
        )
        entries = [self.entry((FeedPosition(head.id), head)) for head in scanned.found]
        chosen = [
            one for one in entries if one.record is None or category in one.record.record.categories
        ]
        return ChangePage(chosen, FeedPosition(scanned.last) if scanned.last else None)

    def _trust(self) -> Iterator[_Item]:
        touching = self._touching
        line = 0
        for at, changes in groupby(self._log, key=attrgetter("at")):
            listed = [*changes]
            line += len(listed)
            listed = [one for one in listed if touching is None or _key(one) in touching]
            if listed:
                yield FeedPosition(self._store.arrival_pages.last_by(at), line), listed

    @cached_property
    def _touching(self) -> set[tuple[str, str, str]] | None:
        """The changes of trust that concern the record; None for all, if it is no record's feed."""
        if not self._scope.record_id:
            return None
        found = trust_changes_of(self._store, self._scope.record_id)
        first = self._first_known_at(self._scope.record_id)
        return {_key(one) for one in found if one.at >= first}

    def _first_known_at(self, record_id: int) -> str:
        """Return when a record was first stored; empty if that is damaged."""
        try:
            commit = self._store.commits.of(self._store.facts.first_arrival(record_id))
        except CorruptStoreError:
            return ""
        return "" if commit is None else commit.stored_at

    # Entries ---------------------------------------------------------------------------------

    def entry(self, item: _Item) -> ChangeEntry:
        """Return the entry of an arrival, or of a change of trust."""
        position, what = item
        if isinstance(what, list):
            return self._trust_entry(position, what)
        try:
            return self._arrival_entry(position, what)
        except CorruptStoreError as error:
            return self._damaged_entry(position, what, error)

    def _arrival_entry(self, position: FeedPosition, head: ArrivalHead) -> ChangeEntry:
        at, record = self._known_at(head), self._described(head.record_id)
        is_first = self._store.facts.first_arrival(head.record_id) == head.id
        came = ["new record"] if is_first else []
        signers: tuple[str, ...] = ()
        if head.size > MAX_CONTENT_BYTES:
            came.append("more facts than a feed lists: see the history of the record")
        else:
            verdicts, aliases = self._verdicts(head, record, at)
            came += _words_of(verdicts, aliases)
            signers = _signers_of(verdicts)
        came = came or ["no new fact"]
        return ChangeEntry(
            position=position,
            entry_id=entry_id("arrival", at, head.checksum.hex()),
            known_at=at,
            headline="; ".join(came),
            words=f"Stored by this mirror at {at}: {'; '.join(came)}. "
            "Verdicts are those under the keys that were trusted then.",
            suffix=record.record.suffix,
            record=record,
            signers=signers,
        )

    def _trust_entry(self, position: FeedPosition, changes: list[TrustChange]) -> ChangeEntry:
        at, record_id = changes[0].at, self._scope.record_id
        record = self._described_or_none(record_id) if record_id else None
        lines = "; ".join(_trust_words(changes))
        effect = "this record" if record_id else "records that these signed, or name,"
        return ChangeEntry(
            position=position,
            entry_id=entry_id("trust", at, lines, "" if record is None else record.record.suffix),
            known_at=at,
            headline=f"trust changed: {lines}",
            words=f"At {at}, this mirror changed whom it trusts: {lines}. Verdicts on {effect} "
            "may have changed.",
            suffix="" if record is None else record.record.suffix,
            record=record,
        )

    def _damaged_entry(
        self, position: FeedPosition, head: ArrivalHead, error: CorruptStoreError
    ) -> ChangeEntry:
        try:
            at = self._known_at(head)
        except CorruptStoreError:
            at = _time_or_epoch(head.started_at)
        return ChangeEntry(
            position=position,
            entry_id=entry_id("damaged", at, head.checksum.hex(), error.message),
            known_at=at,
            headline="damaged here",
            words=f"Stored by this mirror at {at}, and damaged since, so that it cannot be shown: "
            f"{error.message}",
            suffix=self._suffix(head.record_id),
            fault=error.message,
        )

    def _known_at(self, head: ArrivalHead) -> str:
        commit = self._store.commits.of(head.id)
        return _time_or_epoch(head.started_at) if commit is None else commit.stored_at

    def _described(self, record_id: int) -> Description:
        if record_id not in self._records:
            self._records[record_id] = describe(self._store, record_id)
        return self._records[record_id]

    def _described_or_none(self, record_id: int) -> Description | None:
        try:
            return self._described(record_id)
        except CorruptStoreError:
            return None

    def _suffix(self, record_id: int) -> str:
        try:
            return self._store.records.suffix(record_id)
        except CorruptStoreError:
            return ""

    # Verdicts --------------------------------------------------------------------------------

    def _verdicts(
        self, head: ArrivalHead, description: Description, at: str
    ) -> tuple[Verdicts, int]:
        """Return the verdicts on an arrival under the keys of then, and the number of aliases."""
        row, record = self._store.facts.arrival(head.id), description.record
        contents, change = row.contents(), self._change_to(at)
        if self._store.states.needs_verdicts(head.record_id):
            return verify_arrival(record, row, contents, change.after), len(contents.claims)
        kept = self._store.facts.with_verdicts(row, contents)
        return change.verdicts(record, row, contents, kept), len(contents.claims)

    def _change_to(self, at: str) -> KeySetChange:
        """Return the change from the keys of today to those of a time."""
        lines = sum(one.at <= at for one in self._log)
        if lines not in self._changes:
            keys = self._own if lines == len(self._log) else self._store.trust_log.key_set(lines)
            self._changes[lines] = KeySetChange(self._own, keys)
        return self._changes[lines]


# Words ---------------------------------------------------------------------------------------


def _words_of(verdicts: Verdicts, aliases: int) -> Iterator[str]:
    """Yield what an arrival brought, in the order of importance."""
    receipts = Counter(one.code or "" for one in verdicts.receipts)
    valid = Counter(one.event_type for one in verdicts.events if isinstance(one, ValidEvent))
    refused = Counter(one.code for one in verdicts.events if not isinstance(one, ValidEvent))
    if verified := receipts.pop("", 0):
        keys = dict.fromkeys(one.key_id for one in verdicts.receipts if not one.code)
        yield f"{_counted(verified, 'verified receipt')} of the key {_first(keys)}"
    if receipts:
        yield f"{_counted(receipts.total(), 'refused receipt')} ({_by_name(receipts)})"
    if valid:
        yield f"{_counted(valid.total(), 'valid event')} ({_by_name(valid)})"
    if refused:
        yield f"{_counted(refused.total(), 'refused event')} ({_by_name(refused)})"
    if aliases:
        yield f"claimed times of {_counted(aliases, 'alias', 'es')}"


def _counted(number: int, noun: str, ending: str = "s") -> str:
    return f"{number:,} {noun}{ending if number != 1 else ''}"


def _by_name(counts: Counter[str]) -> str:
    return _first(f"{number:,} {name}" for name, number in sorted(counts.items()))


def _first(names: Iterable[str]) -> str:
    listed = [*names]
    hidden = len(listed) - _MAX_NAMES
    more = [f"and {hidden:,} more"] if hidden > 0 else []
    return ", ".join(listed[:_MAX_NAMES] + more)


def _signers_of(verdicts: Verdicts) -> tuple[str, ...]:
    found = (one.authority[0] for one in verdicts.events if isinstance(one, ValidEvent))
    return tuple(dict.fromkeys(found))[:_MAX_NAMES]


def _trust_words(changes: list[TrustChange]) -> Iterator[str]:
    for action, group in groupby(changes, key=attrgetter("action")):
        names = (f"{'profile' if one.is_profile else 'key'} {one.name}" for one in group)
        yield f"{_DID[action]}: {_first(names)}"


def _key(change: TrustChange) -> tuple[str, str, str]:
    return change.at, change.action, change.name


def _time_or_epoch(at: str) -> str:
    """Return a time of a row that may be damaged; the start of Unix time if it is none."""
    return at if instant(at) is not None else _NO_TIME
