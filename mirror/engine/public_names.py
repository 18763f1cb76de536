"""Names of sources and upstreams that may be shown to everybody."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

__all__ = ["public_source"]


def public_source(source: str) -> str:
    """Return the name of a source without paths, users and queries, which may be private."""
    if re.match(r"https?://", source) is None:
        return source.rstrip("/").rpartition("/")[2] or source
    try:
        parts = urlsplit(source)
    except ValueError:
        return "a URL"
    return f"{parts.scheme}://{parts.hostname}{parts.path}"
