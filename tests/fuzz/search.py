"""Searches with atheris, guided by the coverage of `mirror`.

    python -m tests.fuzz.search SECONDS TARGET...

Each target is searched for that long, one after another; for 0 seconds, with 500 inputs. A fault
ends it with a trace, and leaves the input in a file of the working folder.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mirror"]):
    from tests.fuzz.harness import TARGETS, seeds


INPUTS = 500
"""Inputs of a search that has no time of its own."""


def search(target: str, seconds: int, corpus: str) -> None:
    """Search for this many seconds, beginning with the seeds of the target; it ends the process."""
    for number, seed in enumerate(seeds(target)):
        Path(corpus, str(number)).write_bytes(seed)
    limit = f"-max_total_time={seconds}" if seconds else f"-runs={INPUTS}"
    options = [limit, "-rss_limit_mb=2048", "-max_len=40000", corpus]
    atheris.Setup([sys.argv[0], *options], TARGETS[target])
    atheris.Fuzz()


def search_each(targets: list[str], seconds: int) -> str | None:
    """Search each in a child, for a search ends its process; return the target of the first fault.

    The children share what is slow: the instrumented modules.
    """
    for target in targets:
        with tempfile.TemporaryDirectory() as corpus:
            child = os.fork()
            if child == 0:
                search(target, seconds, corpus)
            if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
                return target
    return None


if __name__ == "__main__":
    fault = search_each(sys.argv[2:], int(sys.argv[1]))
    sys.exit(fault and f"a fault in the target {fault}: its trace is above")
