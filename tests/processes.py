"""The children of a process, and waiting for their end, whoever their parent is by then."""

from __future__ import annotations

import multiprocessing
import os
import select
from multiprocessing.process import BaseProcess
from pathlib import Path

__all__ = ["assert_ended", "children_of", "watched"]

PATIENCE_S = 60
"""After which a process that should end is taken for one that does not."""


def own_children() -> list[BaseProcess]:
    """The processes that this one started, but for the workers of a cluster that tests share."""
    return [one for one in multiprocessing.active_children() if "Dask" not in one.name]


def children_of(process: int) -> list[int]:
    """The children of a process."""
    found = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return list(map(int, found))


def watched(processes: list[int]) -> dict[int, int]:
    """Processes, each with a handle that is readable once it has ended."""
    return {process: os.pidfd_open(process) for process in processes}


def assert_ended(handles: dict[int, int]) -> None:
    """Assert that all of them end."""
    for child, handle in handles.items():
        assert select.select([handle], [], [], PATIENCE_S)[0] == [handle], f"{child} is still there"
        os.close(handle)
