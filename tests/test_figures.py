"""The limits and sizes that the documents state are those of the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.archive import ReadLimits as InputLimits
from mirror.cli import state_view
from mirror.core import verification_status
from mirror.core.comparison import causes
from mirror.core.transparency import signed_note
from mirror.engine import process_pool
from mirror.engine.harvest import lists, sets
from mirror.engine.ingest import merge, pipeline, source_cache
from mirror.engine.search import citations, index
from mirror.engine.sync.registry import RESUMED_WITHIN
from mirror.engine.sync.report import SyncOptions
from mirror.engine.transparency import checkpoints, tree_nodes
from mirror.net import ClientConfig
from mirror.net.retry import MAX_WAIT_S
from mirror.store import facts, lock, row_checksum
from mirror.store import state_tree as tree_table
from mirror.store import store as opening
from mirror.store.stored_facts import StoredFactsCache
from mirror.web import ServerSettings, connections, download, endpoint, log, server
from mirror.web.oai import handler
from mirror.web.pages import comparison_report

DOCS = Path(__file__).resolve().parents[1] / "docs"
MIB = 1 << 20
WORDS = {
    4: "four",
    5: "five",
    6: "six",
    10: "ten",
    12: "twelve",
    100: "a hundred",
    1000: "a thousand",
}
INDEXED = index._NAMES_CHARACTERS + index._TITLE_CHARACTERS + index._TEXTS_CHARACTERS
CLIENTS, POLITE = connections.ConnectionLimits(), ClientConfig()


def words(number: float) -> str:
    """A number in words."""
    return WORDS[int(number)]


FIGURES = {
    "serving.md": [
        f"runs in {words(endpoint._READERS)} threads",
        f"{endpoint._WAITING} requests may wait",
        f"{words(download._DOWNLOADS).capitalize()} bags are downloaded",
        f"`--max-connections` ({CLIENTS.connections:,})",
        f"after {CLIENTS.idle_s:.0f} seconds",
        f"{CLIENTS.stall_bytes >> 10} KiB of a response in {CLIENTS.stall_s:.0f} seconds",
        f"slow clients take {CLIENTS.buffered_bytes // MIB} MiB of memory together",
        f"at most {log.ACCESS_LINES} lines a second",
        f"at most {words(server._GRACE_S)} seconds",
        f"At most {citations.MAX_WORKS} works",
        f"signer ids, at most {verification_status.MAX_SIGNERS}",
        f"`--cache-mib` ({ServerSettings(store=Path()).cache_bytes // MIB} MiB)",
    ],
    "harvesting.md": [
        f"at most {lists.PAGE_RECORDS} records or {lists.PAGE_HEADERS:,} headers",
        f"after {lists.PAGE_CHARACTERS // 1_000_000} million characters",
        f"more than {sets.MAX_CATEGORY_BYTES} bytes is no set",
        f"its first {sets.MAX_CATEGORIES} categories",
        f"if more than {endpoint._WAITING} of them wait",
        f"it is `{handler.ADMIN_UNKNOWN}`",
    ],
    "syncing.md": [
        f"`--rate {POLITE.requests_per_second:.0f}` limits the requests",
        f"`--retries {POLITE.retries}`",
        f"`--timeout {POLITE.read_seconds:.0f}` is the longest silence in seconds",
        f"up to {words(MAX_WAIT_S / 60)} minutes",
        f"within {RESUMED_WITHIN.total_seconds() / 3600:.0f} hours",
        f"{SyncOptions(url='').max_empty} responses in a row (`--max-empty`)",
    ],
    "comparing.md": [
        f"to {words(causes._NAMED)} causes of one kind are listed",
        f"lists up to {comparison_report._LISTED:,} findings",
    ],
    "tree.md": [
        f"more than {tree_nodes.MAX_LEAVES} leaves",
        f"the nodes of up to {words(tree_table.DEPTH)} digits",
        f"more than one state in {tree_table._FEW_IN}",
    ],
    "checkpoints.md": [
        f"at most {signed_note.MAX_BYTES:,} bytes",
        f"at most {signed_note.MAX_SIGNATURES} signatures",
    ],
    "operating.md": [
        f"waits up to {opening.BUSY_TIMEOUT_S:.0f} seconds",
        f"{pipeline.BATCH_BUNDLES} bundles or about {pipeline.BATCH_BYTES // MIB} MiB of text",
        f"more than {source_cache.MAX_FINDINGS:,}",
        f"at most {state_view.MAX_LISTED} of a list",
        f"at most {INDEXED:,} characters",
    ],
    "threat-model.md": [
        f"keeps {InputLimits().kept_invalid:,} alias times",
        f"a record of at most {InputLimits().record_bytes >> 10} KiB",
        f"{facts.NAME_CHARACTERS} characters of each name of a key",
        f"{StoredFactsCache.MAX_FACTS:,} facts are cached",
        f"{InputLimits().kept_invalid:,} of each for a record",
    ],
    "decisions/0020-what-is-derived-later.md": [
        f"a record of {words(merge.LARGE_RECORD_FACTS)} facts or more",
    ],
    "decisions/0007-seals-and-repair.md": [f"checksum of {row_checksum.CHECKSUM_BYTES} bytes"],
    "decisions/0031-pages-of-16-kib.md": [f"pages of {opening.PAGE_BYTES >> 10} KiB"],
    "decisions/0009-processes-not-threads.md": [
        f"batches of {pipeline.BATCH_BUNDLES} bundles, or of {pipeline.BATCH_BYTES // MIB} MiB",
        f"The first {words(pipeline.FEW_BATCHES)} batches",
        f"to {words(process_pool.AHEAD)} tasks for each process",
    ],
    "decisions/0011-remembering-sources.md": [f"more than {source_cache.MAX_FINDINGS:,} findings"],
    "decisions/0026-no-proxy-of-the-environment.md": [f"up to {words(MAX_WAIT_S / 60)} minutes"],
    "decisions/0017-threads-beside-the-event-loop.md": [
        f"in {words(endpoint._READERS)} threads",
        f"{endpoint._WAITING} requests may wait",
    ],
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_those_of_the_program(name: str) -> None:
    """Each stands in its document, as the program has it."""
    text = " ".join((DOCS / name).read_text().split())
    assert [] == [figure for figure in FIGURES[name] if figure not in text]


def test_figures_that_the_documents_have_in_words() -> None:
    """The rest, which stands there without a number."""
    assert 1 == checkpoints._AHEAD.days  # "dated more than a day ahead"
    assert 1000 == lock.QUIET_MS  # "after one second it says that it waits"
