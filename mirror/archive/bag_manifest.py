"""Manifests of the bags in an archive, and the members that were read (C2, C5; RFC 8493).

A manifest has a line for each file of its bag, so both lists are in a temporary SQLite database,
which writes to disk when it grows: memory does not grow with the archive.
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
from typing import IO, TYPE_CHECKING, Self

from mirror.archive.member import Bag, RefusedMember, apple_double_owner
from mirror.core.escaping import escape_name

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["BagManifests", "is_tag_file_of_interest"]

_DECLARATION_BYTES = 64 * 1024
_LINE_CHARACTERS = 16 * 1024
"""Longest line of a manifest: a digest, and a name of `NAME_CHARACTERS`, all escaped."""
_COMPONENT_CHARACTERS = 255
"""Longest component of a path that is normalized (NAME_MAX of common file systems). Normalizing a
long run of combining marks takes quadratic time."""
_ALGORITHMS = {name for name in hashlib.algorithms_guaranteed if not name.startswith("shake")}
_MANIFEST = re.compile(r"(?:tag)?manifest-([a-z0-9_]+)\.txt")
_ENCODING = re.compile(r"(?im)^Tag-File-Character-Encoding[ \t]*:(.*)$")


_PARENT_FOLDERS = 32
"""Number of parent folders of a file that are matched with AppleDouble files (`._*`); an archive
need not list folders."""
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
"""Names of encodings in `bagit.txt`, in lower case with hyphens, and Python's names. Python has
more encodings, but some are not text encodings, or take quadratic time."""


def is_tag_file_of_interest(name: str) -> bool:
    """Whether a member is read first: bag declaration, bag-info, fetch.txt, manifests."""
    last = posixpath.basename(name)
    is_known = last in {"bagit.txt", "bag-info.txt", "fetch.txt"}
    return is_known or ("manifest-" in last and _MANIFEST.fullmatch(last) is not None)


class BagManifests:
    """Manifests of the bags in an archive, and the names of its members."""

    def __init__(self) -> None:
        # The empty name is a temporary database of SQLite, deleted when it is closed.
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(
            """
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            CREATE TABLE tag_file (path TEXT PRIMARY KEY, start INTEGER, size INTEGER);
            CREATE TABLE bag (folder TEXT PRIMARY KEY, encoding TEXT) WITHOUT ROWID;
            CREATE TABLE listed (path TEXT, algorithm TEXT, digest TEXT, normalized TEXT,
                                 has_other_path INTEGER DEFAULT 0,
                                 PRIMARY KEY (path, algorithm)) WITHOUT ROWID;
            CREATE INDEX listed_by_normalized ON listed (normalized);
            CREATE TABLE member (path BLOB PRIMARY KEY) WITHOUT ROWID;
            CREATE TABLE apple_double (owner TEXT PRIMARY KEY,
                                       is_present INTEGER DEFAULT 0) WITHOUT ROWID;
            BEGIN; -- one transaction is faster than one for each statement, and nothing is kept
            """
        )
        self._copies = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the database
        self.is_fully_read = True
        """False if the archive is truncated: its manifest may be missing."""
        self._only_bag: str | None = None
        """Base directory of the bag, if there is exactly one."""
        self._only_payload = ""
        """Its payload directory."""
        self.has_only_bags = True
        """Whether every file is in a bag."""
        self._has_apple_doubles = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()
        self._copies.close()

    def add_tag_file(self, path: str, content: Iterable[bytes]) -> None:
        """Store the content of a tag file for which `is_tag_file_of_interest` is true.

        A manifest may come before `bagit.txt`, so it is parsed later. The first of two files with
        the same name is used (C5).
        """
        start = self._copies.seek(0, io.SEEK_END)
        size = sum(self._copies.write(chunk) for chunk in content)
        self._db.execute("INSERT OR IGNORE INTO tag_file VALUES (?, ?, ?)", (path, start, size))

    def record_name(self, path: str) -> None:
        """Record the name of a file or folder before any is read, for AppleDouble files (C5)."""
        owner = apple_double_owner(path)
        if owner is not None:
            self._has_apple_doubles = True
            self._db.execute("INSERT OR IGNORE INTO apple_double (owner) VALUES (?)", (owner,))
        if self._has_apple_doubles:
            names = [path, *islice(_parent_folders(path), _PARENT_FOLDERS)]
            query = "UPDATE apple_double SET is_present = 1 WHERE owner = ?"
            self._db.executemany(query, ((name,) for name in names))

    def is_apple_double(self, path: str) -> bool:
        """Whether `path` is an AppleDouble file (`._*`) beside the file or folder it describes.

        Call it when all names are recorded, and the members before this one registered.
        """
        owner = apple_double_owner(path)
        if owner is None:
            return False
        query = "SELECT is_present FROM apple_double WHERE owner = ? AND is_present"
        if self._db.execute(query, (owner,)).fetchone() is not None:
            return True
        row = (owner.encode("utf-8", "surrogateescape"),)
        return self._db.execute("SELECT 1 FROM member WHERE path = ?", row).fetchone() is not None

    def read_manifests(self) -> Iterator[RefusedMember]:
        """Parse the manifests of all bags; call it when all tag files are added.

        Yields:
            A refusal for each manifest that cannot be parsed.
        """
        query = "SELECT path, start, size FROM tag_file WHERE path LIKE '%bagit.txt'"
        for path, start, size in self._db.execute(query).fetchall():
            if posixpath.basename(path) == "bagit.txt":
                self._add_declaration(path, self._copy(start, min(size, _DECLARATION_BYTES)))
        bags = self._db.execute("SELECT folder FROM bag LIMIT 2").fetchall()
        if len(bags) == 1:
            self._only_bag = bags[0][0]
            self._only_payload = posixpath.join(bags[0][0], "data")
        query = "SELECT path, start, size FROM tag_file"
        for path, start, size in self._db.execute(query).fetchall():
            try:
                self._add_manifest(path, self._copy(start, size))
            except ValueError as error:
                yield RefusedMember(path, "archive.fixity", f"not a manifest: {error}")

    def _copy(self, start: int, size: int) -> io.BufferedReader:
        return io.BufferedReader(_FileSlice(self._copies, start, size))

    def _add_declaration(self, path: str, content: io.BufferedReader) -> None:
        """Record the bag of a `bagit.txt`, with the encoding of its tag files."""
        lines = content.read().decode("utf-8", "replace").splitlines()
        match = _ENCODING.search(re.sub(r"\n[ \t]+", " ", "\n".join(lines)))
        encoding = match[1].strip() if match else "utf-8"
        row = (posixpath.dirname(path), encoding)
        self._db.execute("INSERT INTO bag VALUES (?, ?)", row)

    def _add_manifest(self, path: str, content: io.BufferedReader) -> None:
        """Parse a payload or tag manifest, unless its algorithm is unknown."""
        bag, last = posixpath.split(path)
        match = _MANIFEST.fullmatch(last)
        row = self._db.execute("SELECT encoding FROM bag WHERE folder = ?", (bag,)).fetchone()
        if row is None or match is None or match[1] not in _ALGORITHMS:
            return
        rows = (
            (member, match[1], digest.lower(), _normalized(member))
            for digest, name in _parse_manifest(content, _encoding(row[0]))
            for member in [posixpath.normpath(posixpath.join(bag, name))]
        )
        # A file that is listed with two digests matches neither (C5); its digest becomes empty.
        query = """
            INSERT INTO listed (path, algorithm, digest, normalized) VALUES (?, ?, ?, ?)
            ON CONFLICT DO UPDATE SET digest = '' WHERE digest <> excluded.digest
        """
        self._db.executemany(query, rows)

    def register(self, path: str) -> tuple[bool, dict[str, str]]:
        """Record that a member is present.

        Returns:
            Whether its name is new (C5), and its digests in the manifests, by algorithm.
        """
        row = (path.encode("utf-8", "surrogateescape"),)
        is_new = self._db.execute("INSERT OR IGNORE INTO member VALUES (?)", row).rowcount == 1
        query = "SELECT algorithm, digest FROM listed WHERE path = ?"
        for name in self._listed_names(path):
            if found := self._db.execute(query, (name,)).fetchall():
                if name != path:
                    self._mark_as_present(name)
                return is_new, dict(found)
        return is_new, {}

    def _mark_as_present(self, name: str) -> None:
        """Mark a listed name for which a member with a path of another spelling is present."""
        self._db.execute("UPDATE listed SET has_other_path = 1 WHERE path = ?", (name,))

    def _listed_names(self, path: str) -> Iterator[str]:
        """Yield the spellings of a member's name in manifests, the most common first.

        Unescaped; escaped as in RFC 8493; escaped as by older tools; in another Unicode
        normalization form, if exactly one listed name has the same normalized form (C5).
        """
        name = escape_name(path)
        yield name
        older = name.replace("\n", "%0A").replace("\r", "%0D")
        strict = name.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")
        yield from {strict, older} - {name}
        query = "SELECT DISTINCT path FROM listed WHERE normalized = ? LIMIT 2"
        for normalized in {_normalized(name): None, _normalized(strict): None}:
            if len(found := self._db.execute(query, (normalized,)).fetchall()) == 1:
                yield found[0][0]

    def is_in_bag(self, path: str) -> bool:
        """Whether `path` is in a bag."""
        if self._only_bag is not None:
            return _is_below(path, self._only_bag)
        return any(self._is_bag(folder) for folder in _parent_folders(path))

    def is_payload(self, path: str) -> bool:
        """Whether `path` is in the payload directory `data` of a bag (a manifest must list it)."""
        if self._only_bag is not None:
            return _is_below(path, self._only_payload)
        return any(
            posixpath.basename(folder) == "data" and self._is_bag(posixpath.dirname(folder))
            for folder in _parent_folders(path)
        )

    def _is_bag(self, folder: str) -> bool:
        query = "SELECT 1 FROM bag WHERE folder = ?"
        return self._db.execute(query, (escape_name(folder),)).fetchone() is not None

    def check_digests(
        self, path: str, expected: Mapping[str, str], digests: Mapping[str, str]
    ) -> str | None:
        """Return the reason why a member of a bag is refused, or None.

        Args:
            path: Path of the member.
            expected: Its digests in the manifests, by algorithm.
            digests: Digests of its content, for the same algorithms.
        """
        for algorithm, digest in expected.items():
            if not digest:
                return f"its manifest lists it with two {algorithm} digests"
            if digests[algorithm] != digest:
                return f"its {algorithm} differs from the manifest"
        if self.is_fully_read and not expected and self.is_payload(path):
            return "no manifest lists it"
        return None

    def bag(self) -> Bag | None:
        """Return the bag if it is the only one and every file is in it; else None."""
        manifest = self._tag_file("manifest-sha256.txt")
        if manifest is None or not self.has_only_bags:
            return None
        hashed = hashlib.sha256()
        while block := manifest.read(1 << 20):
            hashed.update(block)
        return Bag(hashed.hexdigest(), self._labels())

    def _labels(self) -> dict[str, str]:
        """Return the labels and values of `bag-info.txt` (RFC 8493 section 2.2.2)."""
        info = self._tag_file("bag-info.txt")
        (encoding,) = self._db.execute("SELECT encoding FROM bag").fetchone()
        if info is None:
            return {}
        try:
            text = info.read(_DECLARATION_BYTES).decode(_encoding(encoding), "replace")
        except ValueError:
            return {}  # unknown encoding, for which the manifests were refused
        lines = re.sub(r"\n[ \t]+", " ", re.sub(r"\r\n?", "\n", text)).split("\n")
        labels = [line.partition(":") for line in lines if line.strip()]
        return {label.strip(): value.strip() for label, _, value in labels}

    def _tag_file(self, name: str) -> io.BufferedReader | None:
        """Return a tag file of the only bag, or None."""
        if self._only_bag is None:
            return None
        query = "SELECT start, size FROM tag_file WHERE path = ?"
        path = posixpath.join(self._only_bag, name)
        found = self._db.execute(query, (path,)).fetchone()
        return None if found is None else self._copy(*found)

    def missing(self) -> Iterator[RefusedMember]:
        """Yield a refusal for each file that a manifest lists and that is not present."""
        query = """
            SELECT 1 FROM bag JOIN tag_file ON tag_file.path = ltrim(folder || '/fetch.txt', '/')
        """
        has_fetch_file = self._db.execute(query).fetchone() is not None
        message = "a manifest lists it, but it is missing"
        if has_fetch_file:
            message += "; the bag has a fetch.txt, whose files are not fetched"
        query = """
            SELECT DISTINCT path FROM listed WHERE NOT has_other_path
            AND NOT EXISTS (SELECT 1 FROM member WHERE member.path = CAST(listed.path AS BLOB))
        """
        for (path,) in self._db.execute(query):
            yield RefusedMember(escape_name(path), "archive.fixity", message)


class _FileSlice(io.RawIOBase):
    """A readable stream over a range of bytes of a file."""

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


def _is_below(path: str, folder: str) -> bool:
    return not folder or escape_name(path).startswith(folder + "/")


def _parent_folders(path: str) -> Iterator[str]:
    """Yield the parent folders of a path, the nearest first."""
    while path.strip("/"):
        path = posixpath.dirname(path)
        yield path


def _normalized(path: str) -> str:
    """Return a path in Unicode normalization form C, except for very long components."""
    if path.isascii():
        return path
    return "/".join(
        part if len(part) > _COMPONENT_CHARACTERS else unicodedata.normalize("NFC", part)
        for part in path.split("/")
    )


def _encoding(name: str) -> str:
    """Return Python's name of an encoding in `bagit.txt`.

    Raises:
        ValueError: If it is not an encoding of manifests that is read here.
    """
    found = _ENCODINGS.get(name.strip().lower().replace("_", "-"))
    if found is None:
        known = "UTF-8, UTF-16, ISO-8859-1 or US-ASCII"
        raise ValueError(
            f"bagit.txt gives the encoding {escape_name(name[:60])!r}; it must be {known}"
        )
    return found


def _parse_manifest(content: io.BufferedReader, encoding: str) -> Iterator[tuple[str, str]]:
    """Yield (digest, path) of each line of a manifest (RFC 8493 section 2.1.3).

    Raises:
        ValueError: If it cannot be decoded, or a line is too long.
    """
    marks = {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}
    if encoding == "utf-16" and content.peek(2)[:2] not in marks:
        raise ValueError("UTF-16 without a byte order mark")
    lines = io.TextIOWrapper(content, encoding, newline=None)
    while line := lines.readline(_LINE_CHARACTERS + 1):
        if len(line) > _LINE_CHARACTERS:
            raise ValueError(f"a line is longer than {_LINE_CHARACTERS} characters")
        digest, _, name = line.strip("\ufeff \t\r\n").replace("\t", " ").partition(" ")
        if name and not digest.startswith("#"):
            yield digest, name.lstrip().lstrip("*")
