"""One bundle through both engines, and all that follows from it in a form that can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from mirror.archive import Member, ReadLimits
from mirror.core.keys import KeySet
from mirror.core.msgpack_values import pack
from mirror.core.values import instant
from mirror.engine.findings import VerifiedMember
from mirror.engine.ingest.worker import SourceMember, VerifyContext, process
from mirror.engine.native_engine import Engine, engine_for
from mirror.store import NewFacts, StateColumns
from mirror.store.arrival_codec import decompress
from tests.builders import to_json

NOW = instant("2026-06-01T00:00:00Z") or 0

Text = tuple[bytes, bool]
"""The bytes of a bundle, and whether they are MessagePack."""


def both_texts(bundle: Any) -> list[Text]:
    """A bundle as JSON and as MessagePack."""
    return [(to_json(bundle), False), (pack(bundle), True)]


class Pair:
    """Both engines under one key set and one set of limits."""

    def __init__(self, keys: KeySet, limits: ReadLimits | None = None) -> None:
        self._limits = limits or ReadLimits()
        self._context = VerifyContext(keys, self._limits, NOW, encodes_facts=True, merges=True)

    @cached_property
    def _engine(self) -> Engine:
        keys = self._context.keys
        engine = engine_for(keys, self._limits.for_bundles(keys.profiles))
        assert engine is not None
        return engine

    @property
    def panics(self) -> int:
        """How often the native engine panicked."""
        return self._engine.panics

    def native(self, texts: Sequence[Text]) -> list[Any]:
        """What the native engine says of each text: None, or all that follows from it."""
        found = self._engine.verify(texts, NOW, encode=True)
        return [None if one is None else (*one[:3], _plain(one.new_facts)) for one in found]

    def python(self, text: Text) -> Any:
        """What Python says of a text: None if there is any finding, or all that follows."""
        found = process(SourceMember("", Member("", *text)), self._context)
        if not isinstance(found, VerifiedMember) or found.findings:
            return None
        return (*_numbers(found), _plain(found.new_facts))

    def accepted(self, texts: Sequence[Text]) -> list[bool]:
        """Whether the native engine accepts each text; what it accepts must be Python's."""
        answers = self.native(texts)
        for text, answer in zip(texts, answers, strict=True):
            if answer is not None:
                assert answer == self.python(text), text
        return [one is not None for one in answers]

    def agree(self, texts: Sequence[Text]) -> list[bool]:
        """Whether both engines accept each text; they must say the same of it."""
        accepted = self.accepted(texts)
        for text, is_accepted in zip(texts, accepted, strict=True):
            assert is_accepted or self.python(text) is None, text
        return accepted


def _plain(facts: NewFacts | None) -> Any:
    """Facts with their content decompressed, and their keys in no order."""
    assert facts is not None
    content = decompress(facts.content) if facts.content else b""
    key_ids = frozenset(facts.key_ids)
    return *facts._replace(content=content, key_ids=(), state=None), key_ids, _state(facts.state)


def _state(state: StateColumns | None) -> Any:
    assert state is not None
    return state._replace(outline=decompress(state.outline))


def _numbers(found: VerifiedMember) -> tuple[str, int, int]:
    return found.pith_number, found.events_valid, found.receipts_verified
