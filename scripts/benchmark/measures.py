"""The measures: each a fresh process, one sample a round, in the order of `take_round`.

A merge is checked, outside its time, for having merged just what is in the corpus.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
from pathlib import Path
from typing import Final

from benchmark.cluster import measure_clustering
from benchmark.compare import measure_comparing
from benchmark.harvest import measure_harvest
from benchmark.layout import HEADS, NEW_BUNDLES, Corpus, Counts
from benchmark.process import ENVIRONMENT, RunError, mirror, module, run
from benchmark.serving import measure_serving
from benchmark.session import FOUND, Workshop, remove_store, say, store_bytes
from benchmark.starting import measure_starting
from benchmark.tables import measure_tables

PARTS: Final = ("start-up", "engine", "tables", "comparing", "serving", "oai", "cluster")
"""What can be measured by itself."""

THREADS: Final = (1, 2)

REPEATS: Final = 3
"""Runs in a round of what takes but a moment; the round's sample is their median."""

MOST_ROUNDS: Final = NEW_BUNDLES // REPEATS
"""In each round other bundles are new."""

SMALL, MEDIUM = HEADS

PAGES: Final = 100

_LINE: Final = """
for page in "$@"; do
  cat "$page" \\
  | jq -c '.canonical_record' \\
  | python3 -c "import sys,json,hashlib; b=json.dumps(json.loads(sys.stdin.read()), \
sort_keys=True, separators=(',',':'), ensure_ascii=False).encode(); \
print(hashlib.sha256(b).hexdigest())"
done
"""
"""What every page of the registry tells its readers to run, with cat in place of curl."""


def prepare(shop: Workshop) -> None:
    """Fill the small stores that the growth measures compare with."""
    for size in HEADS:
        db = shop.store(f"head-{size}")
        arguments = ("merge", shop.corpus.head(size), "--db", db, "--keys", shop.corpus.keys)
        run(mirror(*arguments), (0, *FOUND))


def take_round(shop: Workshop, number: int, only: str | None = None) -> None:
    """Take every measure once, or those of one part."""
    if only in (None, "start-up"):
        measure_starting(shop, shop.work / f"head-{SMALL}.db")
    if only in (None, "cluster"):
        measure_clustering(shop)
    if only in ("start-up", "cluster"):
        return
    big = _measure_engine(shop, number) if only in (None, "engine") else _merged_store(shop)
    if only in (None, "tables"):
        measure_tables(shop, big)
    if only in (None, "comparing"):
        measure_comparing(shop, big)
    if only in (None, "serving"):
        measure_serving(shop, big)
    if only in (None, "oai"):
        measure_harvest(shop, big)


def _merged_store(shop: Workshop) -> Path:
    """Return a store of the whole corpus."""
    db = shop.store("merged")
    run(mirror("merge", shop.corpus.packed, "--db", db, "--keys", shop.corpus.keys), FOUND)
    return db


def _measure_engine(shop: Workshop, number: int) -> Path:
    measure_ceilings(shop)
    if shop.against is not None:
        measure_merges(shop, shop.against, "against")
    big = measure_merges(shop, shop.corpus, "merge")
    measure_verify(shop)
    measure_upkeep(shop, big)
    measure_reading(shop, big)
    measure_one_bundle(shop, big, number)
    if "native" in shop.engines:
        measure_other_way(shop)
    if [*shop.engines] != ["native"]:
        measure_stages(shop)
    measure_straightforward(shop)
    measure_upstream_line(shop)
    return big


# Raw ceilings --------------------------------------------------------------------------------


def measure_ceilings(shop: Workshop) -> None:
    """Verify signatures and nothing else, with each library and number of threads."""
    for library in shop.libraries:
        for threads in THREADS:
            say(f"ceiling of {library}, threads: {threads}")
            command = module("ceiling", shop.corpus.signatures, library, str(threads))
            result = json.loads(run(command).output)
            shop.keep(f"ceiling.{library}.{threads}", result["signatures"] / result["seconds"])


# The whole way -------------------------------------------------------------------------------


def measure_merges(shop: Workshop, corpus: Corpus, name: str) -> Path:
    """Merge each bag with each engine into a fresh store; return the last store."""
    db = shop.work / "merged.db"
    for kind, bag in corpus.bags.items():
        for engine in shop.engines:
            remove_store(db)
            _measure_merge(shop, corpus, bag, db, f"{name}.{kind}.{engine}")
        if kind == "plain":
            _measure_updates(shop, corpus, db, f"{name}.updates.{shop.main}")
    return db


def _measure_merge(shop: Workshop, corpus: Corpus, bag: Path, db: Path, name: str) -> None:
    say(name)
    engine = name.rpartition(".")[2]
    command = mirror("merge", bag, "--db", db, "--keys", corpus.keys, engine=engine)
    spent = run(command, FOUND)
    shop.keep_spent(name, spent)
    shop.keep(f"{name}.events_per_s", corpus.counts.events / spent.seconds)
    shop.keep(f"{name}.store_bytes", store_bytes(db))
    require_whole(db, corpus.records, corpus.counts)


def _measure_updates(shop: Workshop, corpus: Corpus, db: Path, name: str) -> None:
    """Merge one more bundle for each record that a store has."""
    say(name)
    spent = run(mirror("merge", corpus.updates, "--db", db))
    shop.keep_spent(name, spent)
    shop.keep(f"{name}.events_per_s", corpus.records / spent.seconds)
    require_whole(db, corpus.records, corpus.counts + Counts(events=corpus.records))


def require_whole(db: Path, records: int, counts: Counts) -> None:
    """Check that a merge did its work.

    Raises:
        RunError: If the store does not hold just these.
    """
    status = json.loads(run(mirror("status", "--json", "--db", db)).output)
    found = (status["records"], status["events_valid"], status["equivocations"])
    made = (records, counts.events - counts.invalid_events, counts.equivocations)
    if found != made or sum(status["events_invalid"].values()) != counts.invalid_events:
        raise RunError(f"{db} should hold {records} records and {counts}, but holds {status}")


# What comes after ----------------------------------------------------------------------------


def measure_verify(shop: Workshop) -> None:
    """Verify the packed bag with each engine."""
    for engine in shop.engines:
        say(f"verify.{engine}")
        place = ("--keys", shop.corpus.keys, "--db", shop.work / "none.db")
        command = mirror("verify", shop.corpus.packed, *place, engine=engine)
        shop.keep_spent(f"verify.{engine}", run(command, FOUND))


def measure_upkeep(shop: Workshop, db: Path) -> None:
    """Merge the same bag again, check the whole store, and make all states again."""
    say("the same bag again")
    shop.keep_spent("again", run(mirror("merge", shop.corpus.packed, "--db", db), FOUND))
    say("check")
    shop.keep_spent("check", run(mirror("check", "--db", db)))
    say("rebuild --states-only")
    shop.keep_spent("rebuild", run(mirror("rebuild", "--states-only", "--db", db)))


def measure_reading(shop: Workshop, big: Path) -> None:
    """Show one record, and the status, from a small store and from the big one."""
    number = shop.corpus.contents.first_pith_number
    for size, db in (("small", shop.work / f"head-{SMALL}.db"), ("big", big)):
        say(f"show and status from the {size} store")
        for name, arguments in {"show": ["show", number], "status": ["status"]}.items():
            command = mirror(*arguments, "--db", db)
            times = [run(command).seconds for _ in range(REPEATS)]
            shop.keep(f"{name}.{size}.seconds", statistics.median(times))


def measure_one_bundle(shop: Workshop, big: Path, round_number: int) -> None:
    """Merge a single bundle of a new record into a store of 10,000 events and into the big one."""
    for size, db in (("medium", shop.work / f"head-{MEDIUM}.db"), ("big", big)):
        say(f"one bundle into the {size} store")
        numbers = range(round_number * REPEATS, (round_number + 1) * REPEATS)
        bundles = [shop.corpus.new_bundle(number) for number in numbers]
        times = [run(mirror("merge", one, "--db", db), (0, *FOUND)).seconds for one in bundles]
        shop.keep(f"one_bundle.{size}.seconds", statistics.median(times))


def measure_other_way(shop: Workshop) -> None:
    """Count the bundles that the native engine leaves to Python."""
    for kind, bag in shop.corpus.bags.items():
        say(f"what native code leaves of {kind}")
        result = json.loads(run(module("other_way", bag, shop.corpus.keys)).output)
        shop.keep(f"merge.{kind}.native.other_way", result["other_way"] / result["bundles"])


def measure_stages(shop: Workshop) -> None:
    """Time the stages of a merge by themselves, one thread for all."""
    for kind, bag in shop.corpus.bags.items():
        say(f"stages of {kind}")
        db = shop.store("stages")
        result = json.loads(run(module("stages", bag, shop.corpus.keys, db)).output)
        remove_store(db)
        for stage, seconds in result.items():
            shop.keep(f"stage.{kind}.{stage}.seconds", seconds)


# Baselines -----------------------------------------------------------------------------------


def measure_straightforward(shop: Workshop) -> None:
    """Run the script that a person writes in an hour over the plain bag."""
    say("straightforward script")
    db = shop.store("straightforward")
    spent = run(module("baseline_script", shop.corpus.plain, shop.corpus.keys, db))
    shop.keep_spent("straightforward", spent)
    remove_store(db)
    result, counts = json.loads(spent.output), shop.corpus.counts
    found = (result["records"], result["invalid_events"], result["signatures"])
    if found != (shop.corpus.records, counts.invalid_events, counts.signatures):
        raise RunError(f"the straightforward script counted {result} in {shop.corpus.contents}")


def measure_upstream_line(shop: Workshop) -> None:
    """Run the registry's own line for some records."""
    if shutil.which("jq") is None:
        shop.skip("the registry's own line: jq is not installed")
        return
    say("the registry's own line")
    pages = sorted(shop.corpus.pages.iterdir())[:PAGES]
    spent = run(["bash", "-c", _LINE, "line", *pages], environment=_with_quick_python())
    if spent.output.split() != [page.stem for page in pages]:
        raise RunError("the registry's own line did not print the expected digests")
    shop.keep("upstream_line.per_s", len(pages) / spent.seconds)


def _with_quick_python() -> dict[str, str]:
    """Return an environment whose python3 is the one behind the venv: it starts faster."""
    folder = str(Path(sys.executable).resolve().parent)
    return {**ENVIRONMENT, "PATH": os.pathsep.join((folder, ENVIRONMENT["PATH"]))}
