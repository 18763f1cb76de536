"""The table of event types (E4): its columns agree, and no other module lists the types again."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import mirror
from mirror.core.events.types import (
    EVENT_TYPES,
    LISTED_TYPES,
    OTHER_EVENTS,
    STATUS_LISTS,
    label_of,
    list_label,
)
from mirror.core.state_view import StateView
from mirror.core.verification_status import claim_statuses

PACKAGE = Path(mirror.__file__).parent
TABLE = "core/events/types.py"
MAY_NAME = {
    ("core/receipt.py", "record_created"): "the role of a key that signs receipts (S2)",
    ("core/verification_status.py", "graph_snapshot"): "a flag of the registry",
}
"""Modules that may name an event type, and why."""


def _names(path: Path) -> set[str]:
    """The event types that are string literals of a module."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return {node.value for node in nodes if isinstance(node, ast.Constant)
            and isinstance(node.value, str) and node.value in EVENT_TYPES}  # fmt: skip


def test_only_the_table_names_the_types() -> None:
    """Other modules ask the table, or name one type by a constant of its module."""
    found = {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in PACKAGE.rglob("*.py")
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
