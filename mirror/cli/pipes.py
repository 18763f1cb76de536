"""Standard output that nobody reads any more, or that has no room."""

from __future__ import annotations

import errno
import os
import select
import signal
import sys

__all__ = ["abandon_stdout", "die_of_closed_pipe", "is_closed_pipe"]


def is_closed_pipe(error: BaseException | None) -> bool:
    """Whether an error says that the reader of standard output or error closed its end.

    A broken pipe to anybody else, such as a server or another process of ours, is a fault.
    """
    if not isinstance(error, OSError) or error.errno != errno.EPIPE:
        return False
    return any(_has_no_reader(descriptor) for descriptor in (1, 2))


def _has_no_reader(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)  # errors are reported in any case
    return any(event & select.POLLERR for _, event in poll.poll(0))


def die_of_closed_pipe() -> None:
    """End this process by SIGPIPE: shells show 141, or nothing."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)


def abandon_stdout() -> None:
    """Let what could not be written go: Python would try it again as it ends, and complain."""
    if sys.stdout is not sys.__stdout__:
        return  # a test reads it
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
