"""Citations of a record, and the set of its links."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.requests import Request

from mirror.core.values import hexdigest
from mirror.engine.bibliography.citations import CITATION_FORMATS, CitationFormat
from mirror.engine.bibliography.description import Description, describe_fully
from mirror.web.links import linkset_text, linkset_value
from mirror.web.representation import Representation, json_representation
from mirror.web.signposts import (
    LINKSET,
    LINKSET_JSON,
    RecordAddresses,
    content_location,
    links_by_context,
    metadata_headers,
)
from mirror.web.store_reader import StoreReader

__all__ = ["BibliographyApi"]

_Handler = Callable[[Request], Representation]


class BibliographyApi:
    """Handlers of citations and linksets."""

    def __init__(
        self, reader: StoreReader, addresses: Callable[[Request, str], RecordAddresses]
    ) -> None:
        self._reader = reader
        self._addresses = addresses

    def _describe(self, request: Request) -> tuple[RecordAddresses, Description]:
        with self._reader.snapshot() as snapshot:
            record_id = snapshot.find_id(request.path_params["suffix"])
            description = describe_fully(snapshot.store, record_id)
        return self._addresses(request, description.record.suffix), description

    # Citations -------------------------------------------------------------------------------

    def by_media_type(self) -> Mapping[str, _Handler]:
        """Return the handlers of `/pith/{suffix}` for clients that prefer a format of citations."""
        return {one.media_type: self._citation(one) for one in CITATION_FORMATS.values()}

    def by_ending(self) -> Mapping[str, _Handler]:
        """Return the handlers of citations at their own addresses, by the end of these."""
        return {one.path_ending: self._citation(one) for one in CITATION_FORMATS.values()}

    def _citation(self, form: CitationFormat) -> _Handler:
        def answer(request: Request) -> Representation:
            addresses, description = self._describe(request)
            body = form.write(description, addresses.cite_as).encode()
            name = f"pith-{addresses.suffix}.{form.file_ending}"
            return Representation(
                body=body,
                media_type=form.media_type,
                etag=hexdigest(body),
                headers=metadata_headers(request, addresses, description, form.path_ending)
                | {"Content-Disposition": f'attachment; filename="{name}"'},
            )

        return answer

    # Links -----------------------------------------------------------------------------------

    def linkset(self, request: Request) -> Representation:
        """Handle `/pith/{suffix}/linkset` (RFC 9264 section 4.1)."""
        addresses, description = self._describe(request)
        body = linkset_text(links_by_context(addresses, description)).encode()
        headers = content_location(request, addresses, "/linkset")
        return Representation(body=body, media_type=LINKSET, etag=hexdigest(body), headers=headers)

    def linkset_json(self, request: Request) -> Representation:
        """Handle `/pith/{suffix}/linkset.json` (RFC 9264 section 4.2)."""
        addresses, description = self._describe(request)
        value = linkset_value(links_by_context(addresses, description))
        answer = json_representation(value, media_type=LINKSET_JSON)
        answer.headers = content_location(request, addresses, "/linkset.json")
        return answer
