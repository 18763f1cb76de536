"""A calendar of OpenTimestamps on 127.0.0.1: a real server, honest or hostile as a test wishes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentimestamps.core.notary import BitcoinBlockHeaderAttestation, PendingAttestation
from opentimestamps.core.op import OpAppend, OpSHA256
from opentimestamps.core.serialize import BytesSerializationContext
from opentimestamps.core.timestamp import Timestamp

__all__ = ["Calendar", "running", "to_bytes"]


def to_bytes(timestamp: Timestamp) -> bytes:
    """Return a timestamp as a calendar sends it."""
    context = BytesSerializationContext()
    timestamp.serialize(context)
    return bytes(context.getbytes())


class Calendar:
    """What a calendar has promised, and whether its proofs are ready."""

    def __init__(self) -> None:
        self.url = ""
        self.digests: list[bytes] = []
        """The digests that it was sent."""
        self.commitments: list[bytes] = []
        self.height: int | None = None
        """The block that has all its commitments; None before it is mined."""
        self.says: bytes | None = None
        """Sent instead of an honest answer."""
        self.status = 200
        self.promises_as = ""
        """The address in its promises; its own if empty."""
        self.asked: list[str] = []
        """The paths of all requests."""

    def promise(self, digest: bytes) -> bytes:
        """Answer a digest."""
        self.digests.append(digest)
        found = Timestamp(digest)
        node = found.ops.add(OpAppend(b"of the calendar")).ops.add(OpSHA256())
        node.attestations.add(PendingAttestation(self.promises_as or self.url))
        self.commitments.append(node.msg)
        return to_bytes(found)

    def root(self, commitment: bytes) -> bytes:
        """Return the Merkle root to which the proof of a commitment leads."""
        return bytes(self._leaf(Timestamp(commitment)).msg)

    def _leaf(self, found: Timestamp) -> Timestamp:
        return found.ops.add(OpAppend(b"beside it in the block")).ops.add(OpSHA256())

    def prove(self, commitment: bytes) -> bytes | None:
        """Answer a commitment; None if it is not in a block yet."""
        if self.height is None or commitment not in self.commitments:
            return None
        found = Timestamp(commitment)
        self._leaf(found).attestations.add(BitcoinBlockHeaderAttestation(self.height))
        return to_bytes(found)


class _Handler(BaseHTTPRequestHandler):
    calendar: Calendar

    def do_POST(self) -> None:
        """Take a digest."""
        digest = self.rfile.read(int(self.headers["Content-Length"]))
        is_right = self.path == "/digest" and self.headers["Accept"].endswith("opentimestamps.v1")
        self._send(self.calendar.promise(digest) if is_right else None)

    def do_GET(self) -> None:
        """Give a proof."""
        self._send(self.calendar.prove(bytes.fromhex(self.path.removeprefix("/timestamp/"))))

    def _send(self, answer: bytes | None) -> None:
        self.calendar.asked.append(self.path)
        answer = answer if self.calendar.says is None else self.calendar.says
        body = b"Pending confirmation in Bitcoin blockchain" if answer is None else answer
        self.send_response(404 if answer is None else self.calendar.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Print nothing."""


@contextmanager
def running() -> Iterator[Calendar]:
    """Serve a calendar."""
    calendar = Calendar()
    handler = type("_Bound", (_Handler,), {"calendar": calendar})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        calendar.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield calendar
        finally:
            server.shutdown()
            thread.join()
