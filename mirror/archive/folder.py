"""A folder of bundles (rule C3)."""

from __future__ import annotations

import os
import stat
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

__all__ = ["list_folder", "read_folder", "read_in_folder", "take_file"]


def read_folder(folder: Path, limits: Limits, wanted: Wanted = BUNDLES) -> Iterator[Item]:
    """Yield each file below `folder` that is wanted, in the order of their paths.

    Links are not followed: what they hide is refused, not left out in silence.
    """
    root = os.fspath(folder)
    for place in list_folder(folder, limits, wanted):
        yield place if isinstance(place, Refused) else read_in_folder(root, place, limits)


def list_folder(folder: Path, limits: Limits, wanted: Wanted = BUNDLES) -> Iterator[str | Refused]:
    """Yield the path within `folder` of each file that is wanted, in the order of `read_folder`."""
    count = 0
    for parent, folders, files in os.walk(folder, onerror=_raise):
        folders.sort()
        for name in folders:
            if (path := Path(parent, name)).is_symlink():
                yield _refused(path, folder, "archive.member", "it is a link to a folder")
        within = parent[len(os.fspath(folder)) :].lstrip("/")
        for name in filter(wanted.is_name, sorted(files)):
            place = f"{within}/{name}" if within else name
            count += 1
            if count > limits.members:
                message = f"more than {limits.members} files; the rest was not read"
                yield Refused(shown(place), "limit.count", message)
                return
            yield place


def _raise(error: OSError) -> None:
    raise error


def read_in_folder(folder: str, place: str, limits: Limits) -> Item:
    """Return what is in a file of a folder, or why it is refused.

    Args:
        folder: The folder.
        place: The file's path within it.
        limits: What this mirror accepts.
    """
    fault = fault_of_name(place)
    if fault is not None:
        return Refused(shown(place), "archive.member", fault)
    path = f"{folder}/{place}"
    try:
        about = os.lstat(path)
        if not stat.S_ISREG(about.st_mode):
            return Refused(shown(place), "archive.member", "it is not a regular file")
        with open(path, "rb") as file:  # noqa: PTH123 - there may be millions
            # To ask for far more than there is would cost more than the reading itself.
            data = file.read(min(about.st_size, limits.member_bytes) + 1)
            if len(data) > about.st_size:
                data += file.read(max(0, limits.member_bytes + 1 - len(data)))
    except OSError as error:
        return Refused(shown(place), "archive.member", error.strerror or str(error))
    return take_file(place, data, limits)


def take_file(place: str, data: bytes, limits: Limits) -> Item:
    """Return a file's content as a member, if this mirror accepts it.

    Args:
        place: Its path within the folder.
        data: Its content, or more of it than is accepted.
        limits: What this mirror accepts.
    """
    if len(data) > limits.member_bytes:
        return Refused(shown(place), "limit.size", f"larger than {limits.member_bytes} bytes")
    return member_or_refusal(place, data, limits)


def _refused(path: Path, folder: Path, code: str, message: str) -> Refused:
    return Refused(shown(path.relative_to(folder).as_posix()), code, message)
