"""Where the files of a corpus are, and what is in it.

The parent of all measures holds this, so it imports nothing that weighs.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, astuple, dataclass
from functools import cache
from pathlib import Path
from typing import Final

VERSION: Final = 2
"""Goes up whenever the corpus changes, so that no old one is taken for it."""

HEADS: Final = (1000, 3300)
"""Sizes of the files with just the first records."""

NEW_BUNDLES: Final = 60
"""Bundles of records that are not in the bag."""


@dataclass(frozen=True)
class Counts:
    """What a reader finds in bundles."""

    events: int = 0
    invalid_events: int = 0
    equivocations: int = 0
    signatures: int = 0
    """Those that a verifier verifies: of events whose id fits, and of receipts."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Contents:
    """What is in a corpus."""

    records: int
    counts: Counts
    first_pith_number: str
    """Of a record that is in every head, too."""


@dataclass(frozen=True)
class Corpus:
    """A corpus on disk."""

    folder: Path
    contents: Contents

    @property
    def records(self) -> int:
        """The number of bundles in the bag."""
        return self.contents.records

    @property
    def counts(self) -> Counts:
        """What is in them."""
        return self.contents.counts

    @property
    def keys(self) -> Path:
        """The key set file."""
        return self.folder / "keys.json"

    @property
    def plain(self) -> Path:
        """The BagIt bag with one file for each record (C2)."""
        return self.folder / "plain.tar"

    @property
    def packed(self) -> Path:
        """The same as a packed bag (C4), made by this very version of the code."""
        return self.folder / f"packed-{_digest_of_product()}.tar"

    @property
    def bags(self) -> dict[str, Path]:
        """Both; the packed one comes last."""
        return {"plain": self.plain, "packed": self.packed}

    @property
    def updates(self) -> Path:
        """A plain bag with one more event for each record."""
        return self.folder / "updates.tar"

    @property
    def signatures(self) -> Path:
        """Signatures of the corpus: 32 bytes of key, 32 of digest, 64 of signature each."""
        return self.folder / "signatures.bin"

    @property
    def pages(self) -> Path:
        """The folder of single records as upstream serves them."""
        return self.folder / "curl"

    def head(self, records: int) -> Path:
        """Return the JSON Lines of just the first records, one of `HEADS`."""
        return self.folder / f"head-{records}.jsonl"

    def new_bundle(self, number: int) -> Path:
        """Return a bundle of a record that is not in the bag, another one for each number."""
        return self.folder / "new" / f"{number:02}.json"


@cache
def _digest_of_product() -> str:
    hashed = hashlib.sha256()
    for path in sorted(Path("mirror").rglob("*.py")):
        hashed.update(os.fsencode(path) + b"\0" + path.read_bytes())
    return hashed.hexdigest()[:12]


def load_corpus(folder: Path) -> Corpus | None:
    """Return the corpus in `folder`, or None if it was never written to its end."""
    try:
        about = json.loads((folder / "corpus.json").read_bytes())
    except FileNotFoundError:
        return None
    return Corpus(folder, Contents(**{**about, "counts": Counts(**about["counts"])}))


def seal_corpus(folder: Path, contents: Contents) -> None:
    """Write down what is in a corpus; this comes last and says that it is whole."""
    (folder / "corpus.json").write_text(json.dumps(asdict(contents), indent=1))
