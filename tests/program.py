"""The command `mirror` for tests that run it in a process: it needs no time to start."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
"""Python without its `site`, and only small modules, so that it starts quickly."""


@contextmanager
def installed_program() -> Iterator[Path]:
    """Yield the path of a command `mirror`, in a folder of its own, that can be run meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix="mirror-"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        listener.listen(64)
        command = [sys.executable, "-W", "error", "-m", "tests.fork_server", str(listener.fileno())]
        server = subprocess.Popen(
            command,
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
            start_new_session=True,  # Ctrl-C is for the tests
        )
    path = folder / "mirror"
    path.write_text(_CLIENT.format(python=sys.executable, address=str(folder / "socket")))
    path.chmod(0o700)
    try:
        yield path
    finally:
        server.communicate()  # the server ends with its standard input
        shutil.rmtree(folder)
