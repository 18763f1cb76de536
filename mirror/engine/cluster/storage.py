"""Files and folders by URL, on disks and in object stores (fsspec), for sources and results.

The exceptions of the libraries of fsspec are converted to those of `mirror`.
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from mirror.core.msgpack_values import pack
from mirror.core.redaction import redact
from mirror.core.values import sha256
from mirror.engine.atomic_file import OutputFile
from mirror.errors import MirrorError, OutputError, SourceError

__all__ = ["StoragePath", "expand_glob", "translate_read_errors"]

_WILDCARDS = frozenset("*?[")
_CHUNK = 1 << 20
_BLOCK = 4 << 20
"""Bytes that are fetched at once when a file is read sequentially."""

_VERSION_FIELDS = (
    "ETag",
    "etag",
    "md5Hash",
    "generation",
    "mtime",
    "LastModified",
    "Last-Modified",
)
"""Fields of `info` that change with a file; each file system has some of them."""


class StoragePath:
    """A file or a folder in a file system of fsspec."""

    def __init__(self, url: str) -> None:
        """Choose the file system of a URL; nothing is read yet.

        Raises:
            SourceError: `source.unreadable` if no file system supports the URL.
        """
        self.url = url
        with translate_read_errors(url):
            self._fs, self._path = _open_filesystem(url)

    @property
    def local_path(self) -> str | None:
        """Local path; None in other file systems."""
        return self._path if isinstance(self._fs, LocalFileSystem) else None

    def join_path(self, name: str) -> str:
        """Return the path of a file in this folder."""
        return f"{self._path.rstrip('/')}/{name}"

    def join_url(self, name: str) -> str:
        """Return the URL of a file or folder in this folder."""
        return f"{self.url.rstrip('/')}/{name}"

    # Status ----------------------------------------------------------------------------------

    def is_folder(self) -> bool:
        """Whether it is a folder.

        Raises:
            SourceError: `source.unreadable`
        """
        with translate_read_errors(self.url):
            return bool(self._fs.isdir(self._path))

    def size_bytes(self) -> int:
        """Return the size of a file.

        Raises:
            SourceError: `source.unreadable`
        """
        with translate_read_errors(self.url):
            return int(self._fs.info(self._path)["size"] or 0)

    def version(self, is_relevant: Callable[[str], bool]) -> str:
        """Return a digest that changes with the file, or with a relevant file of the folder.

        Raises:
            SourceError: `source.unreadable`
        """
        with translate_read_errors(self.url):
            if not self._fs.isdir(self._path):
                return _version(self._fs.info(self._path))
            found = self._fs.find(self._path, detail=True)
        listed = [[path, _version(found[path])] for path in sorted(filter(is_relevant, found))]
        return sha256(repr(listed).encode("utf-8", "surrogateescape")).hex()

    def files(self) -> dict[str, int]:
        """Return the size of each file in the folder, at any depth, by its relative path.

        Raises:
            SourceError: `source.unreadable`
        """
        start = len(self._path.rstrip("/")) + 1
        with translate_read_errors(self.url):
            found = self._fs.find(self._path, detail=True)
        return {path[start:]: int(info["size"] or 0) for path, info in found.items()}

    def exists(self, name: str) -> bool:
        """Whether a file of this name is in the folder.

        Raises:
            SourceError: `source.unreadable`
        """
        with translate_read_errors(self.url):
            return bool(self._fs.isfile(self.join_path(name)))

    # Reading ---------------------------------------------------------------------------------

    def read_bytes(self, name: str = "", start: int | None = None, end: int | None = None) -> bytes:
        """Return the content of the file, or of file `name` in the folder, from `start` to `end`.

        Raises:
            SourceError: `source.unreadable`
        """
        path = self.join_path(name) if name else self._path
        with translate_read_errors(self._url_of(name)):
            return bytes(self._fs.cat_file(path, start=start, end=end))

    @contextmanager
    def open(self, name: str = "") -> Iterator[BinaryIO]:
        """Open the file, or file `name` in the folder, for reading at any offset.

        Raises:
            SourceError: `source.unreadable`
        """
        path = self.join_path(name) if name else self._path
        with (
            translate_read_errors(self._url_of(name)),
            self._fs.open(path, "rb", block_size=_BLOCK) as file,
        ):
            yield file

    def get_file(self, path: Path) -> None:
        """Copy the file to a local file.

        Raises:
            SourceError: `source.unreadable`
        """
        with translate_read_errors(self.url):
            self._fs.get_file(self._path, str(path))

    # Writing ---------------------------------------------------------------------------------

    def put_file(self, name: str, source: Path) -> None:
        """Put a local file into the folder atomically; it replaces a file of the same name.

        Raises:
            OutputError: `output.failed`
        """
        if self.local_path is not None:
            target = Path(self.join_path(name))
            with source.open("rb") as file, _atomic_file(target) as out:
                shutil.copyfileobj(file, out, _CHUNK)
            return
        with _translate_write_errors(
            self._url_of(name)
        ):  # an object store shows no object before its end
            self._fs.put_file(os.fspath(source), self.join_path(name))

    def put_bytes(self, name: str, data: bytes) -> None:
        """Write bytes as a file into the folder atomically; it replaces a file of the same name.

        Raises:
            OutputError: `output.failed`
        """
        if self.local_path is not None:
            with _atomic_file(Path(self.join_path(name))) as out:
                out.write(data)
            return
        with _translate_write_errors(self._url_of(name)):
            self._fs.pipe_file(self.join_path(name), data)

    def remove(self, name: str) -> None:
        """Remove a folder within this one, with its content.

        Raises:
            OutputError: `output.failed`
        """
        with _translate_write_errors(self._url_of(name)):
            path = self.join_path(name)
            if self._fs.exists(path):
                # Object stores take a glob pattern; the local file system takes a name.
                self._fs.rm(glob.escape(path) if self.local_path is None else path, recursive=True)

    def _url_of(self, name: str) -> str:
        return self.join_url(name) if name else self.url


def expand_glob(name: str) -> list[str]:
    """Return the sorted URLs that match a glob pattern, or a name without wildcards itself.

    Local paths are not expanded; the shell does that.

    Raises:
        SourceError: `source.unreadable`, also if nothing matches.
    """
    if "://" not in name or not _WILDCARDS & set(name):
        return [name]
    with translate_read_errors(name):
        fs, path = _open_filesystem(name)
        found: list[str] = sorted(fs.unstrip_protocol(one) for one in fs.glob(path))
    if not found:
        hint = "check the address"
        raise SourceError("source.unreadable", "no file matches", where=redact(name), hint=hint)
    return found


def _open_filesystem(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it; a local path is not a pattern."""
    if not url:
        raise ValueError("the path is empty")
    if "://" not in url:
        return LocalFileSystem(), os.path.join(os.getcwd(), url)  # noqa: PTH109, PTH118
    # A cached listing would hide files that another worker has just written.
    fs, path = fsspec.url_to_fs(url, use_listings_cache=False)
    return fs, path


def _version(info: dict[str, Any]) -> str:
    fields = [str(info.get("size")), *(str(info.get(name, "")) for name in _VERSION_FIELDS)]
    return sha256(pack([*fields])).hex()


@contextmanager
def translate_read_errors(url: str) -> Iterator[None]:
    """Convert the errors of reading to `SourceError`.

    Raises:
        SourceError: `source.unreadable`
    """
    try:
        yield
    except MirrorError:
        raise
    except ImportError as error:
        hint = "install the package that it names, here and on every worker"
        raise SourceError("source.unreadable", str(error), where=redact(url), hint=hint) from error
    except Exception as error:  # each library of fsspec has its own classes
        raise SourceError(
            "source.unreadable", _reason(error), where=redact(url), hint="check the path"
        ) from error


def _atomic_file(path: Path) -> AbstractContextManager[IO[bytes]]:
    return OutputFile(path, force=True).open(make_folder=True)


@contextmanager
def _translate_write_errors(url: str) -> Iterator[None]:
    try:
        yield
    except MirrorError:
        raise
    except Exception as error:  # each library of fsspec has its own classes
        hint = "check the address, your permissions and the space there"
        raise OutputError("output.failed", _reason(error), where=redact(url), hint=hint) from error


def _reason(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    return redact(str(reason)) if reason else type(error).__name__
