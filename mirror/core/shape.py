"""Typed getters over decoded JSON.

An `ObjectReader` reads a document that must have a shape: a member that is missing or of another
type raises a `FormatError` with the code of the document and the member's JSON Pointer (RFC 6901).
The functions `text_member` and its like read a value that may have any shape, such as an invalid
event: they return an empty value instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from mirror.core.json_pointer import join_pointer
from mirror.core.values import Object, Value, is_digest, is_integer
from mirror.errors import FormatError

__all__ = [
    "ObjectReader",
    "integer_member",
    "list_member",
    "object_member",
    "objects_in",
    "objects_member",
    "read_object",
    "text_member",
]


@dataclass(frozen=True, slots=True)
class ObjectReader:
    """A JSON object whose members are read by type; made by `read_object`."""

    value: Object
    code: str
    """The code of the errors, such as `proof.shape`."""
    where: str = ""
    """The JSON Pointer of the object in its document."""
    hint: str = ""
    """The hint of the errors."""

    def fault(self, message: str, name: str = "") -> FormatError:
        """Return the error of a member, or of the object itself if no name is given."""
        where = join_pointer(self.where, name) if name else self.where
        return FormatError(self.code, message, where=where, hint=self.hint)

    def text(self, name: str) -> str:
        """Return a string.

        Raises:
            FormatError: The reader's code; every getter raises it.
        """
        value = self.value.get(name)
        if not isinstance(value, str):
            raise self.fault("must be a string", name)
        return value

    def integer(self, name: str) -> int:
        """Return an integer (V1)."""
        value = self.value.get(name)
        if not is_integer(value):
            raise self.fault("must be an integer", name)
        return value

    def boolean(self, name: str, *, default: bool | None = None) -> bool:
        """Return a boolean; the default, if there is one, for a member that is absent."""
        value = self.value.get(name, default)
        if not isinstance(value, bool):
            absent = "" if default is None else ", or absent"
            raise self.fault(f"must be true or false{absent}", name)
        return value

    def digest(self, name: str) -> bytes:
        """Return the 32 raw bytes of a digest (V3)."""
        value = self.value.get(name)
        if not is_digest(value):
            raise self.fault("must be 64 lowercase hexadecimal digits", name)
        return bytes.fromhex(value)

    def items(self, name: str) -> list[Value]:
        """Return a list."""
        value = self.value.get(name)
        if not isinstance(value, list):
            raise self.fault("must be a list", name)
        return value

    def texts(self, name: str) -> list[str]:
        """Return a list of strings."""
        items = self.items(name)
        texts = [item for item in items if isinstance(item, str)]
        if len(texts) < len(items):
            raise self.fault("must be a list of strings", name)
        return texts

    def object(self, name: str) -> ObjectReader:
        """Return a reader of an object."""
        where = join_pointer(self.where, name)
        return read_object(self.value.get(name), self.code, where=where, hint=self.hint)

    def objects(self, name: str) -> list[ObjectReader]:
        """Return a reader of each item of a list of objects."""
        where = join_pointer(self.where, name)
        return [
            read_object(item, self.code, where=join_pointer(where, index), hint=self.hint)
            for index, item in enumerate(self.items(name))
        ]


def read_object(value: Value, code: str, *, where: str = "", hint: str = "") -> ObjectReader:
    """Return a reader of an object.

    Args:
        value: The decoded JSON.
        code: The code of all errors.
        where: The JSON Pointer of `value` in its document.
        hint: What a person can do about a wrong document.

    Raises:
        FormatError: `code`, if the value is not an object.
    """
    if not isinstance(value, dict):
        raise FormatError(code, "must be an object", where=where, hint=hint)
    return ObjectReader(value, code, where, hint)


# Values of any shape -------------------------------------------------------------------------


def text_member(value: Value, name: str) -> str:
    """Return a member that is a string; else the empty string."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def integer_member(value: Value, name: str) -> int | None:
    """Return a member that is an integer; else None."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if is_integer(found) else None


def object_member(value: Value, name: str) -> Object:
    """Return a member that is an object; else an empty object."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def list_member(value: Value, name: str) -> list[Value]:
    """Return a member that is a list; else an empty list."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def objects_member(value: Value, name: str) -> list[Object]:
    """Return the objects in a member that is a list; else an empty list."""
    return objects_in(value.get(name) if isinstance(value, dict) else None)


def objects_in(value: Value) -> list[Object]:
    """Return the objects in a list; an empty list for another value."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
