"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mirror.errors import OutputError

__all__ = ["write_whole"]


@contextmanager
def write_whole(path: Path, *, make_folder: bool = False) -> Iterator[IO[bytes]]:
    """Give a file to write; it takes its name only when all of it is on the disk.

    Args:
        path: The name.
        make_folder: Whether to make the folder if it is not there.

    Raises:
        OutputError: `output.failed` if it cannot be written; a file that stood there still does.
    """
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise FileExistsError(errno.EEXIST, "it exists and is not a regular file")
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".partial", delete=False
        ) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                os.chmod(file.name, 0o666 & ~_umask())  # noqa: PTH101 - as any new file
                os.replace(file.name, path)  # noqa: PTH105
            except BaseException:
                with suppress(OSError):
                    os.unlink(file.name)  # noqa: PTH108
                raise
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "check the folder, its permissions and the disk"
        raise OutputError("output.failed", reason, where=str(path), hint=hint) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
