"""Selects records of an analysis copy by their properties."""

from __future__ import annotations

from dataclasses import dataclass

from mirror.engine.tables.query import Statement

__all__ = ["RecordFilter"]


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Properties that a record must have, all of them."""

    category: str | None = None
    """One of its categories."""
    year: int | None = None
    """The year in its Pith Number."""
    licence: str | None = None
    """Text in the URL or name of its licence."""
    signer: str | None = None
    """Signer of one of its events in force."""
    event_type: str | None = None
    """Type of one of its events in force."""
    code: str | None = None
    """Code of one of its findings."""
    has_receipt: bool | None = None
    """Whether it has a verified receipt."""
    known_after: str | None = None
    """Known time, written with microseconds, after which something of it was stored."""
    where: str | None = None
    """Expression of SQL over the columns of `records`."""

    def statement(self, columns: str, time_limit_s: float) -> Statement:
        """Return the statement that selects columns of these records, by Pith Number."""
        values = {name: getattr(self, name) for name in _CONDITIONS}
        given = {name: value for name, value in values.items() if value is not None}
        conditions = [_CONDITIONS[name] for name in given]
        if self.has_receipt is not None:
            conditions.append(f"receipt_key_id IS {'NOT ' if self.has_receipt else ''}NULL")
        if self.where is not None:
            conditions.append(f"(\n{self.where}\n)")  # the line ends a comment in it
        sql = f"SELECT {columns} FROM records"  # noqa: S608 - it can only read
        if conditions:
            sql += f" WHERE {' AND '.join(conditions)}"
        return Statement(f"{sql} ORDER BY pith_number", given, time_limit_s)


_IN = "pith_number IN (SELECT pith_number FROM"
_CONDITIONS = {
    "category": f"{_IN} record_categories WHERE category = :category)",
    "year": "year = :year",
    "licence": "instr(license, :licence)",
    "signer": f"{_IN} events WHERE signer_id = :signer AND status = 'in force')",
    "event_type": f"{_IN} events WHERE event_type = :event_type AND status = 'in force')",
    "code": f"{_IN} findings WHERE code = :code)",
    "known_after": "last_known_at > :known_after",
}
