"""Records: shape, hash, Pith Number, aliases and text digests (R1 to R5).

`parse_record` checks the shape (R1). Digest, number and aliases of a `Record` are always computed
from its canonical bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypedDict, TypeGuard, cast

from mirror.core.values import (
    Object,
    Value,
    encode_integers,
    hexdigest,
    instant,
    is_digest,
    is_integer,
    sha256,
)
from mirror.errors import FormatError

__all__ = [
    "PITH_NUMBER_PATTERN",
    "Record",
    "RecordMetadata",
    "RecordSource",
    "canonical_text",
    "is_pith_number",
    "is_text_digest_confirmed",
    "parse_record",
    "suffix_in",
    "suffix_of",
    "text_digest",
    "text_to_keep",
]

PITH_NUMBER_PATTERN = r"pith:[0-9]{4}:[A-Z2-7]{26}"
"""A Pith Number as it is printed (R3)."""

_PITH_NUMBER = re.compile(PITH_NUMBER_PATTERN)


def is_pith_number(value: Value) -> TypeGuard[str]:
    """Whether `value` is written as a Pith Number is (R3)."""
    return isinstance(value, str) and _PITH_NUMBER.fullmatch(value) is not None


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PAIRS = [one + other for one in _LETTERS for other in _LETTERS]


def suffix_in(pith_number: str) -> str:
    """Return the suffix of a Pith Number: its last 26 letters (R3)."""
    return pith_number[-26:]


def suffix_of(digest: bytes) -> str:
    """Return the first 26 letters of the base32 of a `canonical_sha256` (32 raw bytes; R3).

    Each pair of letters is ten bits; the library's encoder takes three times as long.
    """
    bits = int.from_bytes(digest[:17], "big") >> 6
    return "".join([_PAIRS[bits >> shift & 1023] for shift in range(120, -10, -10)])


class RecordMetadata(TypedDict):
    """The member `metadata` of a record (R1)."""

    abstract_canon_sha256: str
    cross_cats_sorted: list[str]
    license: str
    primary_cat: str
    submitted_at: str
    title_canon_sha256: str


class RecordSource(TypedDict):
    """The member `source` of a record (R1)."""

    id: str
    kind: str
    version: int


class Record:
    """A canonical record whose shape was checked; made by `parse_record`."""

    __slots__ = (
        "aliases",
        "canonical_sha256",
        "digest",
        "encoded",
        "pith_number",
        "suffix",
        "value",
    )

    def __init__(self, value: Object) -> None:
        self.value = value
        """The record itself, exactly the members of R1."""
        self.encoded = encode_integers(value)  # R1 allows no float
        """The canonical bytes of the record (V2)."""
        self.digest = sha256(self.encoded)
        """`canonical_sha256` as 32 raw bytes: what receipts sign (R2)."""
        self.canonical_sha256 = self.digest.hex()
        """`canonical_sha256`, 64 lowercase hexadecimal digits (R2)."""
        self.suffix = suffix_of(self.digest)
        """The 26 letters of base32 that end the Pith Number (R3)."""
        self.pith_number = f"pith:{self.metadata['submitted_at'][:4]}:{self.suffix}"
        """`pith:`, the year of submission, `:`, the suffix (R3)."""
        self.aliases = tuple(self._aliases())
        """The pairs (`alias_kind`, `alias_value`) of R4, ascending by kind."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and self.encoded == other.encoded

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def short_pith_number(self) -> str:
        """`pith:` and the first 8 letters of the suffix (R3)."""
        return f"pith:{self.suffix[:8]}"

    @property
    def metadata(self) -> RecordMetadata:
        """The member `metadata`."""
        return cast("RecordMetadata", self.value["metadata"])  # R1 was checked

    @property
    def source(self) -> RecordSource:
        """The member `source`."""
        return cast("RecordSource", self.value["source"])  # R1 was checked

    @property
    def categories(self) -> tuple[str, ...]:
        """The primary category, then the cross-lists."""
        return self.metadata["primary_cat"], *self.metadata["cross_cats_sorted"]

    @property
    def title_sha256(self) -> bytes:
        """`title_canon_sha256`, 32 raw bytes (R5)."""
        return bytes.fromhex(self.metadata["title_canon_sha256"])

    @property
    def abstract_sha256(self) -> bytes:
        """`abstract_canon_sha256`, 32 raw bytes (R5)."""
        return bytes.fromhex(self.metadata["abstract_canon_sha256"])

    def _aliases(self) -> Iterator[tuple[str, str]]:
        source = self.source
        if source["kind"] == "arxiv":
            arxiv_id = source["id"]
            yield "arxiv", arxiv_id
            yield "arxiv_version", f"{arxiv_id}v{source['version']}"
            yield "doi", f"10.48550/arxiv.{arxiv_id}"
        for length in (12, 16, 8):
            yield f"pith_short_{length}", self.suffix[:length]


# R1: shape -----------------------------------------------------------------------------------


def _is_text(value: Value) -> bool:
    return isinstance(value, str)


def _is_nonempty_text(value: Value) -> bool:
    return isinstance(value, str) and value != ""


def _is_version(value: Value) -> bool:
    return is_integer(value) and value >= 1


def _is_time(value: Value) -> bool:
    return instant(value) is not None


def _is_ascending(value: Value) -> bool:
    if not isinstance(value, list):
        return False
    last = None
    for name in value:
        if not isinstance(name, str) or (last is not None and name <= last):
            return False
        last = name
    return True


_Shape = dict[str, tuple[Callable[[Value], bool], str]]

_SOURCE: _Shape = {
    "id": (_is_nonempty_text, "a string that is not empty"),
    "kind": (_is_nonempty_text, "a string that is not empty"),
    "version": (_is_version, "an integer from 1"),
}
_METADATA: _Shape = {
    "abstract_canon_sha256": (is_digest, "64 lowercase hexadecimal digits"),
    "cross_cats_sorted": (_is_ascending, "a list of strings, strictly ascending"),
    "license": (_is_text, "a string"),
    "primary_cat": (_is_nonempty_text, "a string that is not empty"),
    "submitted_at": (_is_time, "a time such as 2017-05-27T08:10:40Z"),
    "title_canon_sha256": (is_digest, "64 lowercase hexadecimal digits"),
}
_RECORD: _Shape = {
    "metadata": (lambda value: isinstance(value, dict), "an object"),
    "schema_version": (lambda value: value == "1.0", 'the string "1.0"'),
    "source": (lambda value: isinstance(value, dict), "an object"),
}


def parse_record(value: Value, where: str = "") -> Record:
    """Return the record that `value` is (R1).

    Args:
        value: Any value.
        where: The JSON Pointer of `value` in its bundle, for the error.

    Raises:
        FormatError: `record.shape`, with the JSON Pointer of the member at fault.
    """
    if _is_record_fast(value):
        return Record(value)
    members = _require(value, _RECORD, where)
    _require(members["metadata"], _METADATA, f"{where}/metadata")
    _require(members["source"], _SOURCE, f"{where}/source")
    return Record(members)


def _is_record_fast(value: Value) -> TypeGuard[Object]:
    """Whether `value` is a record, on the fast path; if not, `_require` says what is wrong."""
    members: Any = value
    try:
        metadata, source = members["metadata"], members["source"]
        return (
            members.keys() == _RECORD.keys()
            and metadata.keys() == _METADATA.keys()
            and source.keys() == _SOURCE.keys()
            and members["schema_version"] == "1.0"
            and is_digest(metadata["abstract_canon_sha256"])
            and is_digest(metadata["title_canon_sha256"])
            and instant(metadata["submitted_at"]) is not None
            and _is_ascending(metadata["cross_cats_sorted"])
            and isinstance(metadata["license"], str)
            and _is_nonempty_text(metadata["primary_cat"])
            and _is_nonempty_text(source["id"])
            and _is_nonempty_text(source["kind"])
            and _is_version(source["version"])
        )
    except (KeyError, TypeError, AttributeError):
        return False


def _require(value: Value, shape: _Shape, where: str) -> Object:
    """Return `value` as an object with exactly the members of `shape` (R1)."""
    if not isinstance(value, dict) or value.keys() != shape.keys():
        names = ", ".join(shape)
        raise FormatError("record.shape", f"must have exactly the members {names}", where=where)
    for name, (fits, expected) in shape.items():
        if not fits(value[name]):
            raise FormatError("record.shape", f"must be {expected}", where=f"{where}/{name}")
    return value


# R5: text ------------------------------------------------------------------------------------


def canonical_text(text: str) -> str:
    """Return a title or abstract in lower case, runs of white space made one space (R5)."""
    return " ".join(text.lower().split())


def text_digest(text: str) -> str:
    """Return `title_canon_sha256` or `abstract_canon_sha256` of a text (R5)."""
    return hexdigest(canonical_text(text).encode("utf-8"))


def is_text_digest_confirmed(text: str) -> bool:
    """Whether R5 is known to hold upstream for such text: it was confirmed for ASCII only."""
    return text.isascii()


MAX_KEPT = 20_000
"""Most characters of a text that is kept."""


def text_to_keep(text: str) -> str | None:
    """Return the form of a title or abstract that is safe to show and has the same digest (R5).

    The digest leaves open white space and capital letters. Each run of white space becomes one
    space. The letters stay as given if each is the small, capital or title-case form of the one
    that the digest covers; otherwise, all are small.

    Returns:
        The text; None if the digest covers characters that do not print, such as those that turn
        the direction of writing, or none at all, or more than `MAX_KEPT`.
    """
    covered, given = canonical_text(text), " ".join(text.split())
    if not (0 < len(covered) <= MAX_KEPT and covered.isprintable()):
        return None
    return given if _differs_in_case_only(given, covered) else covered


def _differs_in_case_only(given: str, covered: str) -> bool:
    return len(given) == len(covered) and all(
        letter in {small, small.upper(), small.title()}
        for letter, small in zip(given, covered, strict=True)
    )
