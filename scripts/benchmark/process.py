"""A fresh process for each measure: its time, its peak memory, and whether it did its work."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ENVIRONMENT: Final = {
    name: value for name, value in os.environ.items() if not name.startswith("MIRROR_")
}
"""What every process gets: no option of `mirror` may come from the person's own settings."""

_MAIN: Final = "from mirror.cli import main; main()"
_PURE: Final = "import os; os.environ['MIRROR_NATIVE'] = 'off'"
_PROGRAMS: Final = {
    "cryptography": f"{_PURE}; import sys; sys.modules['nacl'] = None; {_MAIN}",
    "pynacl": f"{_PURE}; {_MAIN}",
    "native": f"import os; os.environ['MIRROR_NATIVE'] = 'on'; {_MAIN}",
}
"""`mirror` with each engine: pure Python with one of two libraries, or native code."""


class RunError(Exception):
    """A process that did not end as it should."""


@dataclass(frozen=True)
class Spent:
    """What a process took."""

    seconds: float
    """From its start to its end, so with Python's own start."""
    cpu_seconds: float
    """Of all its threads and children."""
    peak_mib: float
    """The most memory that the process, or one child of it, held at a time."""
    output: str


def run(
    command: Sequence[str | Path],
    exits: Sequence[int] = (0,),
    environment: Mapping[str, str] = ENVIRONMENT,
) -> Spent:
    """Run a command to its end.

    Args:
        command: Program and arguments.
        exits: The exit codes of a run that went well.
        environment: Its environment variables.

    Raises:
        RunError: If it ended with another exit code.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode not in exits:
            raise RunError(_failure(command, process.returncode, err.read()))
        cpu_seconds = usage.ru_utime + usage.ru_stime
        return Spent(seconds, cpu_seconds, usage.ru_maxrss / 1024, out.read().decode())


def _failure(command: Sequence[str | Path], code: int, err: bytes) -> str:
    tail = err.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
    return f"`{' '.join(map(str, command))}` ended with {code}: {tail[0]}"


def module(name: str, *arguments: str | Path) -> list[str | Path]:
    """Return the command for a module of this package."""
    return [sys.executable, "-m", f"benchmark.{name}", *arguments]


def mirror(*arguments: str | Path, engine: str | None = None) -> list[str | Path]:
    """Return the command for `mirror` with an engine, or with that of `ENVIRONMENT`."""
    program = _MAIN if engine is None else _PROGRAMS[engine]
    return [sys.executable, "-c", program, *arguments]
