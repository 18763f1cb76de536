"""Short searches in every test run; `scripts/fuzz` and `HYPOTHESIS_PROFILE=long` search longer."""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.harness import TARGETS, seeds

ROOT = Path(__file__).resolve().parents[2]
SECONDS = int(os.environ.get("FUZZ_SECONDS", "0"))


@pytest.mark.parametrize("name", TARGETS)
def test_targets_pass_on_their_seeds(name: str) -> None:
    """Each target passes on its seeds."""
    for seed in seeds(name):
        TARGETS[name](seed)


def _mutated(seed: bytes, order: random.Random) -> bytes:
    """A copy with some bytes changed, cut out, doubled, or inserted from a list of hard cases."""
    data = bytearray(seed)
    for _ in range(order.choice([1, 1, 2, 8])):
        place = order.randrange(len(data) + 1)
        end = min(len(data), place + order.choice([1, 1, 4, 64]))
        data[place:end] = order.choice([
            order.randbytes(1), b"", bytes(data[place:end]) * 2, b'"', b"0", b"e9", b"\\ud800",
            b"null", b"true", b"-0", b"1.0", b"{}", b"[]", b"\x00", b"\xff", b",", b"9" * 17,
        ])  # fmt: skip
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=settings().max_examples // 2)
@given(choice=st.integers(0, 1 << 32))
def test_mutated_seeds_get_the_same_answer_from_fast_and_slow_code(name: str, choice: int) -> None:
    """For any change of valid input, the fast code gives the same answer as the slow code."""
    order = random.Random(choice)
    TARGETS[name](_mutated(order.choice(seeds(name)), order))


def test_a_search_guided_by_coverage_finds_no_fault(tmp_path: Path) -> None:
    """Some inputs of atheris for each target, or as many seconds as requested."""
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: pip install '.[fuzz]', where it has a wheel")
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.search", str(SECONDS), *TARGETS],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    said = done.stderr.decode("utf-8", "replace")
    assert done.returncode == 0, said[-4000:]
    assert len(TARGETS) == said.count("DONE"), "a search was cut off"
