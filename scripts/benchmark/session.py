"""What all measures of a session share: the corpora, what this `mirror` can do, the samples."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmark.layout import VERSION, Corpus, load_corpus
from benchmark.process import RunError, Spent, mirror, module, run

CACHE: Final = Path(".cache/bench")

FOUND: Final = (1,)
"""The exit code of a run over the corpus, which holds a few invalid events."""


@dataclass
class Workshop:
    """A session of measuring."""

    corpus: Corpus
    work: Path
    """Where stores are made; on the disk of the repository."""
    backends: tuple[str, ...]
    """What can verify signatures here, the fastest last."""
    packed: Path | None = None
    """The corpus as a packed bag (C4)."""
    against: Corpus | None = None
    """A smaller corpus that is measured in the same rounds."""
    packed_against: Path | None = None
    samples: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """For each name one value a round."""
    skipped: list[str] = field(default_factory=list)
    """What was not measured, and why."""

    @property
    def bag(self) -> Path:
        """The bag that stores are filled from where it does not matter which."""
        return self.packed or self.corpus.plain

    def store(self, name: str) -> Path:
        """Return the path of a store that is not there yet."""
        path = self.work / f"{name}.db"
        remove_store(path)
        return path

    def keep(self, name: str, value: float) -> None:
        """Keep the sample of this round."""
        self.samples[name].append(value)

    def keep_spent(self, name: str, spent: Spent) -> None:
        """Keep time and memory of a process."""
        self.keep(f"{name}.seconds", spent.seconds)
        self.keep(f"{name}.cpu_seconds", spent.cpu_seconds)
        self.keep(f"{name}.peak_mib", spent.peak_mib)

    def skip(self, what: str) -> None:
        """Say once what is not measured."""
        if what not in self.skipped:
            self.skipped.append(what)
            say(f"skipped: {what}")


def say(line: str) -> None:
    """Tell a person how far it is; stdout is for the result."""
    print(f"[{time.strftime('%H:%M:%S')}] {line}", file=sys.stderr, flush=True)


def remove_store(path: Path) -> None:
    """Delete a store and the files that SQLite keeps beside it."""
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def copy_store(path: Path, to: Path) -> None:
    """Copy a store that nobody has open."""
    for ending in ("", "-wal"):
        file = path.with_name(path.name + ending)
        if file.exists():
            shutil.copyfile(file, to.with_name(to.name + ending))


def store_bytes(path: Path) -> int:
    """Return the size of a store that nobody has open."""
    files = [path.with_name(path.name + ending) for ending in ("", "-wal")]
    return sum(file.stat().st_size for file in files if file.exists())


# Setting up ----------------------------------------------------------------------------------


def find_backends() -> tuple[str, ...]:
    """Return the libraries that `mirror` can verify with here, the fastest last."""
    try:
        run([sys.executable, "-c", "import nacl.bindings"])
    except RunError:
        return ("cryptography",)
    return ("cryptography", "pynacl")


def can(command: str, option: str) -> bool:
    """Whether this `mirror` has an option."""
    return option in run(mirror(command, "--help")).output


def corpus_of(records: int) -> Corpus:
    """Return the corpus of a size; the first time, make it."""
    folder = CACHE / f"{VERSION}-{records}"
    corpus = load_corpus(folder)
    if corpus is None:
        say(f"making a corpus of {records:,} records, once")
        run(module("corpus", folder, str(records)))
        corpus = load_corpus(folder)
    if corpus is None:
        raise RunError(f"{folder} was not written")
    return corpus


def pack(corpus: Corpus, work: Path) -> Path | None:
    """Return a corpus as a packed bag, made by this very `mirror`; None where it cannot.

    A packed bag is the product's own, so it is made again whenever the product changed.
    """
    if not can("export", "--packed"):
        return None
    packed = corpus.folder / f"packed-{_digest_of_product()}.tar"
    if not packed.exists():
        say(f"packing {corpus.records:,} records, once for this version of the code")
        for old in corpus.folder.glob("packed-*.tar"):
            old.unlink()
        db = work / "to-pack.db"
        run(mirror("merge", corpus.plain, "--db", db, "--keys", corpus.keys), FOUND)
        run(mirror("export", packed, "--packed", "--db", db))
        remove_store(db)
    return packed


def _digest_of_product() -> str:
    hashed = hashlib.sha256()
    for path in sorted(Path("mirror").rglob("*.py")):
        hashed.update(os.fsencode(path) + b"\0" + path.read_bytes())
    return hashed.hexdigest()[:12]
