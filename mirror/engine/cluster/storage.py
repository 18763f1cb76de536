"""Files and folders by URL, on disks and in object stores (fsspec): sources, and results.

Every library behind fsspec has exceptions of its own; here they become ours.
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from mirror.core.msgpack_values import pack
from mirror.core.redaction import redact
from mirror.core.values import sha256
from mirror.engine.atomic_file import OutputFile
from mirror.errors import MirrorError, OutputError, SourceError

__all__ = ["StoragePath", "expand", "reading"]

_WILD = frozenset("*?[")
_CHUNK = 1 << 20
_BLOCK = 4 << 20
"""Bytes that are fetched at a time where a file is read from its start to its end."""

_VERSION = ("ETag", "etag", "md5Hash", "generation", "mtime", "LastModified", "Last-Modified")
"""What of a listing tells that a file has changed; each kind of store has some of these."""


class StoragePath:
    """A file or a folder that a URL names."""

    def __init__(self, url: str) -> None:
        """Find out who knows places of this kind; nothing is read yet.

        Raises:
            SourceError: `source.unreadable` for a URL that nothing here can read.
        """
        self.url = url
        with reading(url):
            self._fs, self._path = _locate(url)

    @property
    def local_path(self) -> str | None:
        """The path on this machine; None for what is elsewhere."""
        return self._path if isinstance(self._fs, LocalFileSystem) else None

    def within(self, name: str) -> str:
        """Return the path of a file in this folder."""
        return f"{self._path.rstrip('/')}/{name}"

    def within_url(self, name: str) -> str:
        """Return the URL of a file or folder in this folder."""
        return f"{self.url.rstrip('/')}/{name}"

    # What is there ---------------------------------------------------------------------------

    def is_folder(self) -> bool:
        """Whether it is a folder.

        Raises:
            SourceError: `source.unreadable`
        """
        with reading(self.url):
            return bool(self._fs.isdir(self._path))

    def size_bytes(self) -> int:
        """Return the size of a file.

        Raises:
            SourceError: `source.unreadable`
        """
        with reading(self.url):
            return int(self._fs.info(self._path)["size"] or 0)

    def version(self, is_meant: Callable[[str], bool]) -> str:
        """Return what changes when the file does, or any in the folder whose name is meant.

        Raises:
            SourceError: `source.unreadable`
        """
        with reading(self.url):
            if not self._fs.isdir(self._path):
                return _version(self._fs.info(self._path))
            found = self._fs.find(self._path, detail=True)
        listed = [[path, _version(found[path])] for path in sorted(filter(is_meant, found))]
        return sha256(repr(listed).encode("utf-8", "surrogateescape")).hex()

    def files(self) -> dict[str, int]:
        """Return the size of every file in the folder, at any depth, by its path within.

        Raises:
            SourceError: `source.unreadable`
        """
        start = len(self._path.rstrip("/")) + 1
        with reading(self.url):
            found = self._fs.find(self._path, detail=True)
        return {path[start:]: int(about["size"] or 0) for path, about in found.items()}

    def has(self, name: str) -> bool:
        """Whether a file of this name is in the folder.

        Raises:
            SourceError: `source.unreadable`
        """
        with reading(self.url):
            return bool(self._fs.isfile(self.within(name)))

    # Reading ---------------------------------------------------------------------------------

    def read(self, name: str = "", start: int | None = None, end: int | None = None) -> bytes:
        """Return a file, of this folder if it is named, or the bytes from `start` to `end`.

        Raises:
            SourceError: `source.unreadable`
        """
        path = self.within(name) if name else self._path
        with reading(self._url_of(name)):
            return bytes(self._fs.cat_file(path, start=start, end=end))

    @contextmanager
    def open(self, name: str = "") -> Iterator[BinaryIO]:
        """Open a file, of this folder if it is named, to read any part of it.

        Raises:
            SourceError: `source.unreadable`
        """
        path = self.within(name) if name else self._path
        with reading(self._url_of(name)), self._fs.open(path, "rb", block_size=_BLOCK) as file:
            yield file

    def copy_to(self, path: Path) -> None:
        """Copy the file to this machine.

        Raises:
            SourceError: `source.unreadable`
        """
        with reading(self.url):
            self._fs.get_file(self._path, str(path))

    # Writing ---------------------------------------------------------------------------------

    def publish(self, name: str, source: Path) -> None:
        """Give the folder a file: it appears whole or not at all, in place of one of this name.

        Raises:
            OutputError: `output.failed`
        """
        if self.local_path is not None:
            target = Path(self.within(name))
            with source.open("rb") as file, _replacing(target) as out:
                shutil.copyfileobj(file, out, _CHUNK)
            return
        with _writing(self._url_of(name)):  # an object store shows no object before its end
            self._fs.put_file(os.fspath(source), self.within(name))

    def publish_bytes(self, name: str, data: bytes) -> None:
        """Do the same with what is not in a file.

        Raises:
            OutputError: `output.failed`
        """
        if self.local_path is not None:
            with _replacing(Path(self.within(name))) as out:
                out.write(data)
            return
        with _writing(self._url_of(name)):
            self._fs.pipe_file(self.within(name), data)

    def remove(self, name: str) -> None:
        """Remove a folder within this one, and all that is in it.

        Raises:
            OutputError: `output.failed`
        """
        with _writing(self._url_of(name)):
            path = self.within(name)
            if self._fs.exists(path):
                # What an object store is to remove is a pattern; here it is a name.
                self._fs.rm(glob.escape(path) if self.local_path is None else path, recursive=True)

    def _url_of(self, name: str) -> str:
        return self.within_url(name) if name else self.url


def expand(name: str) -> list[str]:
    """Return the URLs that a name with wildcards stands for, ascending; of others, itself.

    Paths on this machine are left to the shell.

    Raises:
        SourceError: `source.unreadable`, also if it stands for nothing.
    """
    if "://" not in name or not _WILD & set(name):
        return [name]
    with reading(name):
        fs, path = _locate(name)
        found = sorted(fs.unstrip_protocol(one) for one in cast("list[str]", fs.glob(path)))
    if not found:
        hint = "check the address"
        raise SourceError("source.unreadable", "nothing is there", where=redact(name), hint=hint)
    return found


def _locate(url: str) -> tuple[Any, str]:
    """Return what knows a URL, and its path there; a path on this machine is no pattern."""
    if not url:
        raise ValueError("the path is empty")
    if "://" not in url:
        return LocalFileSystem(), os.path.join(os.getcwd(), url)  # noqa: PTH109, PTH118
    # A listing of a moment ago would hide what another worker has just written.
    return cast("tuple[Any, str]", fsspec.url_to_fs(url, use_listings_cache=False))


def _version(about: dict[str, Any]) -> str:
    parts = [str(about.get("size")), *(str(about.get(name, "")) for name in _VERSION)]
    return sha256(pack([*parts])).hex()


@contextmanager
def reading(url: str) -> Iterator[None]:
    """Turn whatever goes wrong while a place is read into an error of ours.

    Raises:
        SourceError: `source.unreadable`
    """
    try:
        yield
    except MirrorError:
        raise
    except ImportError as error:
        hint = "install the package that it names beside mirror, on every worker, too"
        raise SourceError("source.unreadable", str(error), where=redact(url), hint=hint) from error
    except Exception as error:  # as many classes as there are libraries behind fsspec
        raise SourceError(
            "source.unreadable", _reason(error), where=redact(url), hint="check the path"
        ) from error


def _replacing(path: Path) -> AbstractContextManager[IO[bytes]]:
    return OutputFile(path, force=True).open(make_folder=True)


@contextmanager
def _writing(url: str) -> Iterator[None]:
    try:
        yield
    except MirrorError:
        raise
    except Exception as error:  # likewise
        hint = "check the address, your permissions and the space there"
        raise OutputError("output.failed", _reason(error), where=redact(url), hint=hint) from error


def _reason(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    return redact(str(reason)) if reason else type(error).__name__
