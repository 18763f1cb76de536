"""The profiles of the invented envelopes, as one who knows the envelope would write them down."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mirror.core.keys import KeySet
from mirror.core.profile import Encoding, IdRule, Profile, SignatureRule, SignedContent
from mirror.core.profile_file import require_safe
from tests.builders import Signer
from tests.engine.invented_envelopes import ALICE, INVENTED, USUAL, Invented
from tests.helpers import keys_of

BOB = Signer("bob")


def profile_of(invented: Invented, name: str = "new", **types: str) -> Profile:
    """The profile that an envelope was made by."""
    places: Any = {role: place for role, place in {**USUAL, **invented.places}.items() if place}
    of: Any = "payload" if invented.signed == "the payload" else "event"
    wrapped = invented.words.startswith("{")
    image = SignedContent(of, tuple(sorted(invented.less)), None, wrapped, invented.ascii)
    identity = None
    if invented.id_at is not None:
        less = {*invented.less, invented.id_at} if of == "event" else set()
        hashes = replace(image, excluded=tuple(sorted(less)))
        identity = IdRule(invented.id_at, Encoding(*invented.id_is), hashes)
    form: Any = invented.form
    signs = None if form == "id" else image
    spelling = Encoding(*invented.signature_is)
    signature = SignatureRule(invented.signature_at, spelling, form, signs)
    return require_safe(Profile(name, places, identity, signature, types))


def of_make(make: Any) -> Invented:
    """The envelope of this maker."""
    return next(one for one in INVENTED if one.make is make and not one.ascii)


def trusting(*profiles: Profile, signers: tuple[Signer, ...] = (ALICE, BOB)) -> KeySet:
    """A key set with these profiles."""
    return keys_of(*signers).with_profiles(profiles)
