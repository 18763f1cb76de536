"""Changes of what this mirror knows: arrivals of new facts, and changes of trust, newest first.

An entry says what came, with the verdicts under the keys that were trusted when it was stored, so
that it never changes. Its time is the *known* one: when this mirror stored it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from itertools import groupby
from operator import attrgetter

from mirror.core.events.event import ValidEvent
from mirror.core.msgpack_values import pack
from mirror.engine.bibliography.description import Description
from mirror.engine.feeds.entries import (
    MAX_CONTENT_BYTES,
    MAX_NAMES,
    EntryReader,
    FeedEntry,
    FeedPage,
    counted,
    first_names,
)
from mirror.engine.feeds.positions import FeedPosition, FeedScope, entry_id
from mirror.engine.history.change_times import trust_changes_of
from mirror.engine.states.current import verify_arrival
from mirror.engine.states.reverify import KeySetChange
from mirror.errors import CorruptStoreError
from mirror.store import ArrivalFilter, ArrivalHead, Store, TrustChange, Verdicts

__all__ = ["MAX_SCANNED", "change_page"]

MAX_SCANNED = 20_000
"""Arrivals that are looked at for one page of a category."""
_DID = {"add": "trusted", "remove": "no longer trusted"}


def change_page(store: Store, scope: FeedScope, before: FeedPosition, limit: int) -> FeedPage:
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
    return FeedPage([*map(reader.entry, found[:limit])], following)


_Item = tuple[FeedPosition, ArrivalHead | list[TrustChange]]


class _ChangeReader(EntryReader):
    """Reads entries of one page."""

    def __init__(self, store: Store, scope: FeedScope) -> None:
        super().__init__(store)
        self._scope = scope
        self._log = store.trust_log.log()
        self._own = store.trust_log.key_set()
        self._changes: dict[int, KeySetChange] = {}

    # Which changes ---------------------------------------------------------------------------

    def listed(self, before: FeedPosition, limit: int) -> list[_Item]:
        """Return arrivals and changes of trust before a position."""
        last = before.arrival + (before.trust > 0)
        heads = self.store.arrival_pages.before(last, limit, self._scope.record_id)
        found: list[_Item] = [(FeedPosition(head.id), head) for head in heads]
        found += (one for one in self._trust() if one[0] < before)
        return sorted(found, key=lambda one: one[0], reverse=True)[:limit]

    def of_category(self, category: str, before: FeedPosition, limit: int) -> FeedPage:
        """Return the page of a category."""
        text = pack(category)  # as the value of a record holds it
        scanned = self.store.arrival_pages.scan(
            ArrivalFilter(text=text), before.arrival, limit, MAX_SCANNED
        )
        entries = [self.entry((FeedPosition(head.id), head)) for head in scanned.found]
        chosen = [
            one for one in entries if one.record is None or category in one.record.record.categories
        ]
        return FeedPage(chosen, FeedPosition(scanned.last) if scanned.last else None)

    def _trust(self) -> Iterator[_Item]:
        touching = self._touching
        line = 0
        for at, changes in groupby(self._log, key=attrgetter("at")):
            listed = [*changes]
            line += len(listed)
            listed = [one for one in listed if touching is None or _key(one) in touching]
            if listed:
                yield FeedPosition(self.store.arrival_pages.last_by(at), line), listed

    @cached_property
    def _touching(self) -> set[tuple[str, str, str]] | None:
        """The changes of trust that concern the record; None for all, if it is no record's feed."""
        if not self._scope.record_id:
            return None
        found = trust_changes_of(self.store, self._scope.record_id)
        first = self._first_known_at(self._scope.record_id)
        return {_key(one) for one in found if one.at >= first}

    def _first_known_at(self, record_id: int) -> str:
        """Return when a record was first stored; empty if that is damaged."""
        try:
            commit = self.store.commits.of(self.store.facts.first_arrival(record_id))
        except CorruptStoreError:
            return ""
        return "" if commit is None else commit.stored_at

    # Entries ---------------------------------------------------------------------------------

    def entry(self, item: _Item) -> FeedEntry:
        """Return the entry of an arrival, or of a change of trust."""
        position, what = item
        if isinstance(what, list):
            return self._trust_entry(position, what)
        try:
            return self._arrival_entry(position, what)
        except CorruptStoreError as error:
            return self.damaged(what, error)

    def _arrival_entry(self, position: FeedPosition, head: ArrivalHead) -> FeedEntry:
        at, record = self.known_at(head), self.described(head.record_id)
        is_first = self.store.facts.first_arrival(head.record_id) == head.id
        came = ["new record"] if is_first else []
        signers: tuple[str, ...] = ()
        if head.size > MAX_CONTENT_BYTES:
            came.append("more facts than a feed lists: see the history of the record")
        else:
            verdicts, aliases = self._verdicts(head, record, at)
            came += _words_of(verdicts, aliases)
            signers = _signers_of(verdicts)
        came = came or ["no new fact"]
        return FeedEntry(
            position=position,
            entry_id=entry_id("arrival", at, head.checksum.hex(), *came),
            known_at=at,
            headline="; ".join(came),
            words=f"Stored by this mirror at {at}: {'; '.join(came)}. "
            "Verdicts are those under the keys that were trusted then.",
            suffix=record.record.suffix,
            record=record,
            signers=signers,
        )

    def _trust_entry(self, position: FeedPosition, changes: list[TrustChange]) -> FeedEntry:
        at, record_id = changes[0].at, self._scope.record_id
        record = self.described_or_none(record_id) if record_id else None
        lines = "; ".join(_trust_words(changes))
        effect = "this record" if record_id else "records that these signed, or name,"
        return FeedEntry(
            position=position,
            entry_id=entry_id("trust", at, lines, "" if record is None else record.record.suffix),
            known_at=at,
            headline=f"trust changed: {lines}",
            words=f"At {at}, this mirror changed whom it trusts: {lines}. Verdicts on {effect} "
            "may have changed.",
            suffix="" if record is None else record.record.suffix,
            record=record,
        )

    # Verdicts --------------------------------------------------------------------------------

    def _verdicts(
        self, head: ArrivalHead, description: Description, at: str
    ) -> tuple[Verdicts, int]:
        """Return the verdicts on an arrival under the keys of then, and the number of aliases."""
        row, record = self.store.facts.arrival(head.id), description.record
        contents, change = row.contents(), self._change_to(at)
        if self.store.states.needs_verdicts(head.record_id):
            return verify_arrival(record, row, contents, change.after), len(contents.claims)
        kept = self.store.facts.with_verdicts(row, contents)
        return change.verdicts(record, row, contents, kept), len(contents.claims)

    def _change_to(self, at: str) -> KeySetChange:
        """Return the change from the keys of today to those of a time."""
        lines = sum(one.at <= at for one in self._log)
        if lines not in self._changes:
            keys = self._own if lines == len(self._log) else self.store.trust_log.key_set(lines)
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
        yield f"{counted(verified, 'verified receipt')} of the key {first_names(keys)}"
    if receipts:
        yield f"{counted(receipts.total(), 'refused receipt')} ({_by_name(receipts)})"
    if valid:
        yield f"{counted(valid.total(), 'valid event')} ({_by_name(valid)})"
    if refused:
        yield f"{counted(refused.total(), 'refused event')} ({_by_name(refused)})"
    if aliases:
        yield f"claimed times of {counted(aliases, 'alias', 'es')}"


def _by_name(counts: Counter[str]) -> str:
    return first_names(f"{number:,} {name}" for name, number in sorted(counts.items()))


def _signers_of(verdicts: Verdicts) -> tuple[str, ...]:
    found = (one.authority[0] for one in verdicts.events if isinstance(one, ValidEvent))
    return tuple(dict.fromkeys(found))[:MAX_NAMES]


def _trust_words(changes: list[TrustChange]) -> Iterator[str]:
    for action, group in groupby(changes, key=attrgetter("action")):
        names = (f"{'profile' if one.is_profile else 'key'} {one.name}" for one in group)
        yield f"{_DID[action]}: {first_names(names)}"


def _key(change: TrustChange) -> tuple[str, str, str]:
    return change.at, change.action, change.name
