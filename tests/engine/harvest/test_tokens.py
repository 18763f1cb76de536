"""Resumption tokens: what is read is what was written, and nothing else is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.engine.harvest.errors import HarvestError
from mirror.engine.harvest.tokens import ListPosition, SetPosition, read_position, write_position

NUMBERS = st.integers(1, 2**62)
WORDS = st.text("abcXYZ019-_.~:", min_size=1)
LISTS = st.builds(
    ListPosition, WORDS, WORDS, WORDS | st.just(""), NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS,
    WORDS,
)  # fmt: skip
SETS = st.builds(SetPosition, WORDS, WORDS, NUMBERS)


@given(LISTS | SETS)
def test_a_token_is_read_as_it_was_written(position: ListPosition | SetPosition) -> None:
    token = write_position(position)
    assert token.replace("-", "").replace("_", "").isalnum()
    found: ListPosition | SetPosition
    if isinstance(position, ListPosition):
        found = read_position(token, position.verb, ListPosition)
    else:
        found = read_position(token, position.verb, SetPosition)
    assert found == position


@given(LISTS, st.data())
def test_a_changed_token_is_refused(position: ListPosition, data: st.DataObject) -> None:
    token = write_position(position)
    at = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("AZaz09-_ é\n"))
    changed = token[:at] + letter + token[at + 1 :]
    if changed != token:
        with pytest.raises(HarvestError, match="badResumptionToken"):
            read_position(changed, position.verb, ListPosition)


@pytest.mark.parametrize("token", ["", "A", "AAAA", "é", "=" * 8, "A" * 5000, "\x00"])
def test_anything_else_is_refused(token: str) -> None:
    with pytest.raises(HarvestError, match="badResumptionToken"):
        read_position(token, "ListRecords", ListPosition)
    with pytest.raises(HarvestError, match="badResumptionToken"):
        read_position(token, "ListSets", SetPosition)


def test_a_token_of_another_list_is_refused() -> None:
    token = write_position(SetPosition("ListSets", "year", 3))
    with pytest.raises(HarvestError, match="badResumptionToken"):
        read_position(token, "ListSets", ListPosition)
    with pytest.raises(HarvestError, match="badResumptionToken"):
        read_position(token, "ListRecords", SetPosition)
