"""The handler of `/oai`: the six verbs of OAI-PMH."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from starlette.requests import Request

from mirror.core.record import is_pith_number
from mirror.core.values import time_text
from mirror.core.xml_text import xml_element
from mirror.engine.harvest.datestamps import Datestamps
from mirror.engine.harvest.errors import HarvestError
from mirror.engine.harvest.formats import FORMATS, HarvestedRecord, HarvestSource, MetadataFormat
from mirror.engine.harvest.lists import (
    RecordHeader,
    Selection,
    first_position,
    header_of,
    read_page,
    resumed,
)
from mirror.engine.harvest.sets import SetList
from mirror.engine.harvest.tokens import (
    ListPosition,
    SetPosition,
    read_position,
    write_position,
)
from mirror.store import SETTLED_S
from mirror.web.base_url import BaseUrl
from mirror.web.oai import documents
from mirror.web.oai.arguments import OaiRequest, parse_request
from mirror.web.representation import Representation
from mirror.web.store_reader import StoreReader, StoreSnapshot

__all__ = ["ADMIN_UNKNOWN", "OaiApi"]

ADMIN_UNKNOWN = "not-given@mirror.invalid"
"""The address of an administrator who gave none: OAI-PMH demands one, and this reaches nobody."""

PAGE_SETS = 1_000
"""Most sets of a page."""


class OaiApi:
    """An OAI-PMH repository of the records of a store."""

    def __init__(
        self, reader: StoreReader, name: str, base_url: BaseUrl, admin_email: str = ""
    ) -> None:
        self._reader = reader
        self._name = name
        self._base_url = base_url
        self._admin_email = admin_email or ADMIN_UNKNOWN
        self._sets = SetList()

    def handle(self, request: Request) -> Representation:
        """Handle `/oai`.

        Raises:
            CorruptStoreError: `store.damaged`: no list leaves out a damaged record.
        """
        responded_at = _response_date()
        base_url = self._base_url.of(request.scope)
        given: dict[str, str] = {}
        try:
            asked = parse_request(request.query_params.multi_items())
            given = {"verb": asked.verb, **asked.arguments}
            parts = [f"<{asked.verb}>", *self._answer(asked, base_url), f"</{asked.verb}>"]
        except HarvestError as error:
            parts = [documents.error(error)]
            given = {} if error.code in {"badVerb", "badArgument"} else given
        body = documents.document(responded_at, f"{base_url}/oai", given, parts)
        return Representation(body=body, media_type="text/xml")

    def _answer(self, asked: OaiRequest, base_url: str) -> Iterator[str]:
        with self._reader.snapshot() as snapshot:
            match asked.verb:
                case "Identify":
                    yield from self._identify(snapshot, base_url)
                case "ListMetadataFormats":
                    yield from _formats(snapshot, asked, base_url)
                case "ListSets":
                    yield from self._list_sets(snapshot, asked)
                case "GetRecord":
                    yield _get_record(snapshot, asked, base_url)
                case _:
                    yield from self._list_records(snapshot, asked, base_url)

    def _identify(self, snapshot: StoreSnapshot, base_url: str) -> Iterator[str]:
        yield xml_element("repositoryName", self._name)
        yield xml_element("baseURL", f"{base_url}/oai")
        yield xml_element("protocolVersion", "2.0")
        yield xml_element("adminEmail", self._admin_email)
        yield xml_element("earliestDatestamp", Datestamps(snapshot.store).earliest)
        yield xml_element("deletedRecord", "no")
        yield xml_element("granularity", "YYYY-MM-DDThh:mm:ssZ")
        yield xml_element("compression", "gzip")

    def _list_sets(self, snapshot: StoreSnapshot, asked: OaiRequest) -> Iterator[str]:
        self._sets.update(snapshot.store, snapshot.generation)
        token = asked.get("resumptionToken")
        place = SetPosition(asked.verb, "", 0)
        if "resumptionToken" in asked.arguments:
            place = read_position(token, asked.verb, SetPosition)
        found = self._sets.after(place.after, PAGE_SETS + 1)
        listed = found[:PAGE_SETS]
        yield from map(documents.record_set, listed)
        if not listed:
            raise HarvestError("badResumptionToken", "no set follows; begin the list again")
        if len(found) > PAGE_SETS:
            following = place._replace(after=listed[-1].spec, cursor=place.cursor + len(listed))
            yield documents.token(write_position(following), place.cursor, 0)
        elif token:
            yield documents.token("", place.cursor, 0)

    def _list_records(
        self, snapshot: StoreSnapshot, asked: OaiRequest, base_url: str
    ) -> Iterator[str]:
        store, place = snapshot.store, self._place(snapshot, asked)
        form = _format(place.prefix)
        has_metadata = asked.verb == "ListRecords"

        source = HarvestSource(store, base_url)

        def write(header: RecordHeader) -> str:
            return form.write(HarvestedRecord(source, header.record_id, header.record))

        page = read_page(store, self._sets, place, write if has_metadata else None)
        for header, metadata in page.entries:
            yield documents.record(header, metadata) if has_metadata else documents.header(header)
        if page.following is not None:
            yield documents.token(write_position(page.following), place.cursor, place.size)
        elif place.cursor:
            yield documents.token("", place.cursor, place.size)

    def _place(self, snapshot: StoreSnapshot, asked: OaiRequest) -> ListPosition:
        """Return where the page of a request begins; raises as `first_position` and `resumed`."""
        if "resumptionToken" in asked.arguments:
            token = asked.get("resumptionToken")
            place = resumed(snapshot.store, read_position(token, asked.verb, ListPosition))
            self._update_sets(snapshot, place.set_spec)
            return place
        form = _format(asked.get("metadataPrefix"))
        selection = Selection(asked.get("set"), asked.since, asked.until)
        self._update_sets(snapshot, selection.set_spec)
        return first_position(snapshot.store, self._sets, asked.verb, form.prefix, selection)

    def _update_sets(self, snapshot: StoreSnapshot, set_spec: str) -> None:
        """Read what a list of a set needs; nothing for one of all records."""
        if set_spec:
            self._sets.update(snapshot.store, snapshot.generation)


def _response_date() -> str:
    """Return the time from which the next incremental harvest must ask.

    Harvesters ask for changes since the `responseDate` of their last harvest. A transaction may end
    some time after its known time, and be seen only by then; so the date is that much earlier.
    """
    return time_text(datetime.now(UTC) - timedelta(seconds=SETTLED_S))


def _format(prefix: str) -> MetadataFormat:
    form = FORMATS.get(prefix)
    if form is None:
        message = f"the formats are {', '.join(FORMATS)}"
        raise HarvestError("cannotDisseminateFormat", message)
    return form


def _formats(snapshot: StoreSnapshot, asked: OaiRequest, base_url: str) -> Iterator[str]:
    if "identifier" in asked.arguments:
        _find(snapshot, asked)
    for one in FORMATS.values():
        yield documents.metadata_format(one, base_url)


def _get_record(snapshot: StoreSnapshot, asked: OaiRequest, base_url: str) -> str:
    header, form = _find(snapshot, asked), _format(asked.get("metadataPrefix"))
    source = HarvestSource(snapshot.store, base_url)
    one = HarvestedRecord(source, header.record_id, header.record)
    return documents.record(header, form.write(one))


def _find(snapshot: StoreSnapshot, asked: OaiRequest) -> RecordHeader:
    """Return the header of the record of a request; raises `idDoesNotExist`."""
    store, identifier = snapshot.store, asked.get("identifier")
    record_id = store.records.numbered(identifier) if is_pith_number(identifier) else None
    header = None if record_id is None else header_of(store, record_id, Datestamps(store))
    if header is None:
        message = "no record has this identifier; identifiers are whole Pith Numbers"
        raise HarvestError("idDoesNotExist", message)
    return header
