"""Resolves the citing works of citations to records that are held here."""

from __future__ import annotations

import sqlite3

__all__ = ["resolve_citations"]

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
