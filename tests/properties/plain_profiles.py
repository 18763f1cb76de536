"""Events in other envelopes as the protocol describes them: slow, plain, and sharing no code.

A profile is the value that its file holds.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests import oracle
from tests.builders import Object
from tests.engine.invented_envelopes import RECORD
from tests.oracle.merge import (
    in_window,
    is_event_type,
    is_time,
    key_may_sign,
    nesting,
    payload_fits,
    time_of,
    verdict,
)

CODES = (
    "event.shape",
    "event.id",
    "event.subject",
    "event.time",
    "event.key_unknown",
    "event.key_mismatch",
    "event.key_window",
    "event.signature",
    "event.role",
    "event.payload",
)


def steps(pointer: str) -> list[str]:
    """The names that a JSON Pointer goes through (RFC 6901)."""
    return [one.replace("~1", "/").replace("~0", "~") for one in pointer.split("/")[1:]]


def found(event: Any, pointer: str) -> Any:
    """What stands there, or None."""
    for step in steps(pointer):
        if not isinstance(event, dict) or step not in event:
            return None
        event = event[step]
    return event


def changed(event: Object, pointer: str, value: Any = None, *, drop: bool = False) -> Object:
    """A copy with another value there; as it is where no object stands above."""
    copy: Object = json.loads(json.dumps(event))
    *above, last = steps(pointer)
    holder: Any = copy
    for step in above:
        holder = holder.get(step) if isinstance(holder, dict) else None
    if isinstance(holder, dict):
        if drop:
            holder.pop(last, None)
        else:
            holder[last] = value
    return copy


def pre_image(event: Object, image: Object, places: Object) -> bytes:
    """The bytes that are hashed or signed."""
    value: Any = event
    if image["of"] == "payload":
        value = found(event, places["payload"])
    for pointer in image["less"]:
        value = changed(value, pointer, drop=True)
    if image["only"] is not None:
        value = {name: one for name, one in value.items() if name in image["only"]}
    spell = oracle.canonical_ascii if image.get("ascii") else oracle.canonical
    return spell({"payload": value} if image["wrapped"] else value)


def spelled(data: bytes, spelling: Object) -> str:
    """Bytes as text."""
    text = {
        "hex": data.hex(),
        "base64": base64.b64encode(data).decode(),
        "base64url": base64.urlsafe_b64encode(data).decode().rstrip("="),
        "base64url-padded": base64.urlsafe_b64encode(data).decode(),
        "hex-upper": data.hex().upper(),
    }[spelling["encoding"]]
    return f"{spelling['prefix']}{text}"


def id_of(event: Object, profile: Object) -> str:
    """The id that an event should have."""
    rule = profile["id"]
    hashed = hashlib.sha256(pre_image(event, rule["hashes"], profile["places"])).digest()
    return spelled(hashed, rule["spelling"])


def signed(event: Object, profile: Object) -> bytes:
    """What the signature should be over."""
    rule = profile["signature"]
    if rule["form"] == "id":
        return str(found(event, profile["id"]["at"])).encode()
    text = pre_image(event, rule["signs"], profile["places"])
    hashed = hashlib.sha256(text)
    forms = {"canonical": text, "hex": hashed.hexdigest().encode(), "digest": hashed.digest()}
    return forms[rule["form"]]


def is_by(key: Object, event: Object, profile: Object) -> bool:
    """Whether the signature is this key's."""
    text, spelling = found(event, profile["signature"]["at"]), profile["signature"]["spelling"]
    rest = text.removeprefix(spelling["prefix"])
    try:
        if spelling["encoding"].startswith("hex"):
            data = bytes.fromhex(rest)
        else:
            others = b"-_" if "url" in spelling["encoding"] else None
            data = base64.b64decode(rest + "=" * (-len(rest) % 4), others)
    except ValueError:
        return False
    if spelled(data, spelling) != text or len(data) != 64:
        return False
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key["public_key_hex"]))
    try:
        public.verify(data, signed(event, profile))
    except InvalidSignature:
        return False
    return True


def covers(image: Object, pointer: str, places: Object) -> bool:
    """Whether another value there makes another text."""
    event: Object = {}
    for one in (*places.values(), pointer):
        holder = event
        for step in steps(one)[:-1]:
            holder = holder.setdefault(step, {})
        holder.setdefault(steps(one)[-1], {})
    texts = {pre_image(changed(event, pointer, value), image, places) for value in ("x", "y")}
    return len(texts) == 2


def said_by(event: Object, profile: Object) -> Object:
    """What an event says, in the members of E1."""
    places = profile["places"]
    name = found(event, places["type"])
    event_type = profile["types"].get(name, name)
    targets = {"graph_snapshot": "graph", "pith.integrity.v1": "integrity"}
    target = {**targets, "event_revoked": "event"}.get(event_type, "record")
    return {
        "event_type": event_type,
        "target": found(event, places["target"]) if "target" in places else target,
        "created_at": found(event, places["time"]),
        "payload": found(event, places["payload"]),
    }


def plain(event: Any, keys: list[Object], profile: Object) -> Any:
    """The code of an event under a profile; else the id of its key, and what it says."""
    places = profile["places"]
    rule, identity = profile["signature"], profile["id"]
    image = identity["hashes"] if rule["form"] == "id" else rule["signs"]
    if not isinstance(event, dict):
        return "event.shape"
    texts = [place for role, place in places.items() if role != "payload"]
    for place in (*texts, rule["at"], *([identity["at"]] if identity else [])):
        if not isinstance(found(event, place), str) or not found(event, place):
            return "event.shape"
    said = said_by(event, profile)
    event_type, target, payload = said["event_type"], said["target"], said["payload"]
    if not is_event_type(event_type) or len(target) > 128 or not isinstance(payload, dict):
        return "event.shape"
    if len(oracle.canonical(event)) > 1_048_576 or nesting(payload) > 32:
        return "event.shape"
    if identity and found(event, identity["at"]) != id_of(event, profile):
        return "event.id"
    if found(event, places["subject"]) not in {
        oracle.pith_number_of(RECORD), oracle.record_digest(RECORD)
    }:  # fmt: skip
        return "event.subject"
    time = found(event, places["time"])
    if not is_time(time):
        return "event.time"
    named = [key for key in keys if "key" not in places or is_named(key, event, places, keys)]
    if not named:
        return "event.key_unknown"
    codes = {key["key_id"]: of_key(key, event, keys, profile) for key in named}
    if None not in codes.values():
        return max(codes.values(), key=lambda one: CODES.index(str(one)))
    able = next(key for key in named if codes[key["key_id"]] is None)
    is_covered = "key" in places and covers(image, places["key"], places)
    speaker = min(
        key["key_id"]
        for key in (named if is_covered else keys)
        if key["public_key_hex"] == able["public_key_hex"]
        and of_key(key, event, keys, profile, image) is None
    )
    key = next(one for one in keys if one["key_id"] == speaker)
    hashed = hashlib.sha256(signed(event, profile)).hexdigest()
    made = {"public_key_hex": key["public_key_hex"], "signed": hashed}
    event_id = hashlib.sha256(oracle.canonical(made)).hexdigest()
    if is_covered:
        own = image if identity is None else identity["hashes"]
        of = own if identity and like(own, identity) == like(image, identity) else image
        event_id = hashlib.sha256(pre_image(event, of, places)).hexdigest()
    return speaker, f"sha256:{event_id}", said


def like(image: Object, identity: Object) -> Any:
    """What is hashed or signed, the id itself aside."""
    return image["of"], image["only"], {*image["less"], identity["at"]}


def is_named(key: Object, event: Object, places: Object, keys: list[Object]) -> bool:
    """Whether the event names the key: by its id, or what is the id of no key."""
    name = found(event, places["key"])
    if any(one["key_id"] == name for one in keys):
        return bool(key["key_id"] == name)
    return name in {oracle.fingerprint(key), key["public_key_hex"]}


def of_key(
    key: Object,
    event: Object,
    keys: list[Object],
    profile: Object,
    image: Object | None = None,
) -> str | None:
    """The code of an event if this is its key; with an image, as far as that covers it."""
    said = said_by(event, profile)
    above = profile["places"].get("key", "").rpartition("/")[0]
    beside = found(event, above) if above else None
    signer = {"public_key_fingerprint": oracle.fingerprint(key), **key}
    for name in ("public_key_fingerprint", "signer_id", "signer_type"):
        if image is not None and not covers(image, f"{above}/{name}", profile["places"]):
            continue
        if isinstance(beside, dict) and name in beside and beside[name] != signer[name]:
            return "event.key_mismatch"
    if not in_window(key, time_of(said["created_at"])):
        return "event.key_window"
    if not is_by(key, event, profile):
        return "event.signature"
    if not key_may_sign(key, said["event_type"]):
        return "event.role"
    return None if payload_fits(said, RECORD, keys) else "event.payload"


def plainly(event: Any, keys: list[Object], profiles: Sequence[Object]) -> tuple[str, Any]:
    """The profile and the verdict, under the built-in profile and others."""
    best: tuple[str, Any] = "mirror-v1", verdict(event, RECORD, keys)
    if best[1] is None:
        return best
    for profile in sorted(profiles, key=lambda one: str(one["name"])):
        code = plain(event, keys, profile)
        if not isinstance(code, str):
            return profile["name"], code
        if CODES.index(code) > CODES.index(best[1]):
            best = profile["name"], code
    return best
