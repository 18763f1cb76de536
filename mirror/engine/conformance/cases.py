"""All cases that are made by rule, with the states and roots that follow from them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from mirror.engine.conformance.bundle_cases import bundle_cases
from mirror.engine.conformance.event_cases import event_cases
from mirror.engine.conformance.merge_cases import merge_cases
from mirror.engine.conformance.record_cases import record_cases
from mirror.engine.conformance.signature_cases import signature_cases
from mirror.engine.conformance.signers import Signers
from mirror.engine.conformance.task import KINDS, ConformanceTask
from mirror.engine.conformance.text_cases import text_cases

__all__ = ["rule_cases"]


def rule_cases(seed: str, kinds: Collection[str] = KINDS) -> Iterator[ConformanceTask]:
    """Yield the cases of every rule, with keys that follow from the seed.

    Args:
        seed: Any text.
        kinds: The kinds of tasks that are yielded.
    """
    for task in _all_cases(seed, only_texts=set(kinds) <= {"digest"}):
        if task.kind in kinds:
            yield task


def _all_cases(seed: str, *, only_texts: bool) -> Iterator[ConformanceTask]:
    yield from text_cases()
    if only_texts:
        return
    signers = Signers(seed)
    yield from record_cases(signers)
    yield from signature_cases(signers)
    yield from event_cases(signers)
    yield from bundle_cases(signers)
    yield from merge_cases(signers)
