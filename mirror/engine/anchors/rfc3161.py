"""Time-stamp tokens of authorities (RFC 3161), verified offline.

The protocol says that the digest of a `timestamp_anchored` event is the `canonical_sha256` of its
record, the hash of the record's canonical bytes (V2). So the message of the token is these bytes:
its imprint is their hash by the token's own algorithm, SHA-256, SHA-384 or SHA-512. With SHA-256
the imprint is `canonical_sha256` itself. A hash of a hash is another message, and not accepted.

A token counts if a certificate that is only for time-stamps signed it, and that certificate leads
to a root of a trusted authority, at the time in the token: a certificate that expired later is as
good as before. So a key that is stolen later can make tokens of an earlier time: nothing in a token
shows that. Revocation lists are not consulted.

The library `rfc3161-client` parses and verifies; its verifier is built for each authority.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from cryptography import x509

from mirror.core.values import Object, time_text
from mirror.engine.anchors.authorities import Authority, quiet_certificates
from mirror.engine.anchors.der import SEQUENCE, SET, elements, only, write
from mirror.engine.anchors.result import AnchorResult, AnchorStatus

if TYPE_CHECKING:
    from rfc3161_client import Accuracy, TimeStampResponse, TimeStampTokenInfo

__all__ = ["MAX_TOKEN_BYTES", "check_token"]

T = TypeVar("T")

MAX_TOKEN_BYTES = 1 << 18
"""The largest token that is parsed; those of authorities have less than a tenth of it."""
_MAX_CERTIFICATES = 32
"""The most certificates in a token."""
_ALGORITHMS = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
"""Hash algorithms of imprints, by object identifier."""
_NO_LIBRARY = "rfc3161-client is not installed; install pith-mirror[timestamps]"
_CERTIFICATES = 0xA0
"""Tag of the certificates of a `SignedData` (RFC 5652 section 5.1)."""
_GRANTED = bytes.fromhex("3003020100")
"""A `PKIStatusInfo` that grants a token: a response is it and the token."""


class _MalformedError(Exception):
    """The bytes are no token; the message says why."""


def check_token(proof: bytes, message: bytes, authorities: Collection[Authority]) -> AnchorResult:
    """Check a token about a message.

    Args:
        proof: A `TimeStampResp` or a `TimeStampToken` (DER).
        message: The canonical bytes of the record.
        authorities: The trusted authorities.
    """
    try:
        import rfc3161_client  # noqa: PLC0415 - an extra, and slow to load
    except ImportError:
        return AnchorResult(AnchorStatus.NOT_CHECKED, _NO_LIBRARY)
    with quiet_certificates():
        try:
            token = _parse(proof, rfc3161_client)
        except _MalformedError as error:
            return AnchorResult(AnchorStatus.MALFORMED, str(error))
        if reason := _other_message(token, message):
            return AnchorResult(AnchorStatus.NOT_THIS_DIGEST, reason, details=token.details)
        return _check_signature(token, authorities, rfc3161_client)


# Parsing -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Token:
    """A parsed token, which nobody vouches for yet."""

    response: TimeStampResponse
    algorithm: str
    """Object identifier of the hash algorithm of its imprint."""
    imprint: bytes
    at: datetime
    signer_id: tuple[x509.Name, int]
    """Issuer and serial number of the certificate that signed it."""
    signer: x509.Certificate | None
    """That certificate, if the token has it."""
    details: Object

    @property
    def time(self) -> str:
        """The time in the token (V5), in whole seconds: the library drops a fraction."""
        return time_text(self.at)


def _parse(proof: bytes, library: ModuleType) -> _Token:
    """Return the token in a response, or a token alone."""
    if len(proof) > MAX_TOKEN_BYTES:
        raise _MalformedError(f"it is longer than {MAX_TOKEN_BYTES:,} bytes")
    token = _guarded(lambda: _in_order(_token_of(proof)))
    # A status is not signed, so a token counts whatever status came with it.
    response = write(SEQUENCE, [_GRANTED, token])
    return _guarded(lambda: _read(library.decode_timestamp_response(response)))


def _token_of(proof: bytes) -> bytes:
    """Return the token of a response (RFC 3161 section 2.4.2), or what may be a token alone."""
    inner = elements(only(proof).content)
    if next(inner).tag != SEQUENCE:
        return proof
    token = next(inner, None)
    if token is None:
        raise _MalformedError("it is a response without a token: the authority refused")
    return token.whole


def _in_order(token: bytes) -> bytes:
    """Return a token with its sets of algorithms and of certificates in the order of DER.

    Many authorities do not sort them, and the library accepts no other order. Neither is signed.
    """
    outer = only(token)
    kind, content = elements(outer.content)
    signed = only(content.content)
    parts = [
        write(one.tag, sorted(item.whole for item in elements(one.content)))
        if one.tag in {SET, _CERTIFICATES}
        else one.whole
        for one in elements(signed.content)
    ]
    return write(outer.tag, [kind.whole, write(content.tag, [write(signed.tag, parts)])])


def _guarded(read: Callable[[], T]) -> T:
    """Return what `read` returns; all that goes wrong in it is the fault of the bytes."""
    try:
        return read()
    except _MalformedError:
        raise
    except StopIteration:
        raise _MalformedError("it is no time-stamp token: a value is empty") from None
    except Exception as error:  # `cryptography` has classes of its own below it
        raise _MalformedError(f"it is no time-stamp token: {_short(error)}") from error


def _read(response: TimeStampResponse) -> _Token:
    info, signed = response.tst_info, response.signed_data
    certificates = [x509.load_der_x509_certificate(one) for one in _few(signed.certificates)]
    (signer_info,) = signed.signer_infos
    signer_id = signer_info.issuer, signer_info.serial_number
    named = [one for one in certificates if _id(one) == signer_id]
    if len(named) > 1:
        raise _MalformedError("two of its certificates have the name of the one that signed it")
    imprint = info.message_imprint
    algorithm = imprint.hash_algorithm.dotted_string
    signer = named[0] if named else None
    return _Token(
        response, algorithm, imprint.message, info.gen_time, signer_id, signer, _details(info)
    )


def _few(certificates: Collection[bytes]) -> Collection[bytes]:
    if len(certificates) > _MAX_CERTIFICATES:
        raise _MalformedError(f"it has more than {_MAX_CERTIFICATES} certificates")
    return certificates


def _id(certificate: x509.Certificate) -> tuple[x509.Name, int]:
    return certificate.issuer, certificate.serial_number


def _details(info: TimeStampTokenInfo) -> Object:
    """Return what a token says, for JSON; it counts only if the token is anchored."""
    algorithm = info.message_imprint.hash_algorithm.dotted_string
    return {
        "hash_algorithm": _ALGORITHMS.get(algorithm, algorithm),
        "policy": info.policy.dotted_string,
        "serial_number": str(info.serial_number),
        "token_time": time_text(info.gen_time),
        "accuracy_microseconds": _accuracy(info),
    }


def _accuracy(info: TimeStampTokenInfo) -> int | None:
    """Return by how many microseconds the time may be off; None if the token does not say."""
    one = cast("Accuracy | None", info.accuracy)
    if one is None:
        return None
    return (one.seconds or 0) * 1_000_000 + (one.millis or 0) * 1_000 + (one.micros or 0)


def _short(error: Exception) -> str:
    text = "".join(one if one.isprintable() else "?" for one in str(error))
    return text if len(text) <= 200 else f"{text[:200]}…"


# Checks --------------------------------------------------------------------------------------


def _other_message(token: _Token, message: bytes) -> str:
    """Return why a token is about another message; empty if it is about this one."""
    name = _ALGORITHMS.get(token.algorithm)
    if name is None:
        return f"its imprint is by the hash algorithm {token.algorithm}, not by SHA-256, 384 or 512"
    if hashlib.new(name, message).digest() != token.imprint:
        return f"its imprint is not the {name} of the record's canonical bytes"
    return ""


def _check_signature(
    token: _Token, authorities: Collection[Authority], library: ModuleType
) -> AnchorResult:
    """Return the result of the first authority that made the token."""
    expired = None
    for authority in authorities:
        if _is_made_by(authority, token, token.at, library):
            return _anchored(token, authority)
        if expired is None and _is_made_out_of_time(authority, token, library):
            expired = authority
    if expired is not None:
        reason = f"a certificate of {expired.name} was not valid at {token.time}, the token's time"
        details = {**token.details, "authority": expired.name}
        return AnchorResult(AnchorStatus.EXPIRED, reason, details=details)
    if not authorities:
        reason = "no time-stamp authority is trusted; see `mirror keys trust-authority`"
    else:
        reason = "none of the trusted time-stamp authorities made it"
        if token.signer is None:
            reason += "; it has no certificate: the one that signed it must be with the authority's"
    return AnchorResult(AnchorStatus.AUTHORITY_UNKNOWN, reason, details=token.details)


def _anchored(token: _Token, authority: Authority) -> AnchorResult:
    reason = f"{authority.name} signed that it existed at {token.time}"
    details = {**token.details, "authority": authority.name}
    return AnchorResult(AnchorStatus.ANCHORED, reason, token.time, details)


def _is_made_by(authority: Authority, token: _Token, at: datetime, library: ModuleType) -> bool:
    """Whether a certificate of an authority, valid at a time, signed the token."""
    signer = next((one for one in authority.signers if _id(one) == token.signer_id), None)
    if signer is None and (authority.signers or token.signer is None):
        return False
    verifier = library.VerifierBuilder(
        roots=[*authority.roots], intermediates=[*authority.intermediates], tsa_certificate=signer
    ).build()
    # The verifier takes the time from the response.
    info = _Instead(token.response.tst_info, gen_time=at)
    try:
        verifier.verify(_Instead(token.response, tst_info=info), token.imprint)
    except Exception:  # noqa: BLE001 - as in `_guarded`; whatever it is, nothing was verified
        return False
    return True


def _is_made_out_of_time(authority: Authority, token: _Token, library: ModuleType) -> bool:
    """Whether an authority's key signed the token, when a certificate was not valid."""
    return any(
        _is_made_by(authority, token, at, library) for at in _times_of_validity(authority, token)
    )


def _times_of_validity(authority: Authority, token: _Token) -> Iterator[datetime]:
    """Yield the ends of the validity of the certificates that may have signed a token."""
    found = [one for one in (*authority.signers, token.signer) if one is not None]
    for signer in found:
        if _id(signer) == token.signer_id:
            yield signer.not_valid_before_utc
            yield signer.not_valid_after_utc


class _Instead:
    """An object with one attribute replaced."""

    def __init__(self, inner: object, **replaced: object) -> None:
        self._inner = inner
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
