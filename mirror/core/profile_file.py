"""Profiles as files, and the conditions for trusting one.

The origin of a profile proves nothing. `require_safe` demands that everything that an event says
under it is signed, so that nobody but the holder of a trusted key can have said it.
"""

from __future__ import annotations

import re

from mirror.core.json_pointer import is_below, is_pointer
from mirror.core.limits import MAX_NAMES, require_at_most
from mirror.core.profile import (
    ENCODINGS,
    FIELDS,
    FORMS,
    INTEGRITY_V1,
    MIRROR_V1,
    PARTS,
    PROFILE_TYPE,
    PROFILE_VERSION,
    Encoding,
    Field,
    IdRule,
    Profile,
    SignatureRule,
    SignedContent,
)
from mirror.core.shape import ObjectReader, read_object
from mirror.core.values import Value, decode
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

_HINT = "`mirror probe --save FILE` writes such a file"


def parse_profile(data: bytes) -> Profile:
    """Read a profile from a file.

    Raises:
        FormatError: A code of V1, `profile.shape` or `limit.count` (B4), with the JSON Pointer
            of the fault.
    """
    return read_profile(decode(data))


def read_profile(value: Value, where: str = "") -> Profile:
    """Return the profile that a value describes; unknown members are ignored.

    Args:
        value: The decoded file.
        where: The JSON Pointer of `value` in its document.

    Raises:
        FormatError: `profile.shape` or `limit.count` (B4), with the JSON Pointer of the fault.
    """
    file = read_object(value, "profile.shape", where=where, hint=_HINT)
    for name, expected in (("profile_type", PROFILE_TYPE), ("profile_version", PROFILE_VERSION)):
        if file.value.get(name) != expected:
            raise file.fault(f'must be "{expected}"', name)
    name, pointers = file.text("name"), _pointers(file)
    profile = Profile(name, pointers, _id_rule(file), _signature_rule(file), _types(file))
    contents = (profile.id.hashes if profile.id else None, profile.signature.signs)
    if "payload" not in pointers and any(one and one.of == "payload" for one in contents):
        raise file.object("places").fault("is missing, and the payload is hashed", "payload")
    return profile


def _pointers(file: ObjectReader) -> dict[Field, str]:
    places = file.object("places")
    if not places.value.keys() <= set(FIELDS):
        raise places.fault(f"must have no members but {', '.join(FIELDS)}")
    return {field: _pointer(places, field) for field in FIELDS if field in places.value}


def _types(file: ObjectReader) -> dict[str, str]:
    if "types" not in file.value:
        return {}
    types = file.object("types")
    require_at_most(len(types.value), MAX_NAMES, "types", types.where)
    return {name: types.text(name) for name in types.value}


def _id_rule(file: ObjectReader) -> IdRule | None:
    if "id" in file.value and file.value["id"] is None:
        return None
    rule = file.object("id")
    hashes = _signed_content(rule.object("hashes"))
    return IdRule(_pointer(rule, "at"), _encoding(rule), hashes)


def _signature_rule(file: ObjectReader) -> SignatureRule:
    rule = file.object("signature")
    form, is_named = rule.value.get("form"), rule.value.get("digest_at") is not None
    if form not in FORMS:
        raise rule.fault(f"must be one of {', '.join(FORMS)}", "form")
    if form == "id" and file.value.get("id") is None:
        raise rule.fault("must not be id: the profile has no id", "form")
    has_content = rule.value.get("signs") is not None
    signs = _signed_content(rule.object("signs")) if has_content else None
    digest_at = _pointer(rule, "digest_at") if is_named else ""
    if [form == "id", has_content, is_named].count(True) != 1:
        raise rule.fault("exactly one of signs, digest_at and the form id must be given", "signs")
    if is_named and form != "digest":
        raise rule.fault("must be digest if digest_at is given", "form")
    return SignatureRule(_pointer(rule, "at"), _encoding(rule), form, signs, digest_at)


def _signed_content(content: ObjectReader) -> SignedContent:
    of = content.value.get("of")
    if of not in PARTS:
        raise content.fault("must be event or payload", "of")
    excluded = _names(content, "less")
    if not all(map(is_pointer, excluded)):
        raise content.fault("must be a list of JSON Pointers to members", "less")
    if excluded and of == "payload":
        raise content.fault("must be empty if a payload is hashed", "less")
    is_wrapped, is_ascii = content.boolean("wrapped"), content.boolean("ascii", default=False)
    only = None if content.value.get("only") is None else _names(content, "only")
    return SignedContent(of, excluded, only, is_wrapped, is_ascii)


def _names(holder: ObjectReader, name: str) -> tuple[str, ...]:
    """Return strings in ascending order: one meaning has one spelling (K3)."""
    names = holder.texts(name)
    require_at_most(len(names), MAX_NAMES, "names", holder.fault("", name).where)
    return tuple(sorted(names))


def _encoding(rule: ObjectReader) -> Encoding:
    spelling = rule.object("spelling")
    encoding = spelling.text("encoding")
    if encoding not in ENCODINGS:
        raise spelling.fault(f"must be one of {', '.join(ENCODINGS)}", "encoding")
    return Encoding(spelling.text("prefix"), encoding)


def _pointer(holder: ObjectReader, name: str) -> str:
    text = holder.text(name)
    if not is_pointer(text):
        raise holder.fault("must be a JSON Pointer to a member", name)
    return text


# Conditions for trust ------------------------------------------------------------------------

NEEDED: tuple[Field, ...] = ("type", "subject", "time", "payload")
"""The fields that must be signed in every event, or no verdict could rest on it."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_BUILT_IN = (MIRROR_V1.name, INTEGRITY_V1.name)


def require_safe(profile: Profile, where: str = "") -> Profile:
    """Return the profile, if verdicts may rest on it.

    Raises:
        FormatError: `profile.unsafe`, if an event could say something under it that is not signed.
    """
    for weakness in weaknesses(profile):
        hint = "what is not signed, anybody could change: a profile must cover all that it reads"
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
    missing = [field for field in NEEDED if field not in profile.pointers]
    found += [f"it has no place for the {field} of an event" for field in missing]
    placed = {field: pointer for field, pointer in profile.pointers.items() if field != "key"}
    if len({*placed.values()}) < len(placed):
        found.append("it has one place for two things")
    if profile.signed is None:
        return [*found, "the event only names the digest that is signed; its content is not signed"]
    found += [
        f"the signature does not cover the {field} of an event, {pointer}"
        for field, pointer in placed.items()
        if not profile.covers(pointer)
    ]
    return found


def loose_members(profile: Profile) -> list[str]:
    """Return the members that the signature leaves out, in plain words, without itself and the id.

    No rule reads them, and no state shows them.
    """
    own = profile.signature_pointers
    found = [
        f"{one} except the signature" if any(is_below([one], it) for it in own) else one
        for one in profile.excluded
        if one not in own
    ]
    signed = profile.signed
    if signed is not None and (signed.only is not None or signed.of == "payload"):
        found.insert(0, f"every member outside {signed.extent}")
    return found


def read_alike(one: Profile, other: Profile) -> bool:
    """Whether two profiles read no signed message differently, as far as their pointers show."""
    if one.signature.form != other.signature.form:
        return True
    if any(one.pointers.get(field) != other.pointers.get(field) for field in NEEDED):
        return True
    return (one.pointers.get("target"), one.types) == (other.pointers.get("target"), other.types)


def keeps_id(profile: Profile) -> bool:
    """Whether an id belongs to one signed message: it is a digest of what the signature covers.

    The id may itself be signed. Otherwise two different events could have the same id.
    """
    signed, rule = profile.signed, profile.id
    if signed is None or rule is None:
        return False
    hashed = rule.hashes
    return (hashed.of, hashed.only, {*hashed.excluded} | {rule.at}) == (
        signed.of,
        signed.only,
        {*signed.excluded} | {rule.at},
    )
