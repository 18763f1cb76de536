"""`mirror show`: one record and its claims."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mirror.cli import exit_codes, options, time_options, trusted_keys
from mirror.cli.citations_view import citation_rows
from mirror.cli.output import print_table
from mirror.cli.state_view import state_rows
from mirror.core.keys import KeySet
from mirror.core.point_in_time import PointInTime
from mirror.core.state_view import parse_state
from mirror.core.verification_status import CheckedClaims
from mirror.engine.claims.checked import checked_claims
from mirror.engine.identifiers import look_up
from mirror.engine.search.citations import citations_of
from mirror.engine.states.current import bundle_of, bundle_text, replay
from mirror.engine.states.past import (
    claimed_until as until_claimed,
)
from mirror.engine.states.past import (
    keys_at,
    past_facts,
    past_text,
    require_known,
)
from mirror.store import RecordFacts, Store, open_store

__all__ = ["show"]


@click.command()
@click.argument("identifier", metavar="ID")
@options.db
@trusted_keys.key_files
@time_options.at
@time_options.claimed_until
@options.as_json
@click.option("--bundle", is_flag=True, help="Print the composed bundle of the record.")
def show(
    identifier: str,
    *,
    db: Path,
    key_files: tuple[Path, ...],
    at: PointInTime | None,
    claimed_until: PointInTime | None,
    as_json: bool,
    bundle: bool,
) -> None:
    """Show one record: its claims, and which of them are verified.

    ID is a Pith Number or at least its first 8 letters, an arXiv id with or without a version, a
    DOI, or a URL of one of these. With --keys the state is shown under additional trusted keys;
    nothing is stored. "Cited by" lists the signed citations of this record; "cites" lists those of
    other records that name this one as the citing work.

    There are two times. With --at the record is shown as this mirror knew it then. With
    --claimed-until only events that their signers date so early count; nothing proves such a date.
    A date means its end in UTC. Citations by other records, and results of checks such as those of
    `mirror storage check`, are shown without these options only.

    \b
    Examples:
      mirror show 1705.09786
      mirror show pith:2017:7SOLO26TLPZRGSRX2HH227CICV --json
      mirror show 7SOLO26T --bundle > bundle.json
      mirror show 1705.09786 --at 2026-06-30
    """
    with open_store(db, read_only=True) as store, store.snapshot():
        view = _RecordView(store, look_up(store.records, identifier), at, claimed_until)
        keys = view.keys.with_added(trusted_keys.read_key_files(key_files))
        if bundle:
            click.echo(view.bundle(), nl=False)
        elif as_json:
            click.echo(view.state(keys), nl=False)
        else:
            sys.exit(_print_record(view, keys))


class _RecordView:
    """A record as it is known and claimed by the times that were asked for."""

    def __init__(
        self,
        store: Store,
        record_id: int,
        at: PointInTime | None,
        claimed_until: PointInTime | None,
    ) -> None:
        self.store = store
        self.record_id = record_id
        self.times = {
            name: time.words
            for name, time in (("known by", at), ("claimed until", claimed_until))
            if time is not None
        }
        self._claimed_until = claimed_until
        self._version = store.version()
        if at is not None:
            self._version = time_options.version_at(store, at)
            require_known(store, record_id, self._version, at)
        if claimed_until is not None:
            time_options.note_claimed(claimed_until)
        self.keys = keys_at(store, self._version)

    def facts(self, keys: KeySet) -> RecordFacts:
        """Return the facts, verified under some keys."""
        facts = past_facts(self.store, self.record_id, self._version, keys)
        return facts if self._claimed_until is None else until_claimed(facts, self._claimed_until)

    def state(self, keys: KeySet) -> bytes:
        """Return the state as M13 writes it."""
        if self._claimed_until is None:
            return past_text(self.store, self.record_id, self._version, keys)
        return replay(self.facts(keys), keys).text

    def bundle(self) -> bytes:
        """Return the composed bundle (B6)."""
        if self._claimed_until is None:
            return bundle_text(self.store, self.record_id, until=self._version.arrival)
        return bundle_of(self.facts(self.keys))


def _print_record(view: _RecordView, keys: KeySet) -> int:
    """Print a record as a table; return the exit code."""
    store, record_id = view.store, view.record_id
    state = parse_state(view.state(keys))
    record = store.records.get(record_id)
    checked = CheckedClaims() if view.times else checked_claims(store, state)
    rows = state_rows(state, record, lambda: view.facts(keys).events, checked)
    if view.times:
        print_table({**view.times, **rows})
        return exit_codes.OK
    citations = citations_of(store, record_id, state, keys)
    print_table({**rows, **citation_rows(citations)})
    return exit_codes.FOUND if citations.cites.damaged else exit_codes.OK
