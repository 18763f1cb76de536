"""Odd times, texts and values that several cases use."""

from __future__ import annotations

from typing import Any

from mirror.engine.conformance.facts import text_of
from mirror.engine.conformance.signing import Draft
from mirror.engine.conformance.task import ConformanceTask

__all__ = [
    "ANY",
    "NO_BASE64",
    "NO_TIMES",
    "TIMES",
    "WINDOW_TIMES",
    "WRONG",
    "verify_task",
    "with_spare_bits",
]

TIMES = (
    "2026-05-18T00:41:52Z", "2026-05-18T00:41:52+00:00", "2026-05-18T00:41:52.5Z",
    "2026-05-18T00:41:52.123456+00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z",
    "2024-02-29T00:00:00Z", "2000-02-29T00:00:00Z",
)  # fmt: skip
NO_TIMES = (
    "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-05-18T24:00:00Z", "2026-05-18T00:41:60Z",
    "2026-05-18 00:41:52Z", "2026-05-18T00:41:52z", "2026-05-18t00:41:52Z", "2026-05-18T00:41:52",
    "2026-05-18T00:41:52+01:00", "2026-05-18T00:41:52-00:00", "0000-01-01T00:00:00Z",
    "2026-05-18T00:41:52.Z", "2026-05-18T00:41:52.1234567Z", "2026-05-18T00:41:52Z\n",
    " 2026-05-18T00:41:52Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-04-31T00:00:00Z",
    "2026-05-18T00:60:00Z", "12026-05-18T00:41:52Z", "2026-05-18T00:41:52,5Z",
    "2026-5-18T00:41:52Z",
    "2026-05-18T00:41:5\u0662Z", "2026-05-18", "", "2026-05-18T00:41:52+0000",
    "2026-05-00T00:00:00Z",
)  # fmt: skip
NO_BASE64 = (
    "AB==", "AA=", "_w==", "", "AA==\n", "AA", "A===", "AAA", "AA==AA==", " AA==", "AAAB=", "A",
    "AA-=", "====", "AAF=", "AAAA=", "\u00c4A==",
)  # fmt: skip
ANY: tuple[Any, ...] = (None, True, 0, 1.0, "", [], {})
"""A value of each type."""
WRONG: tuple[Any, ...] = (None, 1, "", "x", [])

WINDOW_TIMES = (
    "2026-01-01T00:00:00.999999Z", "2026-01-01T00:00:01Z", "2026-01-01T00:00:01.000000+00:00",
    "2026-01-01T00:00:02.499999Z", "2026-01-01T00:00:02.5Z", "2026-01-01T00:00:02.50Z",
    "2026-01-01T00:00:02+00:00", "2026-01-01T00:00:03Z",
)  # fmt: skip
"""Around the window of the guest's key: its end is excluded."""


def with_spare_bits(text: str) -> str:
    """Return base64 of 64 bytes whose last letter has a bit that padding leaves over."""
    return f"{text[:-3]}{chr(ord(text[-3]) + 1)}=="


def verify_task(
    case: str, rules: str, *bundles: Draft | bytes, keys: bytes | None
) -> ConformanceTask:
    """Return the task to verify bundles, given as values or texts, about rules in one string."""
    texts = tuple(one if isinstance(one, bytes) else text_of(one) for one in bundles)
    return ConformanceTask(
        kind="verify", case=case, rules=tuple(rules.split()), bundles=texts, keys=keys
    )
