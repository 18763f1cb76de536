"""Holding a profile against events: what of them it explains, and what speaks against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

from mirror.core.events.checks import check_event
from mirror.core.events.profiled_event import signers
from mirror.core.json_pointer import is_below, join_pointer
from mirror.core.keys import KeySet
from mirror.core.profile import Field, Profile, SignedContent, message
from mirror.core.profile_file import NEEDED
from mirror.core.values import Object, sha256
from mirror.probe.places import Sample, is_wrapper
from mirror.probe.pre_images import in_payload, is_ascii_only

__all__ = ["LEAST_EVENTS", "ProfileEvidence", "evaluate"]

LEAST_EVENTS = 2
"""Events that must prove a profile: one could be a coincidence that somebody arranged."""


@dataclass(frozen=True, slots=True)
class ProfileEvidence:
    """A profile, held against events."""

    profile: Profile
    events: int
    """How many there were."""
    ids: int
    """How many ids recompute."""
    signatures: int
    """How many signatures verify."""
    keys: tuple[str, ...]
    """Which trusted keys made them."""
    unprotected: tuple[str, ...]
    """Pointers to members that the signature does not cover, itself and the id aside."""
    unplaced: tuple[Field, ...]
    """What is needed, and was found nowhere under the signature."""
    is_repeated: bool
    """Whether fewer than two different texts were signed."""
    is_wrapped: bool
    """Whether what seems to be the payload is an event with a payload of its own."""
    unexplained: tuple[str, ...]
    """Places of events that do not fit."""
    is_ascii_only: bool
    """Whether all that was signed is ASCII, so that nothing shows whether V2 or V7 is meant."""

    @property
    def objections(self) -> list[str]:
        """Why the profile is not proposed, in plain words; empty if it is."""
        found = []
        if self.unexplained:
            count = len(self.unexplained)
            found.append(f"{count} of {self.events} events do not fit it")
        if self.is_repeated:
            found.append(f"fewer than {LEAST_EVENTS} different events prove it")
        if self.unplaced:
            found.append(f"the signature covers no {' and no '.join(self.unplaced)} of the event")
        if self.is_wrapped:
            found.append(
                "the payload is an event itself, with a payload of its own: a wrapped copy"
            )
        places = [place for role, place in self.profile.pointers.items() if role != "key"]
        if any(is_below(self.unprotected, place) for place in places):
            found.append("what the event says could be changed without breaking the signature")
        return found

    @property
    def is_said_by_payload(self) -> bool:
        """Whether type, subject and time stand in the payload."""
        places = self.profile.pointers
        return in_payload(places.get("payload", ""), places.get("type", ""))

    @property
    def covered_by_id_alone(self) -> list[str]:
        """Pointers to unprotected members that the id depends on: it can be changed with them."""
        identity, payload = self.profile.id, self.profile.pointers.get("payload", "")
        if identity is None:
            return []
        return [one for one in self.unprotected if identity.hashes.covers(one, payload)]


def evaluate(profile: Profile, samples: Sequence[Sample], keys: KeySet) -> ProfileEvidence:
    """Return how a profile fits events, all of them together."""
    fits, ids, signed_by, texts = 0, 0, set[str](), set[bytes]()
    unexplained, unprotected, ascii_only = [], dict[str, None](), True
    for one in samples:
        fault = check_event(one.event, profile, keys)
        ids += profile.id is not None and fault != "id"
        if fault is not None:
            unexplained.append(one.place)
            continue
        fits += 1
        signed_by |= {key.key_id for key in signers(one.event, profile, keys)}
        texts.add(sha256(message(one.event, profile) or b""))
        unprotected |= dict.fromkeys(_unprotected(profile, one.event))
        ascii_only = ascii_only and _is_ascii_only(profile, one.event)
    return ProfileEvidence(
        profile,
        len(samples),
        ids,
        fits,
        tuple(sorted(signed_by)),
        tuple(unprotected),
        tuple(role for role in NEEDED if role not in profile.pointers),
        len(texts) < LEAST_EVENTS,
        any(is_wrapper(one.event, profile) for one in samples),
        tuple(unexplained),
        ascii_only,
    )


def _is_ascii_only(profile: Profile, event: Object) -> bool:
    image = replace(cast("SignedContent", profile.signed), ascii=False)
    return is_ascii_only(image.text(event, profile.pointers.get("payload", "")))


def _unprotected(profile: Profile, event: Object) -> Iterator[str]:
    """Yield the pointers to what of an event could be changed without breaking the signature."""
    image = cast("SignedContent", profile.signed)  # a digest that is only named is never found
    own = set(profile.signature_pointers)
    payload = profile.pointers.get("payload", "")
    marks = own | set(image.excluded)
    yield from _bare(event, "", own, marks, lambda one: image.covers(one, payload))


def _bare(
    value: Object, above: str, own: set[str], marks: set[str], is_covered: Callable[[str], bool]
) -> Iterator[str]:
    """Yield what is not covered, as large as it can be named."""
    for name, member in value.items():
        pointer = join_pointer(above, name)
        if isinstance(member, dict) and any(one.startswith(f"{pointer}/") for one in marks):
            yield from _bare(member, pointer, own, marks, is_covered)
        elif pointer not in own and not is_covered(pointer):
            yield pointer
