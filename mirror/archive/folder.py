"""A folder of bundles (rule C3)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mirror.archive.limits import Limits
from mirror.archive.member import (
    BUNDLES,
    Item,
    Refused,
    Wanted,
    fault_of_name,
    member_or_refusal,
    shown,
)

__all__ = ["read_folder"]


def read_folder(folder: Path, limits: Limits, wanted: Wanted = BUNDLES) -> Iterator[Item]:
    """Yield each file below `folder` that is wanted, in the order of their paths.

    Links are not followed: what they hide is refused, not left out in silence.
    """
    count = 0
    for parent, folders, files in os.walk(folder, onerror=_raise):
        folders.sort()
        for name in folders:
            if (path := Path(parent, name)).is_symlink():
                yield _refused(path, folder, "archive.member", "it is a link to a folder")
        for name in filter(wanted.is_name, sorted(files)):
            count += 1
            if count > limits.members:
                message = f"more than {limits.members} files; the rest was not read"
                yield _refused(Path(parent, name), folder, "limit.count", message)
                return
            yield _read(Path(parent, name), folder, limits)


def _raise(error: OSError) -> None:
    raise error


def _read(path: Path, folder: Path, limits: Limits) -> Item:
    fault = fault_of_name(path.relative_to(folder).as_posix())
    if fault is not None:
        return _refused(path, folder, "archive.member", fault)
    if path.is_symlink() or not path.is_file():
        return _refused(path, folder, "archive.member", "it is not a regular file")
    try:
        with path.open("rb") as file:
            data = file.read(limits.member_bytes + 1)
    except OSError as error:
        return _refused(path, folder, "archive.member", error.strerror or str(error))
    if len(data) > limits.member_bytes:
        message = f"larger than {limits.member_bytes} bytes"
        return _refused(path, folder, "limit.size", message)
    return member_or_refusal(path.relative_to(folder).as_posix(), data, limits)


def _refused(path: Path, folder: Path, code: str, message: str) -> Refused:
    return Refused(shown(path.relative_to(folder).as_posix()), code, message)
