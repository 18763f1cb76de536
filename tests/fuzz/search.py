"""A search with atheris, guided by the coverage of `mirror`.

    python -m tests.fuzz.search TARGET SECONDS

A fault ends it with a trace, and leaves the input in a file of the working folder.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mirror"]):
    from tests.fuzz.harness import TARGETS, seeds


def search(target: str, seconds: int) -> None:
    """Search for this many seconds, beginning with the seeds of the target."""
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds(target)):
            Path(corpus, str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", "-rss_limit_mb=2048", "-max_len=40000", corpus]
        atheris.Setup([sys.argv[0], *options], TARGETS[target])
        atheris.Fuzz()


if __name__ == "__main__":
    search(sys.argv[1], int(sys.argv[2]))
