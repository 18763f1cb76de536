"""Bibliographic description of a record: one decision for every format that libraries read.

A record names its source, date, categories and licence. A title is proved or claimed, and authors
are only ever claimed: who says so is a part of the description, and every format says it, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mirror.core.record import Record
from mirror.core.state_view import StateView, parse_state
from mirror.engine.bibliography.author_names import author_names
from mirror.engine.bibliography.claimed_paper import ClaimedPaper, claimed_paper
from mirror.engine.bibliography.orcid import orcid_url
from mirror.engine.bibliography.plain_text import one_line
from mirror.engine.states.current import current_text
from mirror.engine.titles import RecordTitle, proved_texts, proved_title, title_of
from mirror.store import PaperTexts, Store

__all__ = [
    "AuthorClaim",
    "Description",
    "arxiv_url",
    "describe",
    "describe_fully",
    "description_of",
]

_ARXIV_ID = re.compile(r"[A-Za-z0-9.\-/]{1,60}")
_PATH = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*"
_URL = re.compile(rf"https?://[A-Za-z0-9.\-]+(?::[0-9]+)?(?:[/?]{_PATH})?(?:#{_PATH})?")
"""A URL of a host in visible ASCII, of the characters that RFC 3986 allows."""
_MAX_URL = 500


@dataclass(frozen=True, slots=True)
class AuthorClaim:
    """A claim in force to be an author of the paper (E4); whether it is true was not checked."""

    claimant_id: str
    method: str
    """How the claimant was identified, such as `orcid`."""
    strength: str
    signer_id: str

    @property
    def orcid_url(self) -> str:
        """The URL of the claimed ORCID iD; empty if the method is another, or it is none."""
        return orcid_url(self.claimant_id) if self.method == "orcid" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """All that is known here about a record and its paper, and from whom."""

    record: Record
    title: RecordTitle | None
    abstract: str
    """The proved abstract (R5); empty without one."""
    paper: ClaimedPaper | None
    """The claims of the last graph snapshot about the paper."""
    author_claims: tuple[AuthorClaim, ...]
    receipt_key_id: str
    """Id of the key that signed the verified receipt; empty if there is none."""
    is_partial: bool = False
    """Whether claims were left out because many events of the record failed verification."""

    @property
    def name(self) -> str:
        """The title, or else source and version: `arxiv:1705.09840 v2`."""
        return self.source_name if self.title is None else self.title.text

    @property
    def source_name(self) -> str:
        """The source of the record and its version: `arxiv:1705.09840 v2`."""
        source = self.record.source
        return f"{source['kind']}:{source['id']} v{source['version']}"

    @property
    def title_status(self) -> str:
        """The origin of the title in words; empty without a title."""
        return "" if self.title is None else self.title.origin

    @property
    def authors(self) -> str:
        """The authors in one text, as a graph snapshot claims them; empty if none does."""
        return "" if self.paper is None else self.paper.authors.strip()

    @property
    def author_names(self) -> tuple[str, ...]:
        """The same authors one by one; empty if the text does not separate them clearly."""
        return author_names(one_line(self.authors), is_arxiv=self.record.source["kind"] == "arxiv")

    @property
    def author_literals(self) -> tuple[str, ...]:
        """The authors one by one, or else all of them as one."""
        return self.author_names or tuple(filter(None, [one_line(self.authors)]))

    @property
    def orcid_urls(self) -> tuple[str, ...]:
        """ORCID iDs of the author claims in force, as URLs, each once, in the order of M6."""
        urls = (one.orcid_url for one in self.author_claims)
        return tuple(dict.fromkeys(url for url in urls if url))

    @property
    def authors_status(self) -> str:
        """The signer who claims the authors, in words; empty without authors."""
        if self.paper is None or not self.authors:
            return ""
        at = self.paper.claimed_at[:10]
        return f"claimed by {self.paper.claimed_by} in a graph snapshot of {at}"

    @property
    def submitted_at(self) -> str:
        """When the version was submitted, from the record."""
        return self.record.metadata["submitted_at"]

    @property
    def year(self) -> str:
        """The year of submission, four digits, as in the Pith Number (R3)."""
        return self.record.pith_number[5:9]

    @property
    def license(self) -> str:
        """The licence as the record gives it; may be empty."""
        return self.record.metadata["license"]

    @property
    def license_url(self) -> str:
        """The licence, if the record gives a URL of at most 500 characters; else empty."""
        is_url = len(self.license) <= _MAX_URL and _URL.fullmatch(self.license)
        return self.license if is_url else ""

    @property
    def doi(self) -> str:
        """The DOI of the paper, without a resolver; empty if the source is not arXiv."""
        return dict(self.record.aliases).get("doi", "")

    @property
    def doi_url(self) -> str:
        """The DOI as a URL; empty without one, or if it would not be a URL."""
        return f"https://doi.org/{self.doi}" if self.doi and self.arxiv_url else ""

    @property
    def arxiv_url(self) -> str:
        """The paper's URL at arXiv; empty if the source is not arXiv."""
        return arxiv_url(self.record)

    @property
    def verification(self) -> str:
        """Whether a verified receipt confirms the record, in words."""
        if not self.receipt_key_id:
            return "no verified receipt from a trusted key"
        return f"receipt verified, signed with the trusted key {self.receipt_key_id}"


def arxiv_url(record: Record) -> str:
    """Return the paper's URL at arXiv; empty if the source is not arXiv."""
    source = f"{record.source['id']}v{record.source['version']}"
    is_arxiv = record.source["kind"] == "arxiv" and _ARXIV_ID.fullmatch(source)
    return f"https://arxiv.org/abs/{source}" if is_arxiv else ""


def describe(store: Store, record_id: int) -> Description:
    """Return the description of a stored record.

    Claims are left out if many events of the record failed verification, so that nobody can make
    a list of descriptions slow (`States.has_many_refused`); `is_partial` says so.

    Args:
        store: The store, in a snapshot.
        record_id: The row id of the record.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    record = store.records.get(record_id)
    kept = proved_texts(store, record)
    if store.states.has_many_refused(record_id):
        return _without_claims(record, kept, _receipt_key_id(store, record_id))
    return description_of(record, kept, parse_state(current_text(store, record_id)))


def describe_fully(store: Store, record_id: int) -> Description:
    """Return the description of one stored record, with all claims; raises as `describe`.

    It takes as long as the state of the record: for a single record, not for lists of them.
    """
    record = store.records.get(record_id)
    state = parse_state(current_text(store, record_id))
    return description_of(record, proved_texts(store, record), state)


def description_of(record: Record, kept: PaperTexts, state: StateView) -> Description:
    """Return the description of a record.

    Args:
        record: The record.
        kept: Its proved texts, from `proved_texts`.
        state: Its state.
    """
    return Description(
        record=record,
        title=title_of(kept, record, state),
        abstract="" if kept.abstract is None else kept.abstract.text,
        paper=claimed_paper(state),
        author_claims=tuple(_author_claims(state)),
        receipt_key_id=state.receipt_key_id,
    )


def _author_claims(state: StateView) -> list[AuthorClaim]:
    return [
        AuthorClaim(
            one.text("claimant_id"), one.text("method"), one.text("strength"), one.signer_id
        )
        for one in state.entries("author_claims")
    ]


def _without_claims(record: Record, kept: PaperTexts, receipt_key_id: str) -> Description:
    return Description(
        record=record,
        title=proved_title(kept),
        abstract="" if kept.abstract is None else kept.abstract.text,
        paper=None,
        author_claims=(),
        receipt_key_id=receipt_key_id,
        is_partial=True,
    )


def _receipt_key_id(store: Store, record_id: int) -> str:
    """Return the id of the key that signed a record's receipt, without reading its facts."""
    stale = store.states.staleness(record_id)
    if stale is not None and stale.needs_verdicts:
        return ""
    return StateView(store.states.outline(record_id)).receipt_key_id
