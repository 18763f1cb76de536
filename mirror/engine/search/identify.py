"""`mirror identify`: which record is this paper, and are title and abstract what was recorded (R5).

A record holds no title and no abstract, only their digests. So a text either gives the very digest
or it does not; there is no "nearly". Text that was copied from a PDF or from LaTeX is tried in the
ways that such copies go wrong, and which way fitted is said: a digest that fits proves it.

What R5 gives for text that is not ASCII was never seen upstream, and is called unconfirmed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import reduce
from itertools import chain, combinations, islice, product
from typing import BinaryIO, TypeAlias, cast

from mirror.archive import ReadLimits, open_file, standard_input, unreadable
from mirror.archive.compression import (
    DECOMPRESSION_ERRORS,
    TRAILING_DATA,
    has_trailing,
    open_buffered,
)
from mirror.core.record import Record, is_text_digest_confirmed, text_digest
from mirror.core.values import Value, decode
from mirror.engine.search.find import RecordSummary, encodable, resolve_name, standing_of
from mirror.errors import FormatError, LimitError
from mirror.store import Store

__all__ = [
    "AS_GIVEN",
    "Candidate",
    "IdentifyResult",
    "MalformedLine",
    "MetadataCheck",
    "TextMatch",
    "check_metadata",
    "identify",
    "open_metadata",
]


@dataclass(frozen=True, slots=True)
class TextMatch:
    """How a text compares with what a record has recorded."""

    matches: bool
    variant: str
    """How it had to be read to match: `as given`, or what was undone; empty if it does not."""
    is_confirmed: bool
    """Whether R5 is known to hold upstream for such text."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that the paper may be."""

    standing: RecordSummary
    title: TextMatch | None
    """None if no title was given."""
    abstract: TextMatch | None
    """None if no abstract was given."""

    @property
    def matches(self) -> bool:
        """Whether every text that was given matches."""
        return all(one.matches for one in (self.title, self.abstract) if one is not None)


@dataclass(frozen=True, slots=True)
class IdentifyResult:
    """What is known of a paper."""

    candidates: list[Candidate]
    """Those that match first, then those with a verified receipt."""
    has_more: bool
    """Whether there are more than these."""
    unindexed: int
    """Records that were not looked at, because the index lacks them; 0 if an id was given."""

    @property
    def is_found(self) -> bool:
        """Whether a record matches in all that was given."""
        return any(one.matches for one in self.candidates)


MAX_CANDIDATES = 20


def identify(
    store: Store, title: str | None, abstract: str | None, arxiv_id: str | None = None
) -> IdentifyResult:
    """Find the record of a paper, and hold title and abstract against it.

    Args:
        store: The store; it is only read.
        title: As it stands anywhere; None if it is not known.
        abstract: Likewise.
        arxiv_id: Look only at the records of this id, with or without its version.

    Raises:
        CorruptStoreError: `store.damaged` if a record is not as it was written.
    """
    texts = _TextVariants.of(title), _TextVariants.of(abstract)
    if arxiv_id is None:
        found, unindexed = _by_texts(store, *texts), store.search_index.unindexed()
    else:
        found, unindexed = _by_arxiv_id(store, arxiv_id), 0
    # The digests first, which are cheap: how a record stands is asked of the few that are shown.
    compared = [(one, *_compare(store.records.get(one), *texts)) for one in found]
    compared.sort(key=lambda one: -sum(part is not None and part.matches for part in one[1:]))
    candidates = [
        Candidate(standing_of(store, record_id), *matches)
        for record_id, *matches in compared[:MAX_CANDIDATES]
    ]
    candidates.sort(key=lambda one: (not one.matches, not one.standing.has_verified_receipt))
    return IdentifyResult(candidates, len(compared) > MAX_CANDIDATES, unindexed)


def _by_arxiv_id(store: Store, arxiv_id: str) -> list[int]:
    found = resolve_name(store, arxiv_id)
    return [one for one in found if store.records.get(one).source["kind"] == "arxiv"]


def _by_texts(
    store: Store, title: _TextVariants | None, abstract: _TextVariants | None
) -> list[int]:
    found: list[int] = []
    for column, text in (("title_digest", title), ("abstract_digest", abstract)):
        if text is not None:
            digests = map(bytes.fromhex, text.variants)
            found += store.search_index.by_digests(column, digests, MAX_CANDIDATES + 1)
    return list(dict.fromkeys(found))


def _compare(
    record: Record, title: _TextVariants | None, abstract: _TextVariants | None
) -> tuple[TextMatch | None, TextMatch | None]:
    return (
        None if title is None else title.match(record.metadata["title_canon_sha256"]),
        None if abstract is None else abstract.match(record.metadata["abstract_canon_sha256"]),
    )


@dataclass(frozen=True, slots=True)
class _TextVariants:
    """A text that somebody has, and what it may have been before it was copied."""

    text: str
    variants: dict[str, tuple[str, str]]
    """Name and text of each variant, by its digest."""

    @classmethod
    def of(cls, text: str | None) -> _TextVariants | None:
        if text is None:
            return None
        text = encodable(text)
        variants: dict[str, tuple[str, str]] = {}
        for name, variant in islice(_variants(text), _MOST_VARIANTS):
            variants.setdefault(text_digest(variant), (name, variant))
        return cls(text, variants)

    def match(self, recorded: str) -> TextMatch:
        """Hold it against a digest."""
        name, variant = self.variants.get(recorded, ("", self.text))
        return TextMatch(bool(name), name, is_text_digest_confirmed(variant))


# What copying does to a text -----------------------------------------------------------------

AS_GIVEN = "as given"

_LONGEST = 10_000
"""Characters of a text that is tried in other ways than as given."""
_MOST_VARIANTS = 2_000
_FEW_BREAKS, _MANY_BREAKS = 5, 100
"""Hyphens at line ends up to which all ways are tried of what each may have been; or any."""

_HYPHEN_AT_END = re.compile(r"(?<=\w)([-\u2010\u00ad]\s+)(?=\w)")
_LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
_INVISIBLE = dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", "")
_STRAIGHT = {"‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"'}
_LATEX_QUOTES = {"‘": "`", "’": "'", "“": "``", "”": "''"}
_HYPHENS = dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-")
_LATEX_DASHES = {"\u2010": "-", "\u2011": "-", "\u2212": "-", "\u2013": "--", "\u2014": "---"}

_Edit: TypeAlias = Callable[[str], str]


def _replacing(characters: dict[str, str]) -> _Edit:
    table = str.maketrans(characters)
    return lambda text: text.translate(table)


_EDITS: dict[str, _Edit] = {
    "invisible characters left out": _replacing(_INVISIBLE),
    "accents composed": lambda text: unicodedata.normalize("NFC", text),
    "ligatures spelled out": _replacing(_LIGATURES),
    "curly quotes made straight": _replacing(_STRAIGHT),
    "curly quotes as in LaTeX": _replacing(_LATEX_QUOTES),
    "LaTeX quotes made straight": lambda text: re.sub("``|''", '"', text),
    "dashes made hyphens": _replacing(_HYPHENS),
    "dashes as in LaTeX": _replacing(_LATEX_DASHES),
    "~ made a space": _replacing({"~": " "}),
}
"""What may be undone, each for itself; in this order."""


def _variants(text: str) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of what a text may have been; what changes least comes first.

    Runs of white space need no variant: R5 makes them one space.
    """
    yield AS_GIVEN, text
    if len(text) > _LONGEST:
        return
    edits = [(name, edit) for name, edit in _EDITS.items() if edit(text) != text]
    joined = list(_joined_lines(text))
    for count in range(len(edits) + 1):
        for chosen in combinations(edits, count):
            for name, variant in joined:
                names = [name, *(one for one, _ in chosen)]
                edited = reduce(lambda made, pair: pair[1](made), chosen, variant)
                yield " + ".join(filter(None, names)), edited


def _joined_lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield (what was done, text) with words joined that a line end split, and first as it is."""
    yield "", text
    parts = _HYPHEN_AT_END.split(text)
    breaks = parts[1::2]
    for way in _ways(breaks) if breaks else ():
        kept = {mark != "" for mark in way}
        name = "some" if len(kept) > 1 else "all" if True in kept else "none"
        marked = chain.from_iterable(zip(parts[::2], (*way, ""), strict=True))
        yield f"hyphens at line ends: {name} kept", "".join(marked)


def _ways(breaks: list[str]) -> Iterable[tuple[str, ...]]:
    """Yield what hyphens at line ends may have been: nothing, a hyphen, or what they are."""
    count = len(breaks)
    if count > _MANY_BREAKS:
        return ()
    if count <= _FEW_BREAKS:
        return product(*(("", "-", mark) for mark in breaks))
    kept = [("",) * at + ("-",) + ("",) * (count - at - 1) for at in range(count)]
    return [("",) * count, ("-",) * count, *kept]


# A whole dump of metadata --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MetadataCheck:
    """What one line of a dump came to."""

    arxiv_id: str
    pith_number: str | None
    status: str
    """`match`, `title_differs`, `abstract_differs`, `both_differ`, `missing`, `ambiguous`."""
    version: int | None
    """Of the record that it was held against."""
    is_confirmed: bool
    """Whether R5 is known to hold upstream for both texts."""

    @property
    def is_mismatch(self) -> bool:
        """Whether the record says otherwise, or it cannot be told which record to ask."""
        return self.status not in {"match", "missing"}


@dataclass(frozen=True, slots=True)
class MalformedLine:
    """A line that is no paper."""

    number: int
    why: str


@dataclass(frozen=True, slots=True)
class _PaperText:
    arxiv_id: str
    title: str
    abstract: str
    version: int | None
    """The last; None if the line does not say."""


def check_metadata(store: Store, file: BinaryIO) -> Iterator[MetadataCheck | MalformedLine]:
    """Hold each line of a dump of arXiv's metadata against the record of its id.

    Where an id has several records, those with a verified receipt count, if there are any:
    anybody can merge others. Of these, the one of the last version that the line names; or else
    the one of the highest version.

    Args:
        store: The store; it is only read.
        file: JSON Lines with `id`, `title`, `abstract`, `versions`, as `open_metadata` gives it.
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
    """Return the records that a paper is to be held against; several if nothing decides."""
    found = [(one, store.records.get(one)) for one in store.records.by_source(paper.arxiv_id)]
    found = [(one, record) for one, record in found if record.source["kind"] == "arxiv"]
    if len(found) > 1:
        vouched = [pair for pair in found if standing_of(store, pair[0]).has_verified_receipt]
        found = vouched or found
    records = [record for _, record in found]
    versions = {record.source["version"] for record in records}
    version = paper.version if paper.version in versions else max(versions, default=None)
    return [record for record in records if record.source["version"] == version]


def _papers(file: BinaryIO, most: int) -> Iterator[_PaperText | MalformedLine]:
    """Yield each line that is not blank, whatever is wrong with those before it.

    Args:
        file: The text.
        most: Bytes of a line that are taken.
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
    texts = [value.get(name) for name in ("id", "title", "abstract")]
    if not all(isinstance(text, str) for text in texts) or not texts[0]:
        return MalformedLine(number, "id, title and abstract must be strings, and id not empty")
    arxiv_id, title, abstract = cast("list[str]", texts)
    return _PaperText(arxiv_id, title, abstract, _last_version(value.get("versions")))


def _last_version(versions: Value) -> int | None:
    """Return the highest version of a list such as `[{"version": "v1"}]`."""
    names = [one.get("version") for one in _list(versions) if isinstance(one, dict)]
    found = [re.fullmatch(r"v([1-9][0-9]{0,8})", name) for name in names if isinstance(name, str)]
    return max((int(match[1]) for match in found if match), default=None)


def _list(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []


@contextmanager
def open_metadata(name: str) -> Iterator[BinaryIO]:
    """Open a dump, plain, gzip or zstd, by its path, or standard input for `-`.

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
