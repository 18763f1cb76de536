"""The registry's API: its clients work with this server if they change the host name."""

from __future__ import annotations

import base64
from itertools import islice

from starlette.requests import Request

from mirror.core.keys import BUILT_IN
from mirror.core.record import Record
from mirror.core.rules import MERGE_VERSION
from mirror.core.state_view import StateView
from mirror.core.values import Object, Value
from mirror.core.verification_status import verification_status
from mirror.engine.bibliography.description import description_of
from mirror.engine.bibliography.linked_data import JSON_LD, linked_data
from mirror.engine.claims.checked import anchors_in, checked_claims
from mirror.engine.search.citations import citations_of
from mirror.engine.titles import proved_texts
from mirror.errors import LookUpError
from mirror.web.base_url import BaseUrl
from mirror.web.citations import citations_value
from mirror.web.links import TypedLink, link_header
from mirror.web.mementos import Original
from mirror.web.representation import Representation, json_representation
from mirror.web.signposts import (
    RecordAddresses,
    content_headers,
    content_location,
    metadata_headers,
    metadata_links,
)
from mirror.web.state_cache import ResolvedName, is_small
from mirror.web.store_reader import StoreReader, StoreSnapshot

__all__ = ["MAX_ANCHORS", "RegistryApi"]

MAX_ANCHORS = 100
"""Results for time-stamps that a response lists."""


class RegistryApi:
    """Handlers of the registry's paths."""

    def __init__(self, reader: StoreReader, name: str, base_url: BaseUrl, source_url: str) -> None:
        self._reader = reader
        self._name = name
        self._base_url = base_url
        self._source_url = source_url

    def base_url(self, request: Request) -> str:
        """Return the address of this mirror, without a trailing slash."""
        return self._base_url.of(request.scope)

    def addresses(self, request: Request, suffix: str) -> RecordAddresses:
        """Return the addresses of a record, here and at the registry."""
        return RecordAddresses(self.base_url(request), self._source_url, suffix)

    # A record --------------------------------------------------------------------------------

    def bundle(self, request: Request) -> Representation:
        """Handle `/pith/{suffix}/bundle.json` and the well-known path."""
        with self._reader.snapshot() as snapshot:
            record_id = snapshot.find_id(request.path_params["suffix"])
            record = snapshot.store.records.get(record_id)
            addresses = self.addresses(request, record.suffix)
            return Representation(
                body=snapshot.bundle_text(record_id),
                media_type="application/json",
                etag=snapshot.bundle_digest(record_id),
                changed_at=snapshot.changed_at(record_id),
                headers=content_location(request, addresses, Original.BUNDLE.value)
                | content_headers(addresses, Original.BUNDLE),
            )

    def state(self, request: Request) -> Representation:
        """Handle `/pith/{suffix}/state.json`."""
        return self._state(request, *self._reader.state(request.path_params["suffix"]))

    def cached_state(self, request: Request) -> Representation | None:
        """Handle the same if the state is cached; None if that needs waiting, or takes long."""
        known = self._reader.cached_state(request.path_params["suffix"])
        return self._state(request, *known) if known is not None and is_small(known[1]) else None

    def _state(self, request: Request, named: ResolvedName, frame: bytes) -> Representation:
        addresses = self.addresses(request, named.suffix)
        return Representation(
            frame=frame,
            media_type="application/json",
            etag=named.digest,
            changed_at=named.changed_at,
            headers=content_location(request, addresses, Original.STATE.value)
            | content_headers(addresses, Original.STATE),
        )

    def record(self, request: Request) -> Representation:
        """Handle `/pith/{suffix}.json`."""
        with self._reader.snapshot() as snapshot:
            record_id = snapshot.find_id(request.path_params["suffix"])
            record, state = snapshot.store.records.get(record_id), snapshot.state(record_id)
            described = self._describe(snapshot, record_id, record, state, request)
            answer = json_representation(described)
            addresses = self.addresses(request, record.suffix)
            canonical = TypedLink("canonical", f"/pith/{record.suffix}")
            links = link_header([canonical, *metadata_links(addresses)])
            answer.headers = content_location(request, addresses, ".json") | {"Link": links}
            return answer

    def linked_data(self, request: Request) -> Representation:
        """Handle `/pith/{suffix}` for clients that prefer JSON-LD, and its own address."""
        with self._reader.snapshot() as snapshot:
            record_id = snapshot.find_id(request.path_params["suffix"])
            record, state = snapshot.store.records.get(record_id), snapshot.state(record_id)
            description = description_of(record, proved_texts(snapshot.store, record), state)
            described = self._describe(snapshot, record_id, record, state, request)
        addresses = self.addresses(request, record.suffix)
        value = linked_data(description, page=addresses.page, cite_as=addresses.cite_as)
        answer = json_representation({**value, **described}, media_type=JSON_LD)
        answer.headers = metadata_headers(request, addresses, description, "/record.jsonld")
        return answer

    def _describe(
        self,
        snapshot: StoreSnapshot,
        record_id: int,
        record: Record,
        state: StateView,
        request: Request,
    ) -> Object:
        """Return the members of a record that both its forms have.

        Events on other records change them, too, so the time of the last change is unknown: the
        responses have an entity tag and no Last-Modified (RFC 9110 section 8.8.2.1).
        """
        current = state.current
        url = f"{self.base_url(request)}/pith/{record.suffix}"
        return {
            "pith_number": record.pith_number,
            "short_pith_number": record.short_pith_number,
            "schema": "pith-number/v1.0",
            "canonical_sha256": record.canonical_sha256,
            "canonical_record": current["canonical_record"],
            "source_aliases": current["source_aliases"],
            "receipt": current["receipt"],
            "verification_status": verification_status(
                state, checked_claims(snapshot.store, state).counts
            ),
            "anchors": _anchors(snapshot, state),
            "citations": citations_value(
                citations_of(snapshot.store, record_id, state), snapshot.store.records
            ),
            "links": {
                "html": url,
                "bundle": f"{url}/bundle.json",
                "state": f"{url}/state.json",
                "badge": f"{url}/badge.svg",
            },
        }

    # The registry as a whole -----------------------------------------------------------------

    def manifest(self, request: Request) -> Representation:
        """Handle `/pith-mirrors.json`: this mirror, then the registry that its records are from."""
        with self._reader.snapshot() as snapshot:
            at, is_trusted = snapshot.ingested_at(), snapshot.store.trust_log.key_set().has_built_in
        here, there = self.base_url(request), self._source_url
        key: Object = {"public_key": _public_key(there)} if is_trusted else {}
        entries: list[Value] = [
            _mirror(self._name, here, "mirror") | {"source": there},
            _mirror("Pith Resolver", there, "primary") | key,
        ]
        answer = json_representation(
            {
                "manifest_type": "pith_mirror_manifest",
                "manifest_version": "1.0",
                "generated_at": None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "merge_version": MERGE_VERSION,
                "mirrors": entries,
                "notes": "Every hash and signature is verified here again; states are recomputed.",
            }
        )
        answer.changed_at = at
        return answer

    def key(self, _request: Request) -> Representation:
        """Handle `/pith-signing-key.json`: the registry's key, which is built in.

        Raises:
            LookUpError: `keys.unknown` if it was removed from the trusted keys (K2).
        """
        with self._reader.snapshot() as snapshot:
            is_trusted = snapshot.store.trust_log.key_set().has_built_in
        if not is_trusted:
            raise LookUpError("keys.unknown", "this mirror does not trust the registry's key")
        return json_representation(_public_key(self._source_url))


def _anchors(snapshot: StoreSnapshot, state: StateView) -> list[Value]:
    """Return the stored results for the time-stamps in force, at most `MAX_ANCHORS`."""
    found = anchors_in(snapshot.store, state)
    checked = ({"event_id": name, **value} for name, value in found.items() if value is not None)
    return [*islice(checked, MAX_ANCHORS)]


def _mirror(name: str, base_url: str, status: str) -> Object:
    pattern = f"{base_url}/pith/{{suffix}}"
    return {
        "name": name,
        "mirror_type": "https" if base_url.startswith("https:") else "http",
        "base_url": base_url,
        "bundle_pattern": f"{pattern}/bundle.json",
        "state_pattern": f"{pattern}/state.json",
        "well_known_pattern": f"{base_url}/.well-known/pith/{{suffix}}/bundle.json",
        "status": status,
    }


def _public_key(base_url: str) -> Object:
    return {
        "key_id": BUILT_IN.key_id,
        "algorithm": "ed25519",
        "format": "raw",
        "public_key_b64": base64.b64encode(BUILT_IN.public_key).decode(),
        "public_key_hex": BUILT_IN.public_key_hex,
        "fingerprint_sha256_b32_first128bits": BUILT_IN.fingerprint_base32,
        "fingerprint_sha256_hex": BUILT_IN.fingerprint,
        "rotates_at": None,
        "url": f"{base_url}/pith-signing-key.json",
        "notes": "Signs canonical record SHA-256 digests (raw 32 bytes).",
    }
