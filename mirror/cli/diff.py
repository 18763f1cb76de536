"""`mirror diff`: what changed in a record, or in the whole store, between two known times."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import click

from mirror.cli import exit_codes, options, time_options
from mirror.cli.history_view import change_lines
from mirror.cli.output import echo, plural, print_json, print_table, say
from mirror.cli.progress import show_progress
from mirror.core.point_in_time import PointInTime, parse_point_in_time
from mirror.core.rules import RULES
from mirror.core.values import Object, time_text
from mirror.engine.history.state_diff import StateDiff, StoreSide, state_diff, store_diff
from mirror.engine.identifiers import look_up
from mirror.engine.states.past import require_known
from mirror.store import Store, open_store

__all__ = ["diff"]


@click.command()
@click.argument("identifier", metavar="[ID TIME [TIME]]", required=False)
@click.argument("times", nargs=-1, type=time_options.PointInTimeType(), metavar="")
@options.db
@click.option(
    "--since",
    type=time_options.PointInTimeType(),
    metavar="TIME",
    help="All records that changed since TIME, a line each.",
)
@options.as_json
def diff(
    identifier: str | None,
    times: tuple[PointInTime, ...],
    *,
    db: Path,
    since: PointInTime | None,
    as_json: bool,
) -> None:
    """Show what changed between two known times.

    With an ID, one record is compared with itself; without the second TIME, with its state of now.
    The times are known ones: when this mirror stored facts, and whom it trusted then; a date means
    its end in UTC. Times of events in the answer are claimed by their signers. Each state is merged
    with the rules of today.

    With --since, all records are compared. One is listed if facts of it arrived or its state is
    another one: with the state digests, the number of things that came, went and changed, and that
    of its new arrivals.

    \b
    Examples:
      mirror diff 1705.09786 2026-06-30
      mirror diff 1705.09786 2026-06-01T12:00:00Z 2026-06-30 --json
      mirror diff --since 2026-06-30

    Exit codes: 0 nothing changed; 1 something changed, or the record was not known by then.
    """
    _require_consistent(identifier, times, since)
    with open_store(db, read_only=True) as store, store.snapshot():
        if since is not None:
            is_same = _print_all(store, since, as_json=as_json)
        else:
            is_same = _print_one(store, identifier or "", times, as_json=as_json)
    sys.exit(exit_codes.OK if is_same else exit_codes.FOUND)


def _require_consistent(
    identifier: str | None, times: tuple[PointInTime, ...], since: PointInTime | None
) -> None:
    if (identifier is None) == (since is None):
        raise click.UsageError("give ID and TIME, or --since TIME")
    if identifier is not None and len(times) not in {1, 2}:
        raise click.UsageError("give one or two times after the ID")
    if [*times] != sorted(times, key=lambda one: one.instant):
        raise click.UsageError("the first time must not be after the second one")


class _Side(NamedTuple):
    """One of the two known times of a comparison."""

    words: str
    """For a person."""
    at: PointInTime
    store: StoreSide


def _side(store: Store, time: PointInTime) -> _Side:
    return _Side(time.words, time, StoreSide.of(store, time_options.version_at(store, time)))


def _present(store: Store) -> _Side:
    now = parse_point_in_time(time_text(datetime.now(UTC), microseconds=True))
    return _Side("now", now, StoreSide.of(store, store.version()))


def _value(found: StateDiff, before: _Side, after: _Side) -> Object:
    sides = {"before": before.store, "after": after.store}
    rules: Object = {name: side.version.rules or None for name, side in sides.items()}
    return {
        "pith_number": found.pith_number,
        "known_by": {"before": before.at.text, "after": after.at.text},
        "key_set_digest": {name: side.keys.digest for name, side in sides.items()},
        "rules": {**rules, "used": RULES},
        "state_before": found.before,
        "state_after": found.after,
        **found.counts(),
    }


# One record ----------------------------------------------------------------------------------


def _print_one(
    store: Store, identifier: str, times: tuple[PointInTime, ...], *, as_json: bool
) -> bool:
    """Print the changes of one record; return whether there are none."""
    record_id = look_up(store.records, identifier)
    before = _side(store, times[0])
    after = _side(store, times[1]) if times[1:] else _present(store)
    require_known(store, record_id, after.store.version, after.at)
    found = state_diff(store, record_id, before.store, after.store)
    if as_json:
        changes = [one.to_value() for one in found.changes]
        print_json({**_value(found, before, after), "changes": changes})
    else:
        _print_changes(found, before, after)
    return not found.changes


def _print_changes(found: StateDiff, before: _Side, after: _Side) -> None:
    print_table(
        {
            "Pith Number": found.pith_number,
            "known by, before": before.words,
            "known by, after": after.words,
            "key set before": before.store.keys.digest,
            "key set after": after.store.keys.digest,
            "state before": found.before or "none: not known here",
            "state after": found.after or "none",
            "changes": change_lines(found.changes) or "none",
        }
    )


# All records ---------------------------------------------------------------------------------


def _print_all(store: Store, since: PointInTime, *, as_json: bool) -> bool:
    """Print a line for each record that changed; return whether none did."""
    before, after, count = _side(store, since), _present(store), 0
    with show_progress("compared") as progress:
        for found, arrivals in store_diff(store, before.store, after.store, progress.advance):
            count += 1
            if as_json:
                print_json({**_value(found, before, after), "arrivals": arrivals})
            else:
                echo(_line(found, arrivals))
    if not as_json:
        say(f"{plural(count, 'record')} changed since {before.words}")
    return count == 0


def _line(found: StateDiff, arrivals: int) -> str:
    counts = ", ".join(f"{count:,} {kind}" for kind, count in found.counts().items())
    states = f"state {found.before or 'none'} → {found.after}"
    return f"{found.pith_number}  {counts}; {plural(arrivals, 'arrival')}; {states}"
