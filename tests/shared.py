"""Real data and corpora of others, which lie beside the repository and not in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import oracle

SHARED = Path(__file__).resolve().parents[2] / "shared"


def shared(path: str) -> Path:
    """A file or folder of the shared material, or a skip."""
    found = SHARED / path
    if not found.exists():
        pytest.skip(f"{found} is absent: real data and corpora lie beside the repository")
    return found


def lines(path: str) -> list[Any]:
    """The values of a JSON Lines file."""
    return [oracle.parse(line) for line in shared(path).read_bytes().split(b"\n") if line.strip()]


def real_lines(kind: str) -> list[Any]:
    """The values of all files of real data of a kind, such as `bundle_heads`."""
    shared("real")
    paths = sorted((SHARED / "real").glob(f"{kind}*.jsonl"))
    assert paths, f"no real data of kind {kind}"
    return [line for path in paths for line in lines(f"real/{path.name}")]
