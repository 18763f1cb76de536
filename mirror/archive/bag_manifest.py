"""What an archive should hold, by its manifests, and what of it was seen (C2, C5; RFC 8493).

A manifest may be as long as its bag has members, so both lists stand in a temporary SQLite
database, which spills to disk by itself: memory does not grow with the archive.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import posixpath
import re
import sqlite3
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

from mirror.archive.member import Bag, RefusedMember, owner_of_apple_double
from mirror.core.escaping import escape_name

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["BagManifests", "is_tag_file_of_interest"]

_DECLARATION_BYTES = 64 * 1024
_LINE_CHARACTERS = 16 * 1024
"""The longest line of a manifest: a digest, and a name of `NAME_CHARACTERS`, all escaped."""
_COMPONENT_CHARACTERS = 255
"""The longest part of a name, between slashes, whose Unicode forms are taken for one name. No file
system knows longer ones (NAME_MAX), and to normalise many marks in a row takes their square."""
_ALGORITHMS = {name for name in hashlib.algorithms_guaranteed if not name.startswith("shake")}
_MANIFEST = re.compile(r"(?:tag)?manifest-([a-z0-9_]+)\.txt")
_ENCODING = re.compile(r"(?im)^Tag-File-Character-Encoding[ \t]*:(.*)$")


_FOLDERS_NOTED = 32
"""Folders above a file that are looked for beside a Mac's `._*`; an archive need not list them."""
_ENCODINGS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "utf-16": "utf-16",
    "utf16": "utf-16",
    "iso-8859-1": "iso-8859-1",
    "iso8859-1": "iso-8859-1",
    "latin-1": "iso-8859-1",
    "latin1": "iso-8859-1",
    "us-ascii": "ascii",
    "ascii": "ascii",
}
"""Names that `bagit.txt` may give to an encoding, in lower case and with hyphens. Python knows
more, and some of them are no encodings of text, or take the square of it."""


def is_tag_file_of_interest(name: str) -> bool:
    """Whether a member must be read before all others: a bag's declaration, info or manifest."""
    last = posixpath.basename(name)
    is_known = last in {"bagit.txt", "bag-info.txt", "fetch.txt"}
    return is_known or _MANIFEST.fullmatch(last) is not None


class BagManifests:
    """The manifests of the bags in an archive, and the names seen in it."""

    def __init__(self) -> None:
        # The empty name is SQLite's temporary on-disk database; it is gone when closed.
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(
            """
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            CREATE TABLE tag_file (path TEXT PRIMARY KEY, start INTEGER, size INTEGER);
            CREATE TABLE bag (folder TEXT PRIMARY KEY, encoding TEXT) WITHOUT ROWID;
            CREATE TABLE listed (path TEXT, algorithm TEXT, digest TEXT, folded TEXT,
                                 met INTEGER DEFAULT 0,
                                 PRIMARY KEY (path, algorithm)) WITHOUT ROWID;
            CREATE INDEX listed_by_folded ON listed (folded);
            CREATE TABLE seen (path BLOB PRIMARY KEY) WITHOUT ROWID;
            CREATE TABLE apple_double (owner TEXT PRIMARY KEY, met INTEGER DEFAULT 0) WITHOUT ROWID;
            """
        )
        self._copies = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the database
        self.is_complete = True
        """False for a truncated archive, whose manifest may be what was cut off."""
        self._only_bag: str | None = None
        """The folder of the bag, where there is just one."""
        self.is_just_a_bag = True
        """Whether nothing lies outside of bags."""
        self._has_apple_doubles = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()
        self._copies.close()

    def add_tag_file(self, path: str, content: Iterable[bytes]) -> None:
        """Take a declaration or a manifest, for which `is_tag_file_of_interest`.

        A manifest may come before the `bagit.txt` that makes it one, so it is kept as it is. Of
        two files of one name the first counts (C5).
        """
        start = self._copies.seek(0, io.SEEK_END)
        size = sum(self._copies.write(chunk) for chunk in content)
        self._db.execute("INSERT OR IGNORE INTO tag_file VALUES (?, ?, ?)", (path, start, size))

    def record_name(self, path: str) -> None:
        """Note the name of a file or folder, before any of them is read, for Macs' `._*` (C5)."""
        owner = owner_of_apple_double(path)
        if owner is not None:
            self._has_apple_doubles = True
            self._db.execute("INSERT OR IGNORE INTO apple_double (owner) VALUES (?)", (owner,))
        if self._has_apple_doubles:
            names = [path, *islice(_folders_above(path), _FOLDERS_NOTED)]
            query = "UPDATE apple_double SET met = 1 WHERE owner = ?"
            self._db.executemany(query, ((name,) for name in names))

    def is_apple_double(self, path: str) -> bool:
        """Whether `path` is a Mac's `._*`, and the file or folder that it belongs to is beside it.

        To be asked once all names were noted, and those before it were met.
        """
        owner = owner_of_apple_double(path)
        if owner is None:
            return False
        query = "SELECT met FROM apple_double WHERE owner = ? AND met"
        if self._db.execute(query, (owner,)).fetchone() is not None:
            return True
        row = (owner.encode("utf-8", "surrogateescape"),)
        return self._db.execute("SELECT 1 FROM seen WHERE path = ?", row).fetchone() is not None

    def read_manifests(self) -> Iterator[RefusedMember]:
        """Read the manifests that lie in a bag, once all tag files are there.

        Yields:
            The manifests at fault.
        """
        query = "SELECT path, start, size FROM tag_file WHERE path LIKE '%bagit.txt'"
        for path, start, size in self._db.execute(query).fetchall():
            if posixpath.basename(path) == "bagit.txt":
                self._add_declaration(path, self._copy(start, min(size, _DECLARATION_BYTES)))
        bags = self._db.execute("SELECT folder FROM bag LIMIT 2").fetchall()
        self._only_bag = bags[0][0] if len(bags) == 1 else None
        query = "SELECT path, start, size FROM tag_file"
        for path, start, size in self._db.execute(query).fetchall():
            try:
                self._add_manifest(path, self._copy(start, size))
            except ValueError as error:
                yield RefusedMember(path, "archive.fixity", f"not a manifest: {error}")

    def _copy(self, start: int, size: int) -> io.BufferedReader:
        return io.BufferedReader(_FileSlice(self._copies, start, size))

    def _add_declaration(self, path: str, content: io.BufferedReader) -> None:
        """Take a `bagit.txt`: its folder is a bag, in the encoding that it names."""
        lines = content.read().decode("utf-8", "replace").splitlines()
        match = _ENCODING.search(re.sub(r"\n[ \t]+", " ", "\n".join(lines)))
        encoding = match[1].strip() if match else "utf-8"
        row = (posixpath.dirname(path), encoding)
        self._db.execute("INSERT INTO bag VALUES (?, ?)", row)

    def _add_manifest(self, path: str, content: io.BufferedReader) -> None:
        """Take a payload or tag manifest; one of an unknown algorithm says nothing."""
        bag, last = posixpath.split(path)
        match = _MANIFEST.fullmatch(last)
        row = self._db.execute("SELECT encoding FROM bag WHERE folder = ?", (bag,)).fetchone()
        if row is None or match is None or match[1] not in _ALGORITHMS:
            return
        rows = (
            (member, match[1], digest.lower(), _folded(member))
            for digest, name in _entries(content, _encoding(row[0]))
            for member in [posixpath.normpath(posixpath.join(bag, name))]
        )
        # A file that is listed with two digests matches neither (C5), so it is left with none.
        query = """
            INSERT INTO listed (path, algorithm, digest, folded) VALUES (?, ?, ?, ?)
            ON CONFLICT DO UPDATE SET digest = '' WHERE digest <> excluded.digest
        """
        self._db.executemany(query, rows)

    def register(self, path: str) -> tuple[bool, dict[str, str]]:
        """Note that a member was seen.

        Returns:
            Whether none of that name was seen before (C5), and the digests that manifests list
            for it, by algorithm.
        """
        row = (path.encode("utf-8", "surrogateescape"),)
        is_new = self._db.execute("INSERT OR IGNORE INTO seen VALUES (?)", row).rowcount == 1
        query = "UPDATE listed SET met = 1 WHERE path = ? RETURNING algorithm, digest"
        for name in self._listed_names(path):
            if found := self._db.execute(query, (name,)).fetchall():
                return is_new, dict(found)
        return is_new, {}

    def _listed_names(self, path: str) -> Iterator[str]:
        """Yield how manifests may write a member's name, the likeliest first.

        As it is; as RFC 8493 escapes it; as older tools escape it; in another Unicode form, if
        just one line has it in any: where several have, each is another name (C5).
        """
        name = escape_name(path)
        yield name
        older = name.replace("\n", "%0A").replace("\r", "%0D")
        strict = name.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")
        yield from {strict, older} - {name}
        query = "SELECT DISTINCT path FROM listed WHERE folded = ? LIMIT 2"
        for folded in {_folded(name): None, _folded(strict): None}:
            if len(found := self._db.execute(query, (folded,)).fetchall()) == 1:
                yield found[0][0]

    def is_in_bag(self, path: str) -> bool:
        """Whether `path` lies in a bag."""
        if self._only_bag is not None:
            return _lies_in(path, self._only_bag)
        return any(self._is_bag(folder) for folder in _folders_above(path))

    def is_payload(self, path: str) -> bool:
        """Whether `path` lies in a bag's `data` folder, so that a manifest must list it."""
        if self._only_bag is not None:
            return _lies_in(path, posixpath.join(self._only_bag, "data"))
        return any(
            posixpath.basename(folder) == "data" and self._is_bag(posixpath.dirname(folder))
            for folder in _folders_above(path)
        )

    def _is_bag(self, folder: str) -> bool:
        query = "SELECT 1 FROM bag WHERE folder = ?"
        return self._db.execute(query, (escape_name(folder),)).fetchone() is not None

    def check_digests(
        self, path: str, expected: Mapping[str, str], digests: Mapping[str, str]
    ) -> str | None:
        """Return why a member of a bag is refused, or None.

        Args:
            path: The member.
            expected: What manifests list for it, by algorithm.
            digests: What its content hashes to, for each of these.
        """
        for algorithm, digest in expected.items():
            if not digest:
                return f"its manifest lists it with two {algorithm} digests"
            if digests[algorithm] != digest:
                return f"its {algorithm} is not what the manifest says"
        if self.is_complete and not expected and self.is_payload(path):
            return "no manifest lists it"
        return None

    def bag(self) -> Bag | None:
        """Return the bag that the archive is; None if it is none, or several, or more than that."""
        manifest = self._tag_file("manifest-sha256.txt")
        if manifest is None or not self.is_just_a_bag:
            return None
        hashed = hashlib.sha256()
        while block := manifest.read(1 << 20):
            hashed.update(block)
        return Bag(hashed.hexdigest(), self._labels())

    def _labels(self) -> dict[str, str]:
        """Return what `bag-info.txt` says, in the encoding of its bag (RFC 8493 section 2.2.2)."""
        info = self._tag_file("bag-info.txt")
        (encoding,) = self._db.execute("SELECT encoding FROM bag").fetchone()
        if info is None:
            return {}
        try:
            text = info.read(_DECLARATION_BYTES).decode(_encoding(encoding), "replace")
        except ValueError:
            return {}  # of an encoding that is none; its manifests were refused for it
        lines = re.sub(r"\n[ \t]+", " ", re.sub(r"\r\n?", "\n", text)).split("\n")
        labels = [line.partition(":") for line in lines if line.strip()]
        return {label.strip(): value.strip() for label, _, value in labels}

    def _tag_file(self, name: str) -> io.BufferedReader | None:
        """Return a tag file of the only bag."""
        if self._only_bag is None:
            return None
        query = "SELECT start, size FROM tag_file WHERE path = ?"
        path = posixpath.join(self._only_bag, name)
        found = self._db.execute(query, (path,)).fetchone()
        return None if found is None else self._copy(*found)

    def missing(self) -> Iterator[RefusedMember]:
        """Yield each path that a manifest lists and that was not seen, as what is refused."""
        query = """
            SELECT 1 FROM bag JOIN tag_file ON tag_file.path = ltrim(folder || '/fetch.txt', '/')
        """
        is_elsewhere = self._db.execute(query).fetchone() is not None
        message = "a manifest lists it, but it is not there"
        if is_elsewhere:
            message += "; the bag has a fetch.txt, from which nothing is fetched"
        for (path,) in self._db.execute("SELECT DISTINCT path FROM listed WHERE NOT met"):
            yield RefusedMember(escape_name(path), "archive.fixity", message)


class _FileSlice(io.RawIOBase):
    """A part of a file, as a file."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        self._file = file
        self._position = start
        self._end = start + size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        target = memoryview(buffer).cast("B")
        self._file.seek(self._position)
        data = self._file.read(min(len(target), self._end - self._position))
        target[: len(data)] = data
        self._position += len(data)
        return len(data)


def _lies_in(path: str, folder: str) -> bool:
    return not folder or escape_name(path).startswith(folder + "/")


def _folders_above(path: str) -> Iterator[str]:
    """Yield the folders that a path lies in, the nearest first."""
    while path.strip("/"):
        path = posixpath.dirname(path)
        yield path


def _folded(path: str) -> str:
    """Return what the Unicode forms of a name have in common."""
    if path.isascii():
        return path
    return "/".join(
        part if len(part) > _COMPONENT_CHARACTERS else unicodedata.normalize("NFC", part)
        for part in path.split("/")
    )


def _encoding(name: str) -> str:
    """Return what Python calls an encoding that `bagit.txt` names.

    Raises:
        ValueError: If a manifest cannot have it.
    """
    found = _ENCODINGS.get(name.strip().lower().replace("_", "-"))
    if found is None:
        known = "UTF-8, UTF-16, ISO-8859-1 or US-ASCII"
        raise ValueError(
            f"bagit.txt names the encoding {escape_name(name[:60])!r}; {known} is read"
        )
    return found


def _entries(content: io.BufferedReader, encoding: str) -> Iterator[tuple[str, str]]:
    """Yield (digest, path) of each line of a manifest (RFC 8493 section 2.1.3).

    Raises:
        ValueError: If it is not in its encoding, or a line is too long.
    """
    marks = {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}
    if encoding == "utf-16" and content.peek(2)[:2] not in marks:
        raise ValueError("it is in UTF-16 without a byte order mark")
    lines = io.TextIOWrapper(content, encoding, newline=None)
    while line := lines.readline(_LINE_CHARACTERS + 1):
        if len(line) > _LINE_CHARACTERS:
            raise ValueError(f"a line is longer than {_LINE_CHARACTERS} characters")
        digest, _, name = line.strip("\ufeff \t\r\n").replace("\t", " ").partition(" ")
        if name and not digest.startswith("#"):
            yield digest, name.lstrip().lstrip("*")
