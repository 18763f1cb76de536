"""What it takes to keep the tree over all states up to date.

`python -m benchmark.tree_update DB` prints seconds for one changed record and for a thousand, and
for the whole tree; the store is left as it was.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from random import Random

from mirror.store import Store, open_store

_THOUSAND = 1000
_TIMES = 5


def measure(db: Path) -> dict[str, float]:
    """Place one record again, a thousand, and all."""
    with open_store(db, must_exist=True) as store:
        last = store.records.last_id()
        chance = Random(1)  # noqa: S311 - which records is all the same
        some = [chance.randint(1, last) for _ in range(_TIMES)]
        few = min(_seconds(store, [one]) for one in some)
        many = min(_seconds(store, chance.sample(range(1, last + 1), _THOUSAND)) for _ in range(3))
        started = time.perf_counter()
        with store.transaction():
            store.state_tree.clear()
            store.state_tree.update()
        return {"one": few, "thousand": many, "all": time.perf_counter() - started}


def _seconds(store: Store, record_ids: list[int]) -> float:
    started = time.perf_counter()
    with store.transaction():
        store.state_tree.enqueue(record_ids)
        store.state_tree.update()
    return time.perf_counter() - started


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]))))
