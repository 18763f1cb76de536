"""The tables for analysis: a new copy, its update, and a plain script that writes one table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from benchmark.layout import NEW_BUNDLES
from benchmark.process import RunError, Spent, mirror, module, run
from benchmark.session import FOUND, Workshop, copy_store, remove_store, say

_NEW_SHARE: Final = 100
"""Known records for each new one of the update."""


def measure_tables(shop: Workshop, db: Path) -> None:
    """Make a copy with each engine and one table with the script, in turns; then an update."""
    run(mirror("root", "--db", db))  # so that no copy waits for the states
    out = shop.store("tables")
    for engine in shop.engines:
        say(f"tables, {engine}")
        remove_store(out)
        spent = run(mirror("tables", out, "--json", "--db", db, engine=engine))
        events = _events(shop, spent)
        shop.keep_spent(f"tables.{engine}", spent)
        shop.keep(f"tables.{engine}.events_per_s", events / spent.seconds)
        shop.keep(f"tables.{engine}.bytes_per_event", out.stat().st_size / events)
    _measure_script(shop, db)
    _measure_update(shop, db, out)
    remove_store(out)


def _events(shop: Workshop, spent: Spent) -> int:
    """Return the number of events in a copy.

    Raises:
        RunError: If it has fewer records than the corpus.
    """
    result: dict[str, Any] = json.loads(spent.output)
    if not result["is_new"] or result["records"] < shop.corpus.records:
        raise RunError(f"the copy should have {shop.corpus.records} records, but has {result}")
    return int(result["events_valid"]) + int(result["events_invalid"])


def _measure_script(shop: Workshop, db: Path) -> None:
    say("one table, by a plain script")
    one = shop.store("one-table")
    spent = run(module("one_table", db, one))
    shop.keep_spent("one_table", spent)
    shop.keep("one_table.events_per_s", json.loads(spent.output)["events"] / spent.seconds)
    remove_store(one)


def _measure_update(shop: Workshop, db: Path, out: Path) -> None:
    """Merge new bundles into another store of the same facts, and bring the copy up to date."""
    say("tables after new bundles")
    other, count = shop.store("tabled"), max(1, shop.corpus.records // _NEW_SHARE)
    copy_store(db, other)
    bundles = shop.work / "percent.jsonl"
    run(module("extra_bundles", bundles, str(shop.corpus.records + NEW_BUNDLES), str(count)))
    run(mirror("merge", bundles, "--db", other), (0, *FOUND))
    spent = run(mirror("tables", out, "--json", "--db", other))
    result = json.loads(spent.output)
    if result["is_new"] or result["records_changed"] != count:
        raise RunError(f"the update should have written {count} records, but wrote {result}")
    shop.keep_spent("tables.update", spent)
    shop.keep("tables.update.records", count)
    remove_store(other)
