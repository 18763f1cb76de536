"""How many bundles of a bag the native engine leaves to Python.

    python -m benchmark.other_way BAG KEYS

It prints how many bundles were read, and how many of them were left.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from mirror.core.keys import parse_key_set
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.pipeline import read_batches
from mirror.engine.ingest.worker import SourceMember
from mirror.engine.native_engine import engine_for


def main(bag: str, keys_path: Path) -> None:
    """Hand every bundle of a bag to the engine, and print how many it does not pass."""
    request = ReadRequest([bag], lambda _finding: None)
    keys = parse_key_set(keys_path.read_bytes())
    engine = engine_for(keys, request.limits.for_bundles(keys.profiles))
    bundles = left = 0
    for batch in read_batches(request):
        members = [
            (one.member.data, one.member.is_packed)
            for one in batch
            if isinstance(one, SourceMember)
        ]
        passed = engine.verify(members, time.time_ns() // 1000, encode=False) if engine else []
        bundles += len(members)
        left += len(members) - sum(one is not None for one in passed)
    print(json.dumps({"bundles": bundles, "other_way": left}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
