"""Comparing: with another mirror, by its tree or state by state, and with a folder of states."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Final

from benchmark.process import RunError, Spent, mirror, module, run
from benchmark.serving import newcomers_of, serve_mirror
from benchmark.session import FOUND, Workshop, copy_store, remove_store, say

DIFFERING: Final = 10
_ASKING: Final = ("--allow-private", "--rate", "0")


def measure_comparing(shop: Workshop, db: Path) -> None:
    """Take every measure of comparing, once."""
    _measure_mirrors(shop, db)
    _measure_folder(shop, db)
    say("keeping the tree")
    result = json.loads(run(module("tree_update", db)).output)
    for name, seconds in result.items():
        shop.keep(f"tree.{name}.seconds", seconds)


def _measure_mirrors(shop: Workshop, db: Path) -> None:
    """Compare with a mirror that has a few records more: through the tree, and state by state."""
    other = shop.store("other")
    copy_store(db, other)
    run(
        mirror("merge", _some_newcomers(shop), "--db", other, "--keys", shop.corpus.keys),
        FOUND_OR_NOT,
    )
    with serve_mirror(other) as url:
        say("comparing with a mirror, through its tree")
        tree = run(mirror("compare", "--mirror", url, "--json", *_ASKING, "--db", db), FOUND)
        _require_differing(tree)
        shop.keep("compare.tree.seconds", tree.seconds)
        say("comparing with a mirror, state by state")
        asked = ("compare", "--upstream", url, "--no-history", *_ASKING, "--db", db)
        shop.keep("compare.states.seconds", run(mirror(*asked)).seconds)
    remove_store(other)


FOUND_OR_NOT: Final = (0, *FOUND)


def _some_newcomers(shop: Workshop) -> Path:
    path = shop.work / "few.jsonl"
    with newcomers_of(shop.corpus).open("rb") as bundles:
        path.write_bytes(b"".join(next(bundles) for _ in range(DIFFERING)))
    return path


def _require_differing(spent: Spent) -> None:
    found = [json.loads(line)["status"] for line in spent.output.splitlines()]
    if found != ["missing_here"] * DIFFERING:
        raise RunError(f"{DIFFERING} records should be missing here, but compare said {found}")


def _measure_folder(shop: Workshop, db: Path) -> None:
    """Compare with a folder of all states, against only reading and parsing its files."""
    folder = shop.work / "states"
    shutil.rmtree(folder, ignore_errors=True)
    say("writing a folder of states")
    run(module("states", "write", db, folder))
    say("reading and parsing them")
    read = json.loads(run(module("states", "read", folder)).output)
    shop.keep("compare.read.per_s", read["records"] / read["seconds"])
    for name, more in {"first": (), "again": (), "no_history": ("--no-history",)}.items():
        say(f"comparing with them: {name}")
        spent = run(mirror("compare", "--upstream", folder, "--db", db, *more))
        shop.keep(f"compare.folder.{name}.per_s", read["records"] / spent.seconds)
    shutil.rmtree(folder)
