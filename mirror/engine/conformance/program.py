"""Runs a program over a batch of tasks, and reads its answers.

The program is not trusted: it may be silent, endless, or deaf. A batch has a limit of time, and its
output a limit of size; what it started is ended with it.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

from mirror.core.values import Object, decode
from mirror.errors import FormatError, SourceError

__all__ = ["BatchAnswers", "Program"]

_PIECE_BYTES = 1 << 16
_STDERR_BYTES = 2000
"""How much of the end of standard error is kept."""
_SECONDS = "the limit of time"
_FAULTS = 10
"""Faulty lines after which an output is not read on."""
_SLACK_BYTES = 1 << 20
_SLACK_FACTOR = 8
"""A program may write so many times what the answers need, and so much more."""


@dataclass(slots=True)
class BatchAnswers:
    """The answers of a program to a batch."""

    answers: dict[int, Object] = field(default_factory=dict)
    """By id; the first answer to each task."""
    faults: list[str] = field(default_factory=list)
    """Faults of the output, or of the end of the program, in words."""
    is_late: bool = False
    """Whether it did not end within the limit of time."""
    stderr: str = ""
    """The end of what it wrote to standard error, without control characters."""

    @property
    def fault(self) -> str:
        """The first fault; empty if there is none."""
        return self.faults[0] if self.faults else ""


class Program:
    """A command that is started for each batch."""

    def __init__(self, command: Sequence[str], time_limit_s: float) -> None:
        """Prepare to run a command; `time_limit_s` is for each batch, in seconds."""
        self.command = tuple(command)
        self._time_limit_s = time_limit_s

    def ask(self, lines: Mapping[int, bytes], answer_bytes: int) -> BatchAnswers:
        """Give tasks to the program, and return its answers.

        Args:
            lines: The line of each task by its id.
            answer_bytes: Size of the answers that are expected.

        Raises:
            SourceError: `conformance.program` if it cannot be started.
        """
        found = BatchAnswers()
        limit = _SLACK_BYTES + _SLACK_FACTOR * answer_bytes
        with self._started() as process:
            exchange = _Exchange(process, b"".join(lines.values()), limit)
            try:
                fault = exchange.run(time.monotonic() + self._time_limit_s)
            finally:
                _end(process)
        found.stderr = _printable(exchange.stderr)
        _read_answers(bytes(exchange.output), lines, found)
        if not fault and process.returncode != 0:
            fault = _status(process.returncode)
        if fault:
            found.is_late = _SECONDS in fault
            found.faults.insert(0, fault.replace(_SECONDS, f"{self._time_limit_s:g} seconds"))
        return found

    def _started(self) -> subprocess.Popen[bytes]:
        """Start the program in a session of its own, so that all that it starts can be ended."""
        pipe = subprocess.PIPE
        try:
            return subprocess.Popen(
                self.command,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                start_new_session=True,
                bufsize=0,
            )
        except (OSError, ValueError) as error:
            message = f"{self.command[0]} cannot be started: {error}"
            hint = "name a program, with its path if it is not installed"
            raise SourceError("conformance.program", message, hint=hint) from error


class _Exchange:
    """Writes to a process and reads from it, whichever is possible, in one thread."""

    def __init__(self, process: subprocess.Popen[bytes], data: bytes, limit: int) -> None:
        self.output, self.stderr = bytearray(), b""
        self._process, self._data, self._limit = process, memoryview(data), limit
        self._written = 0
        self._selector = selectors.DefaultSelector()
        self._open: list[IO[bytes]] = []
        for stream, event in (
            (process.stdin, selectors.EVENT_WRITE),
            (process.stdout, selectors.EVENT_READ),
            (process.stderr, selectors.EVENT_READ),
        ):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                self._selector.register(stream, event)
                self._open.append(stream)

    def run(self, deadline: float) -> str:
        """Exchange until the process has closed its output; return a fault, or nothing."""
        with self._selector:
            while self._process.stdout in self._open:
                rest = deadline - time.monotonic()
                if rest <= 0:
                    return f"it did not end within {_SECONDS}"
                for key, _ in self._selector.select(rest):
                    self._serve(key.fileobj)  # type: ignore[arg-type]
                if len(self.output) > self._limit:
                    return f"it wrote more than {self._limit:,} bytes, and was ended"
        return self._wait(deadline)

    def _wait(self, deadline: float) -> str:
        try:
            self._process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return f"it closed its output, and did not end within {_SECONDS}"
        return ""

    def _serve(self, stream: IO[bytes]) -> None:
        if stream is self._process.stdin:
            self._write(stream)
            return
        with suppress(BlockingIOError):
            piece = os.read(stream.fileno(), _PIECE_BYTES)
            if not piece:
                self._close(stream)
            elif stream is self._process.stdout:
                self.output += piece
            else:
                self.stderr = (self.stderr + piece)[-_STDERR_BYTES:]

    def _write(self, stream: IO[bytes]) -> None:
        try:
            piece = self._data[self._written : self._written + _PIECE_BYTES]
            self._written += os.write(stream.fileno(), piece)
        except BlockingIOError:
            return
        except OSError:  # it reads no more; whether that is a fault, its answers show
            self._written = len(self._data)
        if self._written == len(self._data):
            self._close(stream)

    def _close(self, stream: IO[bytes]) -> None:
        self._selector.unregister(stream)
        self._open.remove(stream)
        with suppress(OSError):
            stream.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and all that it started in its session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _status(returncode: int) -> str:
    if returncode < 0:
        return f"it was ended by signal {-returncode}"
    return f"it ended with exit status {returncode}"


def _printable(text: bytes) -> str:
    return "".join(
        one if one.isprintable() or one == "\n" else "\ufffd"
        for one in text.decode("utf-8", "replace")
    )


def _read_answers(output: bytes, lines: Mapping[int, bytes], found: BatchAnswers) -> None:
    """Read the lines of an output."""
    for number, line in enumerate(output.split(b"\n"), 1):
        if not line.strip(b" \t\r"):
            continue
        if len(found.faults) == _FAULTS:
            break
        answer_id, answer = _parsed(line)
        if answer is None or answer_id not in lines:
            what = "has no id of a task" if answer is not None else "is no JSON object"
            found.faults.append(f"line {number} of its output {what}: {_printable(line[:80])}")
        elif found.answers.setdefault(answer_id, answer) is not answer:
            found.faults.append(f"line {number} of its output is a second answer to {answer_id}")


def _parsed(line: bytes) -> tuple[int, Object | None]:
    try:
        value = decode(line)
    except FormatError:
        return -1, None
    if not isinstance(value, dict):
        return -1, None
    number = value.get("id")
    return (number if isinstance(number, int) and number is not True else -1), value
