"""Two states of one record, ours and upstream's: are they the same, and if not, why (M6, M12).

Nothing that upstream says is believed: whether its record hashes to its number is computed, and
what it shows is held against events that were verified here. Which side knows more is a question
of sets of event ids; which member differs first, of `core.difference`; the cause is the gravest of
what can be told from both, in words that a person can act on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from mirror.core.difference import Difference, Differences, differences
from mirror.core.merge import LIST_NAMES
from mirror.core.record import parse_record
from mirror.core.values import Object, Value, is_integer
from mirror.errors import FormatError

__all__ = ["Cause", "Comparison", "Here", "compare", "parse_claim", "shown_events"]

_NUMBER = re.compile(r"pith:[0-9]{4}:[A-Z2-7]{26}")
_EVENT_ID = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """What this mirror holds of a record."""

    state: Object
    """As `merge` made it (M6)."""
    valid: frozenset[str]
    """The ids of all valid events, those too that no state shows: `record_created`, revocations."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """By the id that it claims, the code of each event that is invalid here (E3)."""


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
    if not isinstance(number, str) or _NUMBER.fullmatch(number) is None:
        raise FormatError("state.shape", "it is no Pith Number", where="/pith_number")
    if not isinstance(value.get("current", {}), dict):
        raise FormatError("state.shape", "it is not an object", where="/current")
    return value


def compare(here: Here, upstream: Object) -> Comparison:
    """Compare our state with upstream's.

    Args:
        here: Our side.
        upstream: Its state, as `parse_claim` returned it.
    """
    return _Comparing(here, upstream).result()


def shown_events(state: Object) -> set[str]:
    """Return the ids of all events that a state shows or speaks of as valid."""
    return {*_current_events(state), *_retired(state), *_spoken_of(state)}


# Reading a state that may be told in part, or ill --------------------------------------------


def _current(state: Object) -> Object:
    return cast("Object", state.get("current", {}))


def _list(holder: Object, name: str) -> list[Value]:
    value = holder.get(name)
    return value if isinstance(value, list) else []


def _entries(holder: Object, name: str) -> Iterator[Object]:
    yield from (one for one in _list(holder, name) if isinstance(one, dict))


def _ids(values: list[Value]) -> Iterator[str]:
    yield from (one for one in values if isinstance(one, str) and _EVENT_ID.fullmatch(one))


def _current_events(state: Object) -> dict[str, str]:
    """Return the list that shows each event, by event id."""
    current = _current(state)
    return {
        event_id: name
        for name in LIST_NAMES
        for entry in _entries(current, name)
        for event_id in _ids([entry.get("event_id")])
    }


def _retired(state: Object) -> dict[str, str]:
    """Return the reason of each event that is retired, by event id (M11)."""
    return {
        event_id: str(entry.get("reason"))
        for entry in _entries(state, "retired_events")
        for event_id in _ids([entry.get("event_id")])
    }


def _spoken_of(state: Object) -> Iterator[str]:
    """Yield the ids of events that retired others, or equivocate."""
    for entry in _entries(state, "retired_events"):
        yield from _ids(_list(entry, "by"))
    for entry in _entries(state, "equivocations"):
        yield from _ids(_list(entry, "event_ids"))


def _count(state: Object, name: str) -> int | None:
    value = state.get(name)
    return cast("int", value) if is_integer(value) else None


# Comparing -----------------------------------------------------------------------------------


class _Comparing:
    """One comparison: what both sides show, and what follows from it."""

    def __init__(self, here: Here, upstream: Object) -> None:
        self._here = here
        self._upstream = upstream
        self._differences: Differences = differences(here.state, upstream)
        self._current = _current_events(upstream)
        shown = shown_events(upstream)
        self._only_upstream = sorted(shown - here.valid - here.refused.keys())
        self._only_here = sorted(self._visible_here() - shown)

    def _visible_here(self) -> set[str]:
        """Return our events that upstream would show, as far as it prints such members."""
        state, upstream = self._here.state, _current(self._upstream)
        visible = {one for one, name in _current_events(state).items() if name in upstream}
        if "retired_events" in self._upstream:
            visible |= _retired(state).keys()
        return visible

    def result(self) -> Comparison:
        """Return the comparison."""
        found = self._differences
        causes = tuple(self._causes())
        is_same = not found.found and not causes
        return Comparison(
            pith_number=cast("str", self._here.state["pith_number"]),
            status=self._status_of_same() if is_same else self._status(),
            causes=causes,
            first_difference=found.found[0] if found.found else None,
            only_here=(*self._only_here, *found.only_here),
            only_upstream=(*self._only_upstream, *found.only_upstream),
        )

    def _status_of_same(self) -> str:
        return "match_known" if self._differences.only_upstream else "match"

    def _status(self) -> str:
        """Say which side knows more, or that both know the same and differ."""
        lacks = bool(self._only_upstream)
        more = bool(self._only_here)
        ours, theirs = (
            _count(one, "valid_event_count") for one in (self._here.state, self._upstream)
        )
        if (
            ours is not None
            and theirs is not None
            and not lacks
            and (more or self._shows_retired())
        ):
            # What one side does not show, a revocation may have taken away that the other lacks.
            lacks, more = theirs > ours, theirs < ours
        return {(True, False): "behind", (False, True): "ahead", (True, True): "forked"}.get(
            (lacks, more), "differs"
        )

    # Causes, the gravest first ---------------------------------------------------------------

    def _causes(self) -> Iterator[Cause]:
        yield from self._of_record()
        yield from self._of_version()
        yield from self._of_refused()
        yield from self._of_retired()
        yield from self._of_counts_against_lists()
        yield from self._of_events()
        if not (self._only_upstream or self._only_here):
            yield from self._of_the_rest()

    def _of_record(self) -> Iterator[Cause]:
        number = cast("str", self._here.state["pith_number"])
        if self._upstream["pith_number"] != number:
            text = f"upstream answers for {number} with {self._upstream['pith_number']}"
            yield Cause("record.changed", text)
        record = _current(self._upstream).get("canonical_record")
        if record is None and "canonical_record" not in _current(self._upstream):
            return
        if (found := _number_of(record)) != number:
            text = f"its canonical record gives {found}, not {number}: upstream is provably wrong"
            yield Cause("record.digest", text)

    def _of_version(self) -> Iterator[Cause]:
        ours, theirs = (one.get("merge_version") for one in (self._here.state, self._upstream))
        if theirs is not None and theirs != ours:
            text = f"upstream merges by {theirs!r}, this mirror by {ours!r}: states may differ"
            yield Cause("merge_version", text)

    def _of_refused(self) -> Iterator[Cause]:
        refused = self._here.refused
        for event_id in sorted((self._current.keys() & refused.keys()) - self._here.valid):
            where = self._current[event_id]
            text = f"upstream shows {event_id} in {where}; it is refused here: {refused[event_id]}"
            yield Cause("event.refused", text)

    def _shows_retired(self) -> dict[str, str]:
        retired = _retired(self._here.state)
        return {one: retired[one] for one in sorted(self._current.keys() & retired.keys())}

    def _of_retired(self) -> Iterator[Cause]:
        for event_id, reason in self._shows_retired().items():
            text = (
                f"upstream shows {event_id} in {self._current[event_id]} as current; it is {reason}"
            )
            yield Cause(f"event.{reason}", text)

    def _of_counts_against_lists(self) -> Iterator[Cause]:
        for wrong in _inconsistencies(self._upstream):
            yield Cause("counts", f"upstream's counts disagree with its lists: {wrong}")

    def _of_events(self) -> Iterator[Cause]:
        for event_id in self._only_upstream:
            where = self._current.get(event_id, "its history")
            text = f"upstream shows {event_id} in {where}, which was never merged here"
            yield Cause("event.missing_here", text)
        for event_id in self._only_here:
            yield Cause(
                "event.missing_upstream", f"{event_id} is valid here; upstream does not show it"
            )

    def _of_the_rest(self) -> Iterator[Cause]:
        """Say what differs, where no event explains it and nothing graver was found."""
        for difference in self._differences.found:
            yield _cause_of(difference)


def _number_of(record: Value) -> str:
    try:
        return parse_record(record).pith_number
    except FormatError as error:
        return f"no number at all ({error.message})"


def _inconsistencies(state: Object) -> Iterator[str]:
    """Yield each way in which the counts of a state cannot be true of its own lists (M1, M6)."""
    total, valid, invalid = (
        _count(state, f"{name}event_count") for name in ("", "valid_", "invalid_")
    )
    if total is not None and valid is not None and invalid is not None and total != valid + invalid:
        yield f"event_count is {total}, but {valid} are valid and {invalid} invalid"
    shown = len(shown_events(state))
    if valid is not None and valid < shown:
        yield f"valid_event_count is {valid}, but {shown} events are shown"
    for count, name in (
        ("invalid_event_count", "invalid_events"),
        ("equivocation_count", "equivocations"),
    ):
        said, listed = _count(state, count), len(_list(state, name))
        if said is not None and name in state and said != listed:
            yield f"{count} is {said}, but {name} has {listed}"


def _cause_of(difference: Difference) -> Cause:
    pointer = difference.pointer
    if pointer.startswith("/current/source_aliases"):
        return Cause("aliases", f"the aliases differ at {pointer}; their times are not signed (M7)")
    if pointer.endswith("event_count") or pointer == "/equivocation_count":
        return Cause("counts", f"{pointer} differs: {_sides(difference)}")
    if pointer.startswith("/invalid_events"):
        return Cause("invalid_events", f"other invalid events came here than upstream: {pointer}")
    return Cause("outcome", f"both know the same events, but {pointer} differs")


def _sides(difference: Difference) -> str:
    return f"{difference.here} here, {difference.upstream} upstream"
