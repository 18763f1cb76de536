"""Typed getters over decoded JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mirror.core.shape import (
    ObjectReader,
    integer_member,
    list_member,
    object_member,
    objects_member,
    read_object,
    text_member,
)
from mirror.core.values import Object, Value
from mirror.errors import FormatError

DIGEST = "0f" * 32
VALUE: Object = {
    "text": "a",
    "integer": 7,
    "boolean": False,
    "digest": DIGEST,
    "list": [1, "b"],
    "texts": ["a", "b"],
    "object": {"x/y": {"z": 1}},
    "objects": [{"x": "a"}, {"x": "b"}],
}
READER = read_object(VALUE, "some.shape", hint="do that")


def test_each_getter_returns_a_member_of_its_type() -> None:
    """Digests come as raw bytes, objects as readers."""
    assert READER.text("text") == "a"
    assert READER.integer("integer") == 7
    assert READER.boolean("boolean") is False
    assert READER.boolean("absent", default=True) is True
    assert READER.digest("digest") == bytes.fromhex(DIGEST)
    assert READER.items("list") == [1, "b"]
    assert READER.texts("texts") == ["a", "b"]
    assert READER.object("object").object("x/y").integer("z") == 1
    assert [one.text("x") for one in READER.objects("objects")] == ["a", "b"]


@pytest.mark.parametrize(
    ("read", "where", "message"),
    [
        (lambda one: one.text("integer"), "/integer", "must be a string"),
        (lambda one: one.text("absent"), "/absent", "must be a string"),
        (lambda one: one.integer("boolean"), "/boolean", "must be an integer"),
        (lambda one: one.boolean("text"), "/text", "must be true or false"),
        (
            lambda one: one.boolean("text", default=True),
            "/text",
            "must be true or false, or absent",
        ),
        (lambda one: one.boolean("absent"), "/absent", "must be true or false"),
        (lambda one: one.digest("text"), "/text", "must be 64 lowercase hexadecimal digits"),
        (lambda one: one.items("text"), "/text", "must be a list"),
        (lambda one: one.texts("list"), "/list", "must be a list of strings"),
        (lambda one: one.object("list"), "/list", "must be an object"),
        (lambda one: one.objects("texts"), "/texts/0", "must be an object"),
        (lambda one: one.objects("objects")[1].integer("x"), "/objects/1/x", "must be an integer"),
        (
            lambda one: one.object("object").object("x/y").text("z"),
            "/object/x~1y/z",
            "must be a string",
        ),
    ],
)
def test_a_member_of_another_type_is_named(
    read: Callable[[ObjectReader], Any], where: str, message: str
) -> None:
    """Code, JSON Pointer, message and hint."""
    with pytest.raises(FormatError) as raised:
        read(READER)
    error = raised.value
    assert (error.code, error.where, error.message, error.hint) == (
        "some.shape",
        where,
        message,
        "do that",
    )


def test_a_document_that_is_not_an_object() -> None:
    """The error has the place that the caller gave."""
    with pytest.raises(FormatError) as raised:
        read_object([], "some.shape", where="/x")
    assert (raised.value.where, raised.value.message) == ("/x", "must be an object")


def test_the_fault_of_an_object() -> None:
    """With no name it is the object's own."""
    assert READER.object("object").fault("is wrong").where == "/object"


def test_members_of_a_value_of_any_shape() -> None:
    """A member that is missing or of another type is empty."""
    assert text_member(VALUE, "text") == "a"
    assert integer_member(VALUE, "integer") == 7
    assert object_member(VALUE, "object") == VALUE["object"]
    assert list_member(VALUE, "list") == VALUE["list"]
    assert objects_member({"a": [1, {"b": 2}, None]}, "a") == [{"b": 2}]
    others: list[Value] = [VALUE, [], None, "text"]
    for value in others:
        assert text_member(value, "integer") == ""
        assert integer_member(value, "boolean") is None
        assert object_member(value, "list") == {}
        assert list_member(value, "object") == []
        assert objects_member(value, "object") == []
