"""Tasks of the conformance kit, as programs read them (docs/conformance.md)."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace

from mirror.core.shape import ObjectReader, read_object, text_member
from mirror.core.values import Object, Value, decode_base64, encode
from mirror.errors import FormatError

__all__ = ["KINDS", "ConformanceTask", "parse_task"]

KINDS = ("digest", "verify", "merge", "root", "compare")
"""The kinds of tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformanceTask:
    """A question to a program; what it does not need is empty."""

    kind: str
    """One of `KINDS`."""
    case: str
    """The purpose of the task, in words."""
    rules: tuple[str, ...] = ()
    """The rules that the task is about; none if it was drawn at random."""
    text: bytes = b""
    bundles: tuple[bytes, ...] = ()
    keys: bytes | None = None
    """A key set file; None for the built-in key alone."""
    here: bytes = b""
    there: bytes = b""

    def to_value(self, number: int) -> Object:
        """Return the task as it is written, under this id."""
        return {
            "id": number,
            "task": self.kind,
            **self._content(),
            "case": self.case,
            "rules": [*self.rules],
        }

    def line(self, number: int) -> bytes:
        """Return the task as a line, with its LF."""
        return encode(self.to_value(number)) + b"\n"

    def _content(self) -> Object:
        if self.kind == "digest":
            return {"text": _encoded(self.text)}
        if self.kind == "compare":
            return {"here": _encoded(self.here), "there": _encoded(self.there)}
        return {
            "bundles": [_encoded(one) for one in self.bundles],
            "keys": None if self.keys is None else _encoded(self.keys),
        }


def parse_task(value: Value) -> tuple[int, ConformanceTask]:
    """Return the id of a task, and the task.

    Raises:
        FormatError: `task.shape`
    """
    task = read_object(value, "task.shape")
    kind = task.text("task")
    if kind not in KINDS:
        raise task.fault(f"must be one of {', '.join(KINDS)}", "task")
    found = ConformanceTask(
        kind=kind, case=text_member(task.value, "case"), rules=_rules(task.value)
    )
    return task.integer("id"), _with_content(found, task)


def _with_content(task: ConformanceTask, reader: ObjectReader) -> ConformanceTask:
    def text(name: str) -> bytes:
        return _decoded(reader.text(name), f"/{name}")

    if task.kind == "digest":
        return replace(task, text=text("text"))
    if task.kind == "compare":
        return replace(task, here=text("here"), there=text("there"))
    bundles = tuple([_decoded(one, "/bundles") for one in reader.texts("bundles")])
    keys = None if reader.value.get("keys") is None else text("keys")
    return replace(task, bundles=bundles, keys=keys)


def _rules(task: Object) -> tuple[str, ...]:
    rules = task.get("rules", [])
    return tuple(one for one in rules if isinstance(one, str)) if isinstance(rules, list) else ()


def _encoded(text: bytes) -> str:
    return base64.b64encode(text).decode()


def _decoded(text: Value, where: str) -> bytes:
    if text == "":
        return b""
    found = decode_base64(text)
    if found is None:
        raise FormatError("task.shape", "must be base64", where=where)
    return found
