"""Compares a dump of arXiv's metadata with the records of a store (R5).

Each line of the dump has the id, title and abstract of a paper; the digests of both texts must be
those in the record of the paper. Texts with the digest in a record are proved, and can be kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO, TypeAlias, TypeGuard

from mirror.archive import ReadLimits, open_file, standard_input, unreadable
from mirror.archive.compression import (
    DECOMPRESSION_ERRORS,
    TRAILING_DATA,
    has_trailing,
    open_buffered,
)
from mirror.core.record import (
    Record,
    is_text_digest_confirmed,
    text_digest,
    text_to_keep,
)
from mirror.core.shape import objects_member, text_member
from mirror.core.values import Value, decode
from mirror.engine.batching import batched
from mirror.engine.search.results import record_summary
from mirror.errors import FormatError, LimitError
from mirror.store import PaperText, Store
from mirror.store.known_time import known_time

__all__ = ["MalformedLine", "MetadataCheck", "check_metadata", "keep_metadata", "open_metadata"]

_LINES_AT_ONCE, _CHARACTERS_AT_ONCE = 1000, 4_000_000
"""Lines whose texts are stored in one transaction, and the most characters of these texts."""


@dataclass(frozen=True, slots=True)
class MetadataCheck:
    """Result of comparing a paper of a dump with its record."""

    arxiv_id: str
    pith_number: str | None
    status: str
    """`match`, `title_differs`, `abstract_differs`, `both_differ`, `missing`, `ambiguous`."""
    version: int | None
    """The version of the record that it was compared with."""
    is_confirmed: bool
    """Whether R5 has been observed upstream for such texts."""
    kept: tuple[PaperText, ...] = ()
    """The texts that were stored."""
    refused: tuple[str, ...] = ()
    """Kinds of texts that have the digest in a record, but are not safe to show."""

    @property
    def is_mismatch(self) -> bool:
        """Whether the record has another digest, or several records may be the paper's."""
        return self.status not in {"match", "missing"}


@dataclass(frozen=True, slots=True)
class MalformedLine:
    """A line that does not describe a paper."""

    number: int
    message: str


@dataclass(frozen=True, slots=True)
class _DumpLine:
    """A line of a dump that describes a paper."""

    arxiv_id: str
    title: str | None
    abstract: str | None
    version: int | None
    """The last version; None if the line has none."""

    @property
    def texts(self) -> dict[str, str]:
        """The texts that the line has, by kind."""
        found = {"title": self.title, "abstract": self.abstract}
        return {kind: text for kind, text in found.items() if text is not None}


_CheckedLine: TypeAlias = MetadataCheck | MalformedLine


def check_metadata(store: Store, file: BinaryIO) -> Iterator[_CheckedLine]:
    """Yield the result of comparing each line of a dump with the record of its arXiv id.

    If an id has several records, those with a verified receipt are preferred, because anybody can
    merge others. Among these, the record of the paper's last version is used, or else that of the
    highest version. A text that a line lacks is not compared.

    Args:
        store: The store; it is only read.
        file: JSON Lines with `id`, `versions`, and `title`, `abstract` or both, from
            `open_metadata`.
    """
    for line in _lines(file, ReadLimits().line_bytes):
        yield line if isinstance(line, MalformedLine) else _check(store, line)


def keep_metadata(store: Store, file: BinaryIO, source: str) -> Iterator[_CheckedLine]:
    """Compare as `check_metadata` does, and store the texts with the digest in a record.

    They are stored for every record of the arXiv id that has their digest, whichever record the
    line is compared with: the digest proves a text (R5). `text_to_keep` decides the form.

    Args:
        store: The store.
        file: As for `check_metadata`.
        source: The name of the dump.

    Raises:
        StoreError: If the store cannot be written.
    """
    found = _lines(file, ReadLimits().line_bytes)
    for lines in batched(found, _LINES_AT_ONCE, _characters, _CHARACTERS_AT_ONCE):
        with store.transaction():
            at = known_time(store.connection)
            checked = [_keep(store, line, source, at) for line in lines]
        yield from checked


def _characters(line: _DumpLine | MalformedLine) -> int:
    return sum(map(len, line.texts.values())) if isinstance(line, _DumpLine) else 0


def _keep(store: Store, line: _DumpLine | MalformedLine, source: str, at: str) -> _CheckedLine:
    if isinstance(line, MalformedLine):
        return line
    found, refused = [], set()
    for _, record in _all_records_of(store, line):
        for kind, text in line.texts.items():
            given = PaperText(record.pith_number, kind, text, source, at)
            if given.is_proved_by(record):
                kept = text_to_keep(text)
                if kept is None:
                    refused.add(kind)
                else:
                    found.append(given._replace(text=kept))
    added = tuple(store.paper_texts.add(found))
    return replace(_check(store, line), kept=added, refused=tuple(sorted(refused)))


def _check(store: Store, paper: _DumpLine) -> MetadataCheck:
    is_confirmed = all(map(is_text_digest_confirmed, paper.texts.values()))
    records = _records_of(store, paper)
    if not records:
        return MetadataCheck(paper.arxiv_id, None, "missing", None, is_confirmed)
    version = records[0].source["version"]
    if len(records) > 1:
        return MetadataCheck(paper.arxiv_id, None, "ambiguous", version, is_confirmed)
    (record,) = records
    differs = (
        _differs(paper.title, record.metadata["title_canon_sha256"]),
        _differs(paper.abstract, record.metadata["abstract_canon_sha256"]),
    )
    return MetadataCheck(
        paper.arxiv_id, record.pith_number, _STATUSES[differs], version, is_confirmed
    )


def _differs(text: str | None, digest: str) -> bool:
    return text is not None and text_digest(text) != digest


_STATUSES = {
    (False, False): "match",
    (True, False): "title_differs",
    (False, True): "abstract_differs",
    (True, True): "both_differ",
}


def _records_of(store: Store, paper: _DumpLine) -> list[Record]:
    """Return the record to compare a paper with; several if there are several of its version."""
    found = _all_records_of(store, paper)
    if len(found) > 1:
        verified = [pair for pair in found if record_summary(store, pair[0]).has_verified_receipt]
        found = verified or found
    records = [record for _, record in found]
    versions = {record.source["version"] for record in records}
    version = paper.version if paper.version in versions else max(versions, default=None)
    return [record for record in records if record.source["version"] == version]


def _all_records_of(store: Store, paper: _DumpLine) -> list[tuple[int, Record]]:
    """Return ids and records of all versions of a paper, those without a receipt included."""
    found = [(one, store.records.get(one)) for one in store.records.by_source(paper.arxiv_id)]
    return [(one, record) for one, record in found if record.source["kind"] == "arxiv"]


def _lines(file: BinaryIO, most: int) -> Iterator[_DumpLine | MalformedLine]:
    """Yield each line that is not blank; a malformed line does not end the dump.

    Args:
        file: The lines.
        most: The most bytes of a line.
    """
    number = 0
    try:
        while line := file.readline(most + 1):
            number += 1
            if len(line) > most:
                while line and not line.endswith(b"\n"):
                    line = file.readline(1 << 20)
                yield MalformedLine(number, f"longer than {most} bytes")
            elif line.strip():
                yield _paper(number, line)
        if has_trailing(file):
            yield MalformedLine(number + 1, TRAILING_DATA)
    except DECOMPRESSION_ERRORS as error:
        yield MalformedLine(number + 1, f"the file is truncated or damaged here: {error}")
    except OSError as error:
        raise unreadable(f"line {number + 1}", error) from error
    except LimitError as error:
        yield MalformedLine(number + 1, error.message)


def _paper(number: int, line: bytes) -> _DumpLine | MalformedLine:
    try:
        value = decode(line)
    except FormatError as error:
        return MalformedLine(number, str(error))
    if not isinstance(value, dict):
        return MalformedLine(number, "not an object")
    arxiv_id, title, abstract = (value.get(name) for name in ("id", "title", "abstract"))
    if not (_is_optional_text(title) and _is_optional_text(abstract)):
        return MalformedLine(number, "title and abstract must be strings, where they are given")
    if not (isinstance(arxiv_id, str) and arxiv_id) or title is abstract is None:
        return MalformedLine(number, "id must be a string, and title or abstract be given")
    return _DumpLine(arxiv_id, title, abstract, _last_version(value))


def _is_optional_text(value: Value) -> TypeGuard[str | None]:
    return value is None or isinstance(value, str)


def _last_version(line: Value) -> int | None:
    """Return the highest version in a member such as `"versions": [{"version": "v1"}]`."""
    names = [text_member(one, "version") for one in objects_member(line, "versions")]
    found = [re.fullmatch(r"v([1-9][0-9]{0,8})", name) for name in names]
    return max((int(match[1]) for match in found if match), default=None)


@contextmanager
def open_metadata(name: str) -> Iterator[BinaryIO]:
    """Open a dump (plain, gzip or zstd) by its path, or standard input for `-`.

    Raises:
        SourceError: `source.unreadable`
    """
    with ExitStack() as stack:
        try:
            is_seekable_input = name == "-" and standard_input().seekable()
            file = standard_input() if is_seekable_input else stack.enter_context(open_file(name))
        except (OSError, ValueError) as error:  # a NUL in the path is a ValueError
            raise unreadable(name, error) from error
        yield open_buffered(file, ReadLimits())
