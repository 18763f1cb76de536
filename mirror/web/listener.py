"""Listening sockets, and the acceptance of their connections in the event loop."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from typing import Any

from mirror.web.connections import ACCEPTED_AT_ONCE, Connections

__all__ = ["Acceptor", "Listener"]

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_QUEUE = 2048
"""Connections that the operating system queues until they are accepted."""


class Listener(socket.socket):
    """A listening socket that keeps accepting connections when file descriptors run out."""

    def __init__(self, family: int, connections: Connections) -> None:
        super().__init__(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._connections = connections
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def listen(self, _backlog: int = _QUEUE, /) -> None:
        """Listen with a queue longer than the number of connections accepted at one time."""
        super().listen(_QUEUE)

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection.

        Raises:
            BlockingIOError: If there is none, or none can be accepted now.
        """
        try:
            return super().accept()
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            if not self._connections.make_room(str(error.strerror)):
                self._refuse_one()
            raise BlockingIOError from error

    def _refuse_one(self) -> None:
        """Accept and close one queued connection, with the spare descriptor."""
        os.close(self._spare)
        try:
            super().accept()[0].close()
        except OSError:
            pass
        finally:
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Close the socket and its spare descriptor."""
        super().close()
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1


class Acceptor:
    """Accepts the connections of a listener in the running event loop.

    The event loops would accept them by themselves, but asyncio's logs a line for each connection
    in the queue when file descriptors run out, and uvloop's refuses all of them.
    """

    def __init__(self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
        self._listener = listener
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        listener.settimeout(0)
        self._loop.add_reader(listener, self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                connection, _address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            task = self._loop.create_task(self._connect(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:
            connection.close()

    def close(self) -> None:
        """Accept no more."""
        self._loop.remove_reader(self._listener)

    async def wait_closed(self) -> None:
        """Wait for the connections that are being accepted."""
        await asyncio.gather(*self._tasks)
