"""Processes: their children, their end, whoever their parent is by then, and what they wait for."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import select
import subprocess
import sys
import termios
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO

__all__ = ["assert_ended", "children_of", "wait_until_read", "watched"]

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


def wait_until_read(process: subprocess.Popen[bytes]) -> None:
    """Wait until a process has read what was written to it, and sleeps because it wants more."""
    assert process.stdin is not None
    process.stdin.flush()
    deadline = time.monotonic() + PATIENCE_S
    while _unread(process.stdin) or _state(process.pid) != "S":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _unread(pipe: IO[bytes]) -> int:
    """How many bytes of a pipe nobody has read yet."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def _state(process: int) -> str:
    """The state of a process: R while it runs, S while it sleeps."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
