"""Kills real processes at random moments, and looks at what they leave behind.

Run as a program, it prints one line of JSON: how many kills hit, and how many facts were lost.
Each command runs in a child of its own, forked so that a kill may come at any moment of the work
and not of the interpreter's start. After every kill the store must open, check out, hold all
that it held before, and show for every record the very state that its facts come to.

    python -m tests.crash.crash_runner FOLDER KILLS SEED
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from mirror.archive import ReadLimits, RefusedMember, open_source
from mirror.cli import main
from mirror.core.keys import parse_key_set
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest import merge as ingest_module
from mirror.engine.ingest import pipeline
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.check import CheckScope, check
from mirror.engine.states.current import current_text
from mirror.engine.states.trust import add_keys
from mirror.errors import StoreError
from mirror.store import Store, open_store
from mirror.store.arrival_codec import unpack_contents
from tests.helpers import ids_in

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"
SOURCES = [str(BUNDLES / "demo.tar"), str(BUNDLES / "pith.tar")]
KEYS = str(BUNDLES / "demo-keys.json")
KEY_IDS = [key.key_id for key in parse_key_set(Path(KEYS).read_bytes())][:-1]

COMMANDS: dict[str, list[str]] = {
    "merge demo": ["merge", SOURCES[0]],
    "merge pith": ["merge", SOURCES[1]],
    "keys add": ["keys", "add", KEYS],
    "keys remove": ["keys", "remove", *KEY_IDS],
    "rebuild": ["rebuild"],
    "export": ["export", "out.tar", "--force"],
}

pipeline.BATCH_BUNDLES = 3  # many transactions, so that kills fall between them, too
ingest_module.TRANSACTION_BUNDLES = 3


@dataclass
class Tally:
    """What a run of kills came to."""

    kills: int = 0
    """Commands that a kill hit before they ended."""
    undisturbed: int = 0
    """Commands that ended before their kill."""
    lost: int = 0
    """Facts that were there before a kill and not after."""
    faults: list[str] = field(default_factory=list)


def _in_child(arguments: list[str], kill_after_s: float | None) -> bool:
    """Run a command in a child; whether it was killed before it ended."""
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        try:
            main([*arguments], standalone_mode=False)
        finally:
            os._exit(0)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _facts(store: Store) -> set[str]:
    """Every fact of a store, by what it says and where it belongs."""
    conn = store.connection
    found = {digest.hex() for (digest,) in conn.execute("SELECT digest FROM record")}
    query = "SELECT digest, content FROM arrival JOIN record ON record.id = record_id"
    for record, content in conn.execute(query):
        contents = unpack_contents(content)
        found |= {f"{record.hex()} {claim}" for claim in contents.claims}
        for kind in ("receipts", "events"):
            found |= {f"{record.hex()} {kind} {one.hex()}" for one, _ in getattr(contents, kind)}
    found |= {f"{row}" for row in conn.execute("SELECT id, action, name FROM trust")}
    return found


def _texts(store: Store) -> dict[bytes, bytes]:
    keys = store.trust_log.key_set()
    return {store.records.get(one).digest: current_text(store, one, keys) for one in ids_in(store)}


class _Reference:
    """The facts and states of undisturbed runs, by key set."""

    def __init__(self) -> None:
        self._states: dict[str, dict[bytes, bytes]] = {}

    def states(self, like: Store) -> dict[bytes, bytes]:
        """All states under the keys of a store."""
        keys = like.trust_log.key_set()
        if keys.digest not in self._states:
            with open_store(None) as fresh:
                add_keys(fresh, keys)
                ingest(fresh, ReadRequest(SOURCES, lambda _report: None))
                self._states[keys.digest] = _texts(fresh)
        return self._states[keys.digest]


def _look(db: Path, before: set[str], tally: Tally, what: str) -> set[str]:
    """Look at the store after a kill; return the facts that it holds."""
    after: set[str] = set()
    try:
        damages = check(db, CheckScope(), lambda _damage: None).damages
        tally.faults += [f"after {what}: {damage}" for damage in damages]
        with open_store(db) as store:
            after = _facts(store)
    except StoreError as error:
        if error.code != "store.absent":  # killed as it was made: nothing was in it yet
            raise
    tally.lost += len(before - after)
    return after


def _look_at_export(out: Path, tally: Tally) -> None:
    """An output file is whole, or not there."""
    if out.exists():
        with open_source(str(out), ReadLimits()) as source:
            refused = [item for item in source.items() if isinstance(item, RefusedMember)]
        faults = [one for one in refused if one.code != "archive.empty"]  # of an empty store
        tally.faults += [f"export: {fault}" for fault in faults]
        out.unlink()


def _finish(db: Path, reference: _Reference, tally: Tally) -> set[str]:
    """Run the merges to their end, and compare with undisturbed ones."""
    for name in ("merge demo", "merge pith"):
        _in_child(COMMANDS[name], None)
    with open_store(db) as store:
        if _texts(store) != reference.states(store):
            tally.faults.append("states differ from those of an undisturbed run")
        return _facts(store)


def _durations(folder: Path) -> dict[str, float]:
    """How long each command takes undisturbed, on a full store."""
    found = {}
    for name, arguments in COMMANDS.items():
        started = time.monotonic()
        _in_child(arguments, None)
        found[name] = time.monotonic() - started
    _empty(folder)
    return found


def run(folder: Path, kills: int, order: random.Random) -> Tally:
    """Kill so many commands in `folder`, and look after each."""
    os.chdir(folder)
    tally, reference, db = Tally(), _Reference(), Path("mirror.db")
    durations = _durations(folder)
    before: set[str] = set()
    while tally.kills < kills:
        is_there = db.exists() and db.stat().st_size > 0
        name = order.choice(list(COMMANDS)) if is_there else "merge demo"
        if _in_child(COMMANDS[name], order.uniform(0, durations[name] * 1.1)):
            tally.kills += 1
        else:
            tally.undisturbed += 1
        if db.exists() and db.stat().st_size:
            before = _look(db, before, tally, name)
            _look_at_export(Path("out.tar"), tally)
        if order.random() < 0.05:
            before = _finish(db, reference, tally)
        if order.random() < 0.03:  # begin again with nothing
            _empty(folder)
            before = set()
    _finish(db, reference, tally)
    return tally


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


if __name__ == "__main__":
    result = run(Path(sys.argv[1]).resolve(), int(sys.argv[2]), random.Random(int(sys.argv[3])))
    print(json.dumps(result.__dict__))  # noqa: T201
