"""The least that answers over HTTP: what a server that does something is compared with.

`python -m benchmark.baseline_server PORT BYTES` serves a constant of so many bytes, as
`mirror serve` is served: one process of uvicorn with the same settings.
"""

from __future__ import annotations

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def create_app(size: int) -> Starlette:
    """Return an application that answers every request for a state with the same bytes."""
    body = b"x" * size

    async def constant(_request: Request) -> Response:
        return Response(body, media_type="application/json")

    return Starlette(routes=[Route("/pith/{suffix}/state.json", constant)])


if __name__ == "__main__":
    uvicorn.run(
        create_app(int(sys.argv[2])),
        port=int(sys.argv[1]),
        access_log=False,
        log_level="warning",
        server_header=False,
    )
