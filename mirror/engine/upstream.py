"""What upstream says of records: read from a file, a folder, a bag, JSON Lines, or over HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias
from urllib.parse import quote

from mirror.archive import BUNDLES, STATES, Bag, Limits, Member, Refused, open_source
from mirror.core.bundle import parse_bundle, verify_bundle
from mirror.core.compare import parse_claim
from mirror.core.keys import KeySet
from mirror.core.merge import merge
from mirror.core.packed import decode_packed
from mirror.core.values import Object, canonical, decode
from mirror.errors import FormatError, SourceError, UpstreamError
from mirror.net import Client

__all__ = ["ONE_ANSWER", "Answer", "Said", "Unreadable", "Upstream", "Wish"]

ONE_ANSWER = frozenset({
    "upstream.encoding", "upstream.size", "upstream.status", "upstream.truncated", "upstream.type",
})  # fmt: skip
"""Codes that speak of one answer; with any other, asking for the next makes no sense."""


class Said(NamedTuple):
    """Something that upstream said of a record."""

    where: str
    """The member or address."""
    state: Object
    """The state, or what the bundle comes to under our keys."""
    text: bytes
    """What was said, canonical bytes."""


class Unreadable(NamedTuple):
    """An answer that says nothing."""

    where: str
    pith_number: str
    """Of the record that was asked for; empty if that is not known."""
    code: str
    message: str
    is_missing: bool = False
    """Whether upstream says that it has no such record."""


Answer: TypeAlias = Said | Unreadable


class Wish(NamedTuple):
    """A record to ask upstream for."""

    name: str
    """What its path is made of: a suffix, or what the person wrote."""
    pith_number: str
    """Empty if it is not in the store."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """Whom to compare with."""

    place: str
    """An address, a file, a folder, or `-`."""
    keys: KeySet
    """Under which its bundles are merged, if they are what is asked for."""
    bundles: bool = False
    """Whether to take its bundles, and not its states."""
    limits: Limits = field(default_factory=Limits)

    @property
    def kind(self) -> str:
        """What it says: `state` or `bundle`."""
        return "bundle" if self.bundles else "state"

    @property
    def is_address(self) -> bool:
        """Whether it is read over HTTP."""
        return self.place.lower().startswith(("http://", "https://"))

    # From files ------------------------------------------------------------------------------

    def members(self) -> Iterator[Answer]:
        """Yield all that a file or folder says.

        Raises:
            UpstreamError: `upstream.unreadable` if there is nothing to be read.
        """
        wanted = BUNDLES if self.bundles else STATES
        try:
            with open_source(self.place, self.limits, wanted) as source:
                for item in source.items():
                    if isinstance(item, Refused) and item.code == "archive.empty":
                        raise _nothing_there(self.place, item.message)
                    if not isinstance(item, Bag):
                        yield self._of_member(item)
        except SourceError as error:
            raise _nothing_there(self.place, error.message) from error

    def _of_member(self, item: Member | Refused) -> Answer:
        if isinstance(item, Refused):
            return Unreadable(item.name, "", item.code, item.message)
        return self._read(item.name, "", item.data, is_packed=item.is_packed)

    # Over HTTP -------------------------------------------------------------------------------

    def answers(self, client: Client, wishes: Iterable[Wish]) -> Iterator[Answer]:
        """Ask for each record in turn.

        Raises:
            UpstreamError: If upstream cannot be reached, or asked any further.
        """
        for wish in wishes:
            name = quote(wish.name, safe=":")
            url = f"{self.place.rstrip('/')}/pith/{name}/{self.kind}.json"
            try:
                yield self._ask(client, url, wish)
            except UpstreamError as error:
                if error.code not in ONE_ANSWER:
                    raise
                yield Unreadable(url, wish.pith_number, error.code, error.message)

    def _ask(self, client: Client, url: str, wish: Wish) -> Answer:
        answer = client.get(url, limit_bytes=self.limits.bundle_bytes)
        if answer.status in {404, 410}:
            message = "upstream has no such record"
            return Unreadable(url, wish.pith_number, "upstream.gone", message, is_missing=True)
        if answer.status != 200:
            message = f"upstream answers {answer.status}: the name may fit several records"
            return Unreadable(url, wish.pith_number, "upstream.status", message)
        return self._read(url, wish.pith_number, answer.body)

    # What was said ---------------------------------------------------------------------------

    def _read(self, where: str, number: str, data: bytes, *, is_packed: bool = False) -> Answer:
        try:
            if self.bundles:
                return self._of_bundle(where, data, is_packed=is_packed)
            value = decode(data)
            return Said(where, parse_claim(value), canonical(value))
        except FormatError as error:
            place = f"{error.where}: " if error.where else ""
            return Unreadable(where, number, error.code, f"{place}{error.message}")

    def _of_bundle(self, where: str, data: bytes, *, is_packed: bool) -> Said:
        bundle = parse_bundle(data, self.limits.events, self.limits.depth, is_packed=is_packed)
        verified = verify_bundle(bundle, self.keys)
        facts = (verified.record, verified.receipts, verified.alias_claims, verified.events)
        state = merge(*facts, self.keys)
        value = decode_packed(data) if is_packed else decode(data)
        return Said(where, state.value, canonical(value))


def _nothing_there(place: str, message: str) -> UpstreamError:
    hint = "give an address, a folder, a bag, a file of JSON Lines, or one state"
    return UpstreamError("upstream.unreadable", message, where=place, hint=hint)
