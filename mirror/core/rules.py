"""The version of the rules that verdicts and states follow."""

from __future__ import annotations

__all__ = ["MERGE_VERSION", "RULES"]

MERGE_VERSION = "pith-open-graph-merge-v1"
"""Name of the merge algorithm, as states print it (M6)."""

RULES = f"{MERGE_VERSION} verdicts-2"
"""The version of the rules of verdicts and merge: results of another version are not reused."""
