"""What all measures of a session share: the corpora, what this `mirror` can do, the samples."""

from __future__ import annotations

import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
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
    libraries: tuple[str, ...]
    """What can verify signatures here, the fastest last."""
    engines: Mapping[str, str]
    """What is measured, the fastest last, and what `mirror --version` prints with each."""
    against: Corpus | None = None
    """A smaller corpus that is measured in the same rounds."""
    samples: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """For each name one value a round."""
    skipped: list[str] = field(default_factory=list)
    """What was not measured, and why."""

    @property
    def main(self) -> str:
        """The fastest engine: all is measured with it, and only some with the others."""
        return [*self.engines][-1]

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


def find_libraries() -> tuple[str, ...]:
    """Return the libraries that `mirror` can verify with here, the fastest last."""
    try:
        run([sys.executable, "-c", "import nacl.bindings"])
    except RunError:
        return ("cryptography",)
    return ("cryptography", "pynacl")


def find_engines(libraries: tuple[str, ...]) -> dict[str, str]:
    """Return the engines that `mirror` has here, and what `--version` prints with each.

    Native code is one of them only if that changes with it.
    """
    engines = {name: _version_with(name) for name in libraries}
    try:
        native = _version_with("native")
    except RunError:
        return engines
    return engines if native in engines.values() else {**engines, "native": native}


def _version_with(engine: str) -> str:
    return ", ".join(run(mirror("--version", engine=engine)).output.splitlines())


def corpus_of(records: int, work: Path) -> Corpus:
    """Return the corpus of a size; what is missing of it is made."""
    folder = CACHE / f"{VERSION}-{records}"
    corpus = load_corpus(folder)
    if corpus is None:
        say(f"making a corpus of {records:,} records, once")
        run(module("corpus", folder, str(records)))
        corpus = load_corpus(folder)
    if corpus is None:
        raise RunError(f"{folder} was not written")
    if not corpus.packed.exists():
        _pack(corpus, work / "to-pack.db")
    return corpus


def _pack(corpus: Corpus, db: Path) -> None:
    say(f"packing {corpus.records:,} records, once for this version of the code")
    for old in corpus.folder.glob("packed-*.tar"):
        old.unlink()
    run(mirror("merge", corpus.plain, "--db", db, "--keys", corpus.keys), FOUND)
    run(mirror("export", corpus.packed, "--packed", "--db", db))
    remove_store(db)
