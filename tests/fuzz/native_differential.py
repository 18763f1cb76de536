"""A long run of mutated bundles through both engines.

    python -m tests.fuzz.native_differential INPUTS SEED [REPORT]

The native engine sees every input, Python all that it accepts and a sample of the others. A
difference ends nothing: it is counted, and the input is in the report.
`scripts/native_differential` runs it.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.mutations import MUTATIONS, TRUSTED, Source, sources, spelled
from tests.helpers import keys_of
from tests.native.agreement import Pair, Text

BATCH = 400
BASES = 10
"""Bundles that the mutations of one batch begin with."""
SAMPLED = 500
"""One in so many of the inputs that the native engine does not accept is shown to Python."""
POOL = 150
"""Events of each record."""


@dataclass
class Report:
    """What a run came to."""

    inputs: int = 0
    accepted: int = 0
    by_mutation: Counter[str] = field(default_factory=Counter)
    """Accepted and all inputs by kind of mutation."""
    by_format: Counter[str] = field(default_factory=Counter)
    events: int = 0
    """Events in the bundles that were accepted."""
    sampled: int = 0
    """Inputs that only Python saw accept or refuse, of those that were not accepted."""
    only_python: int = 0
    """Those of them that Python accepts without a finding."""
    panics: int = 0
    differences: list[str] = field(default_factory=list)
    seconds: float = 0


def _batch(found: list[Source], order: random.Random) -> list[tuple[str, Text]]:
    bases = [spelled(order.choice(found).bundle(), order) for _ in range(BASES)]
    names, weights = [one for one, _ in MUTATIONS], [weight for _, weight in MUTATIONS]
    chosen = order.choices(names, weights, k=BATCH - BASES)
    mutated = [(mutate.__name__, mutate(order.choice(bases), order)) for mutate in chosen]
    return [*(("whole", base) for base in bases), *mutated]


def _compare(
    pair: Pair, batch: list[tuple[str, Text]], report: Report, order: random.Random
) -> None:
    answers = pair.native([text for _, text in batch])
    for (kind, text), answer in zip(batch, answers, strict=True):
        report.by_mutation[f"{kind}: all"] += 1
        if answer is None:
            if order.randrange(SAMPLED) == 0:
                report.sampled += 1
                report.only_python += pair.python(text) is not None
            continue
        report.accepted += 1
        report.by_mutation[f"{kind}: accepted"] += 1
        report.by_format["packed" if text[1] else "json"] += 1
        report.events += answer[1]
        if answer != pair.python(text):
            report.differences.append(f"{kind} {text!r}")
    report.inputs += len(batch)


def run(inputs: int, seed: int, path: Path | None = None) -> Report:
    """Compare the engines on so many inputs; write the report now and then."""
    order, report, started = random.Random(seed), Report(), time.process_time()
    pair, found = Pair(keys_of(*TRUSTED)), sources(order, POOL)
    written = 0
    while report.inputs < inputs:
        _compare(pair, _batch(found, order), report, order)
        report.panics, report.seconds = pair.panics, time.process_time() - started
        if path is not None and (report.inputs - written > 20_000 or report.inputs >= inputs):
            path.write_text(json.dumps(report.__dict__, indent=1), "utf-8")
            written = report.inputs
    return report


if __name__ == "__main__":
    where = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    done = run(int(sys.argv[1]), int(sys.argv[2]), where)
    print(json.dumps(done.__dict__, indent=1))  # noqa: T201
    sys.exit(1 if done.differences or done.panics else 0)
