"""Made-up keys, and signatures that only some libraries accept (S1).

A key follows from the seed of a run and its name. The odd signatures hold the equation of S1, or
that with the cofactor, so that an implementation that leaves a check out accepts them.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = [
    "Draft",
    "L",
    "SigningKey",
    "base64_text",
    "odd_signatures",
    "with_large_s",
    "with_torsion",
]

Draft: TypeAlias = dict[str, Any]
"""A JSON object that is to be written."""

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
L = 2**252 + 27742317777372353535851937790883648493
"""The order of the base point (S1)."""

_NEUTRAL = (1).to_bytes(32, "little")
"""The encoding of the neutral element, whose order is 1."""
_NEUTRAL_NOT_CANONICAL = (_P + 1).to_bytes(32, "little")
_ORDER_8 = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
"""The encoding of a point of order 8 (S1)."""


@dataclass(frozen=True)
class SigningKey:
    """A key with its private half, and its entry in a key set."""

    seed: str
    """The seed of the run."""
    name: str
    _: KW_ONLY
    signer_id: str = ""
    """The name if it is empty; keys of one signer are one authority."""
    signer_type: str = "person"
    valid_from: str | None = None
    valid_until: str | None = None
    event_types: tuple[str, ...] = ("*",)
    may_revoke_others: bool | None = None
    """None leaves the member out."""

    @property
    def key_id(self) -> str:
        """The `key_id`."""
        return f"{self.name}-key"

    @cached_property
    def _private_seed(self) -> bytes:
        return hashlib.sha256(f"mirror conformance {self.seed} {self.name}".encode()).digest()

    @cached_property
    def _private_key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._private_seed)

    @cached_property
    def public_key(self) -> bytes:
        """The raw public key, 32 bytes."""
        return self._private_key.public_key().public_bytes_raw()

    @cached_property
    def scalar(self) -> int:
        """The secret scalar (RFC 8032 section 5.1.5)."""
        return _scalar(self._private_seed)

    def key_value(self, public_key: bytes = b"") -> Draft:
        """Return the key as a member of a key set file (K2), or another key in its place."""
        value: Draft = {
            "key_id": self.key_id,
            "algorithm": "ed25519",
            "public_key_hex": (public_key or self.public_key).hex(),
            "signer_id": self.signer_id or self.name,
            "signer_type": self.signer_type,
            "valid_from": self.valid_from,
            "valid_until": self.valid_until,
            "event_types": [*self.event_types],
        }
        if self.may_revoke_others is not None:
            value["may_revoke_others"] = self.may_revoke_others
        return value

    def signer_value(self, public_key: bytes = b"") -> Draft:
        """Return the `signer` of an event (E1)."""
        fingerprint = hashlib.sha256(public_key or self.public_key).hexdigest()[:32]
        return {
            "key_id": self.key_id,
            "public_key_fingerprint": fingerprint,
            "signer_id": self.signer_id or self.name,
            "signer_type": self.signer_type,
        }

    def sign(self, message: bytes) -> bytes:
        """Return the signature of RFC 8032, 64 bytes."""
        return self._private_key.sign(message)

    def sign_again(self, message: bytes, number: int = 0) -> bytes:
        """Return another signature of the same message, one for each number, which is as valid."""
        nonce = SigningKey(self.seed, f"nonce {number} of {self.name}")
        return _signature(nonce.public_key, nonce.scalar, self.public_key, self.scalar, message)

    @cached_property
    def mixed_public_key(self) -> bytes:
        """The public key plus a point of order 8: a key of mixed order, which S1 accepts."""
        return with_torsion(self.public_key)

    def sign_mixed(self, message: bytes, *, is_valid: bool) -> bytes:
        """Return a signature by `mixed_public_key`.

        Args:
            message: Signed bytes.
            is_valid: Whether the equation without the cofactor shall hold; that with it does.
        """
        for number in range(1000):
            nonce = SigningKey(self.seed, f"nonce {number} of {self.name}")
            h = _challenge(nonce.public_key, self.mixed_public_key, message)
            if (h % 8 == 0) == is_valid:
                break
        return _signature(
            nonce.public_key, nonce.scalar, self.mixed_public_key, self.scalar, message
        )


def odd_signatures(key: SigningKey, message: bytes) -> dict[str, bytes]:
    """Return signatures of a message at the edges of S1, by a description of each."""
    good = key.sign(message)
    nonce = SigningKey(key.seed, f"nonce of {key.name}")
    shifted = with_torsion(nonce.public_key)
    return {
        "another signature of the same message": key.sign_again(message),
        "S with L added": with_large_s(good),
        "R is the neutral element, of small order": _signature(
            _NEUTRAL, 0, key.public_key, key.scalar, message
        ),
        "R is the neutral element, not canonical": _signature(
            _NEUTRAL_NOT_CANONICAL, 0, key.public_key, key.scalar, message
        ),
        "only the equation with the cofactor holds": _signature(
            shifted, nonce.scalar, key.public_key, key.scalar, message
        ),
        "R of order 8, S zero": _ORDER_8 + bytes(32),
        "the sign of R is the other one": good[:31] + bytes([good[31] ^ 0x80]) + good[32:],
        "63 bytes": good[:63],
        "65 bytes": good + b"\0",
        "all zero": bytes(64),
        "of another message": key.sign(message + b"."),
    }


def with_large_s(signature: bytes) -> bytes:
    """Return a signature with S + L for S: the equation still holds."""
    s = int.from_bytes(signature[32:], "little") + L
    return signature[:32] + s.to_bytes(32, "little")


def _scalar(seed: bytes) -> int:
    digest = hashlib.sha512(seed).digest()
    return int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | (1 << 254)


def _challenge(nonce: bytes, public_key: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(nonce + public_key + message).digest(), "little") % L


def _signature(nonce: bytes, r: int, public_key: bytes, scalar: int, message: bytes) -> bytes:
    s = (r + _challenge(nonce, public_key, message) * scalar) % L
    return nonce + s.to_bytes(32, "little")


# The curve, to add a point of order 8: -x^2 + y^2 = 1 + d x^2 y^2 (RFC 8032 section 5.1) -------

_Point: TypeAlias = tuple[int, int]


def with_torsion(point: bytes) -> bytes:
    """Return the encoding of a point plus one of order 8."""
    (x1, y1), (x2, y2) = _decode(point), _decode(_ORDER_8)
    product = _D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, _P) % _P
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, _P) % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _decode(point: bytes) -> _Point:
    number = int.from_bytes(point, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if x * x % _P != square:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    return (x if x & 1 == sign else _P - x), y


def base64_text(data: bytes) -> str:
    """Return base64, as signatures are written."""
    return base64.b64encode(data).decode()
