"""A mirror that passes on what another one answers, and lies about some of it."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Lie", "lying_mirror"]

Lie = Callable[[bytes], bytes]
"""The answer of the honest mirror in, the one that is sent out."""

_PASSED_ON = ("Content-Type", "Content-Security-Policy")


@contextmanager
def lying_mirror(honest: str, lies: Mapping[str, Lie]) -> Iterator[str]:
    """Serve all paths of the honest mirror, those in `lies` with a lie; the base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with urllib.request.urlopen(honest + self.path) as answer:  # noqa: S310 - http
                body = answer.read()
                self.send_response(answer.status)
                for name in _PASSED_ON:
                    self.send_header(name, answer.headers[name])
            if self.path in lies:
                body = lies[self.path](body)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
