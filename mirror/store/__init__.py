"""The store: facts, kept for ever, and what is derived from them, made again at will.

Facts are append-only: records, receipts, alias claims, events (invalid ones too), the changes of
trust, and where and when each came. Verdicts and states are derived: they are marked stale in the
transaction that brings a fact, and replayed from the facts to the same bytes. Seals show whether
rows are as they were written; what is not is neither shown nor merged.
"""

from mirror.store.derived import Derived, Stale, StateRow
from mirror.store.facts import Facts, New, RecordFacts, RecordRows
from mirror.store.inspection import Damage
from mirror.store.origin import Run
from mirror.store.records import Records
from mirror.store.rows import JudgedRow
from mirror.store.status import Status
from mirror.store.store import Store, open_store
from mirror.store.trust import Trust, TrustChange

__all__ = [
    "Damage",
    "Derived",
    "Facts",
    "JudgedRow",
    "New",
    "RecordFacts",
    "RecordRows",
    "Records",
    "Run",
    "Stale",
    "StateRow",
    "Status",
    "Store",
    "Trust",
    "TrustChange",
    "open_store",
]
