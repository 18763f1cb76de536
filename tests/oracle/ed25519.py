"""Rule S1 by plain curve arithmetic with Python integers (test oracle: not constant time)."""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = (-121665 * pow(121666, P - 2, P)) % P
SQRT_MINUS_ONE = pow(2, (P - 1) // 4, P)

# A point in extended coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, x*y = T/Z.
Point = tuple[int, int, int, int]

IDENTITY: Point = (0, 1, 1, 0)


def add(a: Point, b: Point) -> Point:
    """The sum of two points; complete, so it doubles too (RFC 8032 section 5.1.4)."""
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    aa = (y1 - x1) * (y2 - x2) % P
    bb = (y1 + x1) * (y2 + x2) % P
    cc = 2 * t1 * t2 * D % P
    dd = 2 * z1 * z2 % P
    e = bb - aa
    f = dd - cc
    g = dd + cc
    h = bb + aa
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def negate(a: Point) -> Point:
    """The point with the opposite x."""
    x, y, z, t = a
    return (-x % P, y, z, -t % P)


@lru_cache(maxsize=1000)  # few points are multiplied often
def doublings(point: Point) -> list[Point]:
    """The point times 1, 2, 4 and so on, for each bit of a scalar."""
    doubled = [point]
    while len(doubled) < 256:
        doubled.append(add(doubled[-1], doubled[-1]))
    return doubled


def multiply(scalar: int, point: Point) -> Point:
    """Double and add, for a scalar of 256 bits at most."""
    if scalar < 0 or scalar >= 2**256:
        raise ValueError("negative or large scalar")
    result = IDENTITY
    for doubled in doublings(point):
        if scalar % 2 == 1:
            result = add(result, doubled)
        scalar = scalar // 2
    return result


def same_point(a: Point, b: Point) -> bool:
    """Whether both are one affine point."""
    x1, y1, z1, _ = a
    x2, y2, z2, _ = b
    return (x1 * z2 - x2 * z1) % P == 0 and (y1 * z2 - y2 * z1) % P == 0


def encode(point: Point) -> bytes:
    """32 bytes: y in little endian, the parity of x in the top bit."""
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    affine_x = x * inverse % P
    affine_y = y * inverse % P
    return (affine_y + (affine_x % 2) * 2**255).to_bytes(32, "little")


@lru_cache(maxsize=1000)  # the same few keys sign nearly all that tests make
def decode(raw: bytes) -> Point | None:
    """The point of a canonical encoding, or None (S1: on the curve, y < p)."""
    if len(raw) != 32:
        return None
    number = int.from_bytes(raw, "little")
    sign = number // 2**255
    y = number % 2**255
    if y >= P:  # S1: canonical encodings
        return None
    # -x^2 + y^2 = 1 + d x^2 y^2, so x^2 = (y^2 - 1) / (d y^2 + 1); the divisor is never 0.
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * SQRT_MINUS_ONE % P
    if x * x % P != square:
        return None  # S1: not a point of the curve
    if x == 0 and sign == 1:
        return None  # RFC 8032 section 5.1.3: minus zero
    if x % 2 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def _base_point() -> Point:
    y = 4 * pow(5, P - 2, P) % P
    point = decode(y.to_bytes(32, "little"))
    if point is None:
        raise AssertionError("the base point decodes")
    return point


BASE = _base_point()


def is_small_order(point: Point) -> bool:
    """Whether eight times the point is the identity."""
    for _ in range(3):
        point = add(point, point)
    return same_point(point, IDENTITY)


def public_key_ok(raw: bytes) -> bool:
    """S1's checks on A (K2): 32 bytes, canonical, on the curve, not of small order."""
    point = decode(raw)
    return point is not None and not is_small_order(point)


def challenge(r_bytes: bytes, public_key_bytes: bytes, message: bytes) -> int:
    """S1: h = SHA-512(R || A || M) mod L."""
    digest = hashlib.sha512(r_bytes + public_key_bytes + message).digest()
    return int.from_bytes(digest, "little") % L


@lru_cache(maxsize=100_000)
def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether S1 accepts this signature."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    r_bytes = signature[:32]
    s = int.from_bytes(signature[32:], "little")
    if s >= L:  # S1: S < L
        return False
    a = decode(public_key)
    r = decode(r_bytes)
    if a is None or r is None:  # S1: A and R decode, canonically
        return False
    if is_small_order(a) or is_small_order(r):  # S1: not of small order
        return False
    h = challenge(r_bytes, public_key, message)
    # S1: R = SB - hA, without the cofactor.
    return same_point(r, add(multiply(s, BASE), negate(multiply(h, a))))


def _expand(seed: bytes) -> tuple[int, bytes]:
    """The secret scalar and the prefix of a seed (RFC 8032 section 5.1.5)."""
    if len(seed) != 32:
        raise ValueError("a seed has 32 bytes")
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little")
    scalar = scalar % 2**254  # the two highest bits off ...
    scalar = scalar + 2**254  # ... and the second highest on
    scalar = scalar - scalar % 8  # the three lowest bits off
    return scalar, digest[32:]


def public_key(seed: bytes) -> bytes:
    """The public key of a seed."""
    scalar, _ = _expand(seed)
    return encode(multiply(scalar, BASE))


def sign(seed: bytes, message: bytes) -> bytes:
    """The deterministic signature of RFC 8032 section 5.1.6."""
    _, prefix = _expand(seed)
    nonce = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % L
    return sign_with_nonce(seed, message, nonce)


def sign_with_nonce(seed: bytes, message: bytes, nonce: int) -> bytes:
    """Another signature of one message, valid unless nonce is a multiple of L (small order R)."""
    scalar, _ = _expand(seed)
    r = nonce % L
    r_bytes = encode(multiply(r, BASE))
    h = challenge(r_bytes, public_key(seed), message)
    s = (r + h * scalar) % L
    return r_bytes + s.to_bytes(32, "little")


# Edge signatures, for tests.


@cache
def torsion_point() -> Point:
    """A point of order exactly 8."""
    y = 2
    while True:
        point = decode(y.to_bytes(32, "little"))
        if point is not None:
            torsion = multiply(L, point)
            if not same_point(multiply(4, torsion), IDENTITY):
                return torsion
        y += 1


def small_order_encodings() -> list[bytes]:
    """The canonical encodings of the eight points of small order; S1 refuses each as A and as R."""
    torsion = torsion_point()
    return [encode(multiply(times, torsion)) for times in range(8)]


def signature_with_large_s(signature: bytes) -> bytes:
    """The same signature with S + L for S: the equation holds, S1 refuses it."""
    s = int.from_bytes(signature[32:], "little") + L
    return signature[:32] + s.to_bytes(32, "little")


def sign_cofactored_only(seed: bytes, message: bytes, nonce: int = 1) -> bytes:
    """A signature that holds only when both sides are multiplied by 8: S1 refuses it."""
    scalar, _ = _expand(seed)
    r = nonce % L
    r_bytes = encode(add(multiply(r, BASE), torsion_point()))
    h = challenge(r_bytes, public_key(seed), message)
    s = (r + h * scalar) % L
    return r_bytes + s.to_bytes(32, "little")


def sign_with_small_order_key(nonce: int = 1) -> tuple[bytes, bytes]:
    """(public key, signature) of every message: A is the identity, so S1 refuses it."""
    r = nonce % L
    return encode(IDENTITY), encode(multiply(r, BASE)) + r.to_bytes(32, "little")


def sign_with_mixed_order_key(seed: bytes, message: bytes) -> tuple[bytes, bytes]:
    """(public key, signature): A has a torsion part, the plain equation holds, S1 accepts it."""
    scalar, _ = _expand(seed)
    a_bytes = encode(add(multiply(scalar, BASE), torsion_point()))
    nonce = 1
    while True:
        r_bytes = encode(multiply(nonce, BASE))
        h = challenge(r_bytes, a_bytes, message)
        if h % 8 == 0:
            s = (nonce + h * scalar) % L
            return a_bytes, r_bytes + s.to_bytes(32, "little")
        nonce += 1
