"""The store: facts, kept for ever, and what is derived from them, made again at will.

Facts are append-only: records, receipts, alias claims, events (invalid ones too), the changes of
trust, and where and when each came. Verdicts and states are derived: they are marked stale in the
transaction that brings a fact, and replayed from the facts to the same bytes. Seals show whether
rows are as they were written; what is not is neither shown nor merged.
"""

from mirror.store.checkpoints import Checkpoints, KeptCheckpoint
from mirror.store.claims import ClaimRow
from mirror.store.content import Contents, unpack_contents
from mirror.store.derived import Derived, Stale, StateColumns, StateRow, state_columns
from mirror.store.facts import Facts, RecordFacts
from mirror.store.fetched import Answered, Change, Fetched
from mirror.store.held import Held, signature_of
from mirror.store.inspection import Damage
from mirror.store.intake import Intake, New, Parcel, Taken, make_parcel
from mirror.store.mark import Mark
from mirror.store.origin import Run
from mirror.store.quota import LeftOut
from mirror.store.records import Records, damaged
from mirror.store.rows import (
    ArrivalRow,
    Fault,
    Judged,
    Ledger,
    faults_of,
    key_ids_of,
    with_verdicts,
)
from mirror.store.schema import APPLICATION_ID
from mirror.store.status import Status
from mirror.store.store import Store, open_store
from mirror.store.tree import StateTree, TreeLeaf
from mirror.store.trust import Trust, TrustChange

__all__ = [
    "APPLICATION_ID",
    "Answered",
    "ArrivalRow",
    "Change",
    "Checkpoints",
    "ClaimRow",
    "Contents",
    "Damage",
    "Derived",
    "Facts",
    "Fault",
    "Fetched",
    "Held",
    "Intake",
    "Judged",
    "KeptCheckpoint",
    "Ledger",
    "LeftOut",
    "Mark",
    "New",
    "Parcel",
    "RecordFacts",
    "Records",
    "Run",
    "Stale",
    "StateColumns",
    "StateRow",
    "StateTree",
    "Status",
    "Store",
    "Taken",
    "TreeLeaf",
    "Trust",
    "TrustChange",
    "damaged",
    "faults_of",
    "key_ids_of",
    "make_parcel",
    "open_store",
    "signature_of",
    "state_columns",
    "unpack_contents",
    "with_verdicts",
]
