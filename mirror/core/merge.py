"""`pith-open-graph-merge-v1`: from verified facts to one state (rules M1 to M13).

`merge` is a pure function of sets. It takes the facts of one record in any order, with any
repeats, and returns the same state to the byte: no clock, no arrival order, no randomness. Each
rule of section 5 of the protocol is one function here.

Events are ordered by instant, then by event id, which ends in a digest, so no two events tie (M2).
A revoked event never comes back, whatever the date of the revocation (M3). Equivocation, two
different events of one signer at one instant, is evidence and takes nothing out of the state (M4).
A slot shows its last event or nothing (M5).

A change in here, or in the table of E4, is a new merge version.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeAlias, cast

from mirror.core.bundle import AliasClaim, VerifiedBundle
from mirror.core.events.event import Event, InvalidEvent, ValidEvent
from mirror.core.events.types import (
    CITATION,
    EVENT_TYPES,
    LIST_NAMES,
    OTHER_EVENTS,
    RECORD_CREATED,
    REVOCATION,
)
from mirror.core.keys import BUILT_IN, KeySet
from mirror.core.profile import is_built_in
from mirror.core.receipt import Receipt
from mirror.core.record import Record
from mirror.core.rules import MERGE_VERSION
from mirror.core.shape import object_member, objects_in, text_member
from mirror.core.state_view import StateView, parse_state
from mirror.core.values import (
    Object,
    Value,
    dump_fragments,
    encode_integers,
    instant,
    raw_fragment,
    sha256,
)

__all__ = ["State", "by_id", "fill", "merge", "merge_bundles"]

_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class State:
    """The current state of one record (M6), and its core (M12)."""

    full: Object
    """The state, members in M6 order; parts that are already encoded are fragments."""
    core: Object
    """The part of the state that the core digest is over (M12), with fragments."""
    lists: dict[str, list[Value]]
    """The lists of `current` that hold events, without their payloads."""
    citing: list[str]
    """The name of the citing work in each citation in force."""

    @property
    def text(self) -> bytes:
        """The state as it is written: one line of JSON, one LF at its end (M13)."""
        return dump_fragments(self.full) + b"\n"

    @property
    def value(self) -> Object:
        """The state as a value, members in M6 order."""
        return parse_state(self.text).value

    @property
    def raw_digest(self) -> bytes:
        """The state digest, 32 raw bytes (M12)."""
        return sha256(encode_integers(self.full))

    @property
    def raw_core_digest(self) -> bytes:
        """The core digest, 32 raw bytes (M12)."""
        return sha256(encode_integers(self.core))

    @property
    def digest(self) -> str:
        """The state digest, 64 hexadecimal digits (M12)."""
        return self.raw_digest.hex()

    @property
    def core_digest(self) -> str:
        """The core digest, 64 hexadecimal digits (M12)."""
        return self.raw_core_digest.hex()

    @property
    def outline(self) -> bytes:
        """The state without the record and the payloads, which are in the facts."""
        current: Object = {**StateView(self.full).current, "canonical_record": None}
        current |= self.lists
        return dump_fragments({**self.full, "current": current})

    def count(self, name: str) -> int:
        """Return a count of M6, such as `valid_event_count`."""
        return cast("int", self.full[name])


def fill(outline: bytes, record: Record, payloads: Mapping[str, bytes]) -> tuple[bytes, bytes]:
    """Return the text (M13) and the raw digest (M12) of a state from its outline.

    Args:
        outline: The value of `State.outline`.
        record: The state's record.
        payloads: The canonical bytes of the payloads by event id, of all events that are shown.

    Raises:
        KeyError: If a payload or a member of the outline is missing.
    """
    state = parse_state(outline).value
    current = object_member(state, "current")
    current["canonical_record"] = raw_fragment(record.encoded)
    for name in LIST_NAMES:
        for entry in objects_in(current[name]):
            entry["payload"] = raw_fragment(payloads[text_member(entry, "event_id")])
    return dump_fragments(state) + b"\n", sha256(encode_integers(state))


def merge_bundles(bundles: Sequence[VerifiedBundle], keys: KeySet) -> State:
    """Return the state of bundles of one record, repeats and all.

    Args:
        bundles: At least one; all were verified under `keys`.
        keys: The key set.
    """
    return merge(
        bundles[0].record,
        [receipt for bundle in bundles for receipt in bundle.receipts],
        [claim for bundle in bundles for claim in bundle.alias_claims],
        [event for bundle in bundles for event in bundle.events],
        keys,
    )


def merge(
    record: Record,
    receipts: Iterable[Receipt],
    alias_claims: Iterable[AliasClaim],
    events: Iterable[Event],
    keys: KeySet,
) -> State:
    """Return the state of `record` from all that was accepted for it.

    Args:
        record: The record; every event was verified for it.
        receipts: The `receipts` of its bundles with their verdicts (B1).
        alias_claims: The alias claims that B3 accepts.
        events: The events with their verdicts, valid and invalid ones.
        keys: The key set of the verdicts; it says which keys may revoke others (M3).
    """
    valid, invalid = _distinct(events)
    retired = _retired(valid, _revocations(valid, keys), _last_in_slots(valid))
    shown = [event for event in valid if event.event_id not in retired]
    created = [event for event in shown if event.event_type == RECORD_CREATED]
    lists, filled = _current_lists(shown)
    equivocations = _equivocations(valid)
    current: Object = {
        "canonical_record": raw_fragment(record.encoded),
        "source_aliases": _source_aliases(record, alias_claims, created),
        "graph_snapshots": filled.pop("graph_snapshots"),
        "receipt": _receipt(created, receipts),
        **filled,
    }
    full: Object = {  # M6
        "state_type": "pith_open_graph_state",
        "state_version": "1.0",
        "pith_number": record.pith_number,
        "merge_version": MERGE_VERSION,
        "event_count": len(valid) + len(invalid),
        "valid_event_count": len(valid),
        "invalid_event_count": len(invalid),
        "equivocation_count": len(equivocations),
        "current": current,
        "equivocations": equivocations,
        "invalid_events": _invalid_events(invalid),
        "retired_events": [retired[event_id] for event_id in sorted(retired)],
    }
    return State(full, _core(full, current, record, created), lists, _citing(shown))


def _distinct(events: Iterable[Event]) -> tuple[list[ValidEvent], list[InvalidEvent]]:
    """Return each event once: the valid by event id in M2 order, the invalid by digest (M1)."""
    valid: list[ValidEvent] = []
    invalid: dict[bytes, InvalidEvent] = {}
    for event in events:
        if isinstance(event, ValidEvent):
            valid.append(event)
        else:
            invalid[event.digest] = event
    in_order = sorted(by_id(valid).values(), key=attrgetter("instant", "event_id"))  # M2
    return in_order, [invalid[digest] for digest in sorted(invalid)]


def by_id(valid: Iterable[ValidEvent]) -> dict[str, ValidEvent]:
    """Return each valid event once, by its id (M1)."""
    found: dict[str, ValidEvent] = {}
    for event in _by_source(list(valid)):
        held = found.setdefault(event.event_id, event)
        if held is not event and _precedence(event) < _precedence(held):
            found[event.event_id] = event
    return found


def _by_source(valid: list[ValidEvent]) -> Iterable[ValidEvent]:
    """Return each signed message once: two profiles may read it differently, the first counts.

    Members that no signature covers may be changed by anybody: they must not make another event.
    """
    if all(is_built_in(event.profile) for event in valid):
        return valid
    found: dict[tuple[str, bytes], ValidEvent] = {}
    for event in valid:
        held = found.setdefault(event.source, event)
        if held is not event and _precedence(event) < _precedence(held):
            found[event.source] = event
    return found.values()


def _precedence(event: ValidEvent) -> tuple[bool, bool, str]:
    """The built-in profile first; then the registry, whose ids are reserved; then by name."""
    return not is_built_in(event.profile), event.key_id != BUILT_IN.key_id, event.profile


def _revocations(valid: list[ValidEvent], keys: KeySet) -> Mapping[str, list[str]]:
    """Return the ids of the revocations of each revoked event, by its id (M3)."""
    if all(event.event_type != REVOCATION for event in valid):
        return {}
    revocable = {event.event_id: event for event in valid if event.event_type != REVOCATION}
    revoked: dict[str, list[str]] = defaultdict(list)
    for revocation in valid:
        if revocation.event_type == REVOCATION:
            event = revocable.get(text_member(revocation.payload, "event_id"))
            if event is not None and _may_revoke(revocation, event, keys):
                revoked[event.event_id].append(revocation.event_id)
    return revoked


def _may_revoke(revocation: ValidEvent, event: ValidEvent, keys: KeySet) -> bool:
    key = keys.get(revocation.key_id)
    return revocation.authority == event.authority or (key is not None and key.may_revoke_others)


def _equivocations(valid: list[ValidEvent]) -> list[Value]:
    """Return the groups of different events at one instant (M4), as M9 prints them."""
    groups: dict[tuple[object, ...], list[ValidEvent]] = defaultdict(list)
    for event in valid:
        if event.event_type in EVENT_TYPES and event.event_type != REVOCATION:
            group = (event.authority, event.event_type, event.slot_key, event.instant)
            groups[group].append(event)
    found = [group for group in groups.values() if _differs(group)]
    found.sort(key=lambda group: group[0].event_id)
    return [_equivocation(group) for group in found]


def _differs(group: list[ValidEvent]) -> bool:
    # V4 digests differ if and only if the canonical bytes of the payloads do.
    return len(group) > 1 and len({event.payload_text for event in group}) > 1


def _equivocation(group: list[ValidEvent]) -> Object:  # M9; M2 order is by id within an instant
    first = group[0]
    return {
        "event_type": first.event_type,
        "slot_key": list(first.slot_key),
        "signer_id": first.authority[0],
        "signer_type": first.authority[1],
        "created_at": first.statement["created_at"],
        "event_ids": [event.event_id for event in group],
    }


def _last_in_slots(valid: list[ValidEvent]) -> Mapping[str, ValidEvent]:
    """Return the last event of the slot of each event that has a slot, by event id (M5)."""
    slots: dict[tuple[object, ...], list[ValidEvent]] = defaultdict(list)
    for event in valid:
        if event.slot_key:
            slots[(event.authority, event.event_type, event.slot_key)].append(event)
    return {event.event_id: slot[-1] for slot in slots.values() for event in slot}


def _retired(
    valid: list[ValidEvent],
    revoked: Mapping[str, list[str]],
    last_in_slots: Mapping[str, ValidEvent],
) -> dict[str, Object]:
    """Return why each event that the state no longer shows is retired, by its id (M11)."""
    retired: dict[str, Object] = {}
    by: list[Value]
    for event in valid:
        last = last_in_slots.get(event.event_id, event)
        if event.event_id in revoked:
            reason, by = "revoked", [*sorted(revoked[event.event_id])]
        elif last is not event:
            reason, by = "superseded", [last.event_id]
        elif event.is_withdrawn:
            reason, by = "withdrawn", []
        else:
            continue
        retired[event.event_id] = {"event_id": event.event_id, "reason": reason, "by": by}
    return retired


# The lists of `current` ----------------------------------------------------------------------

_LISTS = {name: kind.shown_in for name, kind in EVENT_TYPES.items()}


_Lists: TypeAlias = dict[str, list[Value]]


def _current_lists(shown: list[ValidEvent]) -> tuple[_Lists, _Lists]:
    """Return the lists of `current` by name, each in M2 order, without payloads and with them."""
    lists: _Lists = {name: [] for name in LIST_NAMES}
    filled: _Lists = {name: [] for name in LIST_NAMES}
    for event in shown:
        name = _LISTS.get(event.event_type, OTHER_EVENTS)
        if name is not None:
            entry = _entry(event, with_type=name == OTHER_EVENTS)
            lists[name].append(entry)
            filled[name].append({**entry, "payload": raw_fragment(event.payload_text)})
    return lists, filled


def _citing(shown: list[ValidEvent]) -> list[str]:
    citations = [event for event in shown if event.event_type == CITATION]
    return [text_member(event.payload, "citing") for event in citations]


def _entry(event: ValidEvent, *, with_type: bool) -> Object:
    signer = event.statement["signer"]
    kind: Object = {"event_type": event.event_type} if with_type else {}
    return {
        "event_id": event.event_id,
        **kind,
        "target": event.statement["target"],
        "created_at": event.statement["created_at"],
        "signer": {
            "key_id": signer["key_id"],
            "public_key_fingerprint": signer["public_key_fingerprint"],
            "signer_id": signer["signer_id"],
            "signer_type": signer["signer_type"],
        },
        "payload": None,
    }


def _source_aliases(
    record: Record, alias_claims: Iterable[AliasClaim], created: list[ValidEvent]
) -> list[Value]:
    """Return the aliases of R4, each with the earliest time claimed for it (M7)."""
    first = created[0].instant // _SECOND * _SECOND if created else None
    earliest: dict[tuple[str, str], tuple[int, str]] = {}
    for kind, alias, created_at in set(alias_claims):
        # If one instant is written in two ways, the lesser string: the order of the pairs.
        claimed = instant(created_at) or 0, created_at
        if (first is None or claimed[0] >= first) and (
            (kind, alias) not in earliest or claimed < earliest[kind, alias]
        ):
            earliest[kind, alias] = claimed
    # Every time is in UTC (V5), so its text is cut after the seconds.
    default = None if first is None else f"{created[0].statement['created_at'][:19]}Z"
    return [
        {
            "alias_kind": kind,
            "alias_value": alias,
            "created_at": earliest[kind, alias][1] if (kind, alias) in earliest else default,
        }
        for kind, alias in record.aliases
    ]


def _receipt(created: list[ValidEvent], receipts: Iterable[Receipt]) -> Value:
    """Return the one receipt that the state shows, or None (M8)."""
    if created:
        receipt = object_member(created[0].payload, "receipt")
        return _print_receipt(receipt, receipt["signed_at"])
    passing = objects_in([receipt.value for receipt in receipts if receipt.code is None])
    if not passing:
        return None
    least = min(
        passing, key=lambda one: (text_member(one, "key_id"), text_member(one, "signature_b64"))
    )
    return _print_receipt(least, None)  # nothing signs the time it claims


def _print_receipt(receipt: Object, signed_at: Value) -> Object:
    shown = {name: receipt[name] for name in ("algorithm", "key_id", "kind", "signature_b64")}
    return {**shown, "signed_at": signed_at}


def _invalid_events(invalid: list[InvalidEvent]) -> list[Value]:
    """Return digest and code of each; an invalid event has no id (M10)."""
    return [{"digest": event.digest.hex(), "code": event.code} for event in invalid]


def _core(state: Object, current: Object, record: Record, created: list[ValidEvent]) -> Object:
    """Return the part of a state that invalid events and unsigned claims do not change (M12)."""
    core = {name: value for name, value in current.items() if name != "source_aliases"}
    receipt = object_member(created[0].payload, "receipt") if created else {}
    core["receipt"] = receipt.get("key_id")
    kept = ("pith_number", "merge_version", "valid_event_count", "equivocation_count")
    return {
        **{name: state[name] for name in kept},
        "canonical_sha256": record.canonical_sha256,
        "current": core,
        "equivocations": state["equivocations"],
        "retired_events": state["retired_events"],
    }
