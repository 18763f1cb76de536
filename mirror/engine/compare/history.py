"""History of what upstreams stated about records, and the rollbacks in it.

Each statement of an upstream (a state or a bundle) is stored with its digest and the time when it
was first read. Facts are only ever added, so a later statement of the same upstream must contain
all facts of an earlier one. If it does not, that is a rollback: the upstream lost data or hides
it (`mirror.core.comparison.rollback`). The history is evidence, and nothing of it is merged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mirror.core.comparison.causes import Cause
from mirror.core.comparison.rollback import rollbacks
from mirror.core.escaping import escape_name
from mirror.core.shape import read_object
from mirror.core.values import Object, decode
from mirror.engine.compare.local import retired_ids
from mirror.engine.identifiers import find_all, look_up
from mirror.errors import LookUpError
from mirror.store import Store, UpstreamStatementRow

__all__ = ["Rollback", "append_statement", "history", "statement_value", "with_rollbacks"]


@dataclass(frozen=True, slots=True)
class Rollback:
    """A statement of an upstream that lacks facts of an earlier one."""

    pith_number: str
    upstream: str
    kind: str
    """`state` or `bundle`."""
    causes: list[Cause]
    before: UpstreamStatementRow
    after: UpstreamStatementRow

    def to_value(self) -> Object:
        """Return the finding as JSON."""
        return {
            "pith_number": self.pith_number,
            "status": "rollback",
            "upstream": self.upstream,
            "kind": self.kind,
            "cause": self.causes[0].text,
            "causes": [{"code": cause.code, "text": cause.text} for cause in self.causes],
            "before": {"sha256": self.before.digest.hex(), "at": self.before.first_read_at},
            "after": {"sha256": self.after.digest.hex(), "at": self.after.first_read_at},
        }


def append_statement(store: Store, statement: UpstreamStatementRow) -> Rollback | None:
    """Store a statement if it differs from the last one; call within a transaction.

    Returns:
        The rollback, if the statement lacks facts of the last one.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    number = statement.pith_number
    series = (statement.upstream, number, statement.kind)
    if store.upstream_history.last_digest(*series) == statement.digest:
        return None
    before = store.upstream_history.last(*series)
    store.upstream_history.append(statement)
    if before is None:
        return None
    record_id = store.records.numbered(number)
    retired = set() if record_id is None else retired_ids(store, record_id)
    causes = _rollback_causes(before, statement, retired)
    if not causes:
        return None
    return Rollback(number, statement.upstream, statement.kind, causes, before, statement)


def history(store: Store, identifier: str) -> list[tuple[UpstreamStatementRow, list[Cause]]]:
    """Return all statements on a record, each with the causes if it is a rollback.

    Raises:
        LookUpError: `lookup.unknown` if there is no statement, `lookup.ambiguous`
    """
    if find_all(store.records, identifier):
        record_id = look_up(store.records, identifier)
        number, retired = store.records.get(record_id).pith_number, retired_ids(store, record_id)
    else:
        number, retired = escape_name(identifier.strip()), set()
    rows = store.upstream_history.history(number)
    if not rows:
        hint = "`mirror compare --upstream` stores what an upstream states"
        message = f"no statement of an upstream on {identifier!r} is stored"
        raise LookUpError("lookup.unknown", message, hint=hint)
    return list(with_rollbacks(rows, retired))


def with_rollbacks(
    rows: Iterable[UpstreamStatementRow], retired: set[str]
) -> Iterator[tuple[UpstreamStatementRow, list[Cause]]]:
    """Yield statements on a record, each with the causes if it is a rollback.

    Args:
        rows: The statements, by upstream and kind, the oldest first.
        retired: Ids of the events of the record that no state need show (M11).
    """
    before: UpstreamStatementRow | None = None
    for row in rows:
        is_one_series = before is not None and before[:3] == row[:3]  # upstream, record and kind
        yield row, _rollback_causes(before, row, retired) if before and is_one_series else []
        before = row


def _rollback_causes(
    before: UpstreamStatementRow, after: UpstreamStatementRow, retired: set[str]
) -> list[Cause]:
    return rollbacks(
        statement_value(before),
        statement_value(after),
        retired if after.kind == "state" else (),
    )


def statement_value(row: UpstreamStatementRow) -> Object:
    """Return the state or bundle that an upstream stated."""
    return read_object(decode(row.text), "state.shape").value
