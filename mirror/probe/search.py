"""Search for the envelope of events, by signatures of trusted keys.

A profile is proposed only if, under it, every event has the id that it should have, and a signature
of a trusted key over bytes that cover every field of the event. At least two events must say
different things, and every member that is not signed must be reported. docs/probing.md says why
made-up bundles cannot lead to a wrong proposal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, compress
from typing import NamedTuple, TypeVar

from mirror.core.events.checks import check_event
from mirror.core.json_pointer import get_pointer, is_below
from mirror.core.keys import Key, KeySet
from mirror.core.profile import (
    DIGEST_BYTES,
    FORMS,
    MIRROR_V1,
    SIGNATURE_BYTES,
    Encoding,
    Field,
    IdRule,
    Profile,
    SignatureRule,
    SignedContent,
    SignedForm,
)
from mirror.core.profile_file import NEEDED
from mirror.core.signature import verify
from mirror.core.values import Object, canonical, sha256
from mirror.probe.fit import ProfileEvidence, evaluate
from mirror.probe.places import Sample, common_encodings, id_rank, key_place, payload_of, places_of
from mirror.probe.pre_images import (
    EncodedText,
    SearchBudget,
    SignedSubset,
    in_payload,
    is_ascii_only,
    strings,
    subsets,
    written,
)

__all__ = ["ProbeResult", "ProfileEvidence", "Sample", "probe"]

_SHAPES, _OF_A_SHAPE = 8, 2
"""Sets of members of events, and events of each set, that are searched."""
_SIGNATURES, _IDS = 4, 4
"""Texts of an event that are tried as its signature, and digests that are tried as its id."""


@dataclass(slots=True, kw_only=True)
class ProbeResult:
    """Result of a probe."""

    events: int = 0
    by_profile: dict[str, int] = field(default_factory=dict)
    """Number of events that the built-in profile or a trusted one explains, by its name."""
    found: ProfileEvidence | None = None
    """The proposed profile."""
    alternatives: list[ProfileEvidence] = field(default_factory=list)
    """Other profiles that explain all events as well; a proposal should have none."""
    refused: list[ProfileEvidence] = field(default_factory=list)
    """Profiles that explain some events and are not proposed."""
    effort: SearchBudget = field(default_factory=SearchBudget)
    """The tries that were made, and the limits that were reached."""
    hashed: list[IdRule] = field(default_factory=list)
    """Texts that are digests of content in every event, by whatever key it is signed."""
    shapes: list[Object] = field(default_factory=list)
    """One event of each shape that the built-in profile does not explain, the commonest first."""

    @property
    def explained(self) -> int:
        """Number of events that need no search."""
        return sum(self.by_profile.values())

    @property
    def is_settled(self) -> bool:
        """Whether exactly one profile is proposed."""
        return self.found is not None and not self.alternatives

    def rename(self, name: str) -> None:
        """Give the proposed profile another name."""
        if self.found is not None:
            profile = replace(self.found.profile, name=name)
            self.found = replace(self.found, profile=profile)


def probe(
    samples: Sequence[Sample], keys: KeySet, effort: SearchBudget | None = None
) -> ProbeResult:
    """Search for the envelope of events.

    Args:
        samples: The events.
        keys: The trusted keys.
        effort: The limit of the search, and its progress; None for the default limit.
    """
    effort = SearchBudget() if effort is None else effort
    by_profile, rest = _explained(samples, keys)
    counts = {profile.name: len(found) for profile, found in by_profile}
    if not rest:
        fits = [evaluate(profile, found, keys) for profile, found in by_profile]
        proved = [fit for fit in fits if not fit.objections]
        largest = max(proved, key=lambda fit: fit.events, default=None)
        return ProbeResult(events=len(samples), by_profile=counts, found=largest, effort=effort)
    shapes = _shapes(rest)
    search = _searched(effort.first(shapes, _SHAPES, _TOO_MANY_SHAPES), keys, effort)
    search.unify_encodings(rest)
    hashed = _in_every_form(_with_unions(search.hashed), rest)
    counted = {one: _recomputing(one, rest) for one in hashed}
    profiles = search.profiles(rest, counted)
    fits = _in_better_form(evaluate(one, rest, keys) for one in profiles)
    ranked = sorted(fits, key=lambda fit: (bool(fit.objections), -fit.signatures, _size(fit)))
    good = [fit for fit in ranked if not fit.objections]
    return ProbeResult(
        events=len(samples),
        by_profile=counts,
        found=good[0] if good else None,
        alternatives=good[1:],
        refused=[fit for fit in ranked if fit.objections and fit.signatures],
        effort=effort,
        hashed=[one.rule for one, count in counted.items() if count == len(rest)],
        shapes=[events[0] for events in shapes],
    )


def _explained(
    samples: Sequence[Sample], keys: KeySet
) -> tuple[list[tuple[Profile, list[Sample]]], list[Sample]]:
    """Return the events that the built-in profile or a trusted one explains, and the others."""
    found, rest = [], list(samples)
    for profile in (MIRROR_V1, *keys.profiles):
        fits = [check_event(one.event, profile, keys) is None for one in rest]
        if any(fits):
            found.append((profile, list(compress(rest, fits))))
            rest = [one for one, is_fit in zip(rest, fits, strict=True) if not is_fit]
    return found, rest


def _in_better_form(fits: Iterable[ProfileEvidence]) -> list[ProfileEvidence]:
    """Return the better of profiles that differ only in V2 and V7; V2 if they are equal."""
    best: dict[str, ProfileEvidence] = {}
    for fit in sorted(fits, key=lambda one: (-one.signatures, -one.ids, _size(one))):
        best.setdefault(repr(_in_form_v2(fit.profile)), fit)
    return list(best.values())


def _in_form_v2(profile: Profile) -> Profile:
    signs, identity = profile.signature.signs, profile.id
    return replace(
        profile,
        signature=replace(profile.signature, signs=signs and replace(signs, ascii=False)),
        id=identity and replace(identity, hashes=replace(identity.hashes, ascii=False)),
    )


_TOO_MANY_SHAPES = "sets of members that events have: only the commonest were searched"


def _shapes(samples: Iterable[Sample]) -> list[list[Object]]:
    """Return the events of each set of members, the shortest first; the commonest set first."""
    shapes: dict[frozenset[str], list[Object]] = defaultdict(list)
    for one in sorted(samples, key=lambda sample: len(canonical(sample.event))):
        shapes[frozenset(one.event)].append(one.event)
    return sorted(shapes.values(), key=len, reverse=True)


def _size(fit: ProfileEvidence) -> tuple[int, int, str]:
    """Return a sort key: profiles that leave out less, and are shorter, come first."""
    rule, identity = fit.profile.signature, fit.profile.id
    left_out = len(rule.signs.excluded) if rule.signs else 0
    return len(fit.unprotected) + left_out, identity is None, str(fit.profile.to_value())


# The search ----------------------------------------------------------------------------------


class _DigestMatch(NamedTuple):
    """A text of an event that is the digest of something in it."""

    at: str
    spelling: Encoding
    payload: str
    """The likeliest pointer to the payload."""
    image: SignedContent

    @property
    def rule(self) -> IdRule:
        """The rule of an id that is this digest."""
        return IdRule(self.at, self.spelling, self.image)


class _SignatureMatch(NamedTuple):
    """A signature of a trusted key, and the content that it covers."""

    at: str
    """The pointer to the signature."""
    spelling: Encoding
    form: SignedForm
    payload: str
    """The likeliest pointer to the payload."""
    id: tuple[str, Encoding] | None
    """Pointer and encoding of the id, if its text was signed."""
    image: SignedContent
    """The content that the signature covers."""


_Found = TypeVar("_Found", _DigestMatch, _SignatureMatch)


def _with_unions(found: Iterable[_Found]) -> list[_Found]:
    """Return the matches, and for each kind one that leaves out all that any of them leaves out."""
    listed = dict.fromkeys(found)
    groups: dict[_Found, set[str]] = defaultdict(set)
    for one in listed:
        groups[one._replace(image=replace(one.image, excluded=()))] |= set(one.image.excluded)
    for bare, less in groups.items():
        listed[bare._replace(image=replace(bare.image, excluded=tuple(sorted(less))))] = None
    return list(listed)


def _in_every_form(found: Iterable[_Found], samples: Sequence[Sample]) -> list[_Found]:
    """Return the matches as canonical bytes (V2), and in ASCII form (V7) if that differs.

    An event that is all ASCII does not show which of the two was hashed; the others do.
    """
    listed: dict[_Found, None] = {}
    for one in found:
        plain = one._replace(image=replace(one.image, ascii=False))
        listed[plain] = None
        texts = (plain.image.text(sample.event, one.payload) for sample in samples)
        if not all(map(is_ascii_only, texts)):
            listed[one._replace(image=replace(one.image, ascii=True))] = None
    return list(listed)


class _CandidateText(NamedTuple):
    """A message that may have been signed."""

    form: SignedForm
    subset: SignedSubset
    id: tuple[str, Encoding] | None
    data: bytes


def _searched(
    shapes: Iterable[Sequence[Object]], keys: KeySet, effort: SearchBudget
) -> _ProfileSearch:
    """Return the matches in an event of each shape, or in the next if one has none."""
    search = _ProfileSearch(keys, effort)
    for events in shapes:
        for event in events[:_OF_A_SHAPE]:
            if search.looks_into(event):
                break
    return search


@dataclass(slots=True)
class _ProfileSearch:
    keys: KeySet
    effort: SearchBudget
    hashed: list[_DigestMatch] = field(default_factory=list)
    signed: list[_SignatureMatch] = field(default_factory=list)

    def looks_into(self, event: Object) -> bool:
        """Search an event; return whether a signature of a trusted key was found."""
        payload = payload_of(event)
        tried = list(subsets(event, payload, self.effort))
        ids = self._ids(event, payload, tried)
        self.hashed += [one for one, _ in ids]
        signed = list(self._signed(event, payload, tried, ids))
        self.signed += signed
        return bool(signed)

    def _ids(
        self, event: Object, payload: str, tried: Iterable[SignedSubset]
    ) -> list[tuple[_DigestMatch, SignedSubset]]:
        """Return the texts of the event that are digests of content in it."""
        outside = _outside(written(event, DIGEST_BYTES), payload)
        named: dict[bytes, EncodedText] = {}
        for one in sorted(outside, key=lambda one: id_rank(one.at)):
            named.setdefault(one.data, one)
        found = [
            (_DigestMatch(one.at, one.spelling, payload, subset.pre_image), subset)
            for subset in tried
            for one in ([named[subset.digest]] if subset.digest in named else [])
        ]
        found.sort(key=lambda pair: id_rank(pair[0].at))
        return self.effort.first(found, _IDS, "texts are digests: only the first were tried as ids")

    def _signed(
        self,
        event: Object,
        payload: str,
        tried: Sequence[SignedSubset],
        ids: Sequence[tuple[_DigestMatch, SignedSubset]],
    ) -> Iterator[_SignatureMatch]:
        """Yield what each signature is over: first content of an id, then any other."""
        outside = _outside(written(event, SIGNATURE_BYTES), payload)
        once = list({one.data: one for one in reversed(outside)}.values())[::-1]
        keys = _likeliest(event, payload, self.keys)
        what = "texts can be signatures: only the first were tried"
        for one in self.effort.first(once, _SIGNATURES, what):
            text = self._signed_text(one, keys, chain(_of_ids(event, ids), _of_all(tried, one)))
            if text is not None:
                image = text.subset.pre_image
                yield _SignatureMatch(one.at, one.spelling, text.form, payload, text.id, image)

    def _signed_text(
        self, signature: EncodedText, keys: Sequence[Key], texts: Iterable[_CandidateText]
    ) -> _CandidateText | None:
        for text in texts:
            for key in keys:
                if not self.effort.may_verify(len(text.data)):
                    return None
                if verify(key.public_key, text.data, signature.data):
                    return text
        return None

    def unify_encodings(self, samples: Sequence[Sample]) -> None:
        """Replace the encodings of the matches by those that fit all events."""
        texts = [
            *((one.at, one.spelling, DIGEST_BYTES) for one in self.hashed),
            *((one.at, one.spelling, SIGNATURE_BYTES) for one in self.signed),
            *((*one.id, DIGEST_BYTES) for one in self.signed if one.id),
        ]
        fitting = {
            (pointer, spelling): common_encodings(spelling, pointer, size, samples)
            for pointer, spelling, size in texts
        }
        certain = [one[0] for one in fitting.values() if len(one) == 1]

        def settled(pointer: str, spelling: Encoding) -> Encoding:
            """Return an encoding that fits; of several, one that another text shows."""
            found = fitting[pointer, spelling]
            likely = (*certain, spelling.encoding, *found)
            encoding = next((one for one in likely if one in found), spelling.encoding)
            return Encoding(spelling.prefix, encoding)

        self.hashed = [one._replace(spelling=settled(one.at, one.spelling)) for one in self.hashed]
        self.signed = [
            one._replace(
                spelling=settled(one.at, one.spelling),
                id=(one.id[0], settled(*one.id)) if one.id else None,
            )
            for one in self.signed
        ]

    def profiles(
        self, samples: Sequence[Sample], counted: Mapping[_DigestMatch, int]
    ) -> list[Profile]:
        """Return the profiles that may explain the events."""
        common = _common_texts(samples)
        found = []
        for one in _in_every_form(_with_unions(self.signed), samples):
            profile = _profile(one, key_place(samples, common, one.payload, self.keys))
            profile = replace(profile, pointers=places_of(profile, one.image, samples, common))
            if profile.signature.form != "id":
                profile = replace(profile, id=_id_of(profile, counted, samples))
            found.append(profile)
        return list({repr(one): one for one in found}.values())


def _common_texts(samples: Sequence[Sample]) -> list[str]:
    """Return the pointers at which every event has a text."""
    common = [pointer for pointer, _ in strings(samples[0].event)]
    for one in samples:
        common = [pointer for pointer in common if isinstance(get_pointer(one.event, pointer), str)]
    return common


def _profile(one: _SignatureMatch, key: str | None) -> Profile:
    places: dict[Field, str] = {"payload": one.payload} if one.payload else {}
    if key is not None:
        places["key"] = key
    rule = SignatureRule(one.at, one.spelling, one.form, None if one.id else one.image)
    return Profile("probed", places, IdRule(*one.id, one.image) if one.id else None, rule)


def _outside(found: Iterable[EncodedText], payload: str) -> list[EncodedText]:
    """Return the texts outside the payload; one in it is not about the event."""
    return [one for one in found if not in_payload(payload, one.at)]


def _of_ids(
    event: Object, ids: Iterable[tuple[_DigestMatch, SignedSubset]]
) -> Iterator[_CandidateText]:
    """Yield the messages that belong to an id: the cheapest to try, and the likeliest."""
    for one, subset in ids:
        for form in FORMS:
            text = str(get_pointer(event, one.at)).encode() if form == "id" else _data(form, subset)
            spot = (one.at, one.spelling) if form == "id" else None
            yield _CandidateText(form, subset, spot, text)


def _of_all(tried: Sequence[SignedSubset], signature: EncodedText) -> Iterator[_CandidateText]:
    """Yield every message that does not contain the signature itself."""
    free = [one for one in tried if one.of == "payload" or is_below(one.excluded, signature.at)]
    for form in FORMS:
        for subset in free if form != "id" else ():
            yield _CandidateText(form, subset, None, _data(form, subset))


def _data(form: SignedForm, subset: SignedSubset) -> bytes:
    if form == "canonical":
        return subset.text
    return subset.digest.hex().encode() if form == "hex" else subset.digest


def _recomputing(one: _DigestMatch, samples: Iterable[Sample]) -> int:
    """Return the number of events in which a text is the same digest as in one."""
    return sum(
        get_pointer(sample.event, one.at)
        == one.spelling.write(sha256(one.image.text(sample.event, one.payload)))
        for sample in samples
    )


def _id_of(
    profile: Profile, counted: Mapping[_DigestMatch, int], samples: Sequence[Sample]
) -> IdRule | None:
    """Return the digest of all fields that every event has, or None."""
    payload = profile.pointers.get("payload", "")
    needed = [profile.pointers[role] for role in NEEDED if role in profile.pointers]
    found = [
        one
        for one in counted
        if one.payload == payload
        and all(one.image.covers(place, payload) for place in needed)
        and all(isinstance(get_pointer(sample.event, one.at), str) for sample in samples)
    ]
    found.sort(key=lambda one: (-counted[one], id_rank(one.at), len(one.image.excluded)))
    return found[0].rule if found else None


def _likeliest(event: Object, payload: str, keys: KeySet) -> list[Key]:
    """Return the keys that an event names outside of its payload; if none, all."""
    texts = {text for pointer, text in strings(event) if not in_payload(payload, pointer)}
    return [key for key in keys if texts & set(key.names)] or list(keys)
