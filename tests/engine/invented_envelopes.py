"""Envelopes as somebody could have made them up: each hashes and signs in a way of its own.

Nothing in here imports `mirror`: an envelope is written from its description, and `mirror probe`
must find the description again.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from tests import oracle
from tests.builders import Object, Signer, author_claim, citation, make_record, storage, without

RECORD = make_record()
ALICE = Signer("alice")


@dataclass(frozen=True)
class Said:
    """What an event says, whatever its envelope."""

    event_type: str
    payload: Object
    created_at: str
    number: int
    """Its place in a row of events."""
    record: Object = field(default_factory=lambda: RECORD)

    @property
    def subject(self) -> str:
        """Whom it speaks of."""
        return oracle.pith_number_of(self.record)


THREE = (
    Said("author_claimed", author_claim(), "2026-01-01T12:00:00Z", 1),
    Said("citation_signed", citation(note="\u00e9 \U0001f600"), "2026-02-01T00:00:00.5Z", 2),
    Said("storage_attested", storage(size=1.5e-7), "2026-03-01T00:00:00.123456+00:00", 3),
)
"""Events that have nothing in common but their record."""


# Hashing and signing -------------------------------------------------------------------------

IS_ASCII = ContextVar("IS_ASCII", default=False)
"""Whether values are hashed in ASCII form (V7)."""


def text_of(value: object) -> bytes:
    """What is hashed of a value: its canonical bytes (V2), or its ASCII form (V7)."""
    return oracle.canonical_ascii(value) if IS_ASCII.get() else oracle.canonical(value)


def digest(value: object) -> bytes:
    """The digest of a value (V3), raw."""
    return hashlib.sha256(text_of(value)).digest()


def wrapped(value: object) -> bytes:
    """The payload digest of a value (V4), raw."""
    return digest({"payload": value})


def base64url(data: bytes) -> str:
    """RFC 4648 section 5, without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def signature(signer: Signer, data: bytes) -> bytes:
    """A signature, raw."""
    return base64.b64decode(signer.sign(data))


# The envelopes -------------------------------------------------------------------------------


def _body(said: Said, **members: object) -> Object:
    return {
        "event_type": said.event_type,
        "subject_pith_number": said.subject,
        "created_at": said.created_at,
        "payload": said.payload,
        **members,
    }


def _id_of(body: Object) -> str:
    return f"sha256:{digest(body).hex()}"


def flat(said: Said, signer: Signer) -> Object:
    """All members side by side, the signature among them."""
    body = _body(said, target="record", key_id=signer.key_id)
    return {**body, "event_id": _id_of(body), "signature_b64": signer.sign(digest(body))}


def other_names(said: Said, signer: Signer) -> Object:
    """No member has the name that E1 gives it."""
    body = {
        "kind": said.event_type,
        "about": said.subject,
        "timestamp": said.created_at,
        "body": said.payload,
        "by": {"kid": signer.key_id, "name": signer.name},
    }
    proof = {"alg": "ed25519", "value": signer.sign(digest(body))}
    return {**body, "hash": digest(body).hex(), "proof": proof}


def in_the_signer(said: Said, signer: Signer) -> Object:
    """The signature stands in the signer, the rest of which is signed."""
    body = _body(said, signer={"key_id": signer.key_id, "name": signer.name})
    signed = {**body["signer"], "signature": signer.sign(digest(body))}
    return {**body, "signer": signed, "event_id": _id_of(body)}


def linked(said: Said, signer: Signer) -> Object:
    """Each event names the one before it."""
    previous = hashlib.sha256(str(said.number).encode()).hexdigest()
    body = _body(said, key_id=signer.key_id, previous=f"sha256:{previous}")
    return {**body, "event_id": _id_of(body), "signature": signer.sign(digest(body))}


def in_a_wrapper(said: Said, signer: Signer) -> Object:
    """What is hashed is {"payload": event}, as upstream hashes other things (V4)."""
    body = _body(said, key_id=signer.key_id)
    event_id = f"sha256:{wrapped(body).hex()}"
    return {**body, "event_id": event_id, "signature": signer.sign(wrapped(body))}


def payload_alone(said: Said, signer: Signer) -> Object:
    """All that is said stands in the payload, and only that is hashed."""
    inside = {**said.payload, **without(_body(said), "payload")}
    return {
        "payload": inside,
        "id": digest(inside).hex(),
        "signature": signer.sign(digest(inside)),
        "key_id": signer.key_id,
    }


def over_hex(said: Said, signer: Signer) -> Object:
    """What is signed is the digest as 64 digits of text."""
    body = _body(said, key_id=signer.key_id)
    signed = signer.sign(digest(body).hex().encode())
    return {**body, "event_id": _id_of(body), "signature": signed}


def over_the_id(said: Said, signer: Signer) -> Object:
    """What is signed is the text of the id."""
    body = _body(said, key_id=signer.key_id)
    return {**body, "event_id": _id_of(body), "signature": signer.sign(_id_of(body).encode())}


def over_bytes_with_the_id(said: Said, signer: Signer) -> Object:
    """What is signed are the canonical bytes, with the id in them."""
    body = _body(said, key_id=signer.key_id)
    body["event_id"] = _id_of(body)
    return {**body, "signature": signer.sign(text_of(body))}


def integer_ids(said: Said, signer: Signer) -> Object:
    """The id is a number; a digest of the payload stands beside it."""
    body = _body(said, event_id=said.number, payload_sha256=wrapped(said.payload).hex())
    body["signing_key_id"] = signer.key_id
    return {**body, "signature": signer.sign(digest(body))}


def with_a_payload_digest(said: Said, signer: Signer) -> Object:
    """Beside the id stands a digest of the payload, which is a part of what is hashed."""
    body = _body(said, payload_sha256=wrapped(said.payload).hex(), key_id=signer.key_id)
    return {**body, "event_id": _id_of(body), "signature": signer.sign(digest(body))}


def without_id(said: Said, signer: Signer) -> Object:
    """There is no id."""
    body = _body(said, key_id=signer.key_id)
    return {**body, "signature": signer.sign(digest(body))}


def signed_in_base64url(said: Said, signer: Signer) -> Object:
    """The signature is spelled as web tokens are."""
    body = _body(said, key_id=signer.key_id)
    signed = base64url(signature(signer, digest(body)))
    return {**body, "event_id": _id_of(body), "signature": f"ed25519:{signed}"}


def signed_in_hex(said: Said, signer: Signer) -> Object:
    """The signature is 128 digits, and has a prefix."""
    body = _body(said, key_id=signer.key_id)
    signed = signature(signer, digest(body)).hex()
    return {**body, "event_id": _id_of(body), "signature": f"ed25519 {signed}"}


def ids_as_urn(said: Said, signer: Signer) -> Object:
    """The id is a name of the form `urn:sha256:...`."""
    body = _body(said, key_id=signer.key_id)
    event_id = f"urn:sha256:{digest(body).hex()}"
    return {**body, "event_id": event_id, "signature": signer.sign(digest(body))}


def ids_in_base64(said: Said, signer: Signer) -> Object:
    """The id is base64."""
    body = _body(said, key_id=signer.key_id)
    event_id = base64.b64encode(digest(body)).decode()
    return {**body, "event_id": event_id, "signature": signer.sign(digest(body))}


def padded(said: Said, signer: Signer) -> Object:
    """Id and signature are base64url with padding, as Python writes it."""
    body = _body(said, key_id=signer.key_id)
    event_id = base64.urlsafe_b64encode(digest(body)).decode()
    signed = base64.urlsafe_b64encode(signature(signer, digest(body))).decode()
    return {**body, "event_id": event_id, "signature": signed}


def in_capitals(said: Said, signer: Signer) -> Object:
    """Id and signature are hexadecimal digits in capitals, after `0x`."""
    body = _body(said, key_id=signer.key_id)
    signed = signature(signer, digest(body)).hex().upper()
    return {**body, "event_id": f"0x{digest(body).hex().upper()}", "signature": f"0x{signed}"}


def by_verb(said: Said, signer: Signer) -> Object:
    """The type has a name that nobody would guess; what stands there are types of E4."""
    body = {**without(_body(said, key_id=signer.key_id), "event_type"), "verb": said.event_type}
    return {**body, "event_id": _id_of(body), "signature": signer.sign(digest(body))}


def numbered(said: Said, signer: Signer) -> Object:
    """A number that whoever keeps the events gave them, outside of the digest."""
    return {**flat(said, signer), "seq": said.number}


def of_several_shapes(said: Said, signer: Signer) -> Object:
    """The first has a note, which is hashed; the last says when it came, which is not."""
    body = _body(said, key_id=signer.key_id)
    if said.number == 1:
        body["note"] = "only here"
    event = {**body, "event_id": _id_of(body), "signature": signer.sign(digest(body))}
    return {**event, "received_at": "2026-05-01T00:00:00Z"} if said.number == 3 else event


def by_fingerprint(said: Said, signer: Signer) -> Object:
    """The key is named by its fingerprint."""
    body = _body(said, signer={"fingerprint": signer.fingerprint, "name": signer.name})
    return {**body, "event_id": _id_of(body), "signature": signer.sign(digest(body))}


def by_public_key(said: Said, signer: Signer) -> Object:
    """The key is named by itself."""
    body = _body(said, author=signer.public_key.hex())
    return {**body, "event_id": _id_of(body), "signature": signer.sign(digest(body))}


def by_nobody(said: Said, signer: Signer) -> Object:
    """No key is named."""
    body = _body(said)
    return {**body, "event_id": _id_of(body), "signature": signer.sign(digest(body))}


# What must be found --------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Invented:
    """An envelope, and what is to be said of it."""

    make: Callable[[Said, Signer], Object]
    less: tuple[str, ...] = ("/event_id", "/signature")
    """What is left out of what is signed."""
    signed: str = "the event"
    """Of what that is left out."""
    form: str = "digest"
    id_at: str | None = "/event_id"
    id_is: tuple[str, str] = ("sha256:", "hex")
    """Prefix and encoding of the id."""
    signature_at: str = "/signature"
    signature_is: tuple[str, str] = ("", "base64")
    places: dict[str, str] = field(default_factory=dict)
    """Those that differ from the usual ones."""
    unprotected: tuple[str, ...] = ()
    ascii: bool = False
    """Whether it is the ASCII form that is hashed (V7)."""

    @property
    def name(self) -> str:
        """What to call it."""
        return self.make.__name__ + "_in_ascii" * self.ascii

    def events(self, signer: Signer = ALICE) -> list[Object]:
        """Three events that have nothing in common."""
        return [self.event(said, signer) for said in THREE]

    def event(self, said: Said, signer: Signer = ALICE) -> Object:
        """An event in this envelope."""
        before = IS_ASCII.set(self.ascii)
        try:
            return self.make(said, signer)
        finally:
            IS_ASCII.reset(before)

    @property
    def words(self) -> str:
        """What is signed, in the words of the command."""
        rest = f"{self.signed} less {', '.join(sorted(self.less))}" if self.less else self.signed
        rest = f'{{"payload": {rest}}}' if self.make is in_a_wrapper else rest
        return f"{rest}, in ASCII form (V7)" if self.ascii else rest


USUAL = {
    "type": "/event_type",
    "subject": "/subject_pith_number",
    "time": "/created_at",
    "payload": "/payload",
    "key": "/key_id",
}
INSIDE = {
    "type": "/payload/event_type",
    "subject": "/payload/subject_pith_number",
    "time": "/payload/created_at",
}

INVENTED = [
    Invented(
        flat,
        ("/event_id", "/signature_b64"),
        signature_at="/signature_b64",
        places={"target": "/target"},
    ),
    Invented(
        other_names,
        ("/hash", "/proof"),
        id_at="/hash",
        id_is=("", "hex"),
        signature_at="/proof/value",
        places={
            "type": "/kind",
            "subject": "/about",
            "time": "/timestamp",
            "payload": "/body",
            "key": "/by/kid",
        },
        unprotected=("/proof/alg",),
    ),
    Invented(
        in_the_signer,
        ("/event_id", "/signer/signature"),
        signature_at="/signer/signature",
        places={"key": "/signer/key_id"},
    ),
    Invented(linked),
    Invented(in_a_wrapper),
    Invented(
        payload_alone,
        (),
        "the payload",
        id_at="/id",
        id_is=("", "hex"),
        places=INSIDE,
        unprotected=("/key_id",),
    ),
    Invented(over_hex, form="hex"),
    Invented(over_the_id, form="id"),
    Invented(over_bytes_with_the_id, ("/signature",), form="canonical"),
    Invented(integer_ids, ("/signature",), id_at=None, places={"key": "/signing_key_id"}),
    Invented(with_a_payload_digest),
    Invented(without_id, ("/signature",), id_at=None),
    Invented(signed_in_base64url, signature_is=("ed25519:", "base64url")),
    Invented(signed_in_hex, signature_is=("ed25519 ", "hex")),
    Invented(ids_as_urn, id_is=("urn:sha256:", "hex")),
    Invented(ids_in_base64, id_is=("", "base64")),
    Invented(padded, id_is=("", "base64url-padded"), signature_is=("", "base64url-padded")),
    Invented(in_capitals, id_is=("0x", "hex-upper"), signature_is=("0x", "hex-upper")),
    Invented(by_verb, places={"type": "/verb"}),
    Invented(
        numbered,
        ("/event_id", "/seq", "/signature_b64"),
        signature_at="/signature_b64",
        places={"target": "/target"},
        unprotected=("/seq",),
    ),
    Invented(
        of_several_shapes,
        ("/event_id", "/received_at", "/signature"),
        unprotected=("/received_at",),
    ),
    Invented(by_fingerprint, places={"key": "/signer/fingerprint"}),
    Invented(by_public_key, places={"key": "/author"}),
    Invented(by_nobody, places={"key": ""}),
]
INVENTED += [
    replace(one, ascii=True)
    for one in INVENTED
    if one.make
    in (
        flat,
        other_names,
        in_a_wrapper,
        payload_alone,
        over_hex,
        over_the_id,
        over_bytes_with_the_id,
        without_id,
        of_several_shapes,
    )
]
"""Every envelope that is to be found; of places, an empty one is not to be there."""
