"""Which Ed25519 signatures are accepted (rule S1), whatever library does the arithmetic.

Libraries disagree at the edges: OpenSSL takes keys and nonces of small order and encodings that
are not canonical, libsodium does not. A registry's verdict must not depend on what is installed,
so the edges are settled here, by bytes, before a backend sees the signature. What is left is the
cofactorless equation, on which every backend agrees.

S1: 64 bytes R || S with S < L; A and R canonical encodings of points of the curve, not of small
order; R = SB - hA with h = SHA-512(R || A || M) mod L.

Source: S1; RFC 8032 section 5.1.7; "Taming the many EdDSAs" (2020).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache, lru_cache
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

__all__ = ["Backend", "backends", "is_public_key", "verify"]

Backend: TypeAlias = Callable[[bytes, bytes, bytes], bool]
"""Checks the equation of S1: raw public key (32 bytes), message, signature (64 bytes)."""

_P = 2**255 - 19
_D = -121665 * pow(121666, _P - 2, _P) % _P
_SIGN_BIT = 1 << 255

_L = 2**252 + 27742317777372353535851937790883648493
_Y8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
SMALL_ORDER_Y = frozenset({0, 1, _P - 1, _Y8, _P - _Y8})
"""The y of every point whose order divides 8; with either sign bit these are all of them."""


def verify(
    public_key: bytes, message: bytes, signature: bytes, backend: Backend | None = None
) -> bool:
    """Whether S1 accepts `signature` (64 bytes R || S) of `message` by `public_key` (32 bytes)."""
    if len(signature) != 64 or len(public_key) != 32:
        return False
    if not (_is_sound_key(public_key) and _is_sound(signature[:32])):
        return False
    if int.from_bytes(signature[32:], "little") >= _L:
        return False
    return (backend or _fastest())(public_key, message, signature)


def is_public_key(raw: bytes) -> bool:
    """Whether `raw` passes S1's checks on A: 32 bytes, a point, canonical, not of small order."""
    return len(raw) == 32 and _is_sound(raw) and _is_on_curve(raw)


def _is_sound(point: bytes) -> bool:
    """Whether an encoded point (32 bytes) is canonical and not of small order, by its bytes."""
    y = int.from_bytes(point, "little") & ~_SIGN_BIT
    return y < _P and y not in SMALL_ORDER_Y


_is_sound_key = lru_cache(maxsize=1024)(_is_sound)  # few keys sign much


@lru_cache(maxsize=1024)  # the same keys are read again and again
def _is_on_curve(point: bytes) -> bool:
    """Whether some x fits the encoded y: x^2 = (y^2 - 1) / (d y^2 + 1) has a root mod p.

    The root exists exactly if the quotient's (p-1)/2-th power is 1 (Euler); x = 0 belongs to
    points of small order, which `_is_sound` refused.
    """
    y = int.from_bytes(point, "little") & ~_SIGN_BIT
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P)
    return pow(square, (_P - 1) // 2, _P) == 1


# Backends ------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _openssl_key(public_key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public_key)


def _openssl(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        _openssl_key(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _libsodium() -> Backend | None:
    """Return the backend of PyNaCl (extra `fast`), or None where it is not installed."""
    try:
        bindings = importlib.import_module("nacl.bindings")
        bad_signature: type[Exception] = importlib.import_module(
            "nacl.exceptions"
        ).BadSignatureError
    except ImportError:
        return None

    def check(public_key: bytes, message: bytes, signature: bytes) -> bool:
        try:
            bindings.crypto_sign_open(signature + message, public_key)
        except bad_signature:
            return False
        return True

    return check


@cache
def backends() -> dict[str, Backend]:
    """Return the backends of this machine by name, the fastest last."""
    found: dict[str, Backend] = {"cryptography": _openssl}
    libsodium = _libsodium()
    if libsodium is not None and not _is_cofactored(libsodium):
        found["pynacl"] = libsodium
    return found


@cache
def _fastest() -> Backend:
    return list(backends().values())[-1]


def _is_cofactored(backend: Backend) -> bool:
    """Whether `backend` accepts what only the cofactored equation accepts.

    PyNaCl may be linked to any libsodium; one that multiplies by the cofactor accepts signatures
    that S1 refuses, and is not used.
    """
    return backend(*_COFACTORED_ONLY)


_COFACTORED_ONLY = (
    bytes.fromhex("7767a3242dc9b58bbc68488c1265cc6cc5f26c6f3c88a5d55e901b0734dca572"),
    b"mirror: only the cofactored equation accepts this",
    bytes.fromhex(
        "e9c6aa47f2c1dc30d08679feb45162ca38dfa1e557af575b803e03f30110eff5"
        "537d14ebb1c8d2af04c10e77dd1f54251a4477d53b227e399980dd07d7fcfa00"
    ),
)
"""Made for this check: R = rB + T with T of order 8, S = r + ha, so SB - hA misses R by T."""
