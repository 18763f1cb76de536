"""The corpus: written once for each size, the same bytes on every machine, then only read.

A program of its own, `python -m benchmark.corpus DIR RECORDS`, because the memory that a process
ever held counts against the peak of every child that it starts.
"""

from __future__ import annotations

import mmap
import os
import shutil
import sys
from collections.abc import Iterator
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO

import orjson

from benchmark.bundles import make_bundle
from benchmark.layout import HEADS, NEW_BUNDLES, Contents, Corpus, Counts, seal_corpus
from benchmark.samples import signature_sample, write_pages
from benchmark.signers import key_set_file
from mirror.archive import write_bag


def write_corpus(folder: Path, records: int) -> None:
    """Write a corpus of so many records, in place of what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "new").mkdir(parents=True)
    corpus = Corpus(folder, Contents(records, Counts(), ""))
    bundles, updates = folder / "bundles.jsonl", folder / "updates.jsonl"
    counts = _write_lines(bundles, updates, records)
    _write_bag(corpus.plain, bundles)
    _write_bag(corpus.updates, updates)
    _write_beside(corpus, bundles)
    first = orjson.loads(next(_lines(bundles)))["pith_number"]
    bundles.unlink()
    updates.unlink()
    seal_corpus(folder, Contents(records, counts, first))


def _write_lines(bundles: Path, updates: Path, records: int) -> Counts:
    """Write all bundles ascending by suffix, as a mirror exports them; return what is in them."""
    unsorted = bundles.with_suffix(".unsorted")
    with unsorted.open("w+b") as spool, bundles.open("wb") as first, updates.open("wb") as second:
        places, counts = _spool_bundles(spool, records)
        with mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ) as spooled:
            for _, start, middle, end in sorted(places):
                first.write(spooled[start:middle])
                second.write(spooled[middle:end])
    unsorted.unlink()
    return counts


def _spool_bundles(spool: BinaryIO, records: int) -> tuple[list[tuple[str, int, int, int]], Counts]:
    """Write bundles as they are made, each with its update; return suffix and places of each."""
    places = []
    counts = Counts()
    with get_context("fork").Pool(os.cpu_count()) as pool:
        for made in pool.imap(make_bundle, range(records), chunksize=100):
            start = spool.tell()
            middle = start + spool.write(made.text)
            places.append((made.suffix, start, middle, middle + spool.write(made.update)))
            counts += made.counts
    spool.flush()
    return places, counts


def _write_bag(bag: Path, lines: Path) -> None:
    info = [("Bag-Software-Agent", "scripts/bench")]
    with bag.open("wb") as out:
        write_bag(out, lambda: _payload(lines), info)


def _payload(lines: Path) -> Iterator[tuple[str, bytes]]:
    """Yield path and text of each bundle (C2)."""
    for line in _lines(lines):
        suffix = orjson.loads(line)["pith_number"].rpartition(":")[2]
        yield f"pith/{suffix[:2]}/{suffix}/bundle.json", line


def _write_beside(corpus: Corpus, bundles: Path) -> None:
    """Write the small files beside the bags."""
    corpus.keys.write_bytes(key_set_file())
    corpus.signatures.write_bytes(signature_sample(_lines(bundles)))
    write_pages(corpus.pages, _lines(bundles))
    for size in HEADS:
        corpus.head(size).write_bytes(b"".join(islice(_lines(bundles), size)))
    for number in range(NEW_BUNDLES):
        corpus.new_bundle(number).write_bytes(make_bundle(corpus.records + number).text)


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


if __name__ == "__main__":
    write_corpus(Path(sys.argv[1]), int(sys.argv[2]))
