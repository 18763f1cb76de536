"""`pith-open-graph-merge-v1`: from verified facts to one state (rules M1 to M13).

`merge` is a pure function of sets. It is given the facts of one record in any order, with any
repeats, and gives the same state to the byte: no clock, no arrival order, no randomness. Each
rule of section 5 of the protocol is one function here, and stands nowhere else.

The order of events is M2's: by instant, then by event id, which ends in a digest, so no two
events tie. A revoked event never comes back, whenever the revocation is dated (M3). Equivocation
is evidence and takes nothing out of the state (M4). A slot shows its last word or nothing (M5).

A change in here, or in the table of E4, is a new merge version.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from mirror.core.bundle import AliasClaim
from mirror.core.event import Event, InvalidEvent, ValidEvent
from mirror.core.event_types import EVENT_TYPES, OTHER_EVENTS, RECORD_CREATED, REVOCATION
from mirror.core.keys import KeySet
from mirror.core.receipt import Receipt
from mirror.core.record import Record
from mirror.core.values import (
    Object,
    Value,
    canonical,
    encode,
    hexdigest,
    instant,
    payload_digest,
    sorted_members,
)

__all__ = ["MERGE_VERSION", "State", "merge"]

MERGE_VERSION = "pith-open-graph-merge-v1"

_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class State:
    """The current state of one record (M6), and what of it nobody can disturb (M12)."""

    value: Object
    """The state, members in M6 order."""
    core: Object
    """What the core digest is made of (M12)."""

    @property
    def text(self) -> bytes:
        """The state as it is written: one line of JSON, one LF at its end (M13)."""
        return encode(self.value) + b"\n"

    @property
    def digest(self) -> str:
        """The state digest, 64 hexadecimal digits (M12)."""
        return hexdigest(canonical(self.value))

    @property
    def core_digest(self) -> str:
        """The core digest, 64 hexadecimal digits (M12)."""
        return hexdigest(canonical(self.core))


def merge(
    record: Record,
    receipts: Iterable[Receipt],
    alias_claims: Iterable[AliasClaim],
    events: Iterable[Event],
    keys: KeySet,
) -> State:
    """Return the state of `record` from all that was accepted for it.

    Args:
        record: The record; every event was judged for it.
        receipts: The judged `receipts` of its bundles (B1).
        alias_claims: The alias claims that B3 let pass.
        events: The judged events, valid and invalid ones.
        keys: The key set that they were judged under; M3 asks it who may revoke others.
    """
    valid, invalid = _distinct(events)
    retired = _retired(valid, _revocations(valid, keys), _last_words(valid))
    shown = [event for event in valid if event.event_id not in retired]
    created = [event for event in shown if event.event_type == RECORD_CREATED]
    lists = _current_lists(shown)
    equivocations = _equivocations(valid)
    value: Object = {  # M6
        "state_type": "pith_open_graph_state",
        "state_version": "1.0",
        "pith_number": record.pith_number,
        "merge_version": MERGE_VERSION,
        "event_count": len(valid) + len(invalid),
        "valid_event_count": len(valid),
        "invalid_event_count": len(invalid),
        "equivocation_count": len(equivocations),
        "current": {
            "canonical_record": sorted_members(record.value),
            "source_aliases": _source_aliases(record, alias_claims, created),
            "graph_snapshots": lists.pop("graph_snapshots"),
            "receipt": _receipt(created, receipts),
            **lists,
        },
        "equivocations": equivocations,
        "invalid_events": _invalid_events(invalid),
        "retired_events": [retired[event_id] for event_id in sorted(retired)],
    }
    return State(value, _core(value, record, created))


def _distinct(events: Iterable[Event]) -> tuple[list[ValidEvent], list[InvalidEvent]]:
    """Return each event once: the valid by event id in M2 order, the invalid by digest (M1)."""
    valid: dict[str, ValidEvent] = {}
    invalid: dict[bytes, InvalidEvent] = {}
    for event in events:
        if isinstance(event, ValidEvent):
            valid[event.event_id] = event
        else:
            invalid[event.digest] = event
    in_order = sorted(valid.values(), key=lambda event: event.order)  # M2
    return in_order, [invalid[digest] for digest in sorted(invalid)]


def _revocations(valid: list[ValidEvent], keys: KeySet) -> Mapping[str, list[str]]:
    """Return the ids of the revocations of each revoked event, by its id (M3)."""
    revocable = {event.event_id: event for event in valid if event.event_type != REVOCATION}
    revoked: dict[str, list[str]] = defaultdict(list)
    for revocation in valid:
        if revocation.event_type == REVOCATION:
            event = revocable.get(cast("str", revocation.payload["event_id"]))
            if event is not None and _may_revoke(revocation, event, keys):
                revoked[event.event_id].append(revocation.event_id)
    return revoked


def _may_revoke(revocation: ValidEvent, event: ValidEvent, keys: KeySet) -> bool:
    key = keys.get(revocation.key_id)
    return revocation.authority == event.authority or (key is not None and key.may_revoke_others)


def _equivocations(valid: list[ValidEvent]) -> list[Value]:
    """Return the groups that say two things at one instant (M4), as M9 prints them."""
    groups: dict[tuple[object, ...], list[ValidEvent]] = defaultdict(list)
    for event in valid:
        if event.event_type in EVENT_TYPES and event.event_type != REVOCATION:
            claim = (event.authority, event.event_type, event.slot_key, event.instant)
            groups[claim].append(event)
    found = [group for group in groups.values() if _differs(group)]
    found.sort(key=lambda group: group[0].event_id)
    return [_equivocation(group) for group in found]


def _differs(group: list[ValidEvent]) -> bool:
    return len(group) > 1 and len({payload_digest(event.payload) for event in group}) > 1  # V4


def _equivocation(group: list[ValidEvent]) -> Object:  # M9; M2 order is by id within an instant
    first = group[0]
    return {
        "event_type": first.event_type,
        "slot_key": list(first.slot_key),
        "signer_id": first.authority[0],
        "signer_type": first.authority[1],
        "created_at": first.value["created_at"],
        "event_ids": [event.event_id for event in group],
    }


def _last_words(valid: list[ValidEvent]) -> Mapping[str, ValidEvent]:
    """Return the last word of its slot for each event that has a slot, by event id (M5)."""
    slots: dict[tuple[object, ...], list[ValidEvent]] = defaultdict(list)
    for event in valid:
        if event.slot_key:
            slots[(event.authority, event.event_type, event.slot_key)].append(event)
    return {event.event_id: slot[-1] for slot in slots.values() for event in slot}


def _retired(
    valid: list[ValidEvent],
    revoked: Mapping[str, list[str]],
    last_words: Mapping[str, ValidEvent],
) -> dict[str, Object]:
    """Return why each event that the state no longer shows is retired, by its id (M11)."""
    retired: dict[str, Object] = {}
    for event in valid:
        last_word = last_words.get(event.event_id, event)
        if event.event_id in revoked:
            reason, by = "revoked", sorted(revoked[event.event_id])
        elif last_word is not event:
            reason, by = "superseded", [last_word.event_id]
        elif event.is_withdrawn:
            reason, by = "withdrawn", []
        else:
            continue
        retired[event.event_id] = {
            "event_id": event.event_id,
            "reason": reason,
            "by": cast("list[Value]", by),
        }
    return retired


# The lists of `current` ----------------------------------------------------------------------

_LISTS = {name: kind.shown_in for name, kind in EVENT_TYPES.items()}


def _current_lists(shown: list[ValidEvent]) -> dict[str, Value]:
    """Return the lists of `current` by name, in M6 order, each in M2 order."""
    names = [name for name in _LISTS.values() if name is not None]
    lists: dict[str, list[Value]] = {name: [] for name in (*names, OTHER_EVENTS)}
    for event in shown:
        name = _LISTS.get(event.event_type, OTHER_EVENTS)
        if name is not None:
            lists[name].append(_entry(event, with_type=name == OTHER_EVENTS))
    return cast("dict[str, Value]", lists)


def _entry(event: ValidEvent, *, with_type: bool) -> Object:
    signer = cast("Object", event.value["signer"])
    kind: Object = {"event_type": event.event_type} if with_type else {}
    return {
        "event_id": event.event_id,
        **kind,
        "target": event.value["target"],
        "created_at": event.value["created_at"],
        "signer": {
            name: signer[name]
            for name in ("key_id", "public_key_fingerprint", "signer_id", "signer_type")
        },
        "payload": sorted_members(event.payload),
    }


def _source_aliases(
    record: Record, alias_claims: Iterable[AliasClaim], created: list[ValidEvent]
) -> list[Value]:
    """Return the aliases of R4, each with the earliest time claimed for it (M7)."""
    first = created[0].instant // _SECOND * _SECOND if created else None
    earliest: dict[tuple[str, str], tuple[int, str]] = {}
    for claim in alias_claims:
        at = cast("int", instant(claim.created_at))
        if first is None or at >= first:
            name = claim.alias_kind, claim.alias_value
            # Of one instant in two spellings the lesser string: the pair's own order.
            earliest[name] = min(earliest.get(name, (at, claim.created_at)), (at, claim.created_at))
    default = None if first is None else _print_seconds(first)
    return [
        {
            "alias_kind": kind,
            "alias_value": alias,
            "created_at": earliest[kind, alias][1] if (kind, alias) in earliest else default,
        }
        for kind, alias in record.aliases
    ]


def _print_seconds(at: int) -> str:
    """Print an instant of whole seconds as `YYYY-MM-DDTHH:MM:SSZ` (M7)."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
    return moment.replace(tzinfo=None).isoformat() + "Z"


def _receipt(created: list[ValidEvent], receipts: Iterable[Receipt]) -> Value:
    """Return the one receipt that the state shows, or None (M8)."""
    if created:
        receipt = cast("Object", created[0].payload["receipt"])
        return _print_receipt(receipt, receipt["signed_at"])
    passing = [cast("Object", receipt.value) for receipt in receipts if receipt.code is None]
    if not passing:
        return None
    least = min(passing, key=lambda value: cast("str", (value["key_id"], value["signature_b64"])))
    return _print_receipt(least, None)  # nothing signs the time it claims


def _print_receipt(receipt: Object, signed_at: Value) -> Object:
    shown = {name: receipt[name] for name in ("algorithm", "key_id", "kind", "signature_b64")}
    return {**shown, "signed_at": signed_at}


def _invalid_events(invalid: list[InvalidEvent]) -> list[Value]:
    """Return digest and code of each; no id is printed, for what failed has none (M10)."""
    return [{"digest": event.digest.hex(), "code": event.code} for event in invalid]


def _core(state: Object, record: Record, created: list[ValidEvent]) -> Object:
    """Return what of a state strangers' junk and unsigned claims cannot touch (M12)."""
    current = dict(cast("Object", state["current"]))
    del current["source_aliases"]
    current["receipt"] = (
        cast("Object", created[0].payload["receipt"])["key_id"] if created else None
    )
    kept = ("pith_number", "merge_version", "valid_event_count", "equivocation_count")
    return {
        **{name: state[name] for name in kept},
        "canonical_sha256": record.canonical_sha256,
        "current": current,
        "equivocations": state["equivocations"],
        "retired_events": state["retired_events"],
    }
