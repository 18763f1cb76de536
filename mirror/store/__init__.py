"""The store: facts, kept for ever, and what is derived from them, made again at will.

Facts are append-only: records, receipts, alias claims, events (invalid ones too), the changes of
trust, and where and when each came. Verdicts and states are derived: they are marked stale in the
transaction that brings a fact, and replayed from the facts to the same bytes.
"""

from mirror.store.derived import Derived, StateRow
from mirror.store.facts import Facts, New, RecordFacts, Run
from mirror.store.status import Status
from mirror.store.store import Store, open_store
from mirror.store.trust import Trust, TrustChange

__all__ = [
    "Derived",
    "Facts",
    "New",
    "RecordFacts",
    "Run",
    "StateRow",
    "Status",
    "Store",
    "Trust",
    "TrustChange",
    "open_store",
]
