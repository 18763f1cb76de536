"""Two states of one record, ours and upstream's: are they the same, and if not, why (M6, M12).

Nothing that upstream says is believed: whether its record hashes to its number is computed, and
what it shows is held against events that were verified here. Which side knows more is a question
of sets of event ids; which member differs first, of `core.difference`; the cause is the gravest of
what can be told from both, in words that a person can act on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from mirror.core.comparison.diff import Difference, Differences, differences, shown_value, truncate
from mirror.core.events.types import LIST_NAMES, is_event_id
from mirror.core.record import is_pith_number, parse_record
from mirror.core.shape import (
    integer_member,
    list_member,
    object_member,
    objects_member,
    text_member,
)
from mirror.core.values import Object, Value, equal
from mirror.errors import FormatError

__all__ = [
    "COUNTS",
    "UNIDENTIFIED_CODES",
    "Cause",
    "Comparison",
    "LocalRecord",
    "StateEntry",
    "compare",
    "parse_claim",
    "retired_events",
    "shown_entries",
    "shown_events",
]

_NAMED = 100
"""Causes of one kind that are told one by one; the rest are counted."""

_SHOWN_IDS = 220
"""Characters of a list of event ids in a sentence: three of them."""

UNIDENTIFIED_CODES = frozenset({"event.shape", "event.id"})
"""Codes of values that are not the event whose id they bear (E2)."""

COUNTS = ("event_count", "valid_event_count", "invalid_event_count", "equivocation_count")
"""The counts of a state (M6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRecord:
    """What this mirror holds of a record."""

    state: Object
    """As `merge` made it (M6)."""
    valid: frozenset[str]
    """The ids of all valid events, those too that no state shows: `record_created`, revocations."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """By the id that it bears, the code of each value that is no valid event here (E3)."""


class Cause(NamedTuple):
    """Why two states differ."""

    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What became of comparing two states."""

    pith_number: str
    status: str
    """`match`, `match_known`, `behind`, `ahead`, `forked`, `differs`, `missing_here`,
    `missing_upstream` or `unreadable`."""
    causes: tuple[Cause, ...] = ()
    """The gravest first; none if the states are the same."""
    first_difference: Difference | None = None
    only_here: tuple[str, ...] = ()
    """Event ids, then pointers to members, that upstream does not show."""
    only_upstream: tuple[str, ...] = ()
    """Event ids, then pointers to members, that this mirror does not have."""

    @property
    def is_same(self) -> bool:
        """Whether all that both have is equal."""
        return self.status in {"match", "match_known"}

    def to_value(self) -> Object:
        """Return the comparison as it is printed."""
        first = self.first_difference
        return {
            "pith_number": self.pith_number,
            "status": self.status,
            "first_difference": None if first is None else first.to_value(),
            "cause": self.causes[0].text if self.causes else None,
            "causes": [{"code": cause.code, "text": cause.text} for cause in self.causes],
            "only_here": list(self.only_here),
            "only_upstream": list(self.only_upstream),
        }


def parse_claim(value: Value) -> Object:
    """Return a state that upstream prints, in part or whole, as an object to compare.

    Raises:
        FormatError: `state.shape`
    """
    if not isinstance(value, dict):
        raise FormatError("state.shape", "a state is an object")
    number = value.get("pith_number")
    if not is_pith_number(number):
        raise FormatError("state.shape", "it is no Pith Number", where="/pith_number")
    if not isinstance(value.get("current", {}), dict):
        raise FormatError("state.shape", "it is not an object", where="/current")
    return value


def compare(here: LocalRecord, upstream: Object) -> Comparison:
    """Compare our state with upstream's.

    Args:
        here: Our side.
        upstream: Its state, as `parse_claim` returned it.
    """
    return _CauseSearch(here, upstream).result()


class StateEntry(NamedTuple):
    """An event as a state shows it."""

    where: str
    """The list of `current`."""
    value: Object


def shown_entries(state: Object) -> dict[str, StateEntry]:
    """Return all that a state shows in the lists of `current`, by event id."""
    current = object_member(state, "current")
    return {
        event_id: StateEntry(name, entry)
        for name in LIST_NAMES
        for entry in objects_member(current, name)
        for event_id in _ids([entry.get("event_id")])
    }


def shown_events(state: Object) -> set[str]:
    """Return the ids of all events that a state shows or speaks of as valid."""
    return {*shown_entries(state), *retired_events(state), *_spoken_of(state)}


# Reading a state that may be told in part, or ill --------------------------------------------


def _ids(values: list[Value]) -> Iterator[str]:
    yield from filter(is_event_id, values)


def retired_events(state: Object) -> dict[str, Object]:
    """Return what is said of each event that is retired, by event id (M11)."""
    return {
        event_id: entry
        for entry in objects_member(state, "retired_events")
        for event_id in _ids([entry.get("event_id")])
    }


def _spoken_of(state: Object) -> Iterator[str]:
    """Yield the ids of events that retired others, or equivocate."""
    for entry in objects_member(state, "retired_events"):
        yield from _ids(list_member(entry, "by"))
    for entry in objects_member(state, "equivocations"):
        yield from _ids(list_member(entry, "event_ids"))


# Comparing -----------------------------------------------------------------------------------


class _CauseSearch:
    """One comparison: what both sides show, and what follows from it."""

    def __init__(self, here: LocalRecord, upstream: Object) -> None:
        self._here = here
        self._upstream = upstream
        self._differences: Differences = differences(here.state, upstream)
        self._number = text_member(here.state, "pith_number")
        # Of the events of another record, nothing follows for this one.
        self._is_another = upstream["pith_number"] != self._number
        told = {} if self._is_another else upstream
        self._ours, self._entries = shown_entries(here.state), shown_entries(told)
        self._retired = retired_events(here.state)
        self._shown = shown_events(told)
        self._refused = {
            one: code for one, code in here.refused.items() if code not in UNIDENTIFIED_CODES
        }
        self._only_upstream = sorted(self._shown - here.valid - self._refused.keys())
        self._only_here = [] if self._is_another else sorted(self._visible_here() - self._shown)

    @property
    def _lists_retired(self) -> bool:
        """Whether upstream says what it retired, so that what it does not show, it lacks."""
        return isinstance(self._upstream.get("retired_events"), list)

    def _visible_here(self) -> set[str]:
        """Return our events that upstream would show, as far as it prints such members."""
        printed = object_member(self._upstream, "current")
        visible = {one for one, entry in self._ours.items() if entry.where in printed}
        return visible | self._retired.keys() if self._lists_retired else visible

    def result(self) -> Comparison:
        """Return the comparison."""
        found = self._differences
        causes = tuple(self._causes()) or tuple(map(_outcome, found.found[:1]))
        is_same = not found.found and not causes
        return Comparison(
            pith_number=self._number,
            status=self._status_of_same() if is_same else self._status(),
            causes=causes,
            first_difference=found.found[0] if found.found else None,
            only_here=(*self._only_here, *found.only_here),
            only_upstream=(*self._only_upstream, *found.only_upstream),
        )

    # Status ----------------------------------------------------------------------------------

    def _status_of_same(self) -> str:
        return "match_known" if self._differences.only_upstream else "match"

    def _status(self) -> str:
        """Say which side knows more, or that both know the same and differ."""
        statuses = {(True, False): "behind", (False, True): "ahead", (True, True): "forked"}
        return statuses.get(self._lacks_and_more(), "differs")

    def _lacks_and_more(self) -> tuple[bool, bool]:
        """Return whether we lack events of upstream's, and whether upstream lacks ours."""
        lacks, more = bool(self._only_upstream), bool(self._only_here)
        is_certain = self._lists_retired or not more
        rise = self._rise()
        if rise is None or (is_certain and not self._shows_retired()):
            return lacks, more
        # What takes an event out of a state need not be shown in it. But whoever has more valid
        # events than the other has one that the other lacks.
        return lacks or rise > 0, (more and is_certain) or rise < len(self._only_upstream)

    def _rise(self) -> int | None:
        """Return by how many valid events upstream's count exceeds ours, if it says."""
        ours, theirs = (
            integer_member(one, "valid_event_count") for one in (self._here.state, self._upstream)
        )
        return None if ours is None or theirs is None else theirs - ours

    # Causes, the gravest first ---------------------------------------------------------------

    def _causes(self) -> Iterator[Cause]:
        yield from self._of_record()
        if self._is_another:
            return
        yield from self._of_version()
        yield from _some(self._of_contents())
        yield from _some(self._of_refused())
        yield from _some(self._of_retired())
        yield from self._of_counts_against_lists()
        yield from _some(self._of_missing_here())
        yield from _some(self._of_missing_upstream())
        yield from _some(self._of_aliases())
        if not self._is_explained():
            yield from _some(self._of_the_rest())

    def _of_record(self) -> Iterator[Cause]:
        if self._is_another:
            text = f"upstream answers for {self._number} with {self._upstream['pith_number']}"
            yield Cause("record.changed", text)
        if "canonical_record" not in object_member(self._upstream, "current"):
            return
        found = _number_of(object_member(self._upstream, "current")["canonical_record"])
        if found != self._number:
            text = f"its canonical record gives {found}, not {self._number}"
            yield Cause("record.digest", f"{text}: upstream is provably wrong")

    def _of_version(self) -> Iterator[Cause]:
        ours = self._here.state["merge_version"]
        theirs = self._upstream.get("merge_version", ours)
        if theirs != ours:
            shown = f"upstream merges by {shown_value(theirs)}, this mirror by {shown_value(ours)}"
            yield Cause("merge_version", f"{shown}: states may differ")

    def _of_contents(self) -> Iterator[Cause]:
        """Say which events upstream shows with a content that does not hash to their id (E2)."""
        for event_id, entry in self._ours.items():
            theirs = self._entries.get(event_id, entry)
            if equal(entry.value, theirs.value):
                continue
            if found := differences(entry.value, theirs.value).found:
                text = f"upstream shows {event_id} with another {found[0].place} than was signed"
                yield Cause("event.content", f"{text}: it is provably wrong")

    def _of_refused(self) -> Iterator[Cause]:
        refused = self._refused
        for event_id in sorted((self._shown & refused.keys()) - self._here.valid):
            text = f"upstream shows {event_id} in {self._where(event_id)}"
            yield Cause("event.refused", f"{text}; it is refused here: {refused[event_id]}")

    def _shows_retired(self) -> dict[str, Object]:
        shown = self._entries.keys() & self._retired.keys()
        return {one: self._retired[one] for one in sorted(shown)}

    def _of_retired(self) -> Iterator[Cause]:
        for event_id, entry in self._shows_retired().items():
            reason, by = (
                entry["reason"],
                truncate(", ".join(_ids(list_member(entry, "by"))), _SHOWN_IDS),
            )
            text = f"upstream shows {event_id} in {self._where(event_id)} as current"
            why = f"{reason} by {by}" if by else f"{reason}"
            yield Cause(f"event.{reason}", f"{text}; it is {why}")

    def _of_counts_against_lists(self) -> Iterator[Cause]:
        for wrong in _inconsistencies(self._upstream):
            yield Cause("counts", f"upstream's counts disagree with its lists: {wrong}")

    def _of_missing_here(self) -> Iterator[Cause]:
        for event_id in self._only_upstream:
            text = f"upstream shows {event_id} in {self._where(event_id)}"
            code = self._here.refused.get(event_id)
            but = f"; what bears this id was refused: {code}" if code else ""
            yield Cause("event.missing_here", f"{text}, which was never merged here{but}")

    def _of_missing_upstream(self) -> Iterator[Cause]:
        unsaid = "" if self._lists_retired else ", nor say whether it was retired"
        for event_id in self._only_here:
            text = f"{event_id} is valid here; upstream does not show it{unsaid}"
            yield Cause("event.missing_upstream", text)

    def _of_aliases(self) -> Iterator[Cause]:
        """Say where aliases differ that follow from the record, whatever the events (R4)."""
        for difference in self._differences.found:
            if _is_of_alias(difference) and not difference.pointer.endswith("/created_at"):
                text = f"the aliases differ at {difference.place}: {difference.sides}"
                yield Cause("aliases", f"{text}; they follow from the record (R4)")

    def _is_explained(self) -> bool:
        """Whether what else differs may follow from causes that were told."""
        return bool(
            self._only_upstream
            or self._only_here
            or self._shows_retired()
            or any(self._of_refused())
            or any(self._of_version())
        )

    def _of_the_rest(self) -> Iterator[Cause]:
        """Say what differs where nothing that was told so far explains it."""
        contradicts = any(self._of_counts_against_lists())
        for difference in self._differences.found:
            is_told = contradicts and difference.pointer[1:] in COUNTS
            if not (is_told or _has_cause_of_its_own(difference)):
                yield _cause_of(difference)

    def _where(self, event_id: str) -> str:
        return self._entries[event_id].where if event_id in self._entries else "its history"


def _some(causes: Iterable[Cause]) -> Iterator[Cause]:
    """Yield so many causes of a kind as a person can read, and how many more there are."""
    rest = iter(causes)
    named = list(islice(rest, _NAMED))
    yield from named
    if more := sum(1 for _ in rest):
        yield Cause(named[-1].code, f"and {more:,} more of this kind")


def _number_of(record: Value) -> str:
    try:
        return parse_record(record).pith_number
    except FormatError as error:
        place = f"{error.where} " if error.where else ""
        return f"no number at all ({place}{error.message})"


def _inconsistencies(state: Object) -> Iterator[str]:
    """Yield each way in which the counts of a state cannot be true of its own lists (M1, M6)."""
    total, valid, invalid = (
        integer_member(state, f"{name}event_count") for name in ("", "valid_", "invalid_")
    )
    if total is not None and valid is not None and invalid is not None and total != valid + invalid:
        yield f"event_count is {total}, but {valid} are valid and {invalid} invalid"
    shown = len(shown_events(state))
    for count, said in (("event_count", total), ("valid_event_count", valid)):
        if said is not None and said < shown:
            yield f"{count} is {said}, but {shown} events are shown"
    for count, name in (
        ("invalid_event_count", "invalid_events"),
        ("equivocation_count", "equivocations"),
    ):
        said, listed = integer_member(state, count), len(list_member(state, name))
        if said is not None and name in state and said != listed:
            yield f"{count} is {said}, but {name} has {listed}"


def _is_of_alias(difference: Difference) -> bool:
    return difference.pointer.startswith("/current/source_aliases")


def _has_cause_of_its_own(difference: Difference) -> bool:
    """Whether a difference is told of elsewhere: in the record, an alias, or an event's content."""
    pointer = difference.pointer
    if _is_of_alias(difference):
        return not pointer.endswith("/created_at")
    match pointer.split("/"):
        case ["", "current", "canonical_record", *_]:
            return True
        case ["", "current", name, _, member, *_]:
            return name in LIST_NAMES and member != "event_id"
    return False


def _cause_of(difference: Difference) -> Cause:
    pointer, sides = difference.pointer, difference.sides
    if _is_of_alias(difference):
        text = f"the aliases differ at {difference.place}: {sides}; their times are not signed (M7)"
        return Cause("aliases", text)
    if pointer[1:] in COUNTS:
        unlisted = pointer == "/valid_event_count"
        text = "; record_created and event_revoked count, and stand in no list" if unlisted else ""
        return Cause("counts", f"{pointer[1:]} differs: {sides}{text}")
    if pointer.startswith("/invalid_events"):
        text = f"other invalid events came here than upstream: at {difference.place}, {sides}"
        return Cause("invalid_events", text)
    return _outcome(difference)


def _outcome(difference: Difference) -> Cause:
    text = f"both show the same events, but {difference.place} differs: {difference.sides}"
    return Cause("outcome", text)
