"""Which signatures are accepted (S1), whatever the backend; what events and findings sign (S3, S4).

Every backend of the machine is asked every question, and all must give the oracle's answer.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from mirror.core import signature as module
from mirror.core.keys import parse_key
from mirror.core.signature import Backend, backends, is_public_key, verify
from tests import oracle
from tests.builders import Signer
from tests.oracle import ed25519 as curve
from tests.shared import shared

ALICE = Signer("alice")
MESSAGE = b"thirty-two bytes are usual here."

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493

BACKENDS = pytest.mark.parametrize("backend", backends().values(), ids=list(backends()))


def accepts(backend: Backend, parts: Sequence[bytes]) -> bool:
    """Whether S1 accepts (public key, message, signature)."""
    public_key, message, signature = parts
    return verify(public_key, message, signature, backend)


def test_both_backends_are_tested_here() -> None:
    """S1: the fastest is last, and is the one that is used."""
    assert list(backends()) == ["cryptography", "pynacl"]
    assert module._fastest() is backends()["pynacl"]


# S1: corpora of others -----------------------------------------------------------------------


@BACKENDS
def test_wycheproof(backend: Backend) -> None:
    """S1: every valid case is accepted, every other refused."""
    data = json.loads(shared("corpora/wycheproof/ed25519_test.json").read_bytes())
    cases = [
        (bytes.fromhex(group["publicKey"]["pk"]), case)
        for group in data["testGroups"]
        for case in group["tests"]
    ]
    assert len(cases) == 151
    for public_key, case in cases:
        message, signature = bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
        accepted = verify(public_key, message, signature, backend)
        assert (case["result"] == "valid") == accepted, case["tcId"]


@BACKENDS
def test_speccheck(backend: Backend) -> None:
    """S1: of the twelve edges only case 3 is accepted."""
    cases = json.loads(shared("corpora/speccheck/cases.json").read_bytes())
    members = ("pub_key", "message", "signature")
    accepted = [
        number
        for number, case in enumerate(cases)
        if accepts(backend, [bytes.fromhex(case[name]) for name in members])
    ]
    assert len(cases) == 12
    assert accepted == [3]


RFC8032 = [  # section 7.1, tests 2 and 3: public key, message, signature
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]


@BACKENDS
@pytest.mark.parametrize(("public_key", "message", "signature"), RFC8032)
def test_rfc8032(backend: Backend, public_key: str, message: str, signature: str) -> None:
    """S1: and no bit of any of the three may change."""
    raw = [bytes.fromhex(text) for text in (public_key, message, signature)]
    assert accepts(backend, raw)
    for part, data in enumerate(raw):
        for bit in range(0, len(data) * 8, 7):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            assert not accepts(backend, [*raw[:part], bytes(changed), *raw[part + 1 :]])


# S1: edges -----------------------------------------------------------------------------------


def _little(number: int) -> bytes:
    return number.to_bytes(32, "little")


def _edges() -> Iterator[tuple[str, bytes, bytes, bytes]]:
    """(name, public key, message, signature) at every edge that S1 names."""
    key, good = ALICE.public_key, oracle.sign(ALICE.seed, MESSAGE)
    yield "good", key, MESSAGE, good
    yield "another nonce", key, MESSAGE, oracle.sign_with_nonce(ALICE.seed, MESSAGE, 7)
    yield "nonce of 0", key, MESSAGE, oracle.sign_with_nonce(ALICE.seed, MESSAGE, 0)
    yield "S + L", key, MESSAGE, oracle.signature_with_large_s(good)
    yield "S = L", key, MESSAGE, good[:32] + _little(L)
    yield "S = L - 1", key, MESSAGE, good[:32] + _little(L - 1)
    yield "S of 256 bits", key, MESSAGE, good[:32] + b"\xff" * 32
    yield "cofactored only", key, MESSAGE, oracle.sign_cofactored_only(ALICE.seed, MESSAGE)
    small_key, small_signature = oracle.sign_with_small_order_key()
    yield "A is the identity", small_key, MESSAGE, small_signature
    mixed_key, mixed_signature = oracle.sign_with_mixed_order_key(ALICE.seed, MESSAGE)
    yield "A of mixed order", mixed_key, MESSAGE, mixed_signature
    for number, point in enumerate(oracle.small_order_encodings()):
        yield f"R of small order {number}", key, MESSAGE, point + good[32:]
        yield f"A and R of small order {number}", point, MESSAGE, point + bytes(32)
    for y in (P, P + 1, 2**255 - 1):
        yield f"R = {y}", key, MESSAGE, _little(y) + good[32:]
        yield f"A = {y}", _little(y), MESSAGE, good
    yield "R is not on the curve", key, MESSAGE, _little(2) + good[32:]
    yield "A is not on the curve", _little(2), MESSAGE, good


EDGES = list(_edges())
ACCEPTED_EDGES = {"good", "another nonce", "A of mixed order"}


@BACKENDS
@pytest.mark.parametrize(("name", "public_key", "message", "signature"), EDGES)
def test_edges(
    backend: Backend, name: str, public_key: bytes, message: bytes, signature: bytes
) -> None:
    """S1: what is canonical and not of small order, S below L, and the cofactorless equation."""
    expected = name in ACCEPTED_EDGES
    assert expected == verify(public_key, message, signature, backend)
    assert expected == oracle.verify(public_key, message, signature)


def _fitting_signature(public_key: bytes) -> tuple[bytes, bytes]:
    """(message, signature) with R = SB and h a multiple of 8, for A of small order."""
    signature = oracle.sign_with_small_order_key(nonce=9)[1]
    for number in range(1000):
        message = b"%d" % number
        if curve.challenge(signature[:32], public_key, message) % 8 == 0:
            return message, signature
    raise AssertionError("one message in eight fits")


@BACKENDS
@pytest.mark.parametrize("public_key", oracle.small_order_encodings(), ids=bytes.hex)
def test_no_key_of_small_order_signs_anything(backend: Backend, public_key: bytes) -> None:
    """S1: not even where the equation holds; OpenSSL alone would accept each of these."""
    message, signature = _fitting_signature(public_key)
    assert backends()["cryptography"](public_key, message, signature)
    assert not verify(public_key, message, signature, backend)


@BACKENDS
@pytest.mark.parametrize("nonce_point", oracle.small_order_encodings(), ids=bytes.hex)
def test_no_nonce_of_small_order_is_accepted(backend: Backend, nonce_point: bytes) -> None:
    """S1: not even where the equation holds, for a key of mixed order."""
    public_key, message, signature = _signature_with_nonce_point(nonce_point)
    assert backends()["cryptography"](public_key, message, signature)
    assert not verify(public_key, message, signature, backend)


def _signature_with_nonce_point(point: bytes) -> tuple[bytes, bytes, bytes]:
    """(public key, message, signature): A = aB + T, R = -hT of small order, S = ha."""
    public_key, _ = oracle.sign_with_mixed_order_key(ALICE.seed, MESSAGE)
    scalar, _ = curve._expand(ALICE.seed)
    torsion = curve.torsion_point()
    for number in range(1000):
        message = b"%d" % number
        h = curve.challenge(point, public_key, message)
        wanted = curve.negate(curve.multiply(h % 8, torsion))
        if curve.encode(wanted) == point:
            return public_key, message, point + _little(h * scalar % L)
    raise AssertionError("one message in eight fits")


@BACKENDS
@pytest.mark.parametrize("length", [0, 1, 31, 32, 63, 65, 96, 128])
def test_a_signature_has_64_bytes(backend: Backend, length: int) -> None:
    """S1: neither more nor less."""
    signature = (oracle.sign(ALICE.seed, MESSAGE) * 2)[:length]
    assert not verify(ALICE.public_key, MESSAGE, signature, backend)


@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31), P.to_bytes(32, "little")])
def test_edge_cases_are_decided_without_a_library(point: bytes) -> None:
    """S1: a point of small order, one that is not canonical, and S not below L, by their bytes."""

    def library(_key: bytes, _message: bytes, _signature: bytes) -> bool:
        return True

    good = oracle.sign(ALICE.seed, MESSAGE)
    assert verify(ALICE.public_key, MESSAGE, good, library)
    assert not verify(point, MESSAGE, good, library)
    assert not verify(ALICE.public_key, MESSAGE, point + good[32:], library)
    for too_large in (L, L + 1, 2**256 - 1):
        signature = good[:32] + too_large.to_bytes(32, "little")
        assert not verify(ALICE.public_key, MESSAGE, signature, library)


@BACKENDS
@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_has_32_bytes(backend: Backend, length: int) -> None:
    """S1, K1: neither more nor less."""
    public_key = (ALICE.public_key * 2)[:length]
    signature = oracle.sign(ALICE.seed, MESSAGE)
    assert not verify(public_key, MESSAGE, signature, backend)
    assert not is_public_key(public_key)


@BACKENDS
@pytest.mark.parametrize("size", [0, 1, 32, 1000])
def test_messages_of_any_size(backend: Backend, size: int) -> None:
    """S1: whoever signed, this project's libraries or the oracle."""
    message = bytes(size)
    assert verify(ALICE.public_key, message, oracle.sign(ALICE.seed, message), backend)
    assert not verify(ALICE.public_key, message + b"\0", oracle.sign(ALICE.seed, message), backend)


def test_the_points_of_small_order_are_all_known() -> None:
    """S1: the five y of the eight points whose order divides 8."""
    mask = 2**255 - 1
    expected = {int.from_bytes(raw, "little") & mask for raw in oracle.small_order_encodings()}
    assert expected == module.SMALL_ORDER_Y


@pytest.mark.parametrize("sign", [0, 1 << 255])
def test_which_bytes_are_public_keys(sign: int) -> None:
    """K2, S1: as the oracle decodes them, around 0, around p and elsewhere."""
    near = [*range(70), *range(P - 70, 2**255)]
    spread = [(3**number * 7919) % 2**255 for number in range(1, 60)]
    for y in [*near, *spread]:
        raw = _little(y | sign)
        assert oracle.public_key_ok(raw) == is_public_key(raw), raw.hex()


# Backends ------------------------------------------------------------------------------------


@pytest.fixture
def fresh_backends() -> Iterator[None]:
    """Lets a test choose what `backends` finds, and forgets it afterwards."""
    module.backends.cache_clear()
    yield
    module.backends.cache_clear()


def test_a_cofactored_backend_is_not_used(
    monkeypatch: pytest.MonkeyPatch, fresh_backends: None
) -> None:
    """S1: a library that multiplies by the cofactor accepts too much."""
    monkeypatch.setattr(module, "_libsodium", lambda: lambda *_: True)
    assert list(module.backends()) == ["cryptography"]


def test_pynacl_may_be_absent(monkeypatch: pytest.MonkeyPatch, fresh_backends: None) -> None:
    """S1: then OpenSSL alone does the arithmetic."""

    def refuse(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", refuse)
    assert list(module.backends()) == ["cryptography"]


def test_the_probe_is_what_only_the_cofactored_equation_accepts() -> None:
    """S1: its R is off by a point of order 8, so 8R = 8(SB - hA) and R is not SB - hA."""
    public_key, message, signature = module._COFACTORED_ONLY
    a, r = (curve.decode(raw) for raw in (public_key, signature[:32]))
    assert a is not None
    assert r is not None
    h = curve.challenge(signature[:32], public_key, message)
    s = int.from_bytes(signature[32:], "little")
    right = curve.add(curve.multiply(s, curve.BASE), curve.negate(curve.multiply(h, a)))
    assert not curve.same_point(r, right)
    assert curve.same_point(curve.multiply(8, r), curve.multiply(8, right))
    assert not any(backend(public_key, message, signature) for backend in backends().values())


@pytest.mark.parametrize("signature_b64", [None, 1, [], "", "YQ==", "A" * 88, "\u00e9"])
def test_a_signature_is_strict_base64_of_64_bytes(signature_b64: Any) -> None:
    """S1, V6."""
    assert not parse_key(ALICE.key_value()).verify(bytes(32), signature_b64)
