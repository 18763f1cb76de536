"""What an archive should hold, by its manifests, and what of it was seen (C2, C5; RFC 8493).

A manifest may be as long as its bag has members, so both lists stand in a temporary SQLite
database, which spills to disk by itself: memory does not grow with the archive.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import IO, Self

from mirror.archive.member import Refused

__all__ = ["Inventory", "is_tag_file_of_interest"]

_LINE_BYTES = 64 * 1024
_ALGORITHMS = {name for name in hashlib.algorithms_guaranteed if not name.startswith("shake")}
_MANIFEST = re.compile(r"(?:tag)?manifest-([a-z0-9]+)\.txt")
_ENTRY = re.compile(r"([0-9A-Fa-f]+)[ \t]+\*?(\S.*)")
_ENCODING = re.compile(rb"(?im)^Tag-File-Character-Encoding:[ \t]*([\w-]+)")


def is_tag_file_of_interest(name: str) -> bool:
    """Whether a member must be read before all others: a bag's declaration or manifest."""
    last = posixpath.basename(name)
    return last == "bagit.txt" or _MANIFEST.fullmatch(last) is not None


class Inventory:
    """The manifests of the bags in an archive, and the names seen in it."""

    def __init__(self) -> None:
        # The empty name is SQLite's temporary on-disk database; it is gone when closed.
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(
            """
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            CREATE TABLE listed (path TEXT, algorithm TEXT, digest TEXT,
                                 PRIMARY KEY (path, algorithm)) WITHOUT ROWID;
            CREATE TABLE seen (path TEXT PRIMARY KEY) WITHOUT ROWID;
            """
        )
        self._encodings: dict[str, str] = {}
        self.is_complete = True
        """False for a truncated archive, whose manifest may be what was cut off."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    def add_tag_files(self, files: Iterable[tuple[str, IO[bytes]]]) -> Iterator[Refused]:
        """Take the declarations and manifests of an archive; yield the manifests at fault.

        Args:
            files: The path and content of each file for which `is_tag_file_of_interest`.
        """
        manifests = []
        for path, content in files:
            if posixpath.basename(path) == "bagit.txt":
                self._add_declaration(path, content.read(_LINE_BYTES))
            else:
                manifests.append((path, content))
        for path, content in manifests:
            try:
                self._add_manifest(path, iter(lambda: content.readline(_LINE_BYTES), b""))  # noqa: B023
            except (ValueError, LookupError) as error:
                yield Refused(path, "archive.fixity", f"not a manifest: {error}")

    def _add_declaration(self, path: str, text: bytes) -> None:
        """Take a `bagit.txt`: its folder is a bag, in the encoding that it names."""
        match = _ENCODING.search(text)
        self._encodings[posixpath.dirname(path)] = match[1].decode() if match else "utf-8"

    def _add_manifest(self, path: str, lines: Iterable[bytes]) -> None:
        """Take a payload or tag manifest of a bag; one of an unknown algorithm says nothing."""
        bag, last = posixpath.split(path)
        match = _MANIFEST.fullmatch(last)
        encoding = self._encodings.get(bag)
        if encoding is None or match is None or match[1] not in _ALGORITHMS:
            return
        rows = (
            (_key(posixpath.join(bag, name)), match[1], digest)
            for digest, name in _entries(lines, encoding)
        )
        self._db.executemany("INSERT OR REPLACE INTO listed VALUES (?, ?, ?)", rows)

    def is_new(self, path: str) -> bool:
        """Note that a member was seen; False if one of that name was seen before (C5)."""
        before = self._db.total_changes
        self._db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (_key(path),))
        return self._db.total_changes > before

    def is_in_bag(self, path: str) -> bool:
        """Whether `path` lies in a bag."""
        return any(_is_below(path, bag) for bag in self._encodings)

    def is_payload(self, path: str) -> bool:
        """Whether `path` lies in a bag's `data` folder, so that a manifest must list it."""
        return any(_is_below(path, posixpath.join(bag, "data")) for bag in self._encodings)

    def expected(self, path: str) -> dict[str, str]:
        """Return the digests that manifests list for a member, by algorithm."""
        query = "SELECT algorithm, digest FROM listed WHERE path = ?"
        return dict(self._db.execute(query, (_key(path),)).fetchall())

    def fault_of_digests(self, path: str, digests: Mapping[str, str]) -> str | None:
        """Return why a member of a bag is refused, or None.

        Args:
            path: The member.
            digests: What its content hashes to, for each algorithm of `expected`.
        """
        for algorithm, digest in self.expected(path).items():
            if digests[algorithm] != digest:
                return f"its {algorithm} is not what the manifest says"
        if self.is_complete and not digests and self.is_payload(path):
            return "no manifest lists it"
        return None

    def missing(self) -> Iterator[str]:
        """Yield each path that a manifest lists and that was not seen."""
        query = "SELECT DISTINCT path FROM listed WHERE path NOT IN (SELECT path FROM seen)"
        for (path,) in self._db.execute(query):
            yield path


def _key(path: str) -> str:
    """Return `path` as it is looked up: tools escape and compose names in more than one way."""
    name = path.replace("%0A", "\n").replace("%0a", "\n").replace("%0D", "\r").replace("%0d", "\r")
    return unicodedata.normalize("NFC", posixpath.normpath(name.replace("%25", "%")))


def _is_below(path: str, folder: str) -> bool:
    return not folder or path.startswith(f"{folder}/")


def _entries(lines: Iterable[bytes], encoding: str) -> Iterator[tuple[str, str]]:
    """Yield (digest, path) of each line of a manifest (RFC 8493 section 2.1.3)."""
    for number, line in enumerate(lines, start=1):
        text = line.decode(encoding).strip("\ufeff\r\n")
        match = _ENTRY.fullmatch(text)
        if match is not None:
            yield match[1].lower(), match[2]
        elif text.strip():
            raise ValueError(f"line {number} is not a digest and a path")
