"""Handlers of the HTML pages, which are complete without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus

from starlette.requests import Request

import mirror
from mirror.core.keys import BUILT_IN
from mirror.core.record import Record, suffix_in
from mirror.core.values import Object, Value, hexdigest
from mirror.engine.anchors.authorities import trusted_authorities
from mirror.engine.bibliography.citations import CITATION_FORMATS, citation_text
from mirror.engine.bibliography.claimed_paper import claimed_paper
from mirror.engine.bibliography.description import (
    Description,
    arxiv_url,
    describe,
    description_of,
)
from mirror.engine.bibliography.statements import origins
from mirror.engine.history.change_times import change_times
from mirror.engine.identifiers import find_all
from mirror.engine.search.find import find
from mirror.engine.search.results import SearchResult
from mirror.engine.titles import title_of
from mirror.engine.verifier_modules import ENTRY
from mirror.errors import AmbiguousError, CorruptStoreError, LookUpError
from mirror.store.findings import FindingFilter, FindingRow
from mirror.web.common_headers import VERIFIER_POLICY
from mirror.web.figures_reader import FiguresReader
from mirror.web.memento_api import Memento
from mirror.web.mementos import MementoSeconds, end_of
from mirror.web.pages import escaping
from mirror.web.pages.badge import badge_svg
from mirror.web.pages.citation_graph import citation_graph_of
from mirror.web.pages.codes import codes
from mirror.web.pages.dates import dates_of, past_of
from mirror.web.pages.environment import MEDIA_TYPES, environment, static_files
from mirror.web.pages.figures import fault_values, figures_values
from mirror.web.pages.history import steps_of
from mirror.web.pages.labels import CODES, ERRORS, EVENT_STATUSES, LEVELS, RELATIONSHIPS
from mirror.web.pages.latex_package import latex_lines, latex_package
from mirror.web.pages.record_data import (
    RecordDetails,
    read_past_details,
    read_record_details,
)
from mirror.web.pages.record_sections import (
    categories_of,
    checks_of,
    claims_of,
    completeness_of,
    facts_of,
    receipt_of,
    status_tags_of,
    verify_command,
)
from mirror.web.pages.timeline import draw, events_of, events_to_show
from mirror.web.parameters import LARGEST_NUMBER, number_parameter
from mirror.web.representation import (
    IMMUTABLE,
    REVALIDATE,
    Representation,
    json_representation,
    preferred,
)
from mirror.web.signposts import RECORD_TYPES, RecordAddresses, page_headers, page_links
from mirror.web.store_reader import StoreReader, StoreSnapshot

__all__ = ["Pages"]

MAX_HITS = 50
"""Records on a page of search results."""
MAX_START = 500
"""Highest `start` of a search; results before it are evaluated again for each page."""
PAGE_ROWS = 100
"""Findings on one page."""
_RECENT = 8
"""Records that the home page lists."""
_RECENT_ARRIVALS = 200
"""Last arrivals in which the home page looks for records with verified receipts."""
_MAX_QUERY = 500
"""Characters of a search query that count."""
_NOTHING = SearchResult([], has_more=False, unindexed=0)
_HTML, _JSON = "text/html", "application/json"
_BADGE_CACHE = "public, max-age=300"


class Pages:
    """Handlers of the pages of a server."""

    def __init__(
        self, reader: StoreReader, name: str, addresses: Callable[[Request, str], RecordAddresses]
    ) -> None:
        self._reader = reader
        self._figures = FiguresReader(reader)
        self._addresses = addresses
        self._files = static_files()
        self._env = environment()
        versions = {one: hexdigest(body)[:16] for one, body in self._files.items()}
        self._env.globals |= {
            "site": escaping.escape_hidden(name),
            "version": mirror.__version__,
            "verifier": f"/static/verifier/{ENTRY}",
            "built_in": BUILT_IN,
            "static": {one: f"/static/{one}?v={digest}" for one, digest in versions.items()},
        }
        self._versions = versions

    def _render(self, template: str, status: int = 200, /, **values: object) -> Representation:
        values = {"query": "", "here": "", **values}
        body = self._env.get_template(template).render(values).encode("utf-8", "backslashreplace")
        return Representation(
            body=body, media_type="text/html", status=status, etag=hexdigest(body)
        )

    # The mirror as a whole -------------------------------------------------------------------

    def home(self, request: Request) -> Representation:
        """Handle `/`."""
        with self._reader.snapshot() as snapshot:
            return self._render(
                "home.html",
                status_of=snapshot.store.status(),
                ingested_at=snapshot.ingested_at(),
                recent=_recent(snapshot),
                base_url=self._addresses(request, "").base_url,
                trusts_registry=snapshot.store.trust_log.key_set().has_built_in,
                here="home",
            )

    def trust(self, _request: Request) -> Representation:
        """Handle `/trust`: the trusted keys and profiles, and the log of changes."""
        with self._reader.snapshot() as snapshot:
            keys = snapshot.store.trust_log.key_set()
            log = snapshot.store.trust_log.log()
            changes = snapshot.store.authorities.log()
            authorities = trusted_authorities(snapshot.store)
        return self._render(
            "trust.html",
            keys=keys,
            log=log,
            authorities=authorities,
            authority_log=changes,
            here="trust",
        )

    def codes(self, _request: Request) -> Representation:
        """Handle `/codes`: all codes, each with an anchor."""
        return self._render("codes.html", codes=codes(), here="codes")

    def findings(self, request: Request) -> Representation:
        """Handle `/findings`, and `/findings?code=` for the findings with one code.

        Raises:
            FormatError: `request.after`
        """
        code = request.query_params.get("code", "")
        after = number_parameter(request, "after", 0, LARGEST_NUMBER)
        with self._reader.snapshot() as snapshot:
            if code not in CODES:
                moved, status = snapshot.store.findings.moved_aside(), snapshot.store.status()
                found = snapshot.store.findings.counts(FindingFilter())
                return self._render(
                    "findings.html",
                    status_of=status,
                    moved=moved,
                    found=found,
                    codes=CODES,
                    here="findings",
                )
            rows = _of_code(snapshot, code, after)
        return self._render(
            "finding.html",
            code=code,
            meaning=CODES[code],
            rows=rows[:PAGE_ROWS],
            after=rows[PAGE_ROWS - 1].at if len(rows) > PAGE_ROWS else None,
            is_first=not after,
            here="findings",
        )

    def figures(self, _request: Request) -> Representation:
        """Handle `/figures`: the figures of the analysis copy, or why there are none."""
        found = self._figures.read()
        if found.figures is None:
            values = fault_values(found.fault)
        else:
            values = {**figures_values(found.figures), "changes": found.changes, "links": True}
        return self._render("figures.html", **values, here="figures")

    # Search ----------------------------------------------------------------------------------

    def find(self, request: Request) -> Representation:
        """Handle `/find?q=&start=`: a page, or the same in JSON.

        The page redirects to the record if only one has this name or title.

        Raises:
            FormatError: `request.start`
            CorruptStoreError: `store.damaged`
        """
        query = request.query_params.get("q", "").strip()[:_MAX_QUERY]
        start = _start_of(request)
        with self._reader.snapshot() as snapshot:
            found = find(snapshot.store, query, MAX_HITS, start) if query else _NOTHING
        later = start + MAX_HITS if found.has_more and start + MAX_HITS <= MAX_START else None
        if preferred(request, _HTML, _JSON) == _JSON:
            answer = json_representation(_found_value(query, start, later, found))
        else:
            answer = self._found_page(query, start, later, found)
        answer.headers = {**answer.headers, "Vary": "Accept"}
        return answer

    def _found_page(
        self, query: str, start: int, later: int | None, found: SearchResult
    ) -> Representation:
        exact = [hit for hit in found.hits if hit.matched_by != "text"]
        if len(exact) == 1 and start == 0:
            return _redirect(f"/pith/{suffix_in(exact[0].record.pith_number)}")
        return self._render(
            "find.html",
            query=query,
            found=found,
            exact=len(exact),
            start=start,
            later=later,
            here="find",
        )

    def alias(self, request: Request) -> Representation:
        """Handle `/arxiv/{id}` and `/doi/{doi}`: a redirect to the record in the accepted form.

        Raises:
            LookUpError: `lookup.unknown`
            AmbiguousError: If several records have the name.
        """
        name = request.path_params["suffix"]
        with self._reader.snapshot() as snapshot:
            records = [
                snapshot.store.records.get(one) for one in find_all(snapshot.store.records, name)
            ]
        is_doi = request.url.path.startswith("/doi/")
        matching = [one for one in records if (is_doi or one.source["kind"] == "arxiv")]
        if not matching or (is_doi and not name.startswith("10.")):
            raise LookUpError("lookup.unknown", f"no record is named {name!r}")
        if len(matching) > 1:
            numbers = [one.pith_number for one in matching[:MAX_HITS]]
            raise AmbiguousError(f"{name!r} names {len(numbers)} records", numbers)
        is_json = preferred(request, *RECORD_TYPES, _JSON) == _JSON
        answer = _redirect(f"/pith/{matching[0].suffix}{'.json' if is_json else ''}")
        answer.headers = {**answer.headers, "Vary": "Accept"}
        return answer

    def choices(self, _request: Request, error: AmbiguousError) -> Representation:
        """Return 300 with the records that a name matches, and whether each has a receipt."""
        with self._reader.snapshot() as snapshot:
            found = [snapshot.store.records.numbered(one) for one in error.pith_numbers]
            hits = _list_items_of(snapshot, [one for one in found if one is not None])
        return self._render("choices.html", 300, message=error.message, hits=hits)

    # A record --------------------------------------------------------------------------------

    def record(self, request: Request) -> Representation:
        """Handle `/pith/{suffix}` for browsers."""
        with self._reader.snapshot() as snapshot:
            details = read_record_details(snapshot, snapshot.find_id(request.path_params["suffix"]))
            graph = citation_graph_of(snapshot, details.citations)
            times = change_times(snapshot.store, details.record_id)
            steps = steps_of(snapshot.store, details.record_id)
        suffix = details.record.suffix
        dates = dates_of(suffix, MementoSeconds.of(times))
        addresses = self._addresses(request, suffix)
        description = description_of(details.record, details.kept, details.state)
        answer = self._record_page(
            request,
            details,
            graph=graph,
            dates=dates,
            past=None,
            history=steps,
            signposts=page_links(addresses, description),
            citation=citation_text(description, addresses.cite_as),
            citation_formats=CITATION_FORMATS.values(),
            statements=origins(description),
        )
        answer.headers = page_headers(addresses, description)
        answer.headers |= {"Content-Location": f"/pith/{suffix}"}
        answer.headers |= {"Content-Security-Policy": VERIFIER_POLICY}
        return answer

    def past_record(self, request: Request, memento: Memento) -> Representation:
        """Return the page of a record at an earlier time, without what is of today.

        Raises:
            LookUpError: `limit.past`
            BusyError: If other past states are being merged.
            CorruptStoreError: `store.damaged`
        """
        snapshot, version = memento.snapshot, memento.version
        store, record_id, second = snapshot.store, memento.record_id, memento.second
        details = self._reader.merge_past(
            snapshot,
            record_id,
            version,
            lambda: read_past_details(snapshot, record_id, version, end_of(second).text),
        )
        suffix, seconds = details.record.suffix, memento.seconds
        states = details.state, snapshot.state(record_id)
        return self._record_page(
            request,
            details,
            graph=citation_graph_of(snapshot, details.citations),
            dates=dates_of(suffix, seconds, second),
            past=past_of(suffix, seconds, second, version.rules, states),
            history=steps_of(store, record_id, end_of(second).text),
        )

    def _record_page(
        self, request: Request, details: RecordDetails, **values: object
    ) -> Representation:
        values = {"details": details, **values}
        values |= _sections(details) | _history(details)
        values |= _addresses(self._addresses(request, details.record.suffix), details.record)
        return self._render("record.html", 200, **values)

    def badge(self, request: Request) -> Representation:
        """Handle `/pith/{suffix}/badge.svg`."""
        with self._reader.snapshot() as snapshot:
            record_id = snapshot.find_id(request.path_params["suffix"])
            record = snapshot.store.records.get(record_id)
            receipt = snapshot.state(record_id).receipt
        body = badge_svg(record, is_verified=receipt is not None)
        etag = hexdigest(body)
        return Representation(body=body, media_type="image/svg+xml", etag=etag, cache=_BADGE_CACHE)

    # Files and errors ------------------------------------------------------------------------

    def static(self, request: Request) -> Representation:
        """Handle `/static/{name}`: immutable if the URL has the digest of the file."""
        name = request.path_params["name"]
        if name not in self._files:
            raise LookUpError("http.not_found", "no such file")
        digest = self._versions[name]
        return Representation(
            body=self._files[name],
            media_type=MEDIA_TYPES[name.rpartition(".")[2]],
            etag=digest,
            cache=IMMUTABLE if request.query_params.get("v") == digest else REVALIDATE,
        )

    def latex_package(self, _request: Request) -> Representation:
        """Handle `/pith.sty`."""
        body = latex_package()
        return Representation(body=body, media_type="text/x-tex", etag=hexdigest(body))

    def error(self, request: Request, status: int, code: str, message: str) -> Representation:
        """Return the page of an error."""
        phrase = HTTPStatus(status).phrase
        has_message = status < HTTPStatus.INTERNAL_SERVER_ERROR and message != phrase
        answer = self._render(
            "error.html",
            status,
            status_code=status,
            phrase=phrase,
            code=code,
            message=message if has_message else "",
            meaning=ERRORS.get(code, ""),
            query=_query_of(request),
            here="error",
        )
        answer.cache, answer.etag = "no-store", ""
        return answer


# The page of a record ------------------------------------------------------------------------


def _sections(details: RecordDetails) -> dict[str, object]:
    paper = claimed_paper(details.state)
    title = title_of(details.kept, details.record, details.state)
    return {
        "record": details.record,
        "state": details.state.value,
        "facts": facts_of(details.record),
        **categories_of(details.record),
        "paper": paper,
        "title": title,
        "abstract": details.kept.abstract,
        "tags": status_tags_of(details),
        "steps": completeness_of(details),
        "receipt": receipt_of(details, paper),
        "checks": checks_of(details, title),
        "claims": claims_of(details),
        "relationships": RELATIONSHIPS,
        "levels": LEVELS,
    }


def _history(details: RecordDetails) -> dict[str, object]:
    events = events_of(details)
    some = events_to_show(events)
    return {
        "events": some,
        "hidden": len(events) - len(some),
        "anchors": {one.event_id: one.anchor for one in some if not one.code},
        "named": {one.event_id: one for one in events if not one.code},
        "first_day": next((one.created_at[:10] for one in some if not one.code), ""),
        "timeline": draw(some),
        "statuses": EVENT_STATUSES,
        "codes": CODES,
    }


def _addresses(addresses: RecordAddresses, record: Record) -> dict[str, object]:
    return {
        "arxiv_url": arxiv_url(record),
        "latex_lines": latex_lines(addresses.base_url, record.suffix),
        "verify": verify_command(addresses.base_url, record),
        "place": addresses.page,
    }


# Lists of records ----------------------------------------------------------------------------


def _recent(snapshot: StoreSnapshot) -> list[Description]:
    """Return the records with the latest facts, those with a verified receipt first."""
    last = snapshot.store.facts.last_arrival()
    changes = snapshot.store.facts.changes(max(0, last - _RECENT_ARRIVALS), _RECENT_ARRIVALS)
    suffixes = dict.fromkeys(suffix for _, _, suffix, _ in reversed(changes))
    ids = [one for suffix in suffixes for one in snapshot.store.records.by_suffix(suffix)]
    return _list_items_of(snapshot, snapshot.store.search_index.verified_first(ids)[:_RECENT])


def _of_code(snapshot: StoreSnapshot, code: str, after: int) -> list[FindingRow]:
    return snapshot.store.findings.page(FindingFilter(code=code), after, PAGE_ROWS + 1)


def _list_items_of(snapshot: StoreSnapshot, ids: list[int]) -> list[Description]:
    """Return records as list items, without damaged ones."""
    hits = []
    for one in ids:
        try:
            hits.append(describe(snapshot.store, one))
        except CorruptStoreError:
            continue
    return hits


def _redirect(path: str) -> Representation:
    return Representation(body=b"", media_type="text/plain", status=303, headers={"Location": path})


def _start_of(request: Request) -> int:
    """Return the number of results to skip; a browser leaves an optional one empty (OpenSearch)."""
    if request.query_params.get("start") == "":
        return 0
    return number_parameter(request, "start", 0, MAX_START)


def _found_value(query: str, start: int, later: int | None, found: SearchResult) -> Object:
    hits: list[Value] = [hit.to_value() for hit in found.hits]
    return {
        "query": query,
        "start": start,
        "next": later,
        "has_more": found.has_more,
        "unindexed": found.unindexed,
        "hits": hits,
    }


def _query_of(request: Request) -> str:
    """Return the name in the path of a failed request, as a query for the search form."""
    match = re.match(r"/(?:pith|arxiv|doi)/(.{1,200})", request.url.path)
    return "" if match is None else match[1]
