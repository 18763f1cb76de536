"""Damage to a store as a JSON value and as a line for a person."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mirror.engine.states.check import DAMAGED, damage_digest
from mirror.store import Damage

__all__ = ["damage_line", "damage_value"]


def damage_value(damage: Damage) -> dict[str, Any]:
    """Return the members of a damage for `--json`."""
    value = {name: value for name, value in asdict(damage).items() if name != "content"}
    return {"code": DAMAGED, **value, "digest": damage_digest(damage).hex()}


def damage_line(damage: Damage) -> str:
    """Return one line that names the damaged fact and the reason."""
    row = f" {damage.row_id}" if damage.row_id is not None else ""
    record = f" of {damage.pith_number}" if damage.pith_number else ""
    return f"damaged: {damage.table}{row}{record}: {damage.reason}"
