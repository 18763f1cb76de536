"""Standard output that is closed by its reader, or on a full disk."""

from __future__ import annotations

import errno
import os
import select
import signal
import sys

__all__ = ["abandon_stdout", "die_of_closed_pipe", "is_closed_pipe"]


def is_closed_pipe(error: BaseException | None) -> bool:
    """Return whether an error means that the reader of standard output or error closed it.

    A broken pipe to another process, such as a server, is an error.
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
    """Discard unwritten output: Python would try to write it again at exit, and fail."""
    if sys.stdout is not sys.__stdout__:
        return  # a test reads it
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
