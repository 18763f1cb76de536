"""A time-stamp authority for tests: certificates, and tokens (RFC 3161) with any time and fault.

Tokens are written in DER here, byte for byte, because no library makes faulty ones.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from mirror.engine.anchors.authorities import Authority, parse_authority

__all__ = ["OIDS", "TimeStampAuthority", "certificate", "der", "name_of", "private_key"]

SEQUENCE, SET, INTEGER, OCTETS, OID, TIME = 0x30, 0x31, 0x02, 0x04, 0x06, 0x18
OIDS = {
    "sha1": "1.3.14.3.2.26",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_TST_INFO = "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.47"
_ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2"
POLICY = "1.2.3.4.1"

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SINCE, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


def der(tag: int, *contents: bytes) -> bytes:
    """Return a value in DER."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _integer(number: int) -> bytes:
    return der(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _oid(text: str) -> bytes:
    first, second, *rest = map(int, text.split("."))
    content = bytearray()
    for number in (first * 40 + second, *rest):
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(0x80 | (number & 0x7F))
        content += bytes(reversed(digits))
    return der(OID, bytes(content))


def _algorithm(text: str) -> bytes:
    return der(SEQUENCE, _oid(text))


def private_key(number: int) -> ec.EllipticCurvePrivateKey:
    """Return the private key that is a number."""
    return ec.derive_private_key(number, ec.SECP256R1())


def name_of(common_name: str) -> x509.Name:
    """Return a name with one attribute."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def certificate(
    subject: str,
    key: int,
    issuer: str,
    issuer_key: int,
    *,
    is_ca: bool = False,
    purposes: tuple[ObjectIdentifier, ...] = (),
    valid: tuple[datetime, datetime] = (SINCE, UNTIL),
    serial: int | None = None,
) -> x509.Certificate:
    """Return a certificate; keys are numbers, and one is the serial number if none is given."""
    serial = key if serial is None else serial
    builder = (
        x509.CertificateBuilder(
            name_of(issuer), name_of(subject), private_key(key).public_key(), serial
        )
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(_key_usage(is_ca=is_ca), critical=True)
    )
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage([*purposes]), critical=True)
    return builder.sign(private_key(issuer_key), SHA256())


@dataclass(frozen=True)
class TimeStampAuthority:
    """A root, and a certificate below it that signs tokens."""

    name: str = "tsa.example"
    root_key: int = 11
    signer_key: int = 12
    valid: tuple[datetime, datetime] = (SINCE, UNTIL)
    """When the certificate that signs is valid."""
    root_valid: tuple[datetime, datetime] = (SINCE, UNTIL)
    purposes: tuple[ObjectIdentifier, ...] = (ExtendedKeyUsageOID.TIME_STAMPING,)
    root: x509.Certificate = field(init=False)
    signer: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        root_key, root_name = self.root_key, f"{self.name} root"
        root = certificate(
            root_name, root_key, root_name, root_key, is_ca=True, valid=self.root_valid
        )
        signer = certificate(
            self.name,
            self.signer_key,
            root_name,
            root_key,
            purposes=self.purposes,
            valid=self.valid,
        )
        object.__setattr__(self, "root", root)
        object.__setattr__(self, "signer", signer)

    def pem(self, *, with_signer: bool = False) -> bytes:
        """Return the PEM file that the authority publishes."""
        certificates = [self.root, self.signer] if with_signer else [self.root]
        return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)

    def authority(self, *, with_signer: bool = False) -> Authority:
        """Return the authority as an operator trusts it."""
        return parse_authority(self.pem(with_signer=with_signer), self.name)

    def token(
        self,
        message: bytes,
        at: datetime = NOW,
        *,
        algorithm: str = "sha256",
        certificates: tuple[x509.Certificate, ...] | None = None,
        more: bytes = b"",
    ) -> bytes:
        """Return a token (`ContentInfo`).

        Args:
            message: The message.
            at: The time in the token.
            algorithm: The hash algorithm of the imprint.
            certificates: The certificates in the token; the one that signs if None.
            more: DER after the accuracy in the signed content.
        """
        info = self._info(hashlib.new(algorithm, message).digest(), at, algorithm, more)
        if certificates is None:
            certificates = (self.signer,)
        embedded = [one.public_bytes(Encoding.DER) for one in certificates]
        signed = der(
            SEQUENCE,
            _integer(3),
            der(SET, _algorithm(OIDS["sha256"])),
            der(SEQUENCE, _oid(_TST_INFO), der(0xA0, der(OCTETS, info))),
            der(0xA0, *embedded) if embedded else b"",
            der(SET, self._signer_info(info)),
        )
        return der(SEQUENCE, _oid(_SIGNED_DATA), der(0xA0, signed))

    def response(self, token: bytes, status: int = 0) -> bytes:
        """Return a response (`TimeStampResp`) with a token."""
        return der(SEQUENCE, der(SEQUENCE, _integer(status)), token)

    def _info(self, imprint: bytes, at: datetime, algorithm: str, more: bytes) -> bytes:
        time = f"{at:%Y%m%d%H%M%S}" + (f".{at:%f}".rstrip("0") if at.microsecond else "") + "Z"
        return der(
            SEQUENCE,
            _integer(1),
            _oid(POLICY),
            der(SEQUENCE, _algorithm(OIDS[algorithm]), der(OCTETS, imprint)),
            _integer(99),
            der(TIME, time.encode()),
            der(SEQUENCE, _integer(2)),
            more,
        )

    def _signer_info(self, info: bytes) -> bytes:
        own = hashlib.sha256(self.signer.public_bytes(Encoding.DER)).digest()
        attributes = sorted([
            der(SEQUENCE, _oid(_CONTENT_TYPE), der(SET, _oid(_TST_INFO))),
            der(SEQUENCE, _oid(_MESSAGE_DIGEST),
                der(SET, der(OCTETS, hashlib.sha256(info).digest()))),
            der(SEQUENCE, _oid(_SIGNING_CERTIFICATE),
                der(SET, der(SEQUENCE, der(SEQUENCE, der(SEQUENCE, der(OCTETS, own)))))),
        ])  # fmt: skip
        signature = private_key(self.signer_key).sign(der(SET, *attributes), ec.ECDSA(SHA256()))
        return der(
            SEQUENCE,
            _integer(1),
            der(SEQUENCE, self.signer.issuer.public_bytes(), _integer(self.signer.serial_number)),
            _algorithm(OIDS["sha256"]),
            der(0xA0, *attributes),
            _algorithm(_ECDSA_WITH_SHA256),
            der(OCTETS, signature),
        )
