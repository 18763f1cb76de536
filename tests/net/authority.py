"""A certificate authority of the tests' own, and servers' certificates by it."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "registry.example"
"""Whom the certificates are for; and 127.0.0.1."""


def _called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Authority:
    """Whoever trusts its file trusts what it signs."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = _called(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._pem(self._sign(name, self._key.public_key(), is_ca=True)))

    def server_context(self, *, name: str = NAME, days: int = 1) -> ssl.SSLContext:
        """A server's side of TLS, with a certificate that ends in so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        path = self._folder / f"server-{name}-{days}.pem"
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path.write_bytes(secret + self._pem(self._sign(name, key.public_key(), days=days)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _sign(
        self, name: str, key: ec.EllipticCurvePublicKey, *, days: int = 1, is_ca: bool = False
    ) -> x509.Certificate:
        names = [x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.1"))]
        now = datetime.now(UTC)
        own = self._key.public_key()
        issuer = x509.SubjectKeyIdentifier.from_public_key(own)
        return (
            x509.CertificateBuilder()
            .subject_name(_called(name))
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=9))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )

    @staticmethod
    def _pem(certificate: x509.Certificate) -> bytes:
        return certificate.public_bytes(serialization.Encoding.PEM)
