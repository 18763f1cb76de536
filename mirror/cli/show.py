"""`mirror show`: one record and its claims."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import click

from mirror.cli import exit_codes, options, time_options, trusted_keys
from mirror.cli.citations_view import citation_rows
from mirror.cli.event_view import print_event
from mirror.cli.output import echo, print_table, say
from mirror.cli.state_view import state_rows
from mirror.core.keys import KeySet
from mirror.core.point_in_time import PointInTime
from mirror.core.record import Record
from mirror.core.state_view import parse_state
from mirror.core.verification_status import CheckedClaims
from mirror.engine.bibliography.citations import CITATION_FORMATS, REGISTRY_URL, CitationFormat
from mirror.engine.bibliography.description import description_of
from mirror.engine.claims.checked import checked_claims
from mirror.engine.history.event_lookup import is_event_name
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
from mirror.engine.titles import proved_texts
from mirror.errors import LookUpError
from mirror.store import PaperTexts, RecordFacts, Store, open_store

__all__ = ["show"]

_Writer: TypeAlias = "Callable[[_StoreView, int, KeySet], bytes | str]"
"""Returns a record as it is printed, with its line break."""


@click.command()
@click.argument("identifier", metavar="ID|EVENT_ID|-", required=False)
@options.db
@trusted_keys.key_files
@time_options.at
@time_options.claimed_until
@options.as_json
@click.option("--bundle", is_flag=True, help="Print the composed bundle of the record.")
@click.option(
    "--cite",
    type=click.Choice([*CITATION_FORMATS]),
    help="Print a citation of the record in this format.",
)
@click.option("--all", "everything", is_flag=True, help="Print the state of each record, as JSON.")
@click.option("--record", default="", metavar="ID", help="Look for the event in this record alone.")
def show(
    identifier: str | None,
    *,
    db: Path,
    key_files: tuple[Path, ...],
    at: PointInTime | None,
    claimed_until: PointInTime | None,
    as_json: bool,
    bundle: bool,
    cite: str | None,
    everything: bool,
    record: str,
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

    With --all --json the states of all records are printed, ascending by Pith Number; with
    --bundle, their bundles. With --at, records that were not known yet are left out. With - the IDs
    are read from standard input, one a line. With --cite a citation is
    printed, for reference managers; in CSL-JSON one object a line.

    EVENT_ID, sha256: and at least the first 8 digits of the id or of the digest of an event, shows
    one event instead: its record, its status, its source and its payload. No index holds these ids,
    so all facts of the store are read; --record names the only record to read.

    \b
    Examples:
      mirror show 1705.09786
      mirror show pith:2017:7SOLO26TLPZRGSRX2HH227CICV --json
      mirror show 7SOLO26T --bundle > bundle.json
      mirror show 1705.09786 --at 2026-06-30
      mirror show --all --json | jq -r .pith_number
      mirror list --year 2026 --ids | mirror show - --bundle
      mirror list --year 2026 --ids | mirror show - --cite bibtex > refs.bib
      mirror show sha256:92e1fff3 --record 1705.09786
    """
    is_many = everything or identifier == "-"
    writer = _writer(cite, as_json=as_json, bundle=bundle)
    if everything is not (identifier is None) or (is_many and writer is None):
        raise click.UsageError("give one ID, or - or --all with --json, --bundle or --cite")
    if identifier is not None and is_event_name(identifier):
        _require_no_option_of_records(key_files, at, claimed_until, bundle, cite)
        print_event(db, identifier, record, as_json=as_json)
        return
    if record:
        raise click.UsageError("--record goes with EVENT_ID")
    with open_store(db, read_only=True) as store, store.snapshot():
        view = _StoreView(store, at, claimed_until)
        keys = view.keys.with_added(trusted_keys.read_key_files(key_files))
        if is_many and writer is not None:
            sys.exit(_print_many(view, keys, writer, named=not everything))
        record_id = view.look_up(str(identifier))
        if writer is not None:
            echo(writer(view, record_id, keys), nl=False)
        else:
            sys.exit(_print_record(view, record_id, keys))


def _writer(cite: str | None, *, as_json: bool, bundle: bool) -> _Writer | None:
    """Return what to print of a record; None for a table."""
    if cite is not None:
        if as_json or bundle:
            raise click.UsageError("--cite goes without --json and --bundle")
        form = CITATION_FORMATS[cite]
        return lambda view, record_id, keys: view.citation(record_id, keys, form)
    if bundle:
        return lambda view, record_id, _keys: view.bundle(record_id)
    return _StoreView.state if as_json else None


def _require_no_option_of_records(*given: object) -> None:
    if any(given):
        options_given = "--keys, --at, --claimed-until, --bundle and --cite"
        message = f"{options_given} go with ID, not with EVENT_ID"
        raise click.UsageError(message)


class _StoreView:
    """A store as it is known and claimed by the times that were asked for."""

    def __init__(
        self, store: Store, at: PointInTime | None, claimed_until: PointInTime | None
    ) -> None:
        self.store = store
        self.times = {
            name: time.words
            for name, time in (("known by", at), ("claimed until", claimed_until))
            if time is not None
        }
        self._at, self._claimed_until = at, claimed_until
        self._version = store.version() if at is None else time_options.version_at(store, at)
        if claimed_until is not None:
            time_options.note_claimed(claimed_until)
        self.keys = keys_at(store, self._version)

    def look_up(self, identifier: str) -> int:
        """Return the record of an identifier, which must have been known."""
        record_id = look_up(self.store.records, identifier)
        if self._at is not None:
            require_known(self.store, record_id, self._version, self._at)
        return record_id

    def known_records(self) -> Iterator[int]:
        """Yield the records that were known, ascending by Pith Number."""
        for record_id in self.store.records.in_number_order():
            if self.store.facts.first_arrival(record_id) <= self._version.arrival:
                yield record_id

    def facts(self, record_id: int, keys: KeySet) -> RecordFacts:
        """Return the facts of a record, verified under some keys."""
        facts = past_facts(self.store, record_id, self._version, keys)
        return facts if self._claimed_until is None else until_claimed(facts, self._claimed_until)

    def kept(self, record: Record) -> PaperTexts:
        """Return the proved texts of a record that were known."""
        return proved_texts(self.store, record, None if self._at is None else self._at.text)

    def state(self, record_id: int, keys: KeySet) -> bytes:
        """Return the state of a record as M13 writes it."""
        if self._claimed_until is None:
            return past_text(self.store, record_id, self._version, keys)
        return replay(self.facts(record_id, keys), keys).text

    def bundle(self, record_id: int) -> bytes:
        """Return the composed bundle of a record (B6)."""
        if self._claimed_until is None:
            return bundle_text(self.store, record_id, until=self._version.arrival)
        return bundle_of(self.facts(record_id, self.keys))

    def citation(self, record_id: int, keys: KeySet, form: CitationFormat) -> str:
        """Return a citation of a record."""
        record = self.store.records.get(record_id)
        state = parse_state(self.state(record_id, keys))
        description = description_of(record, self.kept(record), state)
        return form.write(description, f"{REGISTRY_URL}/pith/{record.suffix}")


def _print_many(view: _StoreView, keys: KeySet, writer: _Writer, *, named: bool) -> int:
    """Print all records, or those whose names standard input has; return the exit code."""
    code = exit_codes.OK
    for one in options.input_lines() if named else view.known_records():
        try:
            record_id = view.look_up(one) if isinstance(one, str) else one
        except LookUpError as error:
            say(f"error: {error}")
            code = exit_codes.FOUND
        else:
            echo(writer(view, record_id, keys), nl=False)
    return code


def _print_record(view: _StoreView, record_id: int, keys: KeySet) -> int:
    """Print a record as a table; return the exit code."""
    store = view.store
    state = parse_state(view.state(record_id, keys))
    record = store.records.get(record_id)
    checked = CheckedClaims() if view.times else checked_claims(store, state, may_check=True)
    rows = state_rows(
        state,
        record,
        lambda: view.facts(record_id, keys).events,
        checked,
        view.kept(record),
    )
    if view.times:
        print_table({**view.times, **rows})
        return exit_codes.OK
    citations = citations_of(store, record_id, state, keys)
    print_table({**rows, **citation_rows(citations)})
    return exit_codes.FOUND if citations.cites.damaged else exit_codes.OK
