"""All cases that are made by rule, with the states and roots that follow from them."""

from __future__ import annotations

from collections.abc import Iterator

from mirror.engine.conformance.bundle_cases import bundle_cases
from mirror.engine.conformance.cast import Signers
from mirror.engine.conformance.merge_cases import merge_cases
from mirror.engine.conformance.task import ConformanceTask
from mirror.engine.conformance.text_cases import text_cases

__all__ = ["rule_cases"]


def rule_cases(seed: str) -> Iterator[ConformanceTask]:
    """Yield the cases of every rule, with keys that follow from the seed."""
    signers = Signers(seed)
    yield from text_cases()
    yield from bundle_cases(signers)
    yield from merge_cases(signers)
