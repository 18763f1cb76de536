"""Values that carry trust cannot be changed after they were made."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from mirror.core.bundle import parse_bundle, verify_bundle
from mirror.core.events.event import InvalidEvent, ValidEvent
from mirror.core.merge import merge
from tests.builders import (
    Signer,
    created,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    to_json,
)
from tests.helpers import keys_of

RECORD = make_record()
ALICE = Signer("alice")
KEYS = keys_of(ALICE)
EVENT = make_event(RECORD, ALICE, "record_created", created(RECORD, ALICE))

BUNDLE = parse_bundle(
    to_json(make_bundle(RECORD, [EVENT, 7], receipts=[make_receipt(RECORD, ALICE)]))
)
VERIFIED = verify_bundle(BUNDLE, KEYS)
VALID, INVALID = VERIFIED.events
STATE = merge(BUNDLE.record, VERIFIED.receipts, VERIFIED.alias_claims, VERIFIED.events, KEYS)

TRUSTED = {
    type(one).__name__: one
    for one in (BUNDLE, VERIFIED, BUNDLE.events[0], VALID, INVALID, VERIFIED.receipts[0], STATE)
}


def _names(value: Any) -> list[str]:
    return [one.name for one in fields(value)] if is_dataclass(value) else list(value._fields)


def test_each_type_is_here() -> None:
    """The seven types between a bundle and its state."""
    assert isinstance(VALID, ValidEvent)
    assert isinstance(INVALID, InvalidEvent)
    assert TRUSTED.keys() == {
        "Bundle", "VerifiedBundle", "EncodedEvent", "ValidEvent", "InvalidEvent", "Receipt",
        "State",
    }  # fmt: skip


@pytest.mark.parametrize("name", TRUSTED)
def test_no_field_can_be_assigned_or_added(name: str) -> None:
    """An assignment fails, and the value stays."""
    value = TRUSTED[name]
    for field in [*_names(value), "more"]:
        before = getattr(value, field, None)
        with pytest.raises((AttributeError, TypeError)):
            setattr(value, field, None)
        assert getattr(value, field, None) is before
