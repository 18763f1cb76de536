"""The store: facts, which are only added, and projections derived from them.

Facts are records, receipts, alias claims, events (invalid ones too), changes of trust, and the
source and time of each. Verdicts and states are derived: the transaction that adds a fact marks
them as stale, and a replay of the facts gives the same bytes. A checksum in each row shows damage;
damaged rows are neither shown nor merged.
"""

from mirror.store.anchors import AnchorTable, StoredAnchor
from mirror.store.arrival_codec import ArrivalContents, unpack_contents
from mirror.store.arrival_pages import ArrivalFilter, ArrivalHead
from mirror.store.arrivals import (
    ArrivalRow,
    RecordTotals,
    VerdictRow,
    Verdicts,
    key_ids_of,
    verdict_rows_of,
    with_verdicts,
)
from mirror.store.authorities import AuthorityChange, AuthorityLog
from mirror.store.block_headers import BlockHeaders, HeaderSegment
from mirror.store.checkpoint_proofs import CheckpointProof
from mirror.store.checkpoints import CheckpointTable, StoredCheckpoint
from mirror.store.commits import Commit
from mirror.store.counters import Status
from mirror.store.facts import Facts, RecordFacts
from mirror.store.integrity import Damage
from mirror.store.known_time import SETTLED_S
from mirror.store.paper_texts import PaperText, PaperTexts
from mirror.store.quota import OVER_QUOTA, OverQuota
from mirror.store.readonly import BESIDE
from mirror.store.records import Records, damaged
from mirror.store.schema import APPLICATION_ID
from mirror.store.state_tree import StateTree, TreeLeaf
from mirror.store.states import StaleRecord, StateColumns, StateRow, States, state_columns
from mirror.store.storage_checks import StorageCheck
from mirror.store.store import Store, open_store
from mirror.store.stored_facts import StoredFacts, signature_of
from mirror.store.stored_records import StoredRecord, StoredRecords
from mirror.store.sync_state import CachedETag, Change, SyncState
from mirror.store.trust_log import TrustChange, TrustLog
from mirror.store.upstream_history import UpstreamStatementRow
from mirror.store.version import StoreVersion
from mirror.store.writer import (
    BatchWriter,
    InsertCounts,
    NewFacts,
    SourceRun,
    WriteResult,
    pack_new_facts,
)
from mirror.store.zstd_dictionary import DICTIONARY

__all__ = [
    "APPLICATION_ID",
    "BESIDE",
    "DICTIONARY",
    "OVER_QUOTA",
    "SETTLED_S",
    "AnchorTable",
    "ArrivalContents",
    "ArrivalFilter",
    "ArrivalHead",
    "ArrivalRow",
    "AuthorityChange",
    "AuthorityLog",
    "BatchWriter",
    "BlockHeaders",
    "CachedETag",
    "Change",
    "CheckpointProof",
    "CheckpointTable",
    "Commit",
    "Damage",
    "Facts",
    "HeaderSegment",
    "InsertCounts",
    "NewFacts",
    "OverQuota",
    "PaperText",
    "PaperTexts",
    "RecordFacts",
    "RecordTotals",
    "Records",
    "SourceRun",
    "StaleRecord",
    "StateColumns",
    "StateRow",
    "StateTree",
    "States",
    "Status",
    "StorageCheck",
    "Store",
    "StoreVersion",
    "StoredAnchor",
    "StoredCheckpoint",
    "StoredFacts",
    "StoredRecord",
    "StoredRecords",
    "SyncState",
    "TreeLeaf",
    "TrustChange",
    "TrustLog",
    "UpstreamStatementRow",
    "VerdictRow",
    "Verdicts",
    "WriteResult",
    "damaged",
    "key_ids_of",
    "open_store",
    "pack_new_facts",
    "signature_of",
    "state_columns",
    "unpack_contents",
    "verdict_rows_of",
    "with_verdicts",
]
