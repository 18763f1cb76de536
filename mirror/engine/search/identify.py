"""Identifies the record of a paper by its title and abstract (R5).

A record has no title and no abstract, only their digests. So a text either has the same digest or
it differs; there is no similarity. A text copied from a PDF or from LaTeX is also tried in
variants that undo the usual damage of such copies. The result names the variant that matched.

Texts that are not ASCII have never been observed upstream: a mismatch of such a text is reported
as unconfirmed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import chain, combinations, islice, product
from typing import TypeAlias

from mirror.core.record import Record, is_text_digest_confirmed, text_digest
from mirror.engine.search.find import encodable, resolve_name
from mirror.engine.search.results import RecordSummary, record_summary
from mirror.store import Store

__all__ = ["AS_GIVEN", "Candidate", "IdentifyResult", "TextMatch", "identify"]


@dataclass(frozen=True, slots=True)
class TextMatch:
    """Result of comparing a text with the digest in a record."""

    matches: bool
    variant: str
    """The variant that matches: `as given`, or the edits; empty if none matches."""
    is_confirmed: bool
    """Whether R5 has been observed upstream for such text."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record of the paper, possibly."""

    record: RecordSummary
    title: TextMatch | None
    """None if no title was given."""
    abstract: TextMatch | None
    """None if no abstract was given."""

    @property
    def matches(self) -> bool:
        """Whether all given texts match."""
        return all(one.matches for one in (self.title, self.abstract) if one is not None)


@dataclass(frozen=True, slots=True)
class IdentifyResult:
    """The records that may be those of a paper."""

    candidates: list[Candidate]
    """Matching records first, then records with a verified receipt."""
    has_more: bool
    """Whether there are more candidates."""
    unindexed: int
    """Records that the index lacks, and that were not compared; 0 if an id was given."""

    @property
    def is_found(self) -> bool:
        """Whether a record matches all given texts."""
        return any(one.matches for one in self.candidates)


MAX_CANDIDATES = 20


def identify(
    store: Store, title: str | None, abstract: str | None, arxiv_id: str | None = None
) -> IdentifyResult:
    """Find the record of a paper, and compare title and abstract with it.

    Args:
        store: The store; it is only read.
        title: The title from any copy of the paper; None if it is unknown.
        abstract: The abstract; None if it is unknown.
        arxiv_id: Compare only with the records of this id, with or without its version.

    Raises:
        CorruptStoreError: `store.damaged` if a record is damaged.
    """
    texts = _TextVariants.of(title), _TextVariants.of(abstract)
    if arxiv_id is None:
        found, unindexed = _by_texts(store, *texts), store.search_index.unindexed()
    else:
        found, unindexed = _by_arxiv_id(store, arxiv_id), 0
    # Comparing digests is cheap; the state is read only for the few records that are shown.
    compared = [(one, *_compare(store.records.get(one), *texts)) for one in found]
    compared.sort(key=lambda one: -sum(part is not None and part.matches for part in one[1:]))
    candidates = [
        Candidate(record_summary(store, record_id), *matches)
        for record_id, *matches in compared[:MAX_CANDIDATES]
    ]
    candidates.sort(key=lambda one: (not one.matches, not one.record.has_verified_receipt))
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
    """A copy of a text, and the variants of the original text that it may be a copy of."""

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
        """Compare the variants with a digest."""
        name, variant = self.variants.get(recorded, ("", self.text))
        return TextMatch(bool(name), name, is_text_digest_confirmed(variant))


# Variants of a copied text -------------------------------------------------------------------

AS_GIVEN = "as given"

_LONGEST = 10_000
"""Characters of a text; a longer one is compared only as given."""
_MOST_VARIANTS = 2_000
_FEW_BREAKS, _MANY_BREAKS = 5, 100
"""Hyphens at line ends up to which all combinations are tried, and up to which some are."""

_HYPHEN_AT_END = re.compile(r"(?<=\w)([-\u2010\u00ad]\s+)(?=\w)")
_LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
_INVISIBLE = dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", "")
_STRAIGHT = {"‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"'}
_LATEX_QUOTES = {"‘": "`", "’": "'", "“": "``", "”": "''"}
_HYPHENS = dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-")
_LATEX_DASHES = {"\u2010": "-", "\u2011": "-", "\u2212": "-", "\u2013": "--", "\u2014": "---"}

_Edit: TypeAlias = Callable[[str], str]


def _replace(characters: dict[str, str]) -> _Edit:
    table = str.maketrans(characters)
    return lambda text: text.translate(table)


_EDITS: dict[str, _Edit] = {
    "invisible characters left out": _replace(_INVISIBLE),
    "accents composed": lambda text: unicodedata.normalize("NFC", text),
    "ligatures spelled out": _replace(_LIGATURES),
    "curly quotes made straight": _replace(_STRAIGHT),
    "curly quotes as in LaTeX": _replace(_LATEX_QUOTES),
    "LaTeX quotes made straight": lambda text: re.sub("``|''", '"', text),
    "dashes made hyphens": _replace(_HYPHENS),
    "dashes as in LaTeX": _replace(_LATEX_DASHES),
    "~ made a space": _replace({"~": " "}),
}
"""The edits that a variant combines, in this order."""


def _variants(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and text of each variant, those with the fewest edits first.

    White space needs no variant, because R5 replaces each run of it by one space.
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
    """Yield (edit, text): the text itself, then with the words joined that a line end split."""
    yield "", text
    parts = _HYPHEN_AT_END.split(text)
    breaks = parts[1::2]
    for joints in _joints(breaks) if breaks else ():
        kept = {joint != "" for joint in joints}
        name = "some" if len(kept) > 1 else "all" if True in kept else "none"
        joined = chain.from_iterable(zip(parts[::2], (*joints, ""), strict=True))
        yield f"hyphens at line ends: {name} kept", "".join(joined)


def _joints(breaks: list[str]) -> Iterable[tuple[str, ...]]:
    """Yield what replaces the hyphens at line ends: nothing, a hyphen, or the text as it is."""
    count = len(breaks)
    if count > _MANY_BREAKS:
        return ()
    if count <= _FEW_BREAKS:
        return product(*(("", "-", text) for text in breaks))
    kept = [("",) * at + ("-",) + ("",) * (count - at - 1) for at in range(count)]
    return [("",) * count, ("-",) * count, *kept]
