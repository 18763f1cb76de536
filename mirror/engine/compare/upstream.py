"""Statements of an upstream: read from a file, a folder, a bag, JSON Lines, or over HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from mirror.archive import BUNDLES, STATES, Member, ReadLimits, RefusedMember, open_source
from mirror.archive.member import member_or_refusal
from mirror.core.bundle import VerifiedBundle, parse_bundle, verify_bundle
from mirror.core.comparison.causes import parse_upstream_state
from mirror.core.composed import compose
from mirror.core.keys import KeySet
from mirror.core.merge import State, merge
from mirror.core.msgpack_values import decode_packed, might_contain_float, pack
from mirror.core.shape import text_member
from mirror.core.values import Object, canonical, decode, encode_integers, sha256
from mirror.engine.batching import batched
from mirror.engine.compare.large_records import RecordMembers, group_by_record
from mirror.engine.process_pool import map_in_processes
from mirror.engine.sync.requests import RecordRequest
from mirror.errors import FormatError, SourceError, UpstreamError
from mirror.net import PER_RESPONSE_CODES, Client, RegistryClient, parse_url

__all__ = ["Unreadable", "UpstreamResponse", "UpstreamSource", "UpstreamStatement"]

_BATCH_MEMBERS = 100
_BATCH_BYTES = 4 << 20
_FEW_BATCHES = 4
"""The most batches that are read without starting processes."""


class UpstreamStatement(NamedTuple):
    """A state or a bundle of a record, as an upstream has it."""

    where: str
    """The member or the URL."""
    pith_number: str
    """Pith Number of the requested record, or else of the record in the statement."""
    state_text: bytes
    """The state, or the state of the bundle under our keys; canonical bytes."""
    text: bytes
    """The statement itself, canonical bytes."""
    digest: bytes
    """The digest of the state (M12), raw."""

    @property
    def state(self) -> Object:
        """The state as a value."""
        return parse_upstream_state(decode(self.state_text))


class Unreadable(NamedTuple):
    """A response or member without a usable statement."""

    where: str
    """The member or the URL."""
    pith_number: str
    """Pith Number or name of the requested record; empty if it is unknown."""
    code: str
    message: str
    is_missing: bool = False
    """Whether the upstream reports that it has no such record."""

    @property
    def is_proof(self) -> bool:
        """Whether the record does not hash to its own number or digest (R2, R3)."""
        return self.code in {"record.digest", "record.number"}

    @property
    def reason(self) -> str:
        """The message with its place."""
        what = f"{self.message}: upstream is provably wrong" if self.is_proof else self.message
        return f"{self.where}: {what}" if self.where else what


UpstreamResponse: TypeAlias = UpstreamStatement | Unreadable

_ANY = RecordRequest("", "")


@dataclass(frozen=True, slots=True)
class UpstreamSource:
    """An upstream to compare with, and how to read it; may be sent to other processes."""

    url: str
    """An address, a file, a folder, or `-`."""
    keys: KeySet
    """The keys under which its bundles are merged."""
    bundles: bool = False
    """Whether to read its bundles instead of its states."""
    limits: ReadLimits = field(default_factory=ReadLimits)

    def __post_init__(self) -> None:
        if self.is_address:
            parse_url(self.url)  # the URL becomes a name in the history, so it must be valid

    @property
    def kind(self) -> str:
        """The kind of its statements: `state` or `bundle`."""
        return "bundle" if self.bundles else "state"

    @property
    def is_address(self) -> bool:
        """Whether it is read over HTTP."""
        return self.url.lower().startswith(("http://", "https://"))

    # From files ------------------------------------------------------------------------------

    def members(self) -> Iterator[UpstreamResponse]:
        """Yield all statements of a file or folder, read by several processes if there are many.

        Raises:
            UpstreamError: `upstream.unreadable` if nothing, or nothing more, can be read; the
                statements before were yielded.
        """
        failures: list[UpstreamError] = []
        items = self._items(failures)
        groups: Iterator[RecordMembers] = (
            group_by_record(items) if self.bundles else map(_alone, items)
        )
        batches = batched(groups, _BATCH_MEMBERS, _size_of, _BATCH_BYTES)
        for responses in map_in_processes(batches, self.read_batch, few=_FEW_BATCHES):
            yield from responses
        if failures:
            raise failures[0]

    def _items(self, failures: list[UpstreamError]) -> Iterator[Member | RefusedMember]:
        try:
            with open_source(self.url, self.limits, BUNDLES if self.bundles else STATES) as source:
                for item in source.items():
                    if isinstance(item, RefusedMember) and item.code == "archive.empty":
                        failures.append(_unreadable(self.url, item.message))
                    elif isinstance(item, Member) or (
                        isinstance(item, RefusedMember) and not item.is_passed_over
                    ):
                        yield item
        except SourceError as error:
            failures.append(_unreadable(self.url, error.message))

    # Over HTTP -------------------------------------------------------------------------------

    def responses(
        self, client: Client, requests: Iterable[RecordRequest]
    ) -> Iterator[UpstreamResponse]:
        """Request the records one after the other.

        Raises:
            UpstreamError: If the upstream cannot be reached, or further requests are pointless.
        """
        remote = RegistryClient(client, self.url)
        for request in requests:
            if not request.name:
                message = "this is not an identifier of a record"
                yield Unreadable("", request.record, "sync.id", message, is_missing=True)
                continue
            url = remote.record_url(request.name, self.kind)
            try:
                yield self._get(remote, url, request)
            except UpstreamError as error:
                if error.code not in PER_RESPONSE_CODES:
                    raise
                yield Unreadable(url, request.record, error.code, error.message)

    def _get(self, remote: RegistryClient, url: str, request: RecordRequest) -> UpstreamResponse:
        response = remote.get_record(request.name, self.kind, limit_bytes=self.limits.bundle_bytes)
        if response.is_ambiguous:
            message = "upstream has several records of this name: give a whole Pith Number"
            return Unreadable(url, request.record, "upstream.ambiguous", message)
        if not response.is_found:
            message = "upstream has no such record"
            return Unreadable(url, request.record, "upstream.gone", message, is_missing=True)
        item = member_or_refusal(url, response.body, self.limits)
        if isinstance(item, RefusedMember):
            return Unreadable(url, request.record, item.code, item.message)
        return self.read(url, item.data, request)

    # Parsing ---------------------------------------------------------------------------------

    def read_batch(self, batch: list[RecordMembers]) -> list[UpstreamResponse]:
        """Return the statements in some members; members of one record give one statement (C2)."""
        return [self._read_group(group) for group in batch]

    def _read_group(self, group: RecordMembers) -> UpstreamResponse:
        if isinstance(group, RefusedMember):
            return Unreadable(group.name, "", group.code, group.message)
        first = group[0]
        if len(group) == 1:
            return self.read(first.name, first.data, is_packed=first.is_packed)
        try:
            return self._join(first.name, [self._verify(*member[1:]) for member in group])
        except FormatError as error:
            return Unreadable(first.name, "", error.code, error.message)

    def read(
        self, where: str, data: bytes, request: RecordRequest = _ANY, *, is_packed: bool = False
    ) -> UpstreamResponse:
        """Return the statement in a response or member.

        Args:
            where: The URL or the member.
            data: The content.
            request: The request for it.
            is_packed: Whether it is MessagePack (C4).
        """
        try:
            statement = self._parse(where, data, is_packed)
        except FormatError as error:
            place = f"{error.where}: " if error.where else ""
            return Unreadable(where, request.record, error.code, f"{place}{error.message}")
        # The response to a request is a statement on the requested record, whatever it contains.
        number = request.pith_number
        return statement._replace(pith_number=number) if number else statement

    def _parse(self, where: str, data: bytes, is_packed: bool) -> UpstreamStatement:  # noqa: FBT001
        if self.bundles:
            verified = self._verify(data, is_packed)
            facts = (verified.record, verified.receipts, verified.alias_claims, verified.events)
            text = canonical(decode_packed(data) if is_packed else decode(data))
            return _bundle_statement(where, merge(*facts, self.keys), text)
        state = parse_upstream_state(decode(data))
        # It is faster to look for a float in MessagePack than in JSON.
        text = canonical(state) if might_contain_float(pack(state)) else encode_integers(state)
        return UpstreamStatement(where, text_member(state, "pith_number"), text, text, sha256(text))

    def _verify(self, data: bytes, is_packed: bool) -> VerifiedBundle:  # noqa: FBT001
        bundle = parse_bundle(data, self.limits.for_bundles(), is_packed=is_packed)
        return verify_bundle(bundle, self.keys)

    def _join(self, where: str, members: list[VerifiedBundle]) -> UpstreamStatement:
        """Return the statement of the members of one record together (C2)."""
        record = members[0].record
        if any(one.record.digest != record.digest for one in members):
            message = "the members of one record hold different records"
            raise FormatError("record.digest", message)
        claims = {claim for one in members for claim in one.alias_claims}
        receipts = {one.digest: one for member in members for one in member.receipts}.values()
        events = {one.digest: one for member in members for one in member.events}.values()
        text = canonical(decode(compose(record, claims, receipts, events)))
        return _bundle_statement(where, merge(record, receipts, claims, events, self.keys), text)


def _bundle_statement(where: str, state: State, text: bytes) -> UpstreamStatement:
    """Return the statement of a bundle, given the state of its facts."""
    state_text = canonical(state.value)
    number = text_member(state.value, "pith_number")
    return UpstreamStatement(where, number, state_text, text, sha256(state_text))


def _alone(item: Member | RefusedMember) -> RecordMembers:
    return item if isinstance(item, RefusedMember) else (item,)


def _size_of(group: RecordMembers) -> int:
    return 0 if isinstance(group, RefusedMember) else sum(len(one.data) for one in group)


def _unreadable(where: str, message: str) -> UpstreamError:
    hint = "give an address, a folder, a bag, a file of JSON Lines, or one state"
    return UpstreamError("upstream.unreadable", message, where=where, hint=hint)
