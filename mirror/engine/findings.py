"""Findings of a run, one by one, by bundle and in total; and what a run is asked to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, NamedTuple, TypeAlias

from mirror.archive import ReadLimits, Source
from mirror.core.escaping import escape_name
from mirror.core.events.checks import EVENT_CODES
from mirror.core.redaction import redact
from mirror.core.values import Value, canonical, hexdigest
from mirror.store import OVER_QUOTA, InsertCounts, NewFacts, WriteResult

__all__ = ["UNREAD_CODES", "Finding", "Outcome", "ReadRequest", "Summary", "VerifiedMember"]

UNREAD_CODES = frozenset({"source.unreadable", "temporary.unwritable"})
"""Codes of a source that could not be read now; its content is unknown."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding, with where it was found."""

    source: str
    """The name of the source; see `ReadRequest.sources`."""
    member: str
    """The member in the source; empty for the source itself."""
    pith_number: str | None
    """None if the record is not known."""
    code: str
    where: str
    """A JSON Pointer into the bundle, or line and column of its text."""
    message: str
    digest: str = ""
    """SHA-256 that identifies the finding when it is found again, hexadecimal: of the event,
    receipt or refused member; else of code, place and message."""
    is_known: bool = False
    """Whether it was acknowledged."""

    def __post_init__(self) -> None:
        """Derive the digest from code, place and message if none is given."""
        if not self.digest:
            number = self.pith_number
            place = [self.source, self.member, self.where] if number is None else [number]
            identity: list[Value] = [self.code, *place, self.message]
            object.__setattr__(self, "digest", hexdigest(canonical(identity)))


class VerifiedMember(NamedTuple):
    """Result of a bundle that B2 does not refuse, or of a document of integrity findings."""

    source: str
    member: str
    pith_number: str
    events_valid: int
    receipts_verified: int
    findings: list[Finding]
    new_facts: NewFacts | None = None
    """Encoded facts of the bundle that the store lacks; None if they are not stored."""
    documents: int = 0
    """1 for a document of integrity findings, 0 for a bundle."""
    integrity_verified: int = 0
    """Findings in it whose payload has the digest that a trusted key signed (S4)."""
    written: WriteResult | None = None
    """The rows that the store wrote; None before, and where nothing is stored."""


Outcome: TypeAlias = VerifiedMember | Finding
"""The result of one member: a finding if it was refused."""


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """Sources to read, and callbacks for findings and progress."""

    names: Sequence[str]
    """The sources: paths, or `-`."""
    on_finding: Callable[[Finding], None]
    """Takes each finding as it is made."""
    progress: Callable[[Source], None] = lambda _source: None
    """Called with the open source after each member that was read from it."""
    limits: ReadLimits = field(default_factory=ReadLimits)
    """The limits of this mirror (B4)."""
    is_known: Callable[[Finding], bool] = lambda _finding: False
    """Whether a finding was acknowledged."""
    urls: Mapping[str, str] = field(default_factory=dict)
    """The URL from which a path was downloaded, which names that source."""

    def sources(self) -> list[tuple[str, str]]:
        """Return path and name of each source; the name is shown and stored, without a password."""
        return [(path, redact(escape_name(self.urls.get(path, path)))) for path in self.names]


_WARNINGS = frozenset(
    {
        "archive.base",
        "archive.passed_over",
        "bundle.alias",
        "bundle.short",
        "bundle.source",
        "event.future",
        OVER_QUOTA,
    }
)
"""Codes of B3 and B5, of increments and of quotas, that refuse no bundle."""

_NOTICES = frozenset({"archive.other_files"})
"""Codes of messages that report no fault (C3)."""

_COUNTERS = (
    "refused",
    "events_invalid",
    "receipts_refused",
    "integrity_faults",
    "warnings",
    "notices",
    "known",
)
"""Counters by code; those before the last two are findings."""


@dataclass(slots=True)
class Summary:
    """The figures of a run."""

    bundles_read: int = 0
    """Bundles that B2 did not refuse."""
    documents_read: int = 0
    """Documents of integrity findings (S4); only `mirror verify` reads them."""
    refused: Counter[str] = field(default_factory=Counter)
    """Members that were refused, by code of C5, V1, B2 or B4."""
    sources_failed: int = 0
    """Sources that could not be opened or read at all."""
    events_valid: int = 0
    events_invalid: Counter[str] = field(default_factory=Counter)
    """By code of E3."""
    receipts_verified: int = 0
    receipts_refused: Counter[str] = field(default_factory=Counter)
    """By code of S2."""
    integrity_verified: int = 0
    """Integrity findings whose payload has the digest that a trusted key signed (S4)."""
    integrity_faults: Counter[str] = field(default_factory=Counter)
    """By code of S4, those that take nothing away included."""
    warnings: Counter[str] = field(default_factory=Counter)
    """Findings that refuse nothing, by code: B3's headers and aliases, B5, missing bases."""
    notices: Counter[str] = field(default_factory=Counter)
    """Messages that report no fault, by code: sources with other files."""
    known: Counter[str] = field(default_factory=Counter)
    """The findings among all these that were acknowledged, by code."""
    records: int = 0
    """Distinct records in the bundles read; counted by a merge only."""
    equivocations: int = 0
    """Equivocations in the states of those records; counted by a merge only."""
    new: InsertCounts = field(default_factory=InsertCounts)
    """Facts that the store did not hold before."""

    def record(self, outcome: Outcome, request: ReadRequest) -> None:
        """Count an outcome, and report every finding in it.

        Args:
            outcome: The result of one member.
            request: Its callbacks report the findings.
        """
        if isinstance(outcome, Finding):
            self._record_finding(outcome, request)
            return
        self.bundles_read += 1 - outcome.documents
        self.documents_read += outcome.documents
        self.integrity_verified += outcome.integrity_verified
        self.events_valid += outcome.events_valid
        self.receipts_verified += outcome.receipts_verified
        if outcome.written is not None:
            self.new.add(outcome.written.new)
        for finding in outcome.findings:
            self._record_finding(finding, request)

    def _record_finding(self, finding: Finding, request: ReadRequest) -> None:
        if finding.code not in UNREAD_CODES and request.is_known(finding):
            finding = replace(finding, is_known=True)
        self.count(finding)
        request.on_finding(finding)

    def count(self, finding: Finding) -> None:
        """Count a finding, or a member or whole source that was refused."""
        code = finding.code
        if finding.is_known:
            self.known[code] += 1
        if code in UNREAD_CODES:
            self.sources_failed += 1
        elif code in EVENT_CODES:
            self.events_invalid[code] += 1
        elif code.startswith("receipt."):
            self.receipts_refused[code] += 1
        elif code.startswith("finding."):
            self.integrity_faults[code] += 1
        elif code in _WARNINGS:
            self.warnings[code] += 1
        elif code in _NOTICES:
            self.notices[code] += 1
        else:
            self.refused[code] += 1

    def to_value(self) -> dict[str, Any]:
        """Return the figures as JSON has them."""
        value = {one.name: getattr(self, one.name) for one in fields(self)}
        counts = {name: dict(sorted(value[name].items())) for name in _COUNTERS}
        return {**value, **counts, "new": asdict(self.new)}

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> Summary:
        """Return what `to_value` gave."""
        counts = {name: Counter(value[name]) for name in _COUNTERS}
        return cls(**{**value, **counts, "new": InsertCounts(**value["new"])})

    def add(self, other: Summary) -> None:
        """Add the figures of another part of the same run."""
        for one in fields(self):
            mine, others = getattr(self, one.name), getattr(other, one.name)
            if isinstance(mine, InsertCounts):
                mine.add(others)
            else:
                setattr(self, one.name, mine + others)

    @property
    def findings(self) -> int:
        """Number of members, events and receipts that were refused, invalid or odd."""
        counted: list[Counter[str]] = [getattr(self, name) for name in _COUNTERS[:-2]]
        return self.sources_failed + sum(one.total() for one in counted)

    @property
    def has_findings(self) -> bool:
        """Whether anything was refused, invalid or odd."""
        return self.findings > 0

    @property
    def new_findings(self) -> int:
        """Number of findings that were not acknowledged."""
        return self.findings - self.known.total()
