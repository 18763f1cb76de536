"""Time-stamp authorities (RFC 3161) that the operator trusts, each with its certificates.

An authority is a PEM file: its root, which is where the chain of every token must end, and if
wanted the certificates between, and those that sign. If the file has certificates that sign, tokens
by any other certificate are not this authority's.

No state, verdict or key set digest follows from these authorities.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mirror.core.limits import require_at_most
from mirror.core.values import Object, Value, time_text
from mirror.errors import FormatError, LookUpError
from mirror.store import Store

__all__ = [
    "Authority",
    "CertificateSummary",
    "add_authority",
    "parse_authority",
    "quiet_certificates",
    "remove_authorities",
    "trusted_authorities",
]

MAX_AUTHORITIES = 100
"""Trusted authorities (B4): each may cost a chain of signatures for a token."""
MAX_CERTIFICATES = 32
"""Certificates of one authority."""
MAX_NAME = 128
"""Code points of a name."""


class CertificateSummary(NamedTuple):
    """A certificate of an authority, for people."""

    role: str
    """`root`, `intermediate` or `signer`."""
    subject: str
    """Its name (RFC 4514)."""
    fingerprint_sha256: str
    valid_from: str
    valid_until: str


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority with its certificates."""

    name: str
    """The operator's name for it."""
    roots: tuple[x509.Certificate, ...]
    """Certificates that are signed with their own key; at least one."""
    intermediates: tuple[x509.Certificate, ...]
    """Certificates between the roots and those that sign tokens."""
    signers: tuple[x509.Certificate, ...]
    """The only certificates that may sign its tokens; if empty, any that leads to a root may."""

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """All certificates, the roots first."""
        return (*self.roots, *self.intermediates, *self.signers)

    @property
    def pem(self) -> bytes:
        """All certificates in PEM, the roots first."""
        return b"".join(one.public_bytes(Encoding.PEM) for one in self.certificates)

    def summaries(self) -> list[CertificateSummary]:
        """Return what a person compares of each certificate."""
        roles = {"root": self.roots, "intermediate": self.intermediates, "signer": self.signers}
        return [_summary(role, one) for role, group in roles.items() for one in group]

    def to_value(self) -> Object:
        """Return the authority as a JSON object."""
        certificates: list[Value] = [one._asdict() for one in self.summaries()]
        return {"authority_type": "rfc3161", "name": self.name, "certificates": certificates}


def _summary(role: str, certificate: x509.Certificate) -> CertificateSummary:
    return CertificateSummary(
        role,
        certificate.subject.rfc4514_string(),
        certificate.fingerprint(SHA256()).hex(),
        time_text(certificate.not_valid_before_utc),
        time_text(certificate.not_valid_after_utc),
    )


@contextmanager
def quiet_certificates() -> Iterator[None]:
    """Silence warnings of `cryptography` about certificates that break a rule of RFC 5280."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# PEM files -----------------------------------------------------------------------------------


def parse_authority(pem: bytes, name: str = "") -> Authority:
    """Return the authority of a PEM file.

    Args:
        pem: The file; anything in it but certificates is passed over.
        name: The name; the common name of the root's subject if empty.

    Raises:
        FormatError: `authority.shape` if there is no certificate or one cannot be parsed;
            `authority.certificate` if one is neither of a certificate authority nor for
            time-stamps; `authority.root` if none is a root; `authority.name`.
        LimitError: `limit.count`
    """
    with quiet_certificates():
        roles: dict[str, list[x509.Certificate]] = {"root": [], "intermediate": [], "signer": []}
        for number, certificate in enumerate(_read_pem(pem), 1):
            roles[_role(certificate, f"certificate {number}")].append(certificate)
        if not roles["root"]:
            hint = "add the root's certificate, which the authority publishes, to the file"
            message = "no certificate in the file is a root (signed with its own key)"
            raise FormatError("authority.root", message, hint=hint)
        roots, intermediates, signers = (tuple(one) for one in roles.values())
        return Authority(_name(name, roots[0]), roots, intermediates, signers)


def _read_pem(pem: bytes) -> list[x509.Certificate]:
    """Return the distinct certificates in their order."""
    require_at_most(pem.count(b"-----BEGIN CERTIFICATE-----"), MAX_CERTIFICATES, "certificates")
    try:
        return list(dict.fromkeys(x509.load_pem_x509_certificates(pem)))
    except ValueError as error:
        hint = "give a PEM file with the authority's root; `openssl x509 -inform der` converts DER"
        message = "the file has no certificate in PEM, or one that cannot be parsed"
        raise FormatError("authority.shape", message, hint=hint) from error


def _role(certificate: x509.Certificate, where: str) -> str:
    try:
        if _is_certificate_authority(certificate):
            return "root" if _is_signed_with_own_key(certificate) else "intermediate"
        if _is_for_time_stamps(certificate):
            return "signer"
    except (ValueError, UnsupportedAlgorithm) as error:
        raise FormatError(
            "authority.shape", f"it cannot be parsed: {error}", where=where
        ) from error
    subject = certificate.subject.rfc4514_string()
    message = f"{subject} is neither a certificate authority (CA) nor for time-stamps only"
    raise FormatError("authority.certificate", message, where=where)


def _is_certificate_authority(certificate: x509.Certificate) -> bool:
    try:
        found = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        return False
    return found.value.ca


def _is_for_time_stamps(certificate: x509.Certificate) -> bool:
    """Whether the purpose is time-stamps and nothing else (RFC 3161 section 2.3)."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return False
    return found.critical and [*found.value] == [ExtendedKeyUsageOID.TIME_STAMPING]


def _is_signed_with_own_key(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, TypeError, ValueError, UnsupportedAlgorithm):
        return False
    return True


def _name(name: str, root: x509.Certificate) -> str:
    if not name:
        common_names = root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        name = str(common_names[0].value) if common_names else ""
    if not name or name != name.strip() or not name.isprintable() or len(name) > MAX_NAME:
        message = f"{name!r} is no name of 1 to {MAX_NAME} printable characters"
        raise FormatError("authority.name", message, hint="give another one with --name")
    return name


# Trust ---------------------------------------------------------------------------------------


def trusted_authorities(store: Store) -> list[Authority]:
    """Return the trusted authorities, ascending by name.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    return [parse_authority(pem, name) for name, pem in sorted(store.authorities.trusted().items())]


def add_authority(store: Store, authority: Authority) -> bool:
    """Trust an authority; return False if it is trusted already.

    Raises:
        FormatError: `authority.conflict` if another one of this name is trusted.
        LimitError: `limit.count` if there would be too many (B4).
        CorruptStoreError: `store.damaged`
    """
    with store.transaction():
        trusted = store.authorities.trusted()
        stored = trusted.get(authority.name)
        if stored == authority.pem:
            return False
        if stored is not None:
            hint = "give another name with --name, or remove that one first"
            message = f"another authority named {authority.name!r} is trusted"
            raise FormatError("authority.conflict", message, hint=hint)
        require_at_most(len(trusted) + 1, MAX_AUTHORITIES, "time-stamp authorities")
        store.authorities.append("add", authority.name, authority.pem, _now())
        store.anchors.enqueue_method("rfc3161")
    return True


def remove_authorities(store: Store, names: Iterable[str]) -> None:
    """Stop trusting authorities: all of these, or none.

    Raises:
        LookUpError: `authority.unknown` if no trusted authority has one of the names.
        CorruptStoreError: `store.damaged`
    """
    with store.transaction():
        trusted = store.authorities.trusted()
        for name in dict.fromkeys(names):
            if name not in trusted:
                hint = "`mirror keys list` shows the trusted authorities"
                message = f"no trusted time-stamp authority is named {name!r}"
                raise LookUpError("authority.unknown", message, hint=hint)
            store.authorities.append("remove", name, trusted[name], _now())
        store.anchors.enqueue_method("rfc3161")


def _now() -> str:
    return time_text(datetime.now(UTC), microseconds=True)
