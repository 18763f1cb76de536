"""`mirror probe`: extracts events from sources, and formats the result of a probe."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from mirror.core.events.event import MAX_EVENT_BYTES, is_event_type
from mirror.core.events.types import EVENT_TYPES, PayloadContext
from mirror.core.json_pointer import get_pointer, join_pointer
from mirror.core.keys import KeySet
from mirror.core.profile import DIGEST_BYTES, SIGNATURE_BYTES, Profile
from mirror.core.record import is_pith_number
from mirror.core.values import Object, Value, instant
from mirror.engine.findings import Finding, ReadRequest
from mirror.engine.ingest.pipeline import read_bundles
from mirror.probe.pre_images import SearchBudget, written
from mirror.probe.search import ProbeResult, ProfileEvidence, Sample, probe

__all__ = ["TypeSuggestion", "probe_bundles", "report_value"]

MAX_BYTES = 64 * 1024 * 1024
"""Canonical bytes of all events that are probed together."""
_SHAPES, _PLACES, _DEPTH = 8, 200, 3
"""Limits of a report: shapes of events, pointers in each, nested objects."""
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
"""A member name that a report prints; others may contain data of an event."""


class TypeSuggestion(NamedTuple):
    """An event type that E4 does not name, and a type of E4 that its events would fit."""

    event_type: str
    like: str
    """Empty if there is none and E1 does not allow the type."""
    events: int

    @property
    def sentence(self) -> str:
        """The suggestion, for a person to decide."""
        if not self.like:
            return (
                f"type {self.event_type!r} is not a valid event type (E1), and fits none in E4: "
                f"its {self.events} events stay refused"
            )
        return (
            f"type {self.event_type!r} is not known; its {self.events} events would fit "
            f"{self.like!r} (E4): only a person can decide whether that is meant"
        )


def probe_bundles(
    request: ReadRequest, keys: KeySet, most: int, budget: SearchBudget
) -> tuple[ProbeResult, list[TypeSuggestion]]:
    """Probe the events of bundles.

    Args:
        request: The sources; receives findings for events and bundles that were left out.
        keys: The trusted keys, whose signatures are proof.
        most: Events to probe at most.
        budget: How much to try; records what was not tried.
    """
    samples = list(_up_to(most, _samples(request), budget))
    probed = probe(samples, keys, budget)
    return probed, _types(probed.found, samples, keys) if probed.found else []


def _up_to(
    most: int, samples: Iterable[tuple[Sample, int]], budget: SearchBudget
) -> Iterator[Sample]:
    """Yield so many events at most, of `MAX_BYTES` at most."""
    size_bytes = 0
    for count, (sample, event_bytes) in enumerate(samples):
        size_bytes += event_bytes
        if count == most:
            budget.record_skipped(f"there are more than {most:,} events; --sample-size allows more")
            return
        if size_bytes > MAX_BYTES:
            budget.record_skipped(
                f"the events after the first {count:,} are more than {MAX_BYTES:,} bytes"
            )
            return
        yield sample


def _samples(request: ReadRequest) -> Iterator[tuple[Sample, int]]:
    """Yield every event with its size in bytes; report values that are not events."""
    for found in read_bundles(request):
        if isinstance(found, Finding):
            request.on_finding(found)
            continue
        (source, member), bundle = found
        number = bundle.record.pith_number
        for index, raw in enumerate(bundle.events):
            where = f"/events/{index}"
            place = ":".join(part for part in (source, member.name, where) if part)
            size_bytes = len(raw.encoded)
            if isinstance(raw.value, dict) and size_bytes <= MAX_EVENT_BYTES:
                yield Sample(f"{place} ({number})", bundle.record, raw.value), size_bytes
                continue
            why = "an event must be an object"  # E1
            if isinstance(raw.value, dict):
                why = f"its canonical bytes are {size_bytes}, more than {MAX_EVENT_BYTES}"
            request.on_finding(Finding(source, member.name, number, "event.shape", where, why))


def _types(fit: ProfileEvidence, samples: Sequence[Sample], keys: KeySet) -> list[TypeSuggestion]:
    """Return the types of E4 that all events of an unknown type would fit."""
    groups: dict[str, list[Sample]] = defaultdict(list)
    for one in samples:
        event_type = get_pointer(one.event, fit.profile.pointers["type"])
        known = (*EVENT_TYPES, *fit.profile.types)
        if isinstance(event_type, str) and event_type not in known:
            groups[event_type].append(one)
    found = []
    for event_type, group in groups.items():
        fitting = [
            like
            for like in EVENT_TYPES
            if all(_would_fit(like, one, fit.profile, keys) for one in group)
        ]
        likes = fitting or ([] if is_event_type(event_type) else [""])
        found += [TypeSuggestion(event_type, like, len(group)) for like in likes]
    return found


def _would_fit(like: str, one: Sample, profile: Profile, keys: KeySet) -> bool:
    payload, kind = get_pointer(one.event, profile.pointers["payload"]), EVENT_TYPES[like]
    place = profile.pointers.get("target")
    target = get_pointer(one.event, place) if place else kind.target
    if not isinstance(payload, dict):
        return False
    return kind.fault(target, payload, PayloadContext(one.record, keys)) is None


# Report --------------------------------------------------------------------------------


def report_value(probed: ProbeResult, types: Sequence[TypeSuggestion]) -> Object:
    """Return the result as JSON, without data of events beyond their types."""
    return {
        "report_type": "pith_probe_report",
        "report_version": "1.0",
        "events": probed.events,
        "explained": {**probed.by_profile},
        "proposed": None if probed.found is None else _fit_value(probed.found),
        "alternatives": [_fit_value(one) for one in probed.alternatives],
        "not_proposed": [_fit_value(one) for one in probed.refused],
        "texts_hashed": probed.effort.texts,
        "signatures_tried": probed.effort.signatures,
        "not_tried": [*probed.effort.bounds],
        "digests": [{"at": rule.at, "sha256_of": rule.hashes.words} for rule in probed.hashed],
        "types": [{**one._asdict()} for one in types],
        "shapes": [_shape(event) for event in islice(probed.shapes, _SHAPES)],
    }


def _fit_value(fit: ProfileEvidence) -> Object:
    return {
        "profile": fit.profile.to_value(),
        "events": fit.events,
        "ids_recompute": fit.ids,
        "signatures_verify": fit.signatures,
        "keys": list(fit.keys),
        "unprotected": list(fit.unprotected),
        "id_depends_on_unprotected": [*fit.covered_by_id_alone],
        "ascii_only": fit.is_ascii_only,
        "objections": [*fit.objections],
    }


def _shape(event: Object) -> Object:
    """Return the kind of value at each pointer of an event, without unusual names."""
    marks = {one.at: "signature" for one in written(event, SIGNATURE_BYTES)}
    marks |= {one.at: "digest" for one in written(event, DIGEST_BYTES)}
    shape: Object = {}
    for pointer, value in islice(_leaves(event, ""), _PLACES):
        steps = [step if _NAME.fullmatch(step) else "…" for step in pointer.split("/")[1:]]
        kind = marks.get(pointer) or _kind(value)
        length = f" of {len(value)} characters" if isinstance(value, str) else ""
        shape["".join(f"/{step}" for step in steps)] = kind + length
    return shape


def _leaves(value: Object, above: str) -> Iterator[tuple[str, Value]]:
    """Yield the values that are not objects, or are three objects deep, with their pointers."""
    for name, member in value.items():
        pointer = join_pointer(above, name)
        if isinstance(member, dict) and above.count("/") < _DEPTH:
            yield from _leaves(member, pointer)
        else:
            yield pointer, member


def _kind(value: Value) -> str:
    if not isinstance(value, str):
        return _KINDS[type(value)]
    if instant(value) is not None:
        return "time"
    return "Pith Number" if is_pith_number(value) else "text"


_KINDS: Mapping[type, str] = {
    bool: "boolean",
    dict: "object",
    float: "float",
    int: "integer",
    list: "list",
    type(None): "null",
}
