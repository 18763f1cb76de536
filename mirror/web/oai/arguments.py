"""Arguments of an OAI-PMH request (section 3.1), checked before the store is read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from mirror.core.values import instant
from mirror.engine.harvest.errors import HarvestError

__all__ = ["VERBS", "OaiRequest", "parse_request"]

Arguments: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Verb:
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    has_token: bool = False


_SELECTIVE = _Verb(
    frozenset({"metadataPrefix"}), frozenset({"from", "until", "set"}), has_token=True
)

VERBS = {
    "Identify": _Verb(),
    "ListMetadataFormats": _Verb(optional=frozenset({"identifier"})),
    "ListSets": _Verb(has_token=True),
    "GetRecord": _Verb(required=frozenset({"identifier", "metadataPrefix"})),
    "ListIdentifiers": _SELECTIVE,
    "ListRecords": _SELECTIVE,
}
"""The verbs and their arguments (section 4)."""

_TOKEN = "resumptionToken"  # noqa: S105 - the name of an argument

_WORD = r"[A-Za-z0-9\-_.!~*'()]+"
_SYNTAX = {
    "identifier": re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:(?:[!$&-;=?-Z_a-z~]|%[0-9A-Fa-f]{2})+"),
    "metadataPrefix": re.compile(_WORD),
    "set": re.compile(rf"{_WORD}(?::{_WORD})*"),
    "from": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?"),
    "until": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?"),
}
"""The syntax of arguments: the schema allows no other in attributes of the element `request`."""

_LONGEST = 2_000
"""Most characters of an argument."""


@dataclass(frozen=True, slots=True)
class OaiRequest:
    """A request whose arguments are as its verb wants them."""

    verb: str
    arguments: Arguments
    """Without the verb, as they were given."""
    since: int | None = None
    """`from`, in microseconds since 1970."""
    until: int | None = None
    """`until`: the last microsecond of its second or day."""

    def get(self, name: str) -> str:
        """Return an argument; empty if it was not given."""
        return self.arguments.get(name, "")


def parse_request(items: Iterable[tuple[str, str]]) -> OaiRequest:
    """Return the request of these arguments.

    Args:
        items: Names and values, in the order of the request.

    Raises:
        HarvestError: `badVerb` or `badArgument`
    """
    items = list(items)
    verb = _verb([value for name, value in items if name == "verb"])
    others = [(name, value) for name, value in items if name != "verb"]
    arguments = dict(others)
    repeated = [name for name, count in Counter(name for name, _ in others).items() if count > 1]
    if repeated:
        raise _bad(f"{_shown(repeated[0])} is given more than once")
    _require_names(verb, arguments)
    for name, value in arguments.items():
        _require_syntax(name, value)
    since, until = _times(arguments)
    return OaiRequest(verb, arguments, since, until)


def _verb(values: list[str]) -> str:
    if len(values) != 1:
        problem = "is missing" if not values else "is given more than once"
        raise HarvestError("badVerb", f"the argument verb {problem}")
    if values[0] not in VERBS:
        raise HarvestError("badVerb", f"no verb is named {_shown(values[0])}")
    return values[0]


def _require_names(verb: str, arguments: Arguments) -> None:
    known = VERBS[verb]
    allowed = known.required | known.optional | ({_TOKEN} if known.has_token else set())
    for name in arguments:
        if name not in allowed:
            raise _bad(f"{verb} has no argument {_shown(name)}")
    if _TOKEN in arguments:
        if len(arguments) > 1:
            raise _bad(f"{_TOKEN} is given beside other arguments")
        return
    for name in sorted(known.required):
        if name not in arguments:
            raise _bad(f"{verb} needs the argument {name}")


def _require_syntax(name: str, value: str) -> None:
    pattern = _SYNTAX.get(name)
    if pattern is not None and (len(value) > _LONGEST or pattern.fullmatch(value) is None):
        raise _bad(f"{name} is not written as OAI-PMH writes it: {_shown(value)}")


def _times(arguments: Arguments) -> tuple[int | None, int | None]:
    since, until = arguments.get("from"), arguments.get("until")
    if since is not None and until is not None and len(since) != len(until):
        raise _bad("from and until have different granularities")
    first = None if since is None else _instant("from", since, "T00:00:00Z")
    last = None if until is None else _instant("until", until, "T23:59:59Z") + 999_999
    if first is not None and last is not None and first > last:
        raise _bad("from is later than until")
    return first, last


def _instant(name: str, text: str, of_day: str) -> int:
    at = instant(text if "T" in text else text + of_day)
    if at is None:
        raise _bad(f"{name} is not a time: {_shown(text)}")
    return at


def _bad(message: str) -> HarvestError:
    return HarvestError("badArgument", message)


def _shown(text: str) -> str:
    return repr(text[:80])
