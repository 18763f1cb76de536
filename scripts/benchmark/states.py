"""The states of a store as files, and what it takes only to read and parse them.

`python -m benchmark.states write DB DIR` writes `<letters>/<suffix>/state.json` for each record.
`python -m benchmark.states read DIR` reads and parses them, and prints how long that took.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import orjson

from mirror.store import open_store


def write_states(db: Path, out: Path) -> None:
    """Write all states."""
    with open_store(db, read_only=True) as store, store.snapshot():
        for suffix, record_id in store.records.in_bag_order(None):
            path = out / suffix[:2] / suffix / "state.json"
            path.parent.mkdir(parents=True)
            path.write_bytes(store.states.text(record_id))


def read_states(folder: Path) -> dict[str, float]:
    """Read and parse all states."""
    count, started = 0, time.perf_counter()
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in files:
            with Path(parent, name).open("rb") as file:
                orjson.loads(file.read())
            count += 1
    return {"records": count, "seconds": time.perf_counter() - started}


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write_states(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        print(json.dumps(read_states(Path(sys.argv[2]))))
