"""Profiles as files, and what one must be for verdicts to rest on it.

Where a profile came from proves nothing. `require_safe` asks of it that whatever an event says
under it lies under a signature, so that nobody but the holder of a trusted key can have said it.
"""

from __future__ import annotations

import re
from typing import Literal, cast

from mirror.core.json_pointer import is_below, is_pointer
from mirror.core.limits import MAX_NAMES, require_at_most
from mirror.core.profile import (
    ENCODINGS,
    FORMS,
    INTEGRITY_V1,
    MIRROR_V1,
    PROFILE_TYPE,
    PROFILE_VERSION,
    ROLES,
    Encoding,
    Field,
    IdRule,
    Profile,
    SignatureRule,
    SignedContent,
)
from mirror.core.values import Object, Value, decode
from mirror.errors import FormatError

__all__ = [
    "NEEDED",
    "keeps_id",
    "loose_members",
    "parse_profile",
    "read_alike",
    "read_profile",
    "require_safe",
    "weaknesses",
]

# Profiles from files -------------------------------------------------------------------------


def parse_profile(data: bytes) -> Profile:
    """Read a profile from a file.

    Raises:
        FormatError: A code of V1, `profile.shape` or `limit.count` (B4), with the JSON Pointer
            of the fault.
    """
    return read_profile(decode(data))


def read_profile(given: Value) -> Profile:
    """Return the profile that a value describes; unknown members are ignored.

    Raises:
        FormatError: `profile.shape` or `limit.count` (B4), with the JSON Pointer of the fault.
    """
    value = _object(given, "")
    for name, expected in (("profile_type", PROFILE_TYPE), ("profile_version", PROFILE_VERSION)):
        if value.get(name) != expected:
            raise _fault(f"/{name}", f'it is not "{expected}"')
    name, places = _text(value, "name", ""), _places(value)
    profile = Profile(name, places, _id_rule(value), _signature_rule(value), _types(value))
    images = (profile.id.hashes if profile.id else None, profile.signature.signs)
    if "payload" not in places and any(one and one.of == "payload" for one in images):
        raise _fault("/places/payload", "the payload is hashed, and has no place")
    return profile


def _places(value: Object) -> dict[Field, str]:
    places = _object(value.get("places"), "/places")
    if not set(places) <= set(ROLES):
        raise _fault("/places", f"there is more in it than {', '.join(ROLES)}")
    return {role: _pointer(places, role, "/places") for role in ROLES if role in places}


def _types(value: Object) -> dict[str, str]:
    types = _object(value.get("types", {}), "/types")
    require_at_most(len(types), MAX_NAMES, "types", "/types")
    return {name: _text(types, name, "/types") for name in types}


def _id_rule(value: Object) -> IdRule | None:
    if "id" in value and value["id"] is None:
        return None
    rule = _object(value.get("id"), "/id")
    hashes = _pre_image(rule.get("hashes"), "/id/hashes")
    return IdRule(_pointer(rule, "at", "/id"), _spelling(rule, "/id"), hashes)


def _signature_rule(value: Object) -> SignatureRule:
    where = "/signature"
    rule = _object(value.get("signature"), where)
    form = rule.get("form")
    if form not in FORMS:
        raise _fault(f"{where}/form", f"it is none of {', '.join(FORMS)}")
    if form == "id" and value.get("id") is None:
        raise _fault(f"{where}/form", "there is no id that could be signed")
    signs = None if rule.get("signs") is None else _pre_image(rule["signs"], f"{where}/signs")
    named = rule.get("digest_at") is not None
    digest_at = _pointer(rule, "digest_at", where) if named else ""
    if [form == "id", signs is not None, named].count(True) != 1:
        raise _fault(f"{where}/signs", "it must say just one thing that is signed")
    if named and form != "digest":
        raise _fault(f"{where}/form", "a digest that is only named is signed as it is")
    spelling = _spelling(rule, where)
    return SignatureRule(_pointer(rule, "at", where), spelling, form, signs, digest_at)


def _pre_image(value: Value, where: str) -> SignedContent:
    found = _object(value, where)
    of, wrapped, is_ascii = found.get("of"), found.get("wrapped"), found.get("ascii", False)
    if of not in ("event", "payload"):
        raise _fault(f"{where}/of", 'it is neither "event" nor "payload"')
    if not isinstance(wrapped, bool):
        raise _fault(f"{where}/wrapped", "it is neither true nor false")
    if not isinstance(is_ascii, bool):
        raise _fault(f"{where}/ascii", "it is neither true nor false, nor absent")
    less, only = _names(found.get("less"), f"{where}/less"), found.get("only")
    if not all(map(is_pointer, less)):
        raise _fault(f"{where}/less", "there is what is no JSON Pointer in it")
    if less and of == "payload":
        raise _fault(f"{where}/less", "nothing can be left out of a payload")
    taken = None if only is None else _names(only, f"{where}/only")
    taken = None if taken is None else tuple(sorted(taken))  # of one meaning, one spelling (K3)
    part = cast("Literal['event', 'payload']", of)
    return SignedContent(part, tuple(sorted(less)), taken, wrapped, is_ascii)


def _spelling(holder: Object, where: str) -> Encoding:
    value = _object(holder.get("spelling"), f"{where}/spelling")
    encoding = _text(value, "encoding", f"{where}/spelling")
    if encoding not in ENCODINGS:
        raise _fault(f"{where}/spelling/encoding", f"it is none of {', '.join(ENCODINGS)}")
    return Encoding(_text(value, "prefix", f"{where}/spelling"), encoding)


def _names(value: Value, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _fault(where, "it is not a list of strings")
    require_at_most(len(value), MAX_NAMES, "names", where)
    return tuple(cast("list[str]", value))


def _pointer(holder: Object, name: str, where: str) -> str:
    text = _text(holder, name, where)
    if not is_pointer(text):
        raise _fault(f"{where}/{name}", "it is no JSON Pointer to a member")
    return text


def _text(holder: Object, name: str, where: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str):
        raise _fault(f"{where}/{name}", "it is not a string")
    return value


def _object(value: Value, where: str) -> Object:
    if not isinstance(value, dict):
        raise _fault(where, "it is not an object")
    return value


def _fault(where: str, message: str) -> FormatError:
    hint = "`mirror probe --save FILE` writes such a file"
    return FormatError("profile.shape", message, where=where, hint=hint)


# What a profile must be to be trusted --------------------------------------------------------

NEEDED: tuple[Field, ...] = ("type", "subject", "time", "payload")
"""What every event must say under its signature, or no verdict could rest on it."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_BUILT_IN = (MIRROR_V1.name, INTEGRITY_V1.name)


def require_safe(profile: Profile, where: str = "") -> Profile:
    """Return the profile, if verdicts may rest on it.

    Raises:
        FormatError: `profile.unsafe`, if under it an event could say what nobody signed.
    """
    for weakness in weaknesses(profile):
        hint = "docs/probing.md says what a profile must be, and why"
        raise FormatError("profile.unsafe", weakness, where=where, hint=hint)
    return profile


def weaknesses(profile: Profile) -> list[str]:
    """Return why no verdict may rest on a profile, in plain words; nothing if one may."""
    found = []
    if _NAME.fullmatch(profile.name) is None or profile.name in _BUILT_IN:
        found.append(
            f"its name must be 1 to 64 letters, digits, dots, dashes and underscores, and not "
            f"{' or '.join(_BUILT_IN)}"
        )
    found += [
        f"it does not say where the {role} of an event stands"
        for role in NEEDED
        if role not in profile.pointers
    ]
    told = {role: place for role, place in profile.pointers.items() if role != "key"}
    if len({*told.values()}) < len(told):
        found.append("it says of two things that they stand in one place")
    if profile.signed is None:
        return [*found, "what is signed is only named in the event, and not made of what it says"]
    found += [
        f"the signature does not cover the {role} of an event, {place}"
        for role, place in told.items()
        if not profile.signed.covers(place, profile.pointers.get("payload", ""))
    ]
    return found


def loose_members(profile: Profile) -> list[str]:
    """Return what of an event the signature leaves out, itself and the id aside, in plain words.

    Nothing may rest on that, and nothing does: it is no part of what a state shows.
    """
    image = cast("SignedContent", profile.signed)
    rest = [one for one in image.excluded if one not in profile.signature_pointers]
    found = [
        f"{one} but for the signature"
        if any(is_below([one], it) for it in profile.signature_pointers)
        else one
        for one in rest
    ]
    if image.only is not None or image.of == "payload":
        found.insert(0, f"whatever is not in {image.extent}")
    return found


def read_alike(one: Profile, other: Profile) -> bool:
    """Whether two profiles never read one signed text differently, as far as their places tell."""
    if one.signature.form != other.signature.form:
        return True
    if any(one.pointers.get(role) != other.pointers.get(role) for role in NEEDED):
        return True
    return (one.pointers.get("target"), one.types) == (other.pointers.get("target"), other.types)


def keeps_id(profile: Profile) -> bool:
    """Whether one id is one signed text: the id is a digest of just what the signature covers.

    The id may itself be signed. Otherwise two different events could have the same id.
    """
    image, identity = profile.signed, profile.id
    if image is None or identity is None:
        return False
    hashed = identity.hashes
    return (hashed.of, hashed.only, {*hashed.excluded} | {identity.at}) == (
        image.of,
        image.only,
        {*image.excluded} | {identity.at},
    )
