"""The OpenAPI 3.1 description of the server, as `/openapi.json` sends it.

The description is data: `openapi.json` in this folder. It lists GET, and POST where that is
allowed; HEAD follows from GET (RFC 9110 section 9.3.2: the same response without a body), and the
version is the package's.
Tests request every operation and check each response against the description.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import orjson

import mirror

__all__ = ["description"]

_GET_ONLY = "405"
"""The shared response that no operation refers to: it answers any other method."""


@cache
def description() -> dict[str, Any]:
    """Return the description as JSON values, which callers must not change."""
    described: dict[str, Any] = orjson.loads(files(__name__).joinpath("openapi.json").read_bytes())
    described["info"]["version"] = mirror.__version__
    for item in described["paths"].values():
        item["head"] = _head(item["get"])
    shared = described["components"]["responses"]
    bodiless = {f"{name}-head": _without_body(shared[name]) for name in shared if name != _GET_ONLY}
    shared.update(bodiless)
    return described


def _head(get: dict[str, Any]) -> dict[str, Any]:
    """Return the HEAD operation that belongs to a GET operation."""
    return {
        "operationId": get["operationId"].replace("get_", "head_"),
        "summary": f"{get['summary']} Headers only.",
        "responses": {status: _without_body(one) for status, one in get["responses"].items()},
    }


def _without_body(response: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in response:
        return {"$ref": f"{response['$ref']}-head"}
    return {name: value for name, value in response.items() if name != "content"}
