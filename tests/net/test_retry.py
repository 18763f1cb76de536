"""Pauses, what `Retry-After` asks for, the rate, and numbers that make no sense."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.net import ClientConfig
from mirror.net.rate_limit import RateLimiter
from mirror.net.retry import parse_retry_after, pause_before

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECONDS = st.floats(0, 1000)


@given(st.integers(0, 5000), SECONDS, SECONDS, st.floats(0, 1), SECONDS)
def test_a_pause_is_within_its_bounds(
    retry: int, first: float, cap: float, luck: float, asked: float
) -> None:
    """At most the cap and the doubled first pause; at least what was asked for."""
    politeness = ClientConfig(backoff_seconds=first, backoff_cap_seconds=cap)
    pause = pause_before(retry, politeness, lambda: luck, asked_s=asked)
    assert asked <= pause <= max(asked, cap)
    assert pause <= max(asked, first * 2 ** min(retry, 60))


@given(st.integers(0, 100), st.floats(0, 1))
def test_pauses_do_not_shrink_from_retry_to_retry(retry: int, luck: float) -> None:
    """With the same random number, the next pause is no shorter."""
    first, second = (pause_before(n, ClientConfig(), lambda: luck) for n in (retry, retry + 1))
    assert first <= second


def test_pauses_double_up_to_the_cap() -> None:
    """The longest are 0.5, 1, 2 ... 60 seconds."""
    pauses = [pause_before(retry, ClientConfig(), lambda: 1.0) for retry in range(9)]
    assert [0.5, 1, 2, 4, 8, 16, 32, 60, 60] == pauses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("Sun, 01 Mar 2026 12:01:30 GMT", 90),
        ("Sunday, 01-Mar-26 12:01:30 GMT", 90),
        ("Sun Mar  1 12:01:30 2026", 90),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("9" * 5000, 366 * 86400),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 366 * 86400),
        ("", 0),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("\u0663", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, expected: float) -> None:
    """All three forms of a date (RFC 9110 section 5.6.7); anything else asks for nothing."""
    assert expected == parse_retry_after(text, NOW)


@given(st.text(max_size=40) | st.text("0123456789 :,-+JanMonGMT", max_size=40))
def test_any_retry_after_is_a_number_of_seconds(text: str) -> None:
    """No text makes it raise, or say less than nothing."""
    assert 0 <= parse_retry_after(text, NOW) <= 366 * 86400


@given(st.integers(0, 10**6))
def test_a_date_equals_its_distance_in_seconds(seconds: int) -> None:
    """This is so for future dates."""
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert parse_retry_after(str(seconds), NOW) == parse_retry_after(date, NOW)


def test_requests_are_spaced_evenly_and_never_in_a_burst() -> None:
    """Unused time does not add up."""
    times, pauses = iter([100.0, 100.0, 100.1, 200.0, 200.0]), list[float]()
    pace = RateLimiter(4, pauses.append, lambda: next(times))
    for _ in range(5):
        pace.wait()
    assert pytest.approx([0.25, 0.4, 0.25]) == pauses


def test_a_rate_of_zero_is_no_limit() -> None:
    """An operator needs no limit for own mirrors."""
    pauses = list[float]()
    pace = RateLimiter(0, pauses.append)
    for _ in range(100):
        pace.wait()
    assert [] == pauses


NONSENSE: list[dict[str, float | str]] = [
    {"requests_per_second": -1.0},
    {"requests_per_second": float("inf")},
    {"requests_per_second": float("nan")},
    {"retries": -1},
    {"max_redirects": -1},
    {"backoff_seconds": -0.5},
    {"backoff_cap_seconds": float("nan")},
    {"connect_seconds": 0},
    {"read_seconds": -1.0},
    {"response_seconds": float("nan")},
    {"response_bytes": 0},
    {"user_agent": ""},
    {"user_agent": "agent\r\nHost: other"},
    {"user_agent": "agent "},
    {"user_agent": "agent (M\u00fcller)"},
]


@pytest.mark.parametrize("fields", NONSENSE, ids=repr)
def test_invalid_settings_are_refused(fields: dict[str, float | str]) -> None:
    """The error comes when the settings are made."""
    with pytest.raises(ValueError, match=r"must be|must make|number"):
        ClientConfig(**fields)  # type: ignore[arg-type]


def test_the_user_agent_names_this_program() -> None:
    """It has the version, too."""
    assert ClientConfig().user_agent.startswith("pith-mirror/")
    assert ClientConfig().user_agent.endswith(" (+https://pith.science mirror client)")
