"""The metadata formats that records are harvested in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from mirror.core.record import Record
from mirror.core.rules import MERGE_VERSION
from mirror.core.state_view import parse_state
from mirror.core.values import canonical, hexdigest
from mirror.core.xml_text import escape_xml, xml_attributes
from mirror.engine.bibliography import datacite, dublin_core
from mirror.engine.bibliography.description import Description, describe
from mirror.engine.states.current import current_text
from mirror.store import Store

__all__ = ["FORMATS", "STATE_NAMESPACE", "HarvestSource", "HarvestedRecord", "MetadataFormat"]

STATE_NAMESPACE = "https://pith.science/terms/pith_state"
"""XML namespace of `pith_state`, the same on every mirror; nothing need be served there."""


class HarvestSource:
    """The store that records are given from, in a snapshot, and the address of its mirror."""

    def __init__(self, store: Store, base_url: str) -> None:
        """Name the store; the address is without a trailing slash."""
        self.store = store
        self.base_url = base_url

    @cached_property
    def key_set_digest(self) -> str:
        """The digest of the trusted keys (K3), read once; raises `store.damaged`."""
        return self.store.trust_log.key_set().digest


class HarvestedRecord(NamedTuple):
    """A record that is given to a harvester."""

    source: HarvestSource
    record_id: int
    record: Record

    @property
    def url(self) -> str:
        """The address of the record's page."""
        return f"{self.source.base_url}/pith/{self.record.suffix}"

    def describe(self) -> Description:
        """Return its description; raises `store.damaged`."""
        return describe(self.source.store, self.record_id)


@dataclass(frozen=True, slots=True)
class MetadataFormat:
    """A format, and how a record is written in it."""

    prefix: str
    """Its `metadataPrefix`."""
    namespace: str
    schema: str
    """The address of its XML schema; one without a host is on this mirror."""
    write: Callable[[HarvestedRecord], str]
    """Returns an XML element; raises `store.damaged`."""

    def schema_url(self, base_url: str) -> str:
        """Return the address of its XML schema."""
        return f"{base_url}{self.schema}" if self.schema.startswith("/") else self.schema


def _dublin_core(one: HarvestedRecord) -> str:
    return dublin_core.dublin_core(one.describe(), one.url)


def _datacite(one: HarvestedRecord) -> str:
    return datacite.datacite(one.describe(), one.url)


def _state(one: HarvestedRecord) -> str:
    """Return the state (M13) as the text of an element, without the LF at its end.

    A character that XML does not allow is written as JSON may write it, too, so that the value, and
    with it the digest, is the same.
    """
    store = one.source.store
    text = current_text(store, one.record_id)
    digest = store.states.current_digest(one.record_id)
    attributes = {
        "pithNumber": one.record.pith_number,
        "stateDigest": digest.hex() if digest else hexdigest(canonical(parse_state(text).value)),
        "mergeVersion": MERGE_VERSION,
        "keySetDigest": one.source.key_set_digest,
        "xmlns": STATE_NAMESPACE,
        "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
        "xsi:schemaLocation": f"{STATE_NAMESPACE} {_STATE.schema_url(one.source.base_url)}",
    }
    allowed = text.decode().rstrip("\n").replace("\ufffe", r"\ufffe").replace("\uffff", r"\uffff")
    return f"<pith_state{xml_attributes(attributes)}>{escape_xml(allowed)}</pith_state>"


_STATE = MetadataFormat("pith_state", STATE_NAMESPACE, "/static/pith_state.xsd", _state)

FORMATS = {
    one.prefix: one
    for one in (
        MetadataFormat("oai_dc", dublin_core.NAMESPACE, dublin_core.SCHEMA, _dublin_core),
        MetadataFormat("oai_datacite", datacite.NAMESPACE, datacite.SCHEMA, _datacite),
        _STATE,
    )
}
"""All formats, by prefix; every record has each."""
