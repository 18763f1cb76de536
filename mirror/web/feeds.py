"""Feeds of changes and of findings (Atom, RFC 4287): of the mirror, a record, or a category."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import Request

from mirror.core.values import hexdigest
from mirror.engine.bibliography.description import Description
from mirror.engine.feeds.changes import change_page
from mirror.engine.feeds.entries import FeedEntry, FeedPage
from mirror.engine.feeds.findings import DIFFERENCE, finding_page
from mirror.engine.feeds.positions import NEWEST, FeedPosition, FeedScope, parse_position
from mirror.engine.titles import RecordTitle
from mirror.errors import CorruptStoreError
from mirror.store import Store
from mirror.web.atom import ATOM, AtomCategory, AtomEntry, AtomFeed, AtomLink, atom_xml
from mirror.web.base_url import BaseUrl
from mirror.web.mementos import MementoAddresses, Original, second_of
from mirror.web.pages.escaping import escape_hidden
from mirror.web.representation import Representation
from mirror.web.store_reader import StoreReader, StoreSnapshot

__all__ = ["CHANGES", "FINDINGS", "MAX_ENTRIES", "FeedApi", "FeedKind"]

MAX_ENTRIES = 50
"""Entries on a page of a feed."""
_MAX_NAME = 300
"""Characters of a title or name."""
_MAX_WORDS = 2000
"""Characters of a summary."""
_MAX_CATEGORIES = 20
"""Categories that an entry names."""
_NEVER = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class FeedKind:
    """A kind of feed; there is one for the mirror, each record and each category."""

    name: str
    """The name in paths and titles."""
    page: Callable[[Store, FeedScope, FeedPosition, int], FeedPage]
    subtitle: str
    page_path: str
    """The page that a person reads instead of the feed of the mirror."""


CHANGES = FeedKind(
    "changes",
    change_page,
    "New facts, and changes of trusted keys. All times are known times: when this mirror stored a "
    "fact, and not when its signer claims to have made it.",
    "/",
)
FINDINGS = FeedKind(
    "findings",
    finding_page,
    "Refused events and receipts, signed integrity findings, equivocations and damage; of a record "
    "also differences from upstreams. They are found under the keys and rules of today. All times "
    "are known times: when this mirror stored the facts.",
    "/findings",
)


@dataclass(frozen=True, slots=True)
class _FeedSubject:
    """A feed, and where it is."""

    kind: FeedKind
    scope: FeedScope
    path: str
    words: str
    """The subject of the feed in words; empty for the whole mirror."""
    page_path: str


class FeedApi:
    """Handlers of the feeds."""

    def __init__(self, reader: StoreReader, name: str, base_url: BaseUrl) -> None:
        self._reader = reader
        self._name = name
        self._base_url = base_url

    def of_mirror(self, request: Request, kind: FeedKind) -> Representation:
        """Handle `/feeds/{kind}.atom`.

        Raises:
            FormatError: `request.before`
        """
        subject = _FeedSubject(kind, FeedScope(), f"/feeds/{kind.name}.atom", "", kind.page_path)
        with self._reader.snapshot() as snapshot:
            return self._respond(request, snapshot, subject)

    def of_category(self, request: Request, kind: FeedKind) -> Representation:
        """Handle `/feeds/category/{category}/{kind}.atom`; raises as `of_mirror`."""
        category: str = request.path_params["name"]
        name = quote(category, safe="")
        subject = _FeedSubject(
            kind,
            FeedScope(category=category),
            f"/feeds/category/{name}/{kind.name}.atom",
            f"records in the category {category}",
            f"/find?q={name}",
        )
        with self._reader.snapshot() as snapshot:
            return self._respond(request, snapshot, subject)

    def of_record(self, request: Request, kind: FeedKind) -> Representation:
        """Handle `/pith/{suffix}/{kind}.atom`; raises as `of_mirror`, and `lookup.unknown`."""
        with self._reader.snapshot() as snapshot:
            record_id = snapshot.find_id(request.path_params["suffix"])
            suffix = snapshot.store.records.suffix(record_id)
            page = f"/pith/{suffix}"
            path, words = f"{page}/{kind.name}.atom", f"the record {suffix}"
            subject = _FeedSubject(kind, FeedScope(record_id), path, words, page)
            answer = self._respond(request, snapshot, subject)
        if path != request.scope["path"]:
            answer.headers = {**answer.headers, "Content-Location": path}
        return answer

    def _respond(
        self, request: Request, snapshot: StoreSnapshot, subject: _FeedSubject
    ) -> Representation:
        before = request.query_params.get("before")
        position = NEWEST if before is None else parse_position(before)
        page = subject.kind.page(snapshot.store, subject.scope, position, MAX_ENTRIES)
        base_url = self._base_url.of(request.scope)
        last_change = _last_change(snapshot)
        query = "" if before is None else f"?before={before}"
        body = atom_xml(self._feed(base_url, subject, page, query, last_change))
        # No Last-Modified: damage, other rules and other settings change a feed at no known time.
        return Representation(body=body, media_type=ATOM, etag=hexdigest(body))

    def _feed(
        self, base_url: str, subject: _FeedSubject, page: FeedPage, query: str, last_change: str
    ) -> AtomFeed:
        url = f"{base_url}{subject.path}"
        links = [
            AtomLink("self", f"{url}{query}", ATOM),
            AtomLink("alternate", f"{base_url}{subject.page_path}", "text/html"),
            AtomLink("first", url, ATOM),
        ]
        if page.following is not None:
            links.append(AtomLink("next", f"{url}?before={page.following.text}", ATOM))
        name = _shown(self._name)
        of_subject = f" of {_shown(subject.words)}" if subject.words else ""
        times = [one.known_at for one in page.entries]
        return AtomFeed(
            feed_id=url,
            title=f"{name}: {subject.kind.name}{of_subject}",
            subtitle=subject.kind.subtitle,
            author=name,
            author_url=f"{base_url}/",
            icon=f"{base_url}/static/icon.svg",
            updated=max(times, default=last_change or _NEVER),
            links=links,
            entries=[_entry(base_url, one) for one in page.entries],
        )


def _last_change(snapshot: StoreSnapshot) -> str:
    """Return when anything was last stored; empty if never, or if the commits are damaged."""
    try:
        return snapshot.changed_last()
    except CorruptStoreError:
        return ""


# Entries -------------------------------------------------------------------------------------


def _entry(base_url: str, change: FeedEntry) -> AtomEntry:
    record = change.record
    return AtomEntry(
        entry_id=change.entry_id,
        title=f"{_subject(change)}: {_shown(change.headline)}",
        updated=change.known_at,
        summary=" ".join(map(_shown_words, _sentences(change))),
        links=[*_links(base_url, change)],
        contributors=[_shown(one) for one in change.signers],
        categories=[*_categories(base_url, change)],
        rights=_rights(record),
    )


def _subject(change: FeedEntry) -> str:
    if change.record is None:
        nameless = "A record" if change.fault else "This mirror"
        return f"Record {change.suffix}" if change.suffix else nameless
    return f"{_shown(change.record.name)} ({_title_word(change.record.title)})"


def _title_word(title: RecordTitle | None) -> str:
    if title is None:
        return "no title known"
    if not title.is_claim:
        return "title proved"
    return f"title claimed, {'with' if title.is_proved else 'not with'} the hash in the record"


def _sentences(change: FeedEntry) -> Iterator[str]:
    yield change.words
    if change.record is not None:
        record = change.record
        title = f"title {record.title_status}; " if record.title is not None else ""
        named = f"{record.record.pith_number}, {record.source_name}"
        yield f"Record {named}. Today: {title}{record.verification}."


def _links(base_url: str, change: FeedEntry) -> Iterator[AtomLink]:
    """Yield the page of the record, and its page, state and bundle as they were then."""
    if not change.suffix:
        yield AtomLink("alternate", f"{base_url}/{'findings' if change.fault else 'trust'}", _HTML)
        return
    yield AtomLink("alternate", f"{base_url}/pith/{change.suffix}", _HTML)
    if change.fault or DIFFERENCE in change.labels:  # the record may have come later
        return
    second = second_of(change.known_at)
    for original, media_type, title in _RELATED:
        place = MementoAddresses(base_url, change.suffix, original)
        yield AtomLink("related", place.url(place.memento_path(second)), media_type, title)


_HTML, _JSON = "text/html", "application/json"
_RELATED = (
    (Original.PAGE, _HTML, "page at that time"),
    (Original.STATE, _JSON, "state at that time"),
    (Original.BUNDLE, _JSON, "bundle at that time"),
)


def _categories(base_url: str, entry: FeedEntry) -> Iterator[AtomCategory]:
    """Yield codes and kinds of findings, and the categories of the record."""
    yield from (AtomCategory(one, f"{base_url}/codes") for one in entry.labels)
    if entry.record is not None:
        listed = list(dict.fromkeys(entry.record.record.categories))[:_MAX_CATEGORIES]
        yield from (AtomCategory(one, f"{base_url}/feeds/category/") for one in listed)


def _rights(record: Description | None) -> str:
    if record is None or not record.license:
        return ""
    return f"Licence of the paper, as its record gives it: {_shown(record.license)}"


def _shown(text: str) -> str:
    return escape_hidden(text, _MAX_NAME)


def _shown_words(text: str) -> str:
    return escape_hidden(text, _MAX_WORDS)
