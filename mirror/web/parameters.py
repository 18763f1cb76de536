"""Parameters in the query of a request."""

from __future__ import annotations

import re

from starlette.requests import Request

from mirror.errors import FormatError

__all__ = ["LARGEST_NUMBER", "number_parameter"]

LARGEST_NUMBER = 2**53
"""The highest number that every reader of JSON can write back."""


def number_parameter(request: Request, name: str, default: int, highest: int) -> int:
    """Return a number in the query of a request.

    Raises:
        FormatError: `request.` and the name, if it is not a number from 0 to `highest`.
    """
    text = request.query_params.get(name, str(default))
    if re.fullmatch(r"[0-9]{1,16}", text) is None or int(text) > highest:
        raise FormatError(f"request.{name}", f"{name} must be a number from 0 to {highest}")
    return int(text)
