"""The numbers behind the figures of a store.

Two times are never mixed: the *claimed* time is what a signer wrote into an event, the *known* time
is when this mirror stored it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from mirror.engine.figures.periods import PeriodCounts
from mirror.engine.tables.origin import Origin

__all__ = ["CitedRecord", "Figures", "NamedCounts", "RankedCounts"]


class NamedCounts(NamedTuple):
    """Numbers of one name: of a category, a code, a signer."""

    name: str
    """A string from outside, shortened to some hundred characters."""
    counts: tuple[int, ...]
    """One for each series, in the order of the figure."""

    @property
    def total(self) -> int:
        """The sum over the series."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class RankedCounts:
    """The names with the greatest numbers, and the others together."""

    rows: tuple[NamedCounts, ...] = ()
    """The greatest first."""
    others: int = 0
    """How many names have no row."""
    other_counts: tuple[int, ...] = (0, 0)
    """The sums of their numbers, by series."""

    @property
    def total(self) -> int:
        """The sum over all names and series."""
        return sum(one.total for one in self.rows) + sum(self.other_counts)


class CitedRecord(NamedTuple):
    """A record that is held here, with the signed citations of it that are in force."""

    pith_number: str
    title: str
    """Shortened to some hundred characters; empty if none is known."""
    title_status: str
    """`proved`, `claimed`, or empty."""
    citations: int
    signers: int
    """Distinct signers of these citations."""

    @property
    def suffix(self) -> str:
        """The last letters of the Pith Number, as addresses have them."""
        return self.pith_number.rpartition(":")[2]

    @property
    def short_name(self) -> str:
        """The short Pith Number."""
        return f"pith:{self.suffix[:8]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All numbers of all figures, from one version of one store."""

    origin: Origin
    """The version that the copy has."""
    records: int
    years: PeriodCounts
    """Records by the year in their Pith Number, in the one row `records`."""
    categories: RankedCounts
    """Records by category: those with it as primary one, and the others that have it."""
    claimed: PeriodCounts
    """Valid events by type, over claimed time."""
    known: PeriodCounts
    """Valid events by type, and `refused` ones, over known time."""
    findings: RankedCounts
    """Findings by code: those that are not acknowledged, and those that are."""
    signers: RankedCounts
    """Valid events by signer: in force, and retired."""
    refused_with_signer: int
    """Refused events that name a signer, which nothing proves."""
    cited: tuple[CitedRecord, ...]
    """The records with most citations, those first."""
    cited_records: int
    """Records with a citation in force."""
    citations: int
    """Citations in force of all records."""
    completeness: Mapping[str, int]
    """Numbers of records, by the names of `completeness.CONDITIONS`."""
