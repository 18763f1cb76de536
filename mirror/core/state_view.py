"""Typed view of a decoded state (rule M6).

A `StateView` is for the states of this mirror, which have every member of M6, and for their
outlines, which lack the record and the payloads. A state from another server may lack anything:
`mirror.core.comparison` reads those.
"""

from __future__ import annotations

from dataclasses import dataclass

from mirror.core.events.types import GRAPH_SNAPSHOT, LIST_NAMES
from mirror.core.shape import ObjectReader, object_member, read_object
from mirror.core.values import Object, decode

__all__ = ["EventEntry", "RetiredEvent", "StateView", "parse_state"]

_CODE = "state.shape"


@dataclass(frozen=True, slots=True)
class EventEntry:
    """An event in a list of `current`."""

    value: Object

    @property
    def _reader(self) -> ObjectReader:
        return ObjectReader(self.value, _CODE)

    @property
    def event_id(self) -> str:
        """The event id (E2)."""
        return self._reader.text("event_id")

    @property
    def created_at(self) -> str:
        """The time that the event claims."""
        return self._reader.text("created_at")

    @property
    def signer_id(self) -> str:
        """The `signer_id` of its signer."""
        return self._reader.object("signer").text("signer_id")

    @property
    def authority(self) -> tuple[str, str]:
        """`signer_id` and `signer_type` of its signer."""
        signer = self._reader.object("signer")
        return signer.text("signer_id"), signer.text("signer_type")

    @property
    def payload(self) -> Object:
        """The payload; an outline does not have it."""
        return self._reader.object("payload").value

    @property
    def graph(self) -> Object:
        """The graph in the payload of a graph snapshot; empty for other events."""
        return object_member(self.payload, GRAPH_SNAPSHOT)

    def text(self, name: str) -> str:
        """Return a member of the payload that E4 requires to be a string."""
        return self._reader.object("payload").text(name)


@dataclass(frozen=True, slots=True)
class RetiredEvent:
    """A valid event that the state no longer shows (M11)."""

    event_id: str
    reason: str
    """`revoked`, `superseded` or `withdrawn`."""
    by: tuple[str, ...]
    """Ids of the events that retired it, ascending; none if it withdraws itself."""


@dataclass(frozen=True, slots=True)
class StateView:
    """A state of this mirror, or its outline."""

    value: Object
    """The state, members in M6 order."""

    @property
    def _reader(self) -> ObjectReader:
        return ObjectReader(self.value, _CODE)

    @property
    def pith_number(self) -> str:
        """The Pith Number of the record (R3)."""
        return self._reader.text("pith_number")

    @property
    def current(self) -> Object:
        """The member `current`."""
        return self._reader.object("current").value

    @property
    def source_aliases(self) -> list[Object]:
        """The aliases of the record, each with the earliest time claimed for it (M7)."""
        return _values(self._reader.object("current").objects("source_aliases"))

    @property
    def receipt(self) -> Object | None:
        """The receipt that the state shows, if any (M8)."""
        current = self._reader.object("current")
        return None if current.value["receipt"] is None else current.object("receipt").value

    @property
    def receipt_key_id(self) -> str:
        """The id of the key that signed the receipt; empty if there is none."""
        current = self._reader.object("current")
        return "" if current.value["receipt"] is None else current.object("receipt").text("key_id")

    def entries(self, name: str) -> list[EventEntry]:
        """Return the events of a list of `current`, in M2 order.

        Args:
            name: One of `LIST_NAMES`.
        """
        return [EventEntry(one.value) for one in self._reader.object("current").objects(name)]

    @property
    def events(self) -> list[EventEntry]:
        """The events of all lists of `current`, in the order of M6."""
        return [one for name in LIST_NAMES for one in self.entries(name)]

    @property
    def graph_snapshots(self) -> list[EventEntry]:
        """The graph snapshots, in M2 order."""
        return self.entries("graph_snapshots")

    @property
    def citations(self) -> list[EventEntry]:
        """The citations in force, in M2 order."""
        return self.entries("citations")

    def count(self, name: str) -> int:
        """Return a count of M6, such as `valid_event_count`."""
        return self._reader.integer(name)

    @property
    def equivocations(self) -> list[Object]:
        """The groups of events that contradict each other (M9)."""
        return _values(self._reader.objects("equivocations"))

    @property
    def equivocating_ids(self) -> list[list[str]]:
        """The event ids of each equivocation, in the order of `equivocations`."""
        return [one.texts("event_ids") for one in self._reader.objects("equivocations")]

    @property
    def invalid_events(self) -> list[Object]:
        """Digest and code of each distinct invalid event (M10)."""
        return _values(self._reader.objects("invalid_events"))

    @property
    def retired_events(self) -> list[RetiredEvent]:
        """The retired events, ascending by id (M11)."""
        return [
            RetiredEvent(one.text("event_id"), one.text("reason"), tuple(one.texts("by")))
            for one in self._reader.objects("retired_events")
        ]


def _values(readers: list[ObjectReader]) -> list[Object]:
    return [one.value for one in readers]


def parse_state(text: bytes) -> StateView:
    """Return a view of a state, or of an outline, as it is written (M13).

    Raises:
        FormatError: A code of V1; `state.shape` if it is not an object.
    """
    return StateView(read_object(decode(text.rstrip(b"\n")), _CODE).value)
