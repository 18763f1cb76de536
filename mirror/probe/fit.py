"""Evidence for a profile: which events it explains, and objections to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from mirror.core.events.checks import check_event
from mirror.core.events.profiled_event import signers
from mirror.core.json_pointer import is_below, join_pointer
from mirror.core.keys import KeySet
from mirror.core.profile import Field, Profile, message
from mirror.core.profile_file import NEEDED
from mirror.core.values import Object, sha256
from mirror.probe.places import Sample, is_wrapper
from mirror.probe.pre_images import in_payload, is_ascii_only

__all__ = ["LEAST_EVENTS", "ProfileEvidence", "evaluate"]

LEAST_EVENTS = 2
"""Different events that must prove a profile: somebody could have arranged one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileEvidence:
    """A profile, and how it fits events."""

    profile: Profile
    events: int
    """Number of events."""
    ids: int
    """Number of ids that recompute."""
    signatures: int
    """Number of signatures that verify."""
    keys: tuple[str, ...]
    """Ids of the trusted keys that made them."""
    unprotected: tuple[str, ...]
    """Pointers to members that the signature does not cover, without itself and the id."""
    unplaced: tuple[Field, ...]
    """Needed fields that were not found under the signature."""
    is_repeated: bool
    """Whether fewer than two different texts were signed."""
    is_wrapped: bool
    """Whether the payload is an event with a payload of its own."""
    unexplained: tuple[str, ...]
    """Sources of events that do not fit."""
    is_ascii_only: bool
    """Whether all signed text is ASCII, so that V2 and V7 cannot be distinguished."""

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
        """Whether type, subject and time are in the payload."""
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
        profile=profile,
        events=len(samples),
        ids=ids,
        signatures=fits,
        keys=tuple(sorted(signed_by)),
        unprotected=tuple(unprotected),
        unplaced=tuple(role for role in NEEDED if role not in profile.pointers),
        is_repeated=len(texts) < LEAST_EVENTS,
        is_wrapped=any(is_wrapper(one.event, profile) for one in samples),
        unexplained=tuple(unexplained),
        is_ascii_only=ascii_only,
    )


def _is_ascii_only(profile: Profile, event: Object) -> bool:
    signed, payload = profile.signed, profile.pointers.get("payload", "")
    return signed is not None and is_ascii_only(replace(signed, ascii=False).text(event, payload))


def _unprotected(profile: Profile, event: Object) -> Iterator[str]:
    """Yield pointers to the members that could be changed without breaking the signature."""
    own = set(profile.signature_pointers)
    yield from _bare(event, "", own, own | set(profile.excluded), profile.covers)


def _bare(
    value: Object, above: str, own: set[str], marks: set[str], is_covered: Callable[[str], bool]
) -> Iterator[str]:
    """Yield pointers to the largest members that are not covered."""
    for name, member in value.items():
        pointer = join_pointer(above, name)
        if isinstance(member, dict) and any(one.startswith(f"{pointer}/") for one in marks):
            yield from _bare(member, pointer, own, marks, is_covered)
        elif pointer not in own and not is_covered(pointer):
            yield pointer
