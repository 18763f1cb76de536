"""Where two states differ: pointers, what is compared whole, what one side may leave out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.comparison.diff import ABSENT, Difference, Missing, differences, shown_value
from mirror.core.values import canonical, equal
from tests.properties.strategies import json_values


def found(here: Any, upstream: Any) -> list[tuple[str, Any, Any]]:
    """What differs within one open member, as (pointer, here, upstream)."""
    return [
        (one.pointer, one.here, one.upstream)
        for one in differences({"x": here}, {"x": upstream}).found
    ]


# Objects -------------------------------------------------------------------------------------


def test_members_of_one_side_are_listed_and_are_no_difference() -> None:
    """In the order of each side."""
    result = differences({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "e": 4}, "f": 5, "g": {}})
    assert result.found == []
    assert result.only_here == ["/a", "/b/c"]
    assert result.only_upstream == ["/b/e", "/f", "/g"]


def test_differences_come_in_the_order_of_our_members() -> None:
    """The first of them is the first difference."""
    assert [one.pointer for one in differences({"b": 1, "a": 2}, {"a": 3, "b": 4}).found] == [
        "/b",
        "/a",
    ]


@pytest.mark.parametrize("name", ["canonical_record", "payload", "slot_key"])
def test_opaque_values_are_compared_as_a_whole(name: str) -> None:
    """A member that one side lacks there is a difference, and the first place is named."""
    assert found({name: {"b": 1, "a": 2}}, {name: {"b": 1}}) == [(f"/x/{name}/a", 2, ABSENT)]
    assert found({name: {"b": 1}}, {name: {"b": 1, "a": 2}}) == [(f"/x/{name}/a", ABSENT, 2)]
    assert found({name: [1, 2]}, {name: [1, 2, 3]}) == [(f"/x/{name}/2", ABSENT, 3)]
    assert found({name: {"a": [{"b": 1}], "c": 0}}, {name: {"a": [{"b": 2}], "c": 1}}) == [
        (f"/x/{name}/a/0/b", 1, 2)
    ]
    assert found({name: {}}, {name: {}}) == []
    assert found({name: [1]}, {name: [1]}) == []
    assert found({name: {}}, {name: []}) == [(f"/x/{name}", {}, [])]


@pytest.mark.parametrize(
    ("here", "upstream"),
    [(1, True), (1, 1.0), (0, False), ("1", 1), (None, False), ({}, []), ([], ""), (0.0, -0.0)],
)
def test_values_are_equal_by_their_canonical_bytes(here: Any, upstream: Any) -> None:
    """Python thinks that some of these are equal; V2 does not."""
    assert found(here, upstream) == [("/x", here, upstream)]


# Lists ---------------------------------------------------------------------------------------


def test_lists_are_compared_place_by_place() -> None:
    """Each place where they differ is named."""
    assert found([1, 2, 3], [1, 0, 0]) == [("/x/1", 2, 0), ("/x/2", 3, 0)]


def test_where_one_list_goes_on_its_next_item_is_the_difference() -> None:
    """One difference says that there is more."""
    assert found([1], [1, 2, 3]) == [("/x/1", ABSENT, 2)]
    assert found([1, 2, 3], [1]) == [("/x/1", 2, ABSENT)]
    assert found([], []) == []


@pytest.mark.parametrize("name", ["event_id", "alias_kind", "digest"])
def test_lists_of_different_events_are_one_difference(name: str) -> None:
    """What stands in it, and comes after it, cannot be compared."""
    here = [{name: "a", "n": 1}, {name: "b", "n": 2}, {name: "c", "n": 3}]
    upstream = [{name: "a", "n": 1}, {name: "z", "n": 9}, {name: "y", "n": 9}, {}]
    assert found(here, upstream) == [(f"/x/1/{name}", "b", "z")]


def test_two_items_of_one_event_are_compared_by_their_common_members() -> None:
    """Also where one side does not say what it is."""
    here = [{"event_id": "a", "n": 1}, {"event_id": "b"}]
    assert found(here, [{"n": 1}, {"event_id": "b", "more": 2}]) == []
    assert found(here, [{"n": 2}, "b"]) == [("/x/0/n", 1, 2), ("/x/1", {"event_id": "b"}, "b")]


# Pointers and words --------------------------------------------------------------------------


def test_pointers_are_escaped() -> None:
    """RFC 6901 section 3."""
    assert differences({}, {"a/~1": 1}).only_upstream == ["/a~1~01"]


def test_a_difference_is_printed_with_the_sides_that_have_something() -> None:
    """`null` is something."""
    difference = Difference("/x", None, ABSENT)
    assert difference.to_value() == {"pointer": "/x", "here": None}
    assert difference.sides == "null here, nothing upstream"
    assert Difference("/x", ABSENT, {"b": 1, "a": "ä"}).sides == (
        'nothing here, {"a":"ä","b":1} upstream'
    )


def test_a_long_value_is_cut_in_a_sentence() -> None:
    """How long it is, is said."""
    text = shown_value("x" * 5000)
    assert text.endswith("… (5,002 characters)")
    assert len(text) < 120
    assert shown_value("x" * 78) == f'"{"x" * 78}"'


def test_a_long_pointer_is_cut_in_a_sentence() -> None:
    """Whoever sends the names does not decide how much is printed."""
    difference = Difference(f"/{'x' * 10**6}", 1, 2)
    assert difference.place.endswith("… (1,000,001 characters)")
    assert len(difference.place) < 250
    assert Difference("/x", 1, 2).place == "/x"


# Laws ----------------------------------------------------------------------------------------

_NAMES = st.sampled_from(["a", "b", "~", "/", "payload", "event_id", "digest", "alias_kind"])
_VALUES = st.recursive(
    json_values(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=10,
)
_OBJECTS = st.dictionaries(_NAMES, _VALUES, max_size=4)


def _at(value: Any, pointer: str) -> Any:
    for name in pointer.split("/")[1:]:
        token = name.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list) and int(token) < len(value):
            value = value[int(token)]
        else:
            return ABSENT
    return value


def _stands_there(said: Any, there: Any) -> bool:
    if isinstance(said, Missing) or isinstance(there, Missing):
        return said is there
    return equal(said, there)


@given(_OBJECTS)
def test_law_nothing_differs_from_itself(value: Any) -> None:
    """And no member is on one side only."""
    result = differences(value, value)
    assert (result.found, result.only_here, result.only_upstream) == ([], [], [])


@given(_OBJECTS, _OBJECTS)
def test_law_every_pointer_leads_to_the_reported_values(here: Any, upstream: Any) -> None:
    """On both sides, and what is said does differ."""
    result = differences(here, upstream)
    for one in result.found:
        assert _stands_there(one.here, _at(here, one.pointer))
        assert _stands_there(one.upstream, _at(upstream, one.pointer))
        assert not _stands_there(one.here, one.upstream)
        assert one.sides
    for pointer in result.only_here:
        assert _at(here, pointer) is not ABSENT
        assert _at(upstream, pointer) is ABSENT
    for pointer in result.only_upstream:
        assert _at(upstream, pointer) is not ABSENT
        assert _at(here, pointer) is ABSENT


@given(_OBJECTS, _OBJECTS)
def test_law_what_is_not_equal_is_found_or_listed(here: Any, upstream: Any) -> None:
    """Nothing is passed over; and both directions find differences at the same places."""
    result, other = differences(here, upstream), differences(upstream, here)
    is_same = not (result.found or result.only_here or result.only_upstream)
    assert is_same == (canonical(here) == canonical(upstream))
    assert sorted(one.pointer for one in result.found) == sorted(one.pointer for one in other.found)
    assert sorted(result.only_here) == sorted(other.only_upstream)
