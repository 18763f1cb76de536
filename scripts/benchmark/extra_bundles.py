"""Bundles of records that no bag of the corpus holds, for a merge beside something else.

`python -m benchmark.extra_bundles FILE FIRST COUNT` writes them as JSON Lines.
"""

from __future__ import annotations

import os
import sys
from multiprocessing import get_context
from pathlib import Path

from benchmark.bundles import make_bundle


def write_newcomers(path: Path, first: int, count: int) -> None:
    """Write the bundles of `count` records, those from number `first` on."""
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as out, get_context("fork").Pool(os.cpu_count()) as pool:
        for made in pool.imap(make_bundle, range(first, first + count), chunksize=100):
            out.write(made.text)
    unfinished.replace(path)


if __name__ == "__main__":
    write_newcomers(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
