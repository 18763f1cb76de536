"""RFC 3161: which tokens prove a time, and whatever else is in the bytes proves nothing."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import Certificate
from cryptography.x509.oid import ExtendedKeyUsageOID

from mirror.core.values import canonical
from mirror.engine.anchors.authorities import parse_authority
from mirror.engine.anchors.result import AnchorResult, AnchorStatus
from mirror.engine.anchors.rfc3161 import MAX_TOKEN_BYTES, check_token
from tests.builders import make_record
from tests.engine.anchors.time_stamp_authority import (
    NOW,
    POLICY,
    SINCE,
    UNTIL,
    TimeStampAuthority,
    certificate,
    der,
    private_key,
)
from tests.shared import shared

MESSAGE = canonical(make_record())
"""The canonical bytes of a record."""
TSA = TimeStampAuthority()
TRUSTED = [TSA.authority()]
PINNED = [TSA.authority(with_signer=True)]
TOKEN = TSA.token(MESSAGE)
BEFORE, AFTER = datetime(2025, 6, 1, tzinfo=UTC), datetime(2028, 6, 1, tzinfo=UTC)


def _status(proof: bytes, authorities: object = TRUSTED) -> AnchorStatus:
    assert isinstance(authorities, list)
    return check_token(proof, MESSAGE, authorities).status


# Tokens that prove a time --------------------------------------------------------------------


@pytest.mark.parametrize("authorities", [TRUSTED, PINNED], ids=["root", "root and signer"])
@pytest.mark.parametrize(
    "proof",
    [TOKEN, TSA.response(TOKEN), TSA.response(TOKEN, 1)],
    ids=["token", "granted", "granted with changes"],
)
def test_a_token_of_a_trusted_authority_proves_its_time(
    proof: bytes, authorities: list[object]
) -> None:
    """It may come in a response or alone: the status of a response is not signed."""
    result = check_token(proof, MESSAGE, authorities)  # type: ignore[arg-type]
    assert result == AnchorResult(
        AnchorStatus.ANCHORED,
        "tsa.example signed that it existed at 2026-06-01T12:00:00Z",
        "2026-06-01T12:00:00Z",
        {
            "hash_algorithm": "sha256",
            "policy": POLICY,
            "serial_number": "99",
            "token_time": "2026-06-01T12:00:00Z",
            "accuracy_microseconds": 2_000_000,
            "authority": "tsa.example",
        },
    )


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_the_imprint_is_the_hash_of_the_canonical_bytes(algorithm: str) -> None:
    """With SHA-256 it is the record's canonical_sha256 itself."""
    result = check_token(TSA.token(MESSAGE, algorithm=algorithm), MESSAGE, TRUSTED)
    assert (AnchorStatus.ANCHORED, algorithm) == (result.status, result.details["hash_algorithm"])


def test_a_fraction_of_a_second_is_dropped() -> None:
    """The library reads whole seconds."""
    result = check_token(TSA.token(MESSAGE, NOW.replace(microsecond=120_000)), MESSAGE, TRUSTED)
    assert (AnchorStatus.ANCHORED, "2026-06-01T12:00:00Z") == (result.status, result.at)


def test_a_certificate_that_expired_after_the_token_is_valid() -> None:
    """The time that counts is the one in the token, not that of the check."""
    old = (datetime(2001, 1, 1, tzinfo=UTC), datetime(2002, 1, 1, tzinfo=UTC))
    tsa = TimeStampAuthority(valid=old, root_valid=old)
    at = datetime(2001, 6, 1, tzinfo=UTC)
    result = check_token(tsa.token(MESSAGE, at), MESSAGE, [tsa.authority()])
    assert (AnchorStatus.ANCHORED, "2001-06-01T00:00:00Z") == (result.status, result.at)


def test_a_token_without_certificates_needs_the_one_that_signed_it() -> None:
    """An operator may have given it."""
    token = TSA.token(MESSAGE, certificates=())
    assert _status(token, PINNED) == AnchorStatus.ANCHORED
    assert _status(token, TRUSTED) == AnchorStatus.AUTHORITY_UNKNOWN


def test_certificates_in_any_order_are_the_same_token() -> None:
    """Many authorities do not sort them, and they are not signed."""
    found = {
        check_token(TSA.token(MESSAGE, certificates=(one, other)), MESSAGE, TRUSTED).status
        for one, other in ((TSA.signer, TSA.root), (TSA.root, TSA.signer))
    }
    assert found == {AnchorStatus.ANCHORED}


def test_a_token_of_any_trusted_authority_is_anchored() -> None:
    """The first that did is named."""
    other = TimeStampAuthority("other.example", 21, 22)
    result = check_token(TOKEN, MESSAGE, [other.authority(), *TRUSTED])
    assert result.details["authority"] == "tsa.example"


# Tokens that prove nothing here --------------------------------------------------------------


def test_a_token_of_another_message_is_refused() -> None:
    """Whoever made the token, and whether anybody is trusted."""
    for message in (b"another", hashlib.sha256(MESSAGE).digest(), b""):
        result = check_token(TSA.token(message), MESSAGE, [])
        assert (AnchorStatus.NOT_THIS_DIGEST, None) == (result.status, result.at)


def test_an_imprint_by_a_weak_hash_is_refused() -> None:
    """SHA-1 of the right message proves too little."""
    result = check_token(TSA.token(MESSAGE, algorithm="sha1"), MESSAGE, TRUSTED)
    assert (AnchorStatus.NOT_THIS_DIGEST, True) == (result.status, "1.3.14.3.2.26" in result.reason)


def test_a_token_of_an_untrusted_authority_is_unknown() -> None:
    """Neither without any, nor with another one, even of the same names."""
    namesake = TimeStampAuthority("tsa.example", 21, 22)
    assert _status(TOKEN, []) == AnchorStatus.AUTHORITY_UNKNOWN
    assert _status(TOKEN, [namesake.authority()]) == AnchorStatus.AUTHORITY_UNKNOWN


def test_a_signer_that_was_not_given_is_unknown_if_one_was_given() -> None:
    """The operator chose which certificate signs."""
    other = TimeStampAuthority(signer_key=13)
    assert _status(other.token(MESSAGE), TRUSTED) == AnchorStatus.ANCHORED
    assert _status(other.token(MESSAGE), PINNED) == AnchorStatus.AUTHORITY_UNKNOWN


@pytest.mark.parametrize("at", [BEFORE, AFTER])
@pytest.mark.parametrize("authorities", [TRUSTED, PINNED], ids=["root", "root and signer"])
def test_a_token_outside_the_validity_of_its_certificate_is_expired(
    at: datetime, authorities: list[object]
) -> None:
    """A token from before or after its validity proves nothing, but who made it is known."""
    result = check_token(TSA.token(MESSAGE, at), MESSAGE, authorities)  # type: ignore[arg-type]
    assert (AnchorStatus.EXPIRED, None) == (result.status, result.at)
    assert result.details["authority"] == "tsa.example"


def test_a_token_outside_the_validity_of_the_root_is_expired() -> None:
    """All certificates of the chain must have been valid."""
    tsa = TimeStampAuthority(root_valid=(SINCE, datetime(2026, 3, 1, tzinfo=UTC)))
    assert _status(tsa.token(MESSAGE), [tsa.authority()]) == AnchorStatus.EXPIRED


def test_an_expired_certificate_without_a_good_signature_is_unknown() -> None:
    """Nobody is named who did not sign."""
    forger = TimeStampAuthority("tsa.example", 21, 22)
    token = forger.token(MESSAGE, AFTER, certificates=(TSA.signer,))
    assert _status(token) == AnchorStatus.AUTHORITY_UNKNOWN


@pytest.mark.parametrize(
    "purposes",
    [
        (),
        (ExtendedKeyUsageOID.CODE_SIGNING,),
        (ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING),
    ],
)
def test_a_certificate_for_another_purpose_signs_no_tokens(purposes: tuple[object, ...]) -> None:
    """It may be of the same authority: whoever has its key is not the time-stamp authority."""
    other = TimeStampAuthority(purposes=purposes)  # type: ignore[arg-type]
    assert _status(other.token(MESSAGE)) == AnchorStatus.AUTHORITY_UNKNOWN


def test_two_certificates_of_one_name_are_malformed() -> None:
    """One library could take the first, and another the second."""
    other = TimeStampAuthority(purposes=(ExtendedKeyUsageOID.CODE_SIGNING,))
    forged = certificate(
        "tsa.example", 12, "tsa.example root", 31, purposes=(ExtendedKeyUsageOID.TIME_STAMPING,)
    )
    token = other.token(MESSAGE, certificates=(other.signer, forged))
    assert _status(token) == AnchorStatus.MALFORMED


# Bytes that are no tokens --------------------------------------------------------------------


@pytest.mark.parametrize("proof", [TOKEN, TSA.response(TOKEN)], ids=["token", "response"])
def test_a_truncated_token_is_malformed(proof: bytes) -> None:
    """At every length, and with a byte too many."""
    assert {_status(proof[:size]) for size in range(len(proof))} == {AnchorStatus.MALFORMED}
    assert _status(proof + b"\x00") == AnchorStatus.MALFORMED


def test_a_flipped_bit_never_proves_another_time() -> None:
    """In each byte one bit: a token that still counts says what it said."""
    good, order = check_token(TOKEN, MESSAGE, TRUSTED), random.Random(3161)
    found = set()
    for place in range(len(TOKEN)):
        proof = bytearray(TOKEN)
        proof[place] ^= 1 << order.randrange(8)
        result = check_token(bytes(proof), MESSAGE, TRUSTED)
        assert result.at is None or result == good
        found.add(result.status)
    assert {AnchorStatus.MALFORMED, AnchorStatus.AUTHORITY_UNKNOWN} <= found


def _nested(tag: int, depth: int) -> bytes:
    return bytes([tag, 0x80]) * depth


def _many(count: int) -> list[Certificate]:
    return [certificate("more", 41, "more", 41, serial=1 + one) for one in range(count)]


def _deep(depth: int) -> bytes:
    found = b""
    for _ in range(depth):
        found = der(0x30, found)
    return found


@pytest.mark.parametrize(
    "proof",
    [
        b"",
        b"\x30",
        b"\x30\x00",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30" + b"\xff" * 200,
        _nested(0x30, 100_000),
        _deep(3_000),
        der(0x30, der(0x30, b"\x02\x01\x02")),
        b"{}",
        bytes(MAX_TOKEN_BYTES),
        TSA.token(MESSAGE, certificates=(TSA.signer, *_many(32))),
    ],
    ids=range(11),  # the bytes of a token differ from process to process
)
def test_bytes_that_are_no_token_are_malformed(proof: bytes) -> None:
    """Lengths that lie, endless nesting, a refusal, another format."""
    result = check_token(proof, MESSAGE, TRUSTED)
    assert (AnchorStatus.MALFORMED, None) == (result.status, result.at)
    assert len(result.reason) < 300


def test_a_huge_input_is_malformed_without_being_read() -> None:
    """100 MB, of which the beginning is a good token."""
    assert _status(TOKEN + bytes(100_000_000)) == AnchorStatus.MALFORMED


def test_a_large_token_takes_bounded_time() -> None:
    """Nearly the largest that is read, with a list of thousands of names."""
    names = der(0x31, der(0x30, b"\x06\x03\x55\x04\x03\x0c\x01x")) * 18_000
    proof = TSA.token(MESSAGE, more=der(0xA0, der(0xA4, der(0x30, names))))
    assert len(proof) < MAX_TOKEN_BYTES
    assert _status(proof) in {AnchorStatus.ANCHORED, AnchorStatus.MALFORMED}


def test_without_the_library_nothing_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer says what to install."""
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    result = check_token(TOKEN, MESSAGE, TRUSTED)
    assert result.status == AnchorStatus.NOT_CHECKED
    assert "pith-mirror[timestamps]" in result.reason


# Tokens and verifiers of others --------------------------------------------------------------

REAL = {
    "sigstage/response-sha256.tsr": ("sigstage", "2025-05-09T11:58:55Z", "sha256"),
    "sigstage/response-sha384.tsr": ("sigstage", "2025-05-09T11:58:55Z", "sha384"),
    "sigstage/response-no-embedded-cert.tsr": ("sigstage", "2025-06-18T08:13:02Z", "sha256"),
    "test_tsa/response.tsr": ("test_tsa", "2024-10-08T15:40:32Z", "sha512"),
    "sigstore.mock/response-expired.tsr": ("sigstore.mock", "2023-02-01T00:00:00Z", "sha256"),
}


@pytest.mark.parametrize("path", REAL)
def test_real_tokens_are_anchored_by_their_authority_and_no_other(path: str) -> None:
    """The certificates of one expired since: at the time in the token they were valid."""
    folder, at, algorithm = REAL[path]
    proof = shared(f"corpora/rfc3161/{path}").read_bytes()
    payload = shared(f"corpora/rfc3161/{folder}") / "payload"
    message = payload.read_bytes() if payload.exists() else b"hello"
    chains = {
        one: parse_authority(shared(f"corpora/rfc3161/{one}/ts_chain.pem").read_bytes(), one)
        for one in ("sigstage", "test_tsa", "sigstore.mock")
    }
    result = check_token(proof, message, [*chains.values()])
    said = result.status, result.at, result.details["authority"], result.details["hash_algorithm"]
    assert said == (AnchorStatus.ANCHORED, at, folder, algorithm)
    others = [chain for name, chain in chains.items() if name != folder]
    assert check_token(proof, message, others).status == AnchorStatus.AUTHORITY_UNKNOWN
    assert check_token(proof, b"no", [*chains.values()]).status == AnchorStatus.NOT_THIS_DIGEST


def test_a_real_token_of_another_chain_is_unknown() -> None:
    """A key of the same names signed it, which the given chain does not lead to."""
    proof = shared("corpora/rfc3161/test_tsa/other_response.tsr").read_bytes()
    chain = parse_authority(shared("corpora/rfc3161/test_tsa/ts_chain.pem").read_bytes())
    assert check_token(proof, b"hello", [chain]).status == AnchorStatus.AUTHORITY_UNKNOWN


def test_openssl_accepts_the_tokens_of_these_tests(tmp_path: Path) -> None:
    """The authority above makes what an authority makes."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the command openssl is absent")
    names = {"token": TOKEN, "root": TSA.pem(), "message": MESSAGE}
    for name, content in names.items():
        (tmp_path / name).write_bytes(content)
    files = ["-in", "token", "-data", "message", "-CAfile", "root"]
    at = str(int(NOW.timestamp()))
    done = subprocess.run(
        [openssl, "ts", "-verify", "-token_in", *files, "-attime", at],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert (0, True) == (done.returncode, b"Verification: OK" in done.stdout + done.stderr)
    assert SINCE < NOW < UNTIL


def test_a_token_that_openssl_made_is_anchored(tmp_path: Path) -> None:
    """An authority of another program, with a certificate between it and the root."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the command openssl is absent")
    always = datetime(2000, 1, 1, tzinfo=UTC), datetime(2049, 1, 1, tzinfo=UTC)
    root = certificate("root", 51, "root", 51, is_ca=True, valid=always)
    between = certificate("between", 52, "root", 51, is_ca=True, valid=always)
    purposes = (ExtendedKeyUsageOID.TIME_STAMPING,)
    signer = certificate("signer", 53, "between", 52, purposes=purposes, valid=always)
    key = private_key(53).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pems = {"signer": signer, "between": between}
    files = {"key": key, "message": MESSAGE, "serial": b"01", "config": _CONFIG}
    files |= {name: one.public_bytes(Encoding.PEM) for name, one in pems.items()}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    for command in (
        "-query -data message -sha384 -cert -out query",
        "-reply -queryfile query -config config -section tsa -out reply",
    ):
        done = subprocess.run(
            [openssl, "ts", *command.split()], cwd=tmp_path, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
    authority = parse_authority(root.public_bytes(Encoding.PEM), "openssl")
    result = check_token((tmp_path / "reply").read_bytes(), MESSAGE, [authority])
    assert (AnchorStatus.ANCHORED, "1.2.3.4.5") == (result.status, result.details["policy"])


_CONFIG = b"""
[tsa]
serial = serial
crypto_device = builtin
signer_cert = signer
certs = between
signer_key = key
signer_digest = sha256
default_policy = 1.2.3.4.5
digests = sha256, sha384, sha512
accuracy = secs:1, millisecs:500, microsecs:100
ess_cert_id_chain = no
"""
