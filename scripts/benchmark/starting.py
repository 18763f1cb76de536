"""Start-up: how long commands take that do little, compared with an import of click."""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmark.process import ENVIRONMENT, mirror, run
from benchmark.session import Workshop, say

STARTS: Final = 15
"""Starts of each command in a round, in turns; the round's sample is their median."""


_COMPLETION: Final = ("_MIRROR_COMPLETE=bash_complete", "COMP_WORDS=mirror\nkeys\n", "COMP_CWORD=2")
"""What the script of bash sets after `mirror keys` and TAB."""


def measure_starting(shop: Workshop, db: Path) -> None:
    """Start each command in turns.

    Args:
        shop: The session.
        db: A store with the first record of the corpus.
    """
    say("start-up")
    commands: dict[str, Sequence[str | Path]] = {
        "click": [sys.executable, "-c", "import click"],
        "version": mirror("--version"),
        "help": mirror("--help"),
        "completion": ["env", *_COMPLETION, *mirror()],
        "show": mirror("show", shop.corpus.contents.first_pith_number, "--db", db),
    }
    # Modules are compiled once, as those of an installed package are.
    environment = {**ENVIRONMENT}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    seconds = defaultdict[str, list[float]](list)
    for number in range(STARTS + 1):
        for name, command in commands.items():
            spent = run(command, environment=environment)
            if number:  # the first start compiles
                seconds[name].append(spent.seconds)
    for name, samples in seconds.items():
        shop.keep(f"start.{name}.seconds", statistics.median(samples))
