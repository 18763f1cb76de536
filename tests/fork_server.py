"""A process that has imported the whole program, and forks for each command.

    python -m tests.fork_server DESCRIPTOR

The descriptor is a socket that listens. The command of `tests.program` sends its arguments, folder,
environment and standard streams, and ends as the fork ended. Such a command is a process of its
own, and takes a tenth of the time. The server ends when its standard input is closed.
"""

from __future__ import annotations

import gc
import marshal
import os
import select
import socket
import sys
import time
from contextlib import suppress
from typing import NoReturn

import nacl.bindings  # noqa: F401 - some commands import it when they need it
import sqlite_utils  # noqa: F401 - the same

import mirror.__main__
import tests.commands  # noqa: F401 - imports each command
from mirror.cli import main


def _serve(listener: socket.socket) -> None:
    """Fork for each connection, and send the exit code when the fork has ended."""
    running: dict[int, tuple[int, socket.socket]] = {}
    end = sys.stdin.fileno()
    while end not in (found := select.select([end, listener.fileno(), *running], [], [])[0]):
        for ready in found:
            if ready in running:
                process, client = running.pop(ready)
                os.close(ready)
                code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
                with client, suppress(OSError):  # the client may be gone
                    client.sendall(str(code).encode())
            else:
                client = listener.accept()[0]
                if not (process := os.fork()):
                    listener.close()
                    _run(client)
                running[os.pidfd_open(process)] = process, client


def _run(client: socket.socket) -> NoReturn:
    """Run the command that a client asks for, and end this process."""
    with client:
        _, passed, _, _ = socket.recv_fds(client, 1, 3)
        request = b"".join(iter(lambda: client.recv(1 << 16), b""))
    arguments, folder, environment, streams = marshal.loads(request)  # noqa: S302 - our own
    os.chdir(folder)
    os.environb.clear()
    os.environb.update(environment)
    time.tzset()
    sys.modules["__main__"] = mirror.__main__  # what processes import that the command starts
    _open_streams(dict(zip(streams, passed, strict=True)))
    try:
        main(arguments, prog_name="mirror")
    except SystemExit as end:
        if sys.stdout is not None:
            sys.stdout.flush()
        os._exit(int(end.code or 0))
    raise AssertionError("the command did not exit")


def _open_streams(passed: dict[int, int]) -> None:
    """Let the standard streams be those that a client passed; the others are closed."""
    encoding = os.environ.get("PYTHONIOENCODING")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old, new = getattr(sys, name), None
        os.close(number)
        if number in passed:
            os.dup2(passed[number], number)
            os.close(passed[number])
            new = open(  # noqa: SIM115 - for good
                number,
                old.mode,
                encoding=encoding or old.encoding,
                errors=old.errors,
                closefd=False,
            )
            new.reconfigure(line_buffering=new.isatty() or name == "stderr")
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)


if __name__ == "__main__":
    gc.collect()
    gc.freeze()  # otherwise each fork copies what its collector visits
    _serve(socket.socket(fileno=int(sys.argv[1])))
