"""Probing what is in bundles: from sources to samples, and from an answer to what is told of it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, cast

from mirror.core.events.event import MAX_EVENT_BYTES, EncodedEvent, is_event_type
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
"""Canonical bytes of all events that are looked at together."""
_SHAPES, _PLACES, _DEPTH = 8, 200, 3
"""Of events, that a report describes: shapes, places in each, objects within objects."""
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
"""A name that a report gives; another could be something that an event says."""


class TypeSuggestion(NamedTuple):
    """A type that E4 does not name, and one that its events would fit."""

    event_type: str
    like: str
    """Empty if there is none, and the type is none that E1 allows."""
    events: int

    @property
    def sentence(self) -> str:
        """What a person may decide on."""
        if not self.like:
            return (
                f"type {self.event_type!r} is not written as E1 asks, and fits nothing in E4: its "
                f"{self.events} events stay refused"
            )
        return (
            f"type {self.event_type!r} is not known; its {self.events} events would fit "
            f"{self.like!r} (E4): whether that is meant, only a person can say"
        )


def probe_bundles(
    job: ReadRequest, keys: KeySet, most: int, effort: SearchBudget
) -> tuple[ProbeResult, list[TypeSuggestion]]:
    """Probe the events of bundles.

    Args:
        job: What to read; it is told what was left out.
        keys: Whose signatures prove something.
        most: Events to look at.
        effort: How much to try; it is told what was not.
    """
    samples = list(_up_to(most, _samples(job), effort))
    probed = probe(samples, keys, effort)
    return probed, _types(probed.found, samples, keys) if probed.found else []


def _up_to(
    most: int, samples: Iterable[tuple[Sample, int]], effort: SearchBudget
) -> Iterator[Sample]:
    """Yield so many events, of not more bytes than are held in memory."""
    size_bytes = 0
    for count, (sample, event_bytes) in enumerate(samples):
        size_bytes += event_bytes
        if count == most:
            effort.record_skipped(f"there are more than {most:,} events; --sample-size allows more")
            return
        if size_bytes > MAX_BYTES:
            effort.record_skipped(
                f"the events after the first {count:,} are more than {MAX_BYTES:,} bytes"
            )
            return
        yield sample


def _samples(job: ReadRequest) -> Iterator[tuple[Sample, int]]:
    """Yield every event with its size in bytes; tell of what is none."""
    for found in read_bundles(job):
        if isinstance(found, Finding):
            job.on_finding(found)
            continue
        (source, member), bundle = found
        number = bundle.record.pith_number
        for index, raw in enumerate(bundle.events):
            where = f"/events/{index}"
            place = ":".join(part for part in (source, member.name, where) if part)
            if (why := _fault(raw)) is not None:
                job.on_finding(Finding(source, member.name, number, "event.shape", where, why))
            else:
                event = cast("Object", raw.value)
                yield Sample(f"{place} ({number})", bundle.record, event), len(raw.encoded)


def _fault(raw: EncodedEvent) -> str | None:  # E1
    if not isinstance(raw.value, dict):
        return "an event must be an object"
    if len(raw.encoded) > MAX_EVENT_BYTES:
        return f"its canonical bytes are {len(raw.encoded)}, more than {MAX_EVENT_BYTES}"
    return None


def _types(fit: ProfileEvidence, samples: Sequence[Sample], keys: KeySet) -> list[TypeSuggestion]:
    """Return which types of E4 the events of other types would fit, every one of them."""
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


# What is told --------------------------------------------------------------------------------


def report_value(probed: ProbeResult, types: Sequence[TypeSuggestion]) -> Object:
    """Return what probing came to as JSON, without what events say beyond their types."""
    return {
        "report_type": "pith_probe_report",
        "report_version": "1.0",
        "events": probed.events,
        "explained": cast("Object", probed.by_profile),
        "proposed": None if probed.found is None else _fit_value(probed.found),
        "alternatives": [_fit_value(one) for one in probed.alternatives],
        "not_proposed": [_fit_value(one) for one in probed.refused],
        "texts_hashed": probed.effort.texts,
        "signatures_tried": probed.effort.signatures,
        "not_tried": [*probed.effort.bounds],
        "digests": [{"at": rule.at, "sha256_of": rule.hashes.words} for rule in probed.hashed],
        "types": [cast("Value", one._asdict()) for one in types],
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
    """Return what kind of thing stands at each place of an event, by names that say nothing."""
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
    """Yield what is no object, or three objects down, with its pointer."""
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
