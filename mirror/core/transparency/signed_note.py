"""Signed notes: a text, and below it lines that say which keys signed it.

    any text that ends in a newline
                                            an empty line: the last one of the note
    — <key name> <base64>                   the key's id (4 bytes), then its signature of the text
    ...

The format is strict, so that a note has one form: UTF-8, no control character but the newline,
strict base64 (V6), no other white space. A signature by an unknown key is kept and ignored; an
invalid one by a known key refuses the note. S1 decides which Ed25519 signatures are valid.

A key is named by its name and its id, the first 4 bytes of SHA-256(name || newline || 0x01 ||
public key). The id is short and public: it distinguishes keys, and proves nothing.

Source: https://c2sp.org/signed-note; RFC 8032; S1.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mirror.core.signature import is_public_key, verify
from mirror.core.values import decode_base64, sha256
from mirror.errors import FormatError, LimitError, UntrustedNoteError

__all__ = [
    "MAX_BYTES",
    "MAX_SIGNATURES",
    "Note",
    "Signature",
    "Signer",
    "VerifiedNote",
    "Verifier",
    "format_note",
    "is_key_name",
    "make_signer",
    "parse_note",
    "parse_signer",
    "parse_verifier",
    "sign_note",
    "verify_note",
]

MAX_BYTES = 1 << 18
"""Bytes of a note. The sixteen signatures of any kind that the format asks for fit in half."""

MAX_SIGNATURES = 100
"""Signature lines of a note."""

_ED25519 = b"\x01"
"""The signature type of Ed25519. A key of another type has another id, and is unknown."""

_PRIVATE = "PRIVATE+KEY+"
_MARK = "— "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


# Keys ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verifier:
    """The public half of a key that signs notes; from `parse_verifier` or `Signer.verifier`."""

    name: str
    public_key: bytes
    """Raw, 32 bytes."""

    @property
    def key_id(self) -> bytes:
        """4 raw bytes."""
        return sha256(f"{self.name}\n".encode() + _ED25519 + self.public_key)[:4]

    @property
    def text(self) -> str:
        """The key as it is published: `<name>+<8 hexadecimal digits>+<base64>`."""
        return _key_text(self, self.public_key)


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that signs notes; from `make_signer` or `parse_signer`."""

    name: str
    seed: bytes = field(repr=False)
    """The private key of RFC 8032, 32 bytes; secret."""

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        key = Ed25519PrivateKey.from_private_bytes(self.seed)
        return Verifier(self.name, key.public_key().public_bytes_raw())

    @property
    def text(self) -> str:
        """The key as in its file, secret: `PRIVATE+KEY+<name>+<8 digits>+<base64>`."""
        return _PRIVATE + _key_text(self.verifier, self.seed)

    def sign(self, message: bytes) -> bytes:
        """Return the signature of `message`, 64 bytes; one message has one (RFC 8032)."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)


def is_key_name(name: str) -> bool:
    """Whether `name` may name a key: not empty, no white space, plus or control character."""
    return (
        name != ""
        and "+" not in name
        and not any(one.isspace() for one in name)
        and _CONTROL.search(name) is None
        and _is_unicode(name)
    )


def make_signer(name: str, seed: bytes) -> Signer:
    """Return the key of a seed (32 bytes).

    Raises:
        FormatError: `note.name` if a key may not have this name.
    """
    if not is_key_name(name):
        hint = "name it like a host or path, such as mirror.example.org/pith"
        raise FormatError("note.name", "a key's name has no spaces and no plus", hint=hint)
    return Signer(name, seed)


def parse_verifier(text: str) -> Verifier:
    """Read a published public key.

    Raises:
        FormatError: `note.key`
    """
    name, public_key = _parse_key(text)
    if not is_public_key(public_key):
        raise _no_key("it holds no valid Ed25519 public key")
    verifier = Verifier(name, public_key)
    if verifier.text != text:
        raise _no_key("its id is not that of its name and key")
    return verifier


def parse_signer(text: str) -> Signer:
    """Read the text of a private key file; no error message repeats any of it.

    Raises:
        FormatError: `note.key`
    """
    if not text.startswith(_PRIVATE):
        raise _no_key("it is not a private key", "`mirror keys new FILE --name NAME` makes one")
    signer = Signer(*_parse_key(text.removeprefix(_PRIVATE)))
    if signer.text != text:
        raise _no_key("its id is not that of its name and key")
    return signer


def _parse_key(text: str) -> tuple[str, bytes]:
    """Return name and raw key (32 bytes) of `<name>+<id>+<base64>`; the id is not checked."""
    name, _, rest = text.partition("+")
    _, _, encoded = rest.partition("+")
    data = decode_base64(encoded)
    if not is_key_name(name) or data is None:
        raise _no_key("it is not like <name>+<8 hexadecimal digits>+<base64>")
    if data[:1] != _ED25519 or len(data) != 33:
        raise _no_key("it is not a key for Ed25519 signatures (type 01)")
    return name, data[1:]


def _key_text(verifier: Verifier, key: bytes) -> str:
    return f"{verifier.name}+{verifier.key_id.hex()}+{_base64(_ED25519 + key)}"


def _no_key(
    why: str, hint: str = "copy the whole key, from the name to the last character"
) -> FormatError:
    return FormatError("note.key", f"not a key of a signed note: {why}", hint=hint)


# Reading and writing -------------------------------------------------------------------------


class Signature(NamedTuple):
    """A signature line."""

    name: str
    key_id: bytes
    """4 raw bytes."""
    signature: bytes
    """At least one byte: keys of unknown types have signatures of other lengths."""


@dataclass(frozen=True, slots=True)
class Note:
    """A well-formed note whose signatures are not verified."""

    text: str
    """The text, with a newline at its end."""
    signatures: tuple[Signature, ...]


def parse_note(data: bytes) -> Note:
    """Read a note.

    Raises:
        LimitError: `note.size` or `note.signatures`.
        FormatError: `note.text` or `note.shape`.
    """
    if len(data) > MAX_BYTES:
        raise LimitError("note.size", f"a note of more than {MAX_BYTES:,} bytes")
    content = _decode(data)
    text, blank, below = content.rpartition("\n\n")
    if not blank or not below.endswith("\n"):
        hint = "save the whole note, with the newline after its last signature"
        raise FormatError("note.shape", "no signatures follow an empty line", hint=hint)
    lines = below.removesuffix("\n").split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise LimitError("note.signatures", f"a note with more than {MAX_SIGNATURES} signatures")
    first = text.count("\n") + 3
    signatures = [_parse_signature(line, first + index) for index, line in enumerate(lines)]
    return Note(f"{text}\n", tuple(signatures))


def _decode(data: bytes) -> str:
    try:
        content = data.decode("utf-8")
    except UnicodeDecodeError as error:
        where = f"byte {error.start}"
        raise FormatError("note.text", "the note is not UTF-8", where=where) from error
    control = _CONTROL.search(content)
    if control is not None:
        number = content.count("\n", 0, control.start()) + 1
        message = "the note has a control character"
        raise FormatError("note.text", message, where=f"line {number}")
    return content


def _parse_signature(line: str, number: int) -> Signature:
    name, _, encoded = line.removeprefix(_MARK).partition(" ")
    data = decode_base64(encoded)
    if not line.startswith(_MARK) or not is_key_name(name) or data is None or len(data) < 5:
        message = "not a signature: — (U+2014), the key's name, base64 of id and signature"
        raise FormatError("note.shape", message, where=f"line {number}")
    return Signature(name, data[:4], data[4:])


def format_note(note: Note) -> bytes:
    """Return the bytes of a note, which `parse_note` reads.

    Raises:
        FormatError: If `parse_note` would not return the same note; its codes.
    """
    lines = [f"{_MARK}{name} {_base64(key_id + rest)}\n" for name, key_id, rest in note.signatures]
    data = _encode(f"{note.text}\n{''.join(lines)}")
    if parse_note(data) != note:
        raise FormatError("note.shape", "its bytes would be read as another note")
    return data


def _encode(text: str) -> bytes:
    if not _is_unicode(text):
        raise FormatError("note.text", "the note is not Unicode text")
    return text.encode()


# Signing and verifying -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VerifiedNote:
    """A note with a valid signature of a known key; made by `verify_note`."""

    text: str
    signed_by: tuple[Verifier, ...]
    """The known keys that signed, at least one, in the order of their first lines."""


def sign_note(text: str, signers: Iterable[Signer]) -> bytes:
    """Return the note of a text, signed by keys.

    Raises:
        FormatError: If the text cannot be in a note, or there is no signer.
    """
    message = _encode(text)
    lines = [
        Signature(signer.name, signer.verifier.key_id, signer.sign(message)) for signer in signers
    ]
    return format_note(Note(text, tuple(lines)))


def verify_note(note: Note, verifiers: Collection[Verifier]) -> VerifiedNote:
    """Return the text of a note and the keys that signed it.

    Args:
        note: Any note.
        verifiers: The known keys; signatures of others are ignored.

    Raises:
        UntrustedNoteError: `note.signature` if the signature of a known key is invalid,
            `note.unsigned` if no known key signed it.
        FormatError: `note.key` if two known keys differ and have the same name and id.
    """
    known = _by_id(verifiers)
    message = note.text.encode()
    signed_by: list[Verifier] = []
    for name, key_id, signature in note.signatures:
        verifier = known.get((name, key_id))
        if verifier is None:
            continue
        if not verify(verifier.public_key, message, signature):  # S1
            why = f"the signature of {name!r} is invalid"
            raise UntrustedNoteError("note.signature", why, hint="do not believe this copy")
        signed_by.append(verifier)
    if not signed_by:
        hint = "get the signer's key from another source, and name it"
        raise UntrustedNoteError("note.unsigned", "no known key signed the note", hint=hint)
    return VerifiedNote(note.text, tuple(dict.fromkeys(signed_by)))


def _by_id(verifiers: Collection[Verifier]) -> Mapping[tuple[str, bytes], Verifier]:
    known: dict[tuple[str, bytes], Verifier] = {}
    for verifier in verifiers:
        if known.setdefault((verifier.name, verifier.key_id), verifier) != verifier:
            raise _no_key(f"two different keys have the name {verifier.name!r} and one id", "")
    return known


def _is_unicode(text: str) -> bool:
    """Whether UTF-8 can encode it: it cannot encode a surrogate, as in a file name."""
    return _SURROGATE.search(text) is None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
