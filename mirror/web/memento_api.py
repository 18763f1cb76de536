"""Past states and bundles of a record, and the ways to them: TimeGates and TimeMaps (RFC 7089)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from starlette.requests import Request

from mirror.core.point_in_time import PointInTime, parse_point_in_time
from mirror.core.values import hexdigest
from mirror.engine.history.change_times import change_times
from mirror.engine.states.current import bundle_text
from mirror.engine.states.past import require_known
from mirror.errors import FormatError, LookUpError
from mirror.store import SETTLED_S
from mirror.web.links import link_header
from mirror.web.mementos import (
    LINK_FORMAT,
    MementoAddresses,
    MementoSeconds,
    Original,
    datetime_of,
    end_of,
    parse_accept_datetime,
    second_of,
)
from mirror.web.representation import (
    IMMUTABLE,
    Representation,
    http_date,
    preferred,
)
from mirror.web.signposts import RecordAddresses, past_page_links
from mirror.web.store_reader import StoreReader, StoreSnapshot
from mirror.web.timemaps import TimeMap

__all__ = ["Memento", "MementoApi", "asks_for_past"]


def asks_for_past(request: Request) -> bool:
    """Return whether a request has Accept-Datetime."""
    return any(name == b"accept-datetime" for name, _ in request.scope["headers"])


class Memento:
    """A record at the end of a second."""

    def __init__(self, snapshot: StoreSnapshot, record_id: int, at: PointInTime) -> None:
        """Find what the store had at a point in time.

        Raises:
            LookUpError: `lookup.not_yet`
            CorruptStoreError: `store.damaged`
        """
        store = snapshot.store
        require_known(store, record_id, store.version_at(at.text), at)
        self.snapshot = snapshot
        self.record_id = record_id
        self.seconds = MementoSeconds.of(change_times(store, record_id))
        self.second = self.seconds.last_by(second_of(at.text)) or self.seconds.all[0]
        """The second of the last change by then, 14 digits."""
        self.version = store.version_at(end_of(self.second).text)

    @property
    def is_settled(self) -> bool:
        """Whether nothing can be stored any more with a time in this second."""
        passed = datetime.now(UTC) - datetime_of(self.second)
        return passed.total_seconds() > SETTLED_S


class MementoApi:
    """Handlers of past states and bundles, TimeGates and TimeMaps."""

    def __init__(
        self, reader: StoreReader, addresses: Callable[[Request, str], RecordAddresses]
    ) -> None:
        self._reader = reader
        self._addresses = addresses

    def time_gate(self, request: Request, original: Original) -> Representation:
        """Handle a request with Accept-Datetime: a redirect to a memento, the first at least.

        Raises:
            FormatError: `request.accept_datetime`
            LookUpError: `lookup.not_yet` if it is not known when the record changed.
        """
        wanted = parse_accept_datetime(request.headers["accept-datetime"])
        with self._reader.snapshot() as snapshot:
            record_id, addresses = self._find(snapshot, request, original)
            seconds = MementoSeconds.of(change_times(snapshot.store, record_id))
        if not seconds.all:
            message = "it is not known when this mirror stored the record"
            raise LookUpError("lookup.not_yet", message)
        second = seconds.last_by(wanted) or seconds.all[0]
        answer = _redirect(addresses.memento_path(second))
        vary = "Accept, Accept-Datetime" if original is Original.PAGE else "Accept-Datetime"
        answer.headers = {
            **answer.headers,
            "Link": addresses.links(seconds, second),
            "Vary": vary,
        }
        return answer

    def timemap(self, request: Request, original: Original) -> Representation:
        """Handle the TimeMap of an original resource, as links or in JSON, from `after` on.

        Raises:
            FormatError: `request.after`
        """
        with self._reader.snapshot() as snapshot:
            record_id, addresses = self._find(snapshot, request, original)
            seconds = MementoSeconds.of(change_times(snapshot.store, record_id))
        timemap = TimeMap(addresses, seconds, _after(request))
        is_json = preferred(request, LINK_FORMAT, "application/json") == "application/json"
        answer = timemap.json() if is_json else timemap.link_format()
        answer.headers = {"Vary": "Accept"}
        return answer

    def nearest(self, request: Request) -> Representation:
        """Handle `/pith/{suffix}/at?date=`: a redirect to the page of a date or time.

        Raises:
            FormatError: `request.time`
            LookUpError: `lookup.not_yet`
        """
        at = parse_point_in_time(request.query_params.get("date", ""))
        with self._reader.snapshot() as snapshot:
            record_id, addresses = self._find(snapshot, request, Original.PAGE)
            memento = Memento(snapshot, record_id, at)
        return _redirect(addresses.memento_path(memento.second))

    # Mementos --------------------------------------------------------------------------------

    def memento(
        self, request: Request, original: Original, make: Callable[[Memento], Representation]
    ) -> Representation:
        """Handle the address of a memento: what `make` makes of it, or a redirect to the address.

        There is one for each second in which the record changed; every other second is redirected
        to the last one before.

        Raises:
            FormatError: `request.time`
            LookUpError: `lookup.not_yet`
        """
        with self._reader.snapshot() as snapshot:
            record_id, addresses = self._find(snapshot, request, original)
            memento = Memento(snapshot, record_id, end_of(request.path_params["time"]))
            path = addresses.memento_path(memento.second)
            if path != request.scope["path"]:
                return _redirect(path)
            answer = make(memento)
        if original is not Original.PAGE and memento.is_settled:  # a page is compared with today
            answer.cache = IMMUTABLE
        links = addresses.links(memento.seconds, memento.second)
        if original is Original.PAGE:
            of_record = self._addresses(request, addresses.suffix)
            links = f"{links}, {link_header(past_page_links(of_record, memento.second))}"
        answer.headers = {
            "Memento-Datetime": http_date(datetime_of(memento.second)),
            "Link": links,
        }
        return answer

    def state(self, request: Request) -> Representation:
        """Handle `/pith/{suffix}/at/{time}/state.json`; raises as `memento`, and `limit.past`."""
        return self.memento(request, Original.STATE, self._state)

    def bundle(self, request: Request) -> Representation:
        """Handle `/pith/{suffix}/at/{time}/bundle.json`; raises as `memento`."""
        return self.memento(request, Original.BUNDLE, _bundle)

    def _state(self, memento: Memento) -> Representation:
        digest, frame = self._reader.past_state(
            memento.snapshot, memento.record_id, memento.version
        )
        return Representation(frame=frame, media_type="application/json", etag=digest)

    def _find(
        self, snapshot: StoreSnapshot, request: Request, original: Original
    ) -> tuple[int, MementoAddresses]:
        """Return the record of the name in a path, and the addresses of its original resource."""
        record_id = snapshot.find_id(request.path_params["suffix"])
        suffix = snapshot.store.records.suffix(record_id)
        base_url = self._addresses(request, suffix).base_url
        return record_id, MementoAddresses(base_url, suffix, original)


def _bundle(memento: Memento) -> Representation:
    store, until = memento.snapshot.store, memento.version.arrival
    body = bundle_text(store, memento.record_id, until=until)
    return Representation(body=body, media_type="application/json", etag=hexdigest(body))


def _after(request: Request) -> str:
    """Return the second after which a page of a TimeMap begins; empty for the first page."""
    after = request.query_params.get("after")
    if after is not None and re.fullmatch("[0-9]{14}", after) is None:
        raise FormatError("request.after", "after must be a second, 14 digits")
    return after or ""


def _redirect(path: str) -> Representation:
    headers = {"Location": path}
    return Representation(body=b"", media_type="text/plain", status=302, headers=headers)
