"""The plain engine in one process with one thread: what one worker of a cluster is compared with.

    python -m benchmark.single_process SOURCE KEYS DB

It prints the seconds of a merge into a fresh store, and the root.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from mirror.core.keys import parse_key_set
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest import merge
from mirror.engine.states.root import read_root, update_root
from mirror.engine.states.trust import add_keys
from mirror.store import open_store


def main(source: str, keys_path: Path, db: Path) -> None:
    """Merge a source without starting any process, and print what it took."""
    setattr(merge, "map_in_processes", _here)  # noqa: B010 - no process is started
    with open_store(db) as store:
        add_keys(store, parse_key_set(keys_path.read_bytes()))
        started = time.perf_counter()
        merge.ingest(store, ReadRequest((source,), lambda _report: None))
        update_root(store)
        seconds = time.perf_counter() - started
        with store.snapshot():
            root = read_root(store).root
    print(json.dumps({"seconds": seconds, "root": root}))


def _here(tasks: Iterable[Any], work: Callable[[Any], Any], *, few: int) -> Iterator[Any]:
    """Do all work in this process, however much it is."""
    del few
    return map(work, tasks)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
