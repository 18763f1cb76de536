"""Compares a dump of arXiv's metadata with the records of a store (R5).

Each line of the dump has the id, title and abstract of a paper; the digests of both texts must be
those in the record of the paper.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from mirror.archive import ReadLimits, open_file, standard_input, unreadable
from mirror.archive.compression import (
    DECOMPRESSION_ERRORS,
    TRAILING_DATA,
    has_trailing,
    open_buffered,
)
from mirror.core.record import Record, is_text_digest_confirmed, text_digest
from mirror.core.shape import objects_member, text_member
from mirror.core.values import Value, decode
from mirror.engine.search.results import record_summary
from mirror.errors import FormatError, LimitError
from mirror.store import Store

__all__ = ["MalformedLine", "MetadataCheck", "check_metadata", "open_metadata"]


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
class _PaperText:
    arxiv_id: str
    title: str
    abstract: str
    version: int | None
    """The last version; None if the line has none."""


def check_metadata(store: Store, file: BinaryIO) -> Iterator[MetadataCheck | MalformedLine]:
    """Yield the result of comparing each line of a dump with the record of its arXiv id.

    If an id has several records, those with a verified receipt are preferred, because anybody can
    merge others. Among these, the record of the paper's last version is used, or else that of the
    highest version.

    Args:
        store: The store; it is only read.
        file: JSON Lines with `id`, `title`, `abstract`, `versions`, from `open_metadata`.
    """
    for line in _papers(file, ReadLimits().line_bytes):
        yield line if isinstance(line, MalformedLine) else _check(store, line)


def _check(store: Store, paper: _PaperText) -> MetadataCheck:
    is_confirmed = is_text_digest_confirmed(paper.title + paper.abstract)
    records = _records_of(store, paper)
    if not records:
        return MetadataCheck(paper.arxiv_id, None, "missing", None, is_confirmed)
    if len(records) > 1:
        version = records[0].source["version"]
        return MetadataCheck(paper.arxiv_id, None, "ambiguous", version, is_confirmed)
    (record,) = records
    differs = (
        text_digest(paper.title) != record.metadata["title_canon_sha256"],
        text_digest(paper.abstract) != record.metadata["abstract_canon_sha256"],
    )
    version = record.source["version"]
    return MetadataCheck(
        paper.arxiv_id, record.pith_number, _STATUSES[differs], version, is_confirmed
    )


_STATUSES = {
    (False, False): "match",
    (True, False): "title_differs",
    (False, True): "abstract_differs",
    (True, True): "both_differ",
}


def _records_of(store: Store, paper: _PaperText) -> list[Record]:
    """Return the record to compare a paper with; several if there are several of its version."""
    found = [(one, store.records.get(one)) for one in store.records.by_source(paper.arxiv_id)]
    found = [(one, record) for one, record in found if record.source["kind"] == "arxiv"]
    if len(found) > 1:
        verified = [pair for pair in found if record_summary(store, pair[0]).has_verified_receipt]
        found = verified or found
    records = [record for _, record in found]
    versions = {record.source["version"] for record in records}
    version = paper.version if paper.version in versions else max(versions, default=None)
    return [record for record in records if record.source["version"] == version]


def _papers(file: BinaryIO, most: int) -> Iterator[_PaperText | MalformedLine]:
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


def _paper(number: int, line: bytes) -> _PaperText | MalformedLine:
    try:
        value = decode(line)
    except FormatError as error:
        return MalformedLine(number, str(error))
    if not isinstance(value, dict):
        return MalformedLine(number, "not an object")
    members = [value.get(name) for name in ("id", "title", "abstract")]
    texts = [text for text in members if isinstance(text, str)]
    if len(texts) < len(members) or not texts[0]:
        return MalformedLine(number, "id, title and abstract must be strings, and id not empty")
    arxiv_id, title, abstract = texts
    return _PaperText(arxiv_id, title, abstract, _last_version(value))


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
