"""JSON Pointers (RFC 6901)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.json_pointer import (
    escape_token,
    get_pointer,
    is_below,
    is_pointer,
    join_pointer,
    parent_pointer,
    remove_pointers,
    split_pointer,
)

NESTED: Any = {"a": {"b": {"c": 1, "d": 2}, "/": 3, "~": 4, "~1": 5, "": 6}, "": {"": 7}, "l": [8]}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/a/b/c", 1),
        ("/a/b", {"c": 1, "d": 2}),
        ("/a/~1", 3),
        ("/a/~0", 4),
        ("/a/~01", 5),
        ("/a/", 6),
        ("//", 7),
        ("/l", [8]),
        ("/l/0", None),
        ("/a/b/c/x", None),
        ("/x", None),
        ("/A", None),
        ("/a/b/", None),
    ],
)
def test_get_pointer(pointer: str, value: Any) -> None:
    """RFC 6901: ~1 is a slash and ~0 a tilde; an empty name is a name; lists are not entered."""
    assert value == get_pointer(NESTED, pointer)
    assert get_pointer(NESTED, "") == NESTED


@pytest.mark.parametrize(
    ("pointers", "left"),
    [
        (["/a"], {"": {"": 7}, "l": [8]}),
        (["/a", "/l"], {"": {"": 7}}),
        (["/a", "//"], {"": {}, "l": [8]}),
        (["/a/b", "/a/~1", "/a/~0", "/a/~01", "/a/"], {"a": {}, "": {"": 7}, "l": [8]}),
        (["/a/b/c"], {**NESTED, "a": {**NESTED["a"], "b": {"d": 2}}}),
        (["/a/b/c", "/a/b"], {**NESTED, "a": {"/": 3, "~": 4, "~1": 5, "": 6}}),
        (["/x", "/a/x", "/a/b/c/x", "/l/0", "/l/x", "/x/y"], NESTED),
        ([], NESTED),
    ],
)
def test_remove_pointers(pointers: list[str], left: Any) -> None:
    """A pointer to nothing removes nothing; the object itself stays as it is."""
    before = json.dumps(NESTED)
    assert left == remove_pointers(NESTED, pointers)
    assert before == json.dumps(NESTED)


@pytest.mark.parametrize(
    ("pointer", "is_one"),
    [
        ("/a", True),
        ("/", True),
        ("//", True),
        ("/a~0b~1c/0", True),
        ("", False),
        ("a", False),
        ("/~", False),
        ("/~2", False),
        ("#/a", False),
    ],
)
def test_is_pointer(pointer: str, is_one: bool) -> None:  # noqa: FBT001
    """Only a pointer to a member: not the whole document, not a URI fragment."""
    assert is_pointer(pointer) is is_one


@given(st.lists(st.text(), min_size=1))
def test_a_joined_pointer_splits_into_its_names(names: list[str]) -> None:
    """Whatever tildes and slashes a name has."""
    pointer = ""
    for name in names:
        assert parent_pointer(join_pointer(pointer, name)) == pointer
        pointer = join_pointer(pointer, name)
    assert is_pointer(pointer)
    assert split_pointer(pointer) == tuple(names)


def test_tokens_are_escaped() -> None:
    """RFC 6901 section 3: the tilde first; an item goes by its position."""
    assert escape_token("b/c~d") == "b~1c~0d"
    assert join_pointer("/a", "b/c~d") == "/a/b~1c~0d"
    assert join_pointer("", 7) == "/7"


def test_is_below() -> None:
    """A common beginning of names is not enough."""
    assert is_below(["/x", "/a"], "/a")
    assert is_below(["/a"], "/a/b")
    assert not is_below(["/a"], "/ab")
    assert not is_below(["/a/b"], "/a")
    assert not is_below([], "/a")
