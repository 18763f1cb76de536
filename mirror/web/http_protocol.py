"""uvicorn's HTTP protocols: with httptools, where that is installed, and with h11."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["PROTOCOLS"]


def _protocols() -> Mapping[str, type[asyncio.Protocol]]:
    if find_spec("httptools") is None:
        return {"h11": H11Protocol}
    from mirror.web.httptools_protocol import CheckedProtocol  # noqa: PLC0415

    return {"httptools": CheckedProtocol, "h11": H11Protocol}


PROTOCOLS: Final = _protocols()
"""The protocols by the name of their parser, the fastest first."""
