"""What upstream says of records: read from a file, a folder, a bag, JSON Lines, or over HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias, cast

from mirror.archive import BUNDLES, STATES, Member, ReadLimits, RefusedMember, open_source
from mirror.archive.member import member_or_refusal
from mirror.core.bundle import VerifiedBundle, parse_bundle, verify_bundle
from mirror.core.comparison.causes import parse_claim
from mirror.core.composed import compose
from mirror.core.keys import KeySet
from mirror.core.merge import merge
from mirror.core.msgpack_values import decode_packed, might_contain_float, pack
from mirror.core.values import Object, canonical, decode, encode_integers, sha256
from mirror.engine.ingest.large_records import Piece, by_record
from mirror.engine.process_pool import map_in_processes
from mirror.engine.sync.requests import RecordRequest
from mirror.errors import FormatError, SourceError, UpstreamError
from mirror.net import PER_RESPONSE_CODES, Client, RegistryClient, parse_url

__all__ = ["Unreadable", "UpstreamAnswer", "UpstreamSource", "UpstreamStatement"]

_BATCH_MEMBERS = 100
_BATCH_BYTES = 4 << 20
_FEW_BATCHES = 4
"""Batches up to which no process is started."""


class UpstreamStatement(NamedTuple):
    """Something that upstream said of a record."""

    where: str
    """The member or address."""
    pith_number: str
    """Of the record that was asked for; where none was, of the one that it speaks of."""
    state_text: bytes
    """The state, or what the bundle comes to under our keys, canonical bytes."""
    text: bytes
    """What was said, canonical bytes."""
    digest: bytes
    """Of the state (M12), raw."""

    @property
    def state(self) -> Object:
        """The state as a value."""
        return parse_claim(decode(self.state_text))


class Unreadable(NamedTuple):
    """An answer that says nothing."""

    where: str
    pith_number: str
    """Of the record that was asked for, or its name; empty if that is not known."""
    code: str
    message: str
    is_missing: bool = False
    """Whether upstream says that it has no such record."""

    @property
    def is_proof(self) -> bool:
        """Whether it is no bundle because its record does not hash to what it prints (R2, R3)."""
        return self.code in {"record.digest", "record.number"}

    @property
    def reason(self) -> str:
        """What is wrong, and where."""
        what = f"{self.message}: upstream is provably wrong" if self.is_proof else self.message
        return f"{self.where}: {what}" if self.where else what


UpstreamAnswer: TypeAlias = UpstreamStatement | Unreadable


_ANY = RecordRequest("", "")


@dataclass(frozen=True, slots=True)
class UpstreamSource:
    """Whom to compare with."""

    url: str
    """An address, a file, a folder, or `-`."""
    keys: KeySet
    """Under which its bundles are merged, if they are what is asked for."""
    bundles: bool = False
    """Whether to take its bundles, and not its states."""
    limits: ReadLimits = field(default_factory=ReadLimits)

    def __post_init__(self) -> None:
        if self.is_address:
            parse_url(self.url)  # it may be refused, and is kept as a name if it is not

    @property
    def kind(self) -> str:
        """What it says: `state` or `bundle`."""
        return "bundle" if self.bundles else "state"

    @property
    def is_address(self) -> bool:
        """Whether it is read over HTTP."""
        return self.url.lower().startswith(("http://", "https://"))

    @property
    def reader(self) -> UpstreamReader:
        """What makes sense of its answers."""
        return UpstreamReader(self.bundles, self.keys, self.limits)

    # From files ------------------------------------------------------------------------------

    def members(self) -> Iterator[UpstreamAnswer]:
        """Yield all that a file or folder says, read on every core if it is much.

        Raises:
            UpstreamError: `upstream.unreadable` if there is nothing to be read, or no more of it;
                what came before was yielded.
        """
        ended: list[UpstreamError] = []
        for answers in map_in_processes(
            self._batches(ended), self.reader.answers, few=_FEW_BATCHES
        ):
            yield from answers
        if ended:
            raise ended[0]

    def _batches(self, ended: list[UpstreamError]) -> Iterator[list[Piece]]:
        """Yield what is in the source; `ended` takes the error that ends it before its time."""
        batch: list[Piece] = []
        size = 0
        items = self._items(ended)
        for piece in by_record(items) if self.bundles else map(_alone, items):
            batch.append(piece)
            size += 0 if isinstance(piece, RefusedMember) else sum(len(one.data) for one in piece)
            if len(batch) == _BATCH_MEMBERS or size > _BATCH_BYTES:
                yield batch
                batch, size = [], 0
        yield batch

    def _items(self, ended: list[UpstreamError]) -> Iterator[Member | RefusedMember]:
        wanted = BUNDLES if self.bundles else STATES
        try:
            with open_source(self.url, self.limits, wanted) as source:
                for item in source.items():
                    if isinstance(item, RefusedMember) and item.code == "archive.empty":
                        ended.append(_nothing_there(self.url, item.message))
                    elif isinstance(item, Member) or (
                        isinstance(item, RefusedMember) and not item.is_passed_over
                    ):
                        yield item
        except SourceError as error:
            ended.append(_nothing_there(self.url, error.message))

    # Over HTTP -------------------------------------------------------------------------------

    def answers(
        self, client: Client, requests: Iterable[RecordRequest]
    ) -> Iterator[UpstreamAnswer]:
        """Ask for each record in turn.

        Raises:
            UpstreamError: If upstream cannot be reached, or asked any further.
        """
        remote = RegistryClient(client, self.url)
        for request in requests:
            if not request.name:
                message = "this is not an identifier of a record"
                yield Unreadable("", request.record, "sync.id", message, is_missing=True)
                continue
            url = remote.record_url(request.name, self.kind)
            try:
                yield self._ask(remote, url, request)
            except UpstreamError as error:
                if error.code not in PER_RESPONSE_CODES:
                    raise
                yield Unreadable(url, request.record, error.code, error.message)

    def _ask(self, remote: RegistryClient, url: str, request: RecordRequest) -> UpstreamAnswer:
        answer = remote.get_record(request.name, self.kind, limit_bytes=self.limits.bundle_bytes)
        if answer.is_ambiguous:
            message = "upstream has several records of this name: give a whole Pith Number"
            return Unreadable(url, request.record, "upstream.ambiguous", message)
        if not answer.is_found:
            message = "upstream has no such record"
            return Unreadable(url, request.record, "upstream.gone", message, is_missing=True)
        item = member_or_refusal(url, answer.body, self.limits)
        if isinstance(item, RefusedMember):
            return Unreadable(url, request.record, item.code, item.message)
        return self.reader.read(url, item.data, request)


# What was said -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UpstreamReader:
    """Makes sense of answers, in any process."""

    bundles: bool
    keys: KeySet
    limits: ReadLimits

    def answers(self, batch: list[Piece]) -> list[UpstreamAnswer]:
        """Return what the members of a container say, those of one record together."""
        return [self._of_piece(piece) for piece in batch]

    def _of_piece(self, piece: Piece) -> UpstreamAnswer:
        if isinstance(piece, RefusedMember):
            return Unreadable(piece.name, "", piece.code, piece.message)
        first = piece[0]
        if len(piece) == 1:
            return self.read(first.name, first.data, is_packed=first.is_packed)
        try:
            return self._of_large(first.name, [self._parse(*member) for member in piece])
        except FormatError as error:
            return Unreadable(first.name, "", error.code, error.message)

    def read(
        self, where: str, data: bytes, request: RecordRequest = _ANY, *, is_packed: bool = False
    ) -> UpstreamAnswer:
        """Return what an answer says.

        Args:
            where: Its place.
            data: The answer.
            request: What was asked for.
            is_packed: Whether it is MessagePack (C4).
        """
        try:
            said = self._read(where, data, is_packed=is_packed)
        except FormatError as error:
            place = f"{error.where}: " if error.where else ""
            return Unreadable(where, request.record, error.code, f"{place}{error.message}")
        # Whatever it speaks of, it is the answer for the record that was asked for.
        return said._replace(pith_number=request.pith_number) if request.pith_number else said

    def _read(self, where: str, data: bytes, *, is_packed: bool) -> UpstreamStatement:
        if self.bundles:
            return self._of_bundle(where, data, is_packed=is_packed)
        state = parse_claim(decode(data))
        # Whether a float is in it is told sooner by its MessagePack than by its JSON.
        text = canonical(state) if might_contain_float(pack(state)) else encode_integers(state)
        return UpstreamStatement(where, cast("str", state["pith_number"]), text, text, sha256(text))

    def _of_bundle(self, where: str, data: bytes, *, is_packed: bool) -> UpstreamStatement:
        verified = self._parse(where, data, is_packed)
        facts = (verified.record, verified.receipts, verified.alias_claims, verified.events)
        state = canonical(merge(*facts, self.keys).value)
        text = canonical(decode_packed(data) if is_packed else decode(data))
        return UpstreamStatement(where, verified.record.pith_number, state, text, sha256(state))

    def _parse(self, _where: str, data: bytes, is_packed: bool) -> VerifiedBundle:  # noqa: FBT001
        bundle = parse_bundle(data, self.limits.for_bundles(), is_packed=is_packed)
        return verify_bundle(bundle, self.keys)

    def _of_large(self, where: str, members: list[VerifiedBundle]) -> UpstreamStatement:
        """Return what the members of one record say together (C2)."""
        record = members[0].record
        if any(one.record.digest != record.digest for one in members):
            message = "the members of one record hold different records"
            raise FormatError("record.digest", message)
        claims = {claim for one in members for claim in one.alias_claims}
        receipts = {one.digest: one for member in members for one in member.receipts}.values()
        events = {one.digest: one for member in members for one in member.events}.values()
        state = canonical(merge(record, receipts, claims, events, self.keys).value)
        text = canonical(decode(compose(record, claims, receipts, events)))
        return UpstreamStatement(where, record.pith_number, state, text, sha256(state))


def _alone(item: Member | RefusedMember) -> Piece:
    return item if isinstance(item, RefusedMember) else (item,)


def _nothing_there(place: str, message: str) -> UpstreamError:
    hint = "give an address, a folder, a bag, a file of JSON Lines, or one state"
    return UpstreamError("upstream.unreadable", message, where=place, hint=hint)
