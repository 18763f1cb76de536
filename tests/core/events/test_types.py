"""The table of event types (E4): its columns agree, and no other module lists the types again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mirror.core.events.types import (
    EVENT_TYPES,
    LISTED_TYPES,
    OTHER_EVENTS,
    STATUS_LISTS,
    PayloadContext,
    label_of,
    list_label,
    table_of_types,
)
from mirror.core.receipt import check_receipt
from mirror.core.record import parse_record
from mirror.core.state_view import StateView
from mirror.core.verification_status import claim_statuses
from tests import oracle
from tests.builders import NOON, Signer, make_receipt, make_record, payload_of
from tests.helpers import keys_of
from tests.source import MODULES, PACKAGE, source_of

TABLE = "core/events/types.py"
MAY_NAME = {
    ("core/receipt.py", "record_created"): "the role of a key that signs receipts (S2)",
    ("core/verification_status.py", "graph_snapshot"): "a flag of the registry",
    ("engine/tables/column_meanings.py", "author_claimed"): "the meanings of its members",
    ("engine/tables/column_meanings.py", "challenge_filed"): "the meanings of its members",
    ("engine/tables/column_meanings.py", "replication_recorded"): "the meanings of its members",
}
"""Modules that may name an event type, and why."""


def _names(path: Path) -> set[str]:
    """The event types that are string literals of a module."""
    text = path.read_text("utf-8")
    if not any(name in text for name in EVENT_TYPES):
        return set()  # it need not be parsed
    return {literal for _, literal in source_of(path).strings if literal in EVENT_TYPES}


def test_event_types_are_named_only_in_their_table() -> None:
    """Other modules ask the table, or name one type by a constant of its module."""
    found = {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in MODULES
        if path.parent.name != "conformance"  # which makes events of each type
        for name in _names(path)
    }
    named = {name for path, name in found if path == TABLE}
    assert named == EVENT_TYPES.keys()
    assert {one for one in found if one[0] != TABLE} == MAY_NAME.keys()


def test_a_name_elsewhere_is_found(tmp_path: Path) -> None:
    """The check itself; a docstring that mentions a type is no name."""
    module = tmp_path / "module.py"
    module.write_text('"""Not citation_signed."""\nTYPES = {"citation_signed": 1}\n')
    assert _names(module) == {"citation_signed"}


def test_labels_are_distinct() -> None:
    """A person can tell types apart by them."""
    kinds = EVENT_TYPES.values()
    assert len({kind.label for kind in kinds}) == len({kind.plural for kind in kinds}) == len(kinds)


def test_labels() -> None:
    """Of a type and of a list; what the table does not name is its own label."""
    assert label_of("storage_attested") == "stored copy"
    assert label_of("x.y") == "x.y"
    assert list_label("storage_attestations") == "stored copies"
    assert list_label(OTHER_EVENTS) == "other events"


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_summary_fields_are_members_of_the_payload(name: str) -> None:
    """Except those of a snapshot's paper, and those that an integrity finding's evidence holds."""
    kind = EVENT_TYPES[name]
    elsewhere = {
        "graph_snapshot": {"title", "authors_text"},
        "pith.integrity.v1": {"ref_index", "detected_doi", "detected_arxiv_id", "snippet", "note"},
    }
    known = {*kind.members, *kind.optional, *elsewhere.get(name, ())}
    assert kind.summary_fields
    assert set(kind.summary_fields) <= known


def test_flags_are_those_of_the_verification_status() -> None:
    """Each flag that a list decides is one that `claim_statuses` gives."""
    state = StateView({"current": {name: [] for name in LISTED_TYPES}})
    assert STATUS_LISTS.keys() <= claim_statuses(state).keys()
    assert set(STATUS_LISTS.values()) <= LISTED_TYPES.keys()


# The rules of the table as data --------------------------------------------------------------

RECORD = make_record()
ALICE = Signer("alice")
CONTEXT = PayloadContext(parse_record(RECORD), keys_of(ALICE))
DIGEST = "0123456789abcdef" * 4


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


DECIDES: dict[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "object": lambda value: isinstance(value, dict),
    "time": lambda value: isinstance(value, str) and oracle.instant(value) is not None,
    "digest": _matches("[0-9a-f]{64}"),
    "base64": lambda value: isinstance(value, str) and oracle.decode_base64(value) is not None,
    "event_id": _matches("sha256:[0-9a-f]{64}"),
    "version_number": _matches(r"[0-9]+\.[0-9]+\.[0-9]+"),
    "record": lambda value: oracle.canonical(value) == oracle.canonical(RECORD),
    "record_digest": lambda value: value == oracle.record_digest(RECORD),
    "receipt": lambda value: check_receipt(value, CONTEXT.record, CONTEXT.keys) is None,
}
"""What each kind means, said again."""

OTHERS: list[Any] = [
    None, True, 1, 1.0, "", "x", [], {}, [{}], NOON, f"{NOON}\n", DIGEST, DIGEST.upper(),
    f"{DIGEST}\n", f"sha256:{DIGEST}", f"sha256:{DIGEST}\n", "AA==", "AB==", "1.0.0", "1.0",
    "1.0.0\n", "\u0661.0.0", RECORD, {**RECORD, "more": 1}, oracle.record_digest(RECORD),
    make_receipt(RECORD, ALICE), make_receipt(RECORD, Signer("bob")), "withdrawn", "rescinded",
]  # fmt: skip


def _payloads(name: str) -> Iterator[dict[str, Any]]:
    """Yield a payload of a type that fits, and those that differ in one member."""
    kind = EVENT_TYPES[name]
    payload = payload_of(name, RECORD, ALICE)
    yield payload
    for member in (*kind.members, *kind.optional, "more"):
        yield {one: value for one, value in payload.items() if one != member}
        allowed = kind.members[member].allowed if member in kind.members else ()
        yield from ({**payload, member: other} for other in [*OTHERS, *allowed])


def _fits(row: Any, target: str, payload: dict[str, Any]) -> bool:
    """Whether a row of the data lets target and payload pass."""
    return (
        target == row["target"]
        and all(
            name in payload
            and (payload[name] in allowed if kind == "one_of" else DECIDES[kind](payload[name]))
            for name, kind, allowed in row["members"]
        )
        and all(isinstance(payload.get(name, ""), str) for name in row["optional"])
    )


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_the_data_alone_decides_as_the_table_does(name: str) -> None:
    """E4: another engine that is given the data needs nothing else of the table."""
    kind, row = EVENT_TYPES[name], json.loads(json.dumps(table_of_types()))[name]
    fitting = []
    for payload in _payloads(name):
        for target in (kind.target, "x"):
            fits = kind.fault(target, payload, CONTEXT) is None
            assert fits == _fits(row, target, payload), payload
            fitting += [payload] if fits else []
    assert 1 < len(fitting) < len(list(_payloads(name)))
    for payload in fitting:
        slot = [payload.get(member) for member in row["slot"]]
        assert slot == list(kind.slot_key(payload))
        member, value = row["withdrawn"] or ("", None)
        assert kind.is_withdrawn(payload) == (bool(member) and payload[member] == value)
    assert kind.shown_in == row["shown_in"]


def test_the_data_of_all_types_in_their_order() -> None:
    """M6: the order of the lists of `current` follows from it."""
    assert [*EVENT_TYPES] == [*table_of_types()]
    kinds = {check.kind for one in EVENT_TYPES.values() for check in one.members.values()}
    assert kinds == {*DECIDES, "one_of"}
