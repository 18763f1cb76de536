"""Comparison of our state of a record with upstream's, and the causes of differences (M6, M12).

Nothing from upstream is believed: its record is hashed, and the events that it shows are compared
with events that were verified here. Sets of event ids show which side has more;
`mirror.core.comparison.diff` finds the first difference; the causes follow from both states.
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
    "parse_upstream_state",
    "retired_events",
    "shown_entries",
    "shown_events",
]

_NAMED = 100
"""Causes of one kind that are listed; the rest are counted."""

_SHOWN_IDS = 220
"""Characters of a list of event ids in a sentence: three of them."""

UNIDENTIFIED_CODES = frozenset({"event.shape", "event.id"})
"""Codes of values that are not the event whose id they claim (E2)."""

COUNTS = ("event_count", "valid_event_count", "invalid_event_count", "equivocation_count")
"""The counts of a state (M6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRecord:
    """Our side of a comparison."""

    state: Object
    """Our state (M6)."""
    valid: frozenset[str]
    """The ids of all valid events, including `record_created` and revocations."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """The code of each invalid event (E3), by the id that it claims."""


class Cause(NamedTuple):
    """A reason why two states differ."""

    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Result of comparing two states."""

    pith_number: str
    status: str
    """`match`, `match_known`, `behind`, `ahead`, `forked`, `differs`, `missing_here`,
    `missing_upstream` or `unreadable`."""
    causes: tuple[Cause, ...] = ()
    """The gravest first; empty if the states are the same."""
    first_difference: Difference | None = None
    only_here: tuple[str, ...] = ()
    """Event ids, then pointers to members, that upstream lacks."""
    only_upstream: tuple[str, ...] = ()
    """Event ids, then pointers to members, that this mirror lacks."""

    @property
    def is_same(self) -> bool:
        """Whether all that both have is equal."""
        return self.status in {"match", "match_known"}

    def to_value(self) -> Object:
        """Return the comparison as a JSON object."""
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


def parse_upstream_state(value: Value) -> Object:
    """Return a state from upstream, partial or whole, as an object to compare.

    Raises:
        FormatError: `state.shape`
    """
    if not isinstance(value, dict):
        raise FormatError("state.shape", "a state must be an object")
    number = value.get("pith_number")
    if not is_pith_number(number):
        raise FormatError("state.shape", "must be a Pith Number", where="/pith_number")
    if not isinstance(value.get("current", {}), dict):
        raise FormatError("state.shape", "must be an object", where="/current")
    return value


def compare(here: LocalRecord, upstream: Object) -> Comparison:
    """Compare our state with upstream's.

    Args:
        here: Our state and events.
        upstream: A state from `parse_upstream_state`.
    """
    return _CauseSearch(here, upstream).result()


class StateEntry(NamedTuple):
    """An event in a list of a state."""

    where: str
    """The name of the list in `current`."""
    value: Object


def shown_entries(state: Object) -> dict[str, StateEntry]:
    """Return the events in the lists of `current`, by event id."""
    current = object_member(state, "current")
    return {
        event_id: StateEntry(name, entry)
        for name in LIST_NAMES
        for entry in objects_member(current, name)
        for event_id in _ids([entry.get("event_id")])
    }


def shown_events(state: Object) -> set[str]:
    """Return the ids of all events that a state names as valid."""
    return {*shown_entries(state), *retired_events(state), *_spoken_of(state)}


# Reading a state that may be partial or malformed ---------------------------------------------


def _ids(values: list[Value]) -> Iterator[str]:
    yield from filter(is_event_id, values)


def retired_events(state: Object) -> dict[str, Object]:
    """Return the entry of each retired event, by event id (M11)."""
    return {
        event_id: entry
        for entry in objects_member(state, "retired_events")
        for event_id in _ids([entry.get("event_id")])
    }


def _spoken_of(state: Object) -> Iterator[str]:
    """Yield the ids of events that retired others, or that contradict each other (M4)."""
    for entry in objects_member(state, "retired_events"):
        yield from _ids(list_member(entry, "by"))
    for entry in objects_member(state, "equivocations"):
        yield from _ids(list_member(entry, "event_ids"))


# Comparing -----------------------------------------------------------------------------------


class _CauseSearch:
    """Comparison of one pair of states."""

    def __init__(self, here: LocalRecord, upstream: Object) -> None:
        self._here = here
        self._upstream = upstream
        self._differences: Differences = differences(here.state, upstream)
        self._number = text_member(here.state, "pith_number")
        # The events of another record say nothing about this one.
        self._is_another = upstream["pith_number"] != self._number
        comparable = {} if self._is_another else upstream
        self._ours, self._entries = shown_entries(here.state), shown_entries(comparable)
        self._retired = retired_events(here.state)
        self._shown = shown_events(comparable)
        self._refused = {
            one: code for one, code in here.refused.items() if code not in UNIDENTIFIED_CODES
        }
        self._only_upstream = sorted(self._shown - here.valid - self._refused.keys())
        self._only_here = [] if self._is_another else sorted(self._visible_here() - self._shown)

    @property
    def _lists_retired(self) -> bool:
        """Whether upstream lists retired events, so that it lacks any event it does not show."""
        return isinstance(self._upstream.get("retired_events"), list)

    def _visible_here(self) -> set[str]:
        """Return our events that upstream would show in the members that it prints."""
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
        """Return which side has more events, or that both have the same and differ."""
        statuses = {(True, False): "behind", (False, True): "ahead", (True, True): "forked"}
        return statuses.get(self._lacks_and_more(), "differs")

    def _lacks_and_more(self) -> tuple[bool, bool]:
        """Return whether we lack events of upstream, and whether it lacks ours."""
        lacks, more = bool(self._only_upstream), bool(self._only_here)
        is_certain = self._lists_retired or not more
        rise = self._rise()
        if rise is None or (is_certain and not self._shows_retired()):
            return lacks, more
        # A state need not show the event that retired another. But the side with more valid events
        # has one that the other lacks.
        return lacks or rise > 0, (more and is_certain) or rise < len(self._only_upstream)

    def _rise(self) -> int | None:
        """Return by how many valid events upstream's count exceeds ours, if it has a count."""
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
        """Yield the events that upstream shows with content that does not hash to their id (E2)."""
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
            but = f"; a value with this id was refused: {code}" if code else ""
            yield Cause("event.missing_here", f"{text}, which was never merged here{but}")

    def _of_missing_upstream(self) -> Iterator[Cause]:
        unsaid = "" if self._lists_retired else ", nor say whether it was retired"
        for event_id in self._only_here:
            text = f"{event_id} is valid here; upstream does not show it{unsaid}"
            yield Cause("event.missing_upstream", text)

    def _of_aliases(self) -> Iterator[Cause]:
        """Yield differences of aliases, which follow from the record alone (R4)."""
        for difference in self._differences.found:
            if _is_of_alias(difference) and not difference.pointer.endswith("/created_at"):
                text = f"the aliases differ at {difference.place}: {difference.sides}"
                yield Cause("aliases", f"{text}; they follow from the record (R4)")

    def _is_explained(self) -> bool:
        """Whether other differences may follow from the causes above."""
        return bool(
            self._only_upstream
            or self._only_here
            or self._shows_retired()
            or any(self._of_refused())
            or any(self._of_version())
        )

    def _of_the_rest(self) -> Iterator[Cause]:
        """Yield the differences that no cause above explains."""
        contradicts = any(self._of_counts_against_lists())
        for difference in self._differences.found:
            is_told = contradicts and difference.pointer[1:] in COUNTS
            if not (is_told or _has_cause_of_its_own(difference)):
                yield _cause_of(difference)

    def _where(self, event_id: str) -> str:
        return self._entries[event_id].where if event_id in self._entries else "its history"


def _some(causes: Iterable[Cause]) -> Iterator[Cause]:
    """Yield the first causes of a kind, and the number of the others."""
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
        return f"no Pith Number ({place}{error.message})"


def _inconsistencies(state: Object) -> Iterator[str]:
    """Yield each contradiction between the counts and the lists of a state (M1, M6)."""
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
    """Whether a difference has a cause of its own: record, alias, or content of an event."""
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
        text = "; record_created and event_revoked count, and are in no list" if unlisted else ""
        return Cause("counts", f"{pointer[1:]} differs: {sides}{text}")
    if pointer.startswith("/invalid_events"):
        text = f"other invalid events came here than upstream: at {difference.place}, {sides}"
        return Cause("invalid_events", text)
    return _outcome(difference)


def _outcome(difference: Difference) -> Cause:
    text = f"both show the same events, but {difference.place} differs: {difference.sides}"
    return Cause("outcome", text)
