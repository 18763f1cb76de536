"""Points in time: what a person may write, and what a date means."""

from __future__ import annotations

import pytest

from mirror.core.point_in_time import parse_point_in_time
from mirror.errors import FormatError

pytestmark = pytest.mark.examples


def test_a_date_is_the_end_of_its_day_and_is_displayed_as_such() -> None:
    at = parse_point_in_time("2026-06-01")
    assert at.text == "2026-06-01T23:59:59.999999Z"
    assert at.words == "2026-06-01T23:59:59.999999Z, the end of that day in UTC"


@pytest.mark.parametrize("text", ["2026-06-01T12:00:00Z", "2026-06-01T12:00:00.0+00:00"])
def test_a_time_is_its_instant(text: str) -> None:
    at = parse_point_in_time(text)
    assert at.text == at.words == "2026-06-01T12:00:00.000000Z"


@pytest.mark.parametrize("text", ["", "2026-02-30", "2026", "yesterday", "2026-06-01T12:00Z"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(FormatError) as refused:
        parse_point_in_time(text)
    assert refused.value.code == "request.time"
    assert "2026-06-01" in refused.value.hint
