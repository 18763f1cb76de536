"""Reads the names of citing works, and resolves them to records that are held here."""

from __future__ import annotations

import re
import sqlite3
from typing import NamedTuple

from mirror.core.identifier import names_in, split_version
from mirror.core.record import suffix_of

__all__ = ["CitingColumns", "citing_columns", "resolve_citations"]

_ARXIV_ID = re.compile(r"[0-9]{4}\.[0-9]{4,5}|[a-z-]+(?:\.[A-Z]{2})?/[0-9]{7}")
_SUFFIX_LETTERS = 26


class CitingColumns(NamedTuple):
    """Columns of `citations` that follow from the text that names the citing work."""

    citing_pith_number: str | None = None
    citing_arxiv_id: str | None = None
    citing_suffix: str | None = None
    citing_source_id: str | None = None
    citing_version: int | None = None


def citing_columns(citing: str) -> CitingColumns:
    """Return what a text names: its first name counts."""
    for scheme, value, year in names_in(citing):
        if scheme == "pith":
            is_whole = year and len(value) == _SUFFIX_LETTERS
            number = f"pith:{year}:{value}" if is_whole else None
            return CitingColumns(citing_pith_number=number, citing_suffix=value)
        if scheme == "sha256":
            return CitingColumns(citing_suffix=suffix_of(bytes.fromhex(value)))
        source_id, version = split_version(value) or (value, None)
        arxiv_id = source_id if _ARXIV_ID.fullmatch(source_id) else None
        return CitingColumns(None, arxiv_id, None, source_id, version)
    return CitingColumns()


_HELD = """
    SELECT pith_number, arxiv_id FROM records WHERE
    (citations.citing_suffix IS NOT NULL
        AND suffix >= citations.citing_suffix AND suffix < citations.citing_suffix || '[')
    OR (citations.citing_source_id IS NOT NULL AND source_id = citations.citing_source_id
        AND source_version = coalesce(citations.citing_version, source_version))
"""
"""The records that a citing work may be; `[` follows every letter of a suffix."""

_RESOLVE = f"""
    UPDATE citations SET (citing_pith_number, citing_arxiv_id) = (
        SELECT coalesce(CASE count(*) WHEN 1 THEN max(held.pith_number) END, citing_pith_number),
               coalesce(CASE count(DISTINCT held.arxiv_id) WHEN 1 THEN max(held.arxiv_id) END,
                        citing_arxiv_id)
        FROM ({_HELD}) AS held
    )
"""  # noqa: S608
_OF_CHANGED = """
    WHERE citations.pith_number IN (SELECT pith_number FROM changed)
    OR substr(citing_suffix, 1, 8) IN (
        SELECT substr(suffix, 1, 8) FROM records
        WHERE pith_number IN (SELECT pith_number FROM changed))
    OR citing_source_id IN (
        SELECT source_id FROM records WHERE pith_number IN (SELECT pith_number FROM changed))
"""


def resolve_citations(conn: sqlite3.Connection, *, only_changed: bool) -> None:
    """Write the Pith Numbers and arXiv ids of citing works that are held here.

    A name that several records have, such as an arXiv id without a version, resolves to none.

    Args:
        conn: The copy.
        only_changed: Only citations of or by the records in the table `changed`.
    """
    conn.execute(_RESOLVE + (_OF_CHANGED if only_changed else ""))
