"""The store: facts, kept for ever, and what is derived from them, made again at will.

Facts are append-only: records, receipts, alias claims, events (invalid ones too), the changes of
trust, and where and when each came. Verdicts and states are derived: they are marked stale in the
transaction that brings a fact, and replayed from the facts to the same bytes. Seals show whether
rows are as they were written; what is not is neither shown nor merged.
"""

from mirror.store.arrival_codec import Contents, unpack_contents
from mirror.store.arrivals import (
    ArrivalRow,
    Fault,
    Judged,
    Ledger,
    faults_of,
    key_ids_of,
    with_verdicts,
)
from mirror.store.checkpoints import Checkpoints, KeptCheckpoint
from mirror.store.facts import Facts, RecordFacts
from mirror.store.integrity import Damage
from mirror.store.origin import Run
from mirror.store.quota import LeftOut
from mirror.store.records import Records, damaged
from mirror.store.schema import APPLICATION_ID
from mirror.store.state_tree import StateTree, TreeLeaf
from mirror.store.states import Derived, Stale, StateColumns, StateRow, state_columns
from mirror.store.status import Status
from mirror.store.store import Store, open_store
from mirror.store.stored_facts import Held, signature_of
from mirror.store.sync_state import Answered, Change, Fetched
from mirror.store.trust_log import Trust, TrustChange
from mirror.store.upstream_history import ClaimRow
from mirror.store.version import Mark
from mirror.store.writer import Intake, New, Parcel, Taken, make_parcel

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
