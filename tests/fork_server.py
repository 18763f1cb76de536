"""The program without its start: a process that has imported all of it forks for each command.

As a program, it is that process: `python -m tests.fork_server DESCRIPTOR`. The command `mirror`
that `installed_program` makes sends it its arguments, folder, environment and standard streams, and
ends as the fork ended. Such a command is a process of its own, and takes a tenth of the time.
"""

from __future__ import annotations

import gc
import marshal
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import mirror.__main__
import tests.commands  # noqa: F401 - imports each command
from mirror.cli import main

__all__ = ["installed_program"]

_ROOT = Path(__file__).resolve().parents[1]
_CLIENT = """#!{python} -ISs
import _signal, _socket, marshal, os, sys

def is_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True

streams = [number for number in range(3) if is_open(number)]
request = marshal.dumps((sys.argv[1:], os.getcwdb(), dict(os.environb), streams))
server = _socket.socket(_socket.AF_UNIX)
server.connect({address!r})
passed = b"".join(number.to_bytes(4, sys.byteorder) for number in streams)
server.sendmsg([b" "], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, passed)] if streams else [])
while request:
    request = request[server.send(request):]
server.shutdown(_socket.SHUT_WR)
code = int(server.recv(16) or 99)
if code < 0:
    _signal.signal(-code, _signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""
"""Written for a quick start: Python without its `site`, and no module that is not built in."""


@contextmanager
def installed_program() -> Iterator[Path]:
    """Yield the path of a command `mirror`, in a folder of its own, that can be run meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix="mirror-"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        listener.listen(64)
        command = [sys.executable, "-W", "error", "-m", "tests.fork_server", str(listener.fileno())]
        server = subprocess.Popen(
            command, cwd=_ROOT, pass_fds=[listener.fileno()], start_new_session=True
        )
    path = folder / "mirror"
    path.write_text(_CLIENT.format(python=sys.executable, address=str(folder / "socket")))
    path.chmod(0o700)
    try:
        yield path
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


# The server ----------------------------------------------------------------------------------


def _serve(listener: socket.socket) -> None:
    """Fork for each connection, and send the exit code when the fork has ended."""
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for ready in select.select([listener.fileno(), *running], [], [])[0]:
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
