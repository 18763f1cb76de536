"""Atomic output files: checked before they are written, and either complete or absent.

Every command writes its files through `OutputFile`. It never replaces a store, a private key or a
file that the same run reads, and replaces other files only with `force`.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mirror.archive import BUNDLES, STATES
from mirror.errors import OutputError
from mirror.store import BESIDE

__all__ = ["OutputFile", "beside_store", "is_store"]

_STORE_HEADER = b"SQLite format 3\0"
"""SQLite file format, section 1.3."""
_APPLICATION_ID = slice(68, 72)
_LOG_HEADERS = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83", b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7")
"""Write-ahead log in both byte orders (section 4.1), and rollback journal (section 3)."""

_PRIVATE_KEY = re.compile(
    rb"""^(?:\xef\xbb\xbf)?(?:
        PRIVATE\+KEY\+                            # a signed note's signer: `mirror keys new`
        | -----BEGIN\ [A-Z0-9 ]*PRIVATE\ KEY      # RFC 7468, OpenSSH, OpenPGP
        | AGE-SECRET-KEY-
        | PuTTY-User-Key-File-
        | untrusted\ comment:.*secret\ key        # minisign, signify
    )""",
    re.MULTILINE | re.VERBOSE,
)
_PEEK_BYTES = 1 << 16

_READ_IN_FOLDERS = (BUNDLES, STATES)
"""Files that a command reads in a folder."""

_UNCHANGED = "name another file; nothing was changed in this one"
_UNWRITABLE = "check the folder, its permissions and the disk"
_NO_FILE = "name a file; `mirror export -` writes to standard output"


class _NotAFileError(FileExistsError):
    """The output is a pipe, a device or a folder."""


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file to write."""

    path: Path
    """The path; a link is followed."""
    force: bool = False
    """Whether to replace an existing file."""
    inputs: tuple[Path, ...] = ()
    """Files and folders that the same run reads, the store among them; never replaced."""
    may_replace: frozenset[int] = frozenset()
    """The application ids of SQLite databases that `force` may replace, too: copies of stores."""

    def check(self) -> os.stat_result | None:
        """Check that the file may be written, and return the status of an existing file.

        Only a regular file is opened, and only for reading.

        Raises:
            OutputError: `output.refused`, `output.exists`, or `output.failed` if it is not a
                regular file or its status cannot be read.
        """
        with _translate_os_errors(self.path):
            target = Path(os.path.realpath(self.path))
            self._require_no_input(target)
            try:
                about = target.stat() if self.path.exists() else None
            except FileNotFoundError:
                about = self.path.stat()  # a path in /proc: of a pipe or an unnamed file
            if about is None:
                return None
            if not stat.S_ISREG(about.st_mode):
                raise _NotAFileError(errno.EEXIST, "it exists and is not a regular file")
            self._require_replaceable(target)
            return about

    @contextmanager
    def open(self, *, make_folder: bool = False, private: bool = False) -> Iterator[IO[bytes]]:
        """Open a temporary file, which gets the path when all of it is on the disk.

        The new file has the mode and, where the system permits it, the owner of the one that it
        replaces.

        Args:
            make_folder: Whether to make the folder if it is missing.
            private: Whether only the owner may read it.

        Raises:
            OutputError: See `check`; or `output.failed` if it cannot be written. An existing file
                is unchanged then.
        """
        with _translate_os_errors(self.path):
            self.check()
            if private and self.path.is_symlink():
                raise self.refused(
                    "it is a link, and a private key is never written through a link"
                )
            target = Path(os.path.realpath(self.path))
            if make_folder:
                target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                dir=target.parent, prefix=f".{target.name[:40]}.", suffix=".partial", delete=False
            ) as file:
                try:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                    self._name(Path(file.name), target, private=private)
                except BaseException:
                    with suppress(OSError):
                        os.unlink(file.name)  # noqa: PTH108
                    raise

    def _name(self, written: Path, target: Path, *, private: bool) -> None:
        """Rename the temporary file, unless another file appeared at the path meanwhile."""
        before = self.check()
        if private:
            written.chmod(0o600)
        elif before is None:
            written.chmod(0o666 & ~_umask())  # as any new file
        else:
            with suppress(OSError):
                os.chown(written, before.st_uid, before.st_gid)
            written.chmod(stat.S_IMODE(before.st_mode))
        if self.force:
            written.replace(target)
            return
        try:
            os.link(written, target)
        except FileExistsError as error:
            raise self._exists() from error
        except OSError:  # a disk without hard links
            written.replace(target)
        else:
            written.unlink()

    def _require_no_input(self, target: Path) -> None:
        """Refuse files that this run reads, and files that SQLite keeps beside a store."""
        for one in self.inputs:
            if _is_same(target, one):
                raise self.refused("this command reads the same file")
            if any(_is_same(target, beside) for beside in beside_store(one)):
                raise self.refused(f"it belongs to {one}")
        for ending in BESIDE:
            store = target.with_name(target.name.removesuffix(ending) or target.name)
            if target.name.endswith(ending) and is_store(store):
                raise self.refused(f"it belongs to the store {store}")

    def _require_replaceable(self, target: Path) -> None:
        try:
            start = _start_of(target)
        except PermissionError as error:
            raise self.refused(
                "it cannot be read, so it may be a store or a private key"
            ) from error
        is_copy = int.from_bytes(start[_APPLICATION_ID], "big") in self.may_replace
        if start.startswith(_STORE_HEADER) and not is_copy:
            raise self.refused("it is a SQLite database, perhaps a store")
        if start.startswith(_LOG_HEADERS):
            raise self.refused("it is a log of a SQLite database, perhaps of a store")
        if _PRIVATE_KEY.search(start):
            raise self.refused("it holds a private key")
        if any(_is_read_in(one, target) for one in self.inputs):
            raise self.refused("this command reads it, in a folder")
        if not self.force:
            raise self._exists()

    def refused(self, message: str) -> OutputError:
        """Return the error that this file may not be written."""
        return OutputError("output.refused", message, where=str(self.path), hint=_UNCHANGED)

    def _exists(self) -> OutputError:
        hint = "name another file, or give --force to replace this one"
        return OutputError("output.exists", "it exists already", where=str(self.path), hint=hint)


def is_store(path: Path) -> bool:
    """Whether a file is a SQLite database; anything but a regular file is not opened."""
    try:
        return stat.S_ISREG(path.stat().st_mode) and _start_of(path).startswith(_STORE_HEADER)
    except OSError:
        return False


def beside_store(path: Path) -> list[Path]:
    """Return the paths of the files that SQLite keeps beside a database."""
    real = os.path.realpath(path)
    return [Path(f"{real}{ending}") for ending in BESIDE]


def _start_of(path: Path) -> bytes:
    """Return the first bytes of a regular file, without waiting for a writer."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
        return file.read(_PEEK_BYTES)


def _is_same(target: Path, other: Path) -> bool:
    """Whether two paths name one file, even if it does not exist."""
    try:
        return target.samefile(other)
    except OSError:
        return os.fspath(target) == os.path.realpath(other)


def _is_read_in(folder: Path, target: Path) -> bool:
    """Whether a file is read if this folder is a source."""
    within = target.is_relative_to(os.path.realpath(folder))
    is_wanted = any(one.is_name(target.name) for one in _READ_IN_FOLDERS)
    return within and is_wanted and folder.is_dir()


@contextmanager
def _translate_os_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        hint = _NO_FILE if isinstance(error, _NotAFileError) else _UNWRITABLE
        raise OutputError("output.failed", reason, where=str(path), hint=hint) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
