"""Implementations with one rule broken each: this program with a function of it replaced.

As a program: `python -m tests.conformance.wrong_programs "small order" < tasks.jsonl`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from mirror.core import bundle, merge, signature, values
from mirror.core.bundle import AliasClaim
from mirror.core.events import event
from mirror.core.keys import Key
from mirror.core.values import decode, encode
from mirror.engine.conformance import answers
from mirror.engine.conformance.program import BatchAnswers
from mirror.engine.conformance.task import parse_task
from mirror.errors import FormatError

Replaced = list[tuple[Any, str, Any]]
"""Objects, each with the name of a member and what is put in its place."""


@dataclass(frozen=True)
class WrongProgram:
    """An implementation that breaks a rule, and what the kit should say of it."""

    replaced: Callable[[], Replaced]
    rule: str
    """The rule that is broken."""
    kinds: tuple[str, ...]
    """The kinds of tasks that show it soonest."""

    def ask(self, lines: Mapping[int, bytes], answer_bytes: int) -> BatchAnswers:  # noqa: ARG002
        """Answer tasks as a program would; outside of this call nothing is replaced."""
        with pytest.MonkeyPatch.context() as patch:
            for holder, name, new in self.replaced():
                patch.setattr(holder, name, new)
            tasks = [parse_task(decode(line)) for line in lines.values()]
            return BatchAnswers({number: answers.answer(task) for number, task in tasks})


def _only_openssl() -> Replaced:
    """S1: what OpenSSL accepts is accepted, points of small order too."""

    def verify(public_key: bytes, message: bytes, signed: bytes, backend: Any = None) -> bool:
        return len(signed) == 64 and signature.backends()["cryptography"](
            public_key, message, signed
        )

    return [(sys.modules[Key.__module__], "verify", verify)]


def _instants_as_text() -> Replaced:
    """V5: times are compared as they are written."""

    def instant(value: Any) -> int | None:
        if values.instant(value) is None:
            return None
        return int.from_bytes(value.encode().ljust(40, b"\0"))

    return [(event, "instant", instant), (merge, "instant", instant)]


def _revocations_in_order() -> Replaced:
    """M3: a revocation counts only for events dated before it."""
    may_revoke = merge._may_revoke

    def only_earlier(revocation: Any, of: Any, keys: Any) -> bool:
        return of.instant < revocation.instant and may_revoke(revocation, of, keys)

    return [(merge, "_may_revoke", only_earlier)]


def _any_alias() -> Replaced:
    """B3: claims of names that the record does not have are merged."""
    read_alias = bundle._read_alias

    def read(item: Any, record: Any) -> Any:
        found = read_alias(item, record)
        if found == "is not an alias of this record":
            return AliasClaim(item["alias_kind"], item["alias_value"], item["created_at"])
        return found

    return [(bundle, "_read_alias", read)]


def _last_member_wins() -> Replaced:
    """V1: of two members of one name the last counts."""

    def decode_last(data: bytes) -> Any:
        try:
            return values.decode(data)
        except FormatError as error:
            if error.code != "json.duplicate_key":
                raise
            return json.loads(data)

    return [(answers, "decode", decode_last), (bundle, "decode", decode_last)]


def _equal_numbers() -> Replaced:
    """V2: payloads that differ in 1 and 1.0 alone are one."""

    def differs(group: list[Any]) -> bool:
        return len({repr(json.loads(one.payload_text.replace(b"1.0", b"1"))) for one in group}) > 1

    return [(merge, "_differs", differs)]


def _no_withdrawal() -> Replaced:
    """M5: an event that withdraws itself stays in force."""
    return [(event.ValidEvent, "is_withdrawn", property(lambda _: False))]


WRONG_PROGRAMS = {
    "small order": WrongProgram(_only_openssl, "S1", ("verify",)),
    "instants as text": WrongProgram(_instants_as_text, "V5", ("merge",)),
    "revocations in order": WrongProgram(_revocations_in_order, "M3", ("merge",)),
    "any alias": WrongProgram(_any_alias, "B3", ("verify",)),
    "the last member wins": WrongProgram(_last_member_wins, "V1", ("digest",)),
    "equal numbers": WrongProgram(_equal_numbers, "M4", ("merge",)),
    "no withdrawal": WrongProgram(_no_withdrawal, "M5", ("merge",)),
}


if __name__ == "__main__":
    asked = {decode(line)["id"]: line for line in sys.stdin.buffer}  # type: ignore[index,call-overload]
    given = WRONG_PROGRAMS[sys.argv[1]].ask(asked, 0)  # type: ignore[arg-type]
    for number, answer in given.answers.items():
        sys.stdout.buffer.write(encode({"id": number, **answer}) + b"\n")
