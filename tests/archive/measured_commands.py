"""Runs commands of `mirror` with limited memory and measures what they use, without its start-up.

Each is a fork of one process, which has loaded these commands and no others: `tests.fork_server`
has loaded all of them, so that its forks use more memory than the command does.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

__all__ = ["Finished", "MeasuredCommands"]

_SERVER = """
import json, os, resource, signal, sys
from mirror.cli import main

def run(arguments, limit):
    "The exit code of a command, whose output goes to files."
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        main(arguments)
    except SystemExit as end:
        return end.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0

def peak():
    "The peak memory of this process or a child of it, in KiB."
    with open("/proc/self/status") as status:
        (own,) = [int(line.split()[1]) for line in status if line.startswith("VmHWM:")]
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)

answers = os.fdopen(os.dup(1), "w")
for line in sys.stdin:
    arguments, limit, is_fork = json.loads(line)
    if not is_fork:  # loads what the command needs
        status = run(arguments, 0)
    elif child := os.fork():
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    else:
        signal.alarm(60)  # ends a hang
        code = run(arguments, limit)
        with open("peak", "w") as out:
            out.write(str(peak()))
        os._exit(code)
    print(status, file=answers, flush=True)
"""


class Finished(NamedTuple):
    """A command that ended."""

    exit_code: int
    """Negative if a signal ended it."""
    output: list[str]
    errors: str
    peak_bytes: int
    """The most memory that it used."""


class MeasuredCommands:
    """The process that forks, and its folder."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder

    @classmethod
    @contextmanager
    def started(cls, folder: Path) -> Iterator[MeasuredCommands]:
        """Start it; files that it writes go to an empty folder."""
        program = [sys.executable, "-c", _SERVER]
        with subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder, text=True
        ) as process:
            yield cls(process, folder)

    def load(self, *arguments: str) -> None:
        """Run a command in the process itself, so that a fork has loaded what it needs."""
        assert self._ask(arguments, 0, is_fork=False) == 0

    def run(self, *arguments: str, address_space: int = 0) -> Finished:
        """Run a command in a fork.

        Args:
            arguments: Of the command line.
            address_space: The most that it may use, in bytes; 0 for any.
        """
        (self._folder / "peak").write_text("0")
        code = self._ask(arguments, address_space, is_fork=True)
        out, err, peak = ((self._folder / name).read_text() for name in ("out", "err", "peak"))
        return Finished(code, out.splitlines(), err, int(peak) * 1024)

    def _ask(self, arguments: tuple[str, ...], limit: int, *, is_fork: bool) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([arguments, limit, is_fork]), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())
