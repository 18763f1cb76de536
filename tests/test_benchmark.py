"""The benchmark: its programs, its targets, and the bundles that it makes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from benchmark.bundles import make_bundle
from benchmark.layout import Contents, Corpus, Counts
from benchmark.results import TARGETS, rows, target_of
from benchmark.session import Workshop
from benchmark.signers import key_set_file

from mirror.core.bundle import parse_bundle, verify_bundle
from mirror.core.keys import parse_key_set
from mirror.core.merge import merge

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "scripts" / "benchmark"
STARTED = sorted(
    {
        name
        for path in FOLDER.glob("*.py")
        for name in re.findall(r'\bmodule\(\s*"(\w+)"', path.read_text("utf-8"))
    }
)


def test_programs_are_found() -> None:
    """The pattern that finds the names finds them."""
    assert {"corpus", "machine", "stages"} <= {*STARTED}


@pytest.mark.parametrize("name", STARTED)
def test_each_program_is_a_module_that_can_be_started(name: str) -> None:
    """A program has its own file and does its work when it is the main module."""
    text = (FOLDER / f"{name}.py").read_text("utf-8")
    assert 'if __name__ == "__main__":' in text


def test_the_targets_are_those_of_the_document() -> None:
    """The page lists each target as the program has it, in the same order."""
    page = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    listed = re.findall(r"^\| `(.+?)` \| `(.+?)` \| (at \w+ [\d,.]+) \|$", page, re.MULTILINE)
    assert listed == [
        (group, name, f"{target.side} {target.bound:,g}") for group, name, target in TARGETS
    ]


def test_each_target_is_that_of_a_figure() -> None:
    """No target misses its figure by a misspelled name."""
    engines = {"cryptography": "", "pynacl": "", "native": ""}
    shops = [
        Workshop(Corpus(FOLDER, Contents(records, Counts(), "")), FOLDER, (), engines)
        for records in (100_000, 100_001)
    ]
    found = [target_of(group, name) for shop in shops for group, name, _, _ in rows(shop)]
    assert [] == [target for target in TARGETS if not any(one is target[2] for one in found)]


@pytest.mark.parametrize("number", [0, 3, 7, 107, 207])
def test_an_update_adds_one_valid_event(number: int) -> None:
    """The bundle of a record that a store has is one event more, and makes another state."""
    made, keys = make_bundle(number), parse_key_set(key_set_file())
    first, update = (verify_bundle(parse_bundle(one), keys) for one in (made.text, made.update))
    states = [
        merge(first.record, first.receipts, first.alias_claims, events, keys)
        for events in (first.events, first.events + update.events)
    ]
    assert update.record.pith_number == first.record.pith_number
    assert not update.findings
    counts = made.counts.events - made.counts.invalid_events
    assert [state.full["valid_event_count"] for state in states] == [counts, counts + 1]
    assert states[0].digest != states[1].digest
