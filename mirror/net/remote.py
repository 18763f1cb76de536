"""Clients of a registry and of another mirror: their paths, their statuses, names in their URLs.

No other module builds a URL of a remote server or reads the status of a response. What a response
contains is parsed and verified by the caller: nothing here trusts it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import IO, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

from mirror.errors import FormatError, UpstreamError
from mirror.net.client import Client
from mirror.net.response import Response

__all__ = ["MirrorClient", "RegistryClient", "record_path"]

T = TypeVar("T")

_HEALTH_BYTES = 1 << 20
_CHANGES_BYTES = 4 << 20
_TREE_NODE_BYTES = 1 << 20
_FULL_BAG_SECONDS = 24 * 3600.0
_TAR_TYPES = "application/x-tar, application/octet-stream;q=0.5"


def record_path(name: str, kind: str) -> str:
    """Return the path of a document of a record, relative to the address of a server.

    Args:
        name: A suffix, or another identifier that the server may know; any text.
        kind: `bundle` or `state`.
    """
    return f"pith/{quote(name, safe=':')}/{kind}.json"  # a colon may be in a segment (RFC 3986)


class RegistryClient:
    """Reads records from a registry, or from a mirror, which has the same paths for them.

    Attributes:
        url: The address of the server, without a slash at its end.
    """

    def __init__(self, client: Client, url: str) -> None:
        self._client = client
        self.url = url.rstrip("/")

    @property
    def requests(self) -> int:
        """How many requests the client has sent so far."""
        return self._client.requests

    def record_url(self, name: str, kind: str) -> str:
        """Return the URL of a document of a record; the arguments are those of `record_path`."""
        return f"{self.url}/{record_path(name, kind)}"

    def get_record(
        self, name: str, kind: str, *, etag: str = "", limit_bytes: int | None = None
    ) -> Response:
        """Request a document of a record.

        Args:
            name: As for `record_path`.
            kind: `bundle` or `state`.
            etag: The ETag of the response that the caller has already.
            limit_bytes: The largest response to accept; None for the client's own limit.

        Raises:
            UpstreamError: If there is no usable response.
        """
        return self._client.get(self.record_url(name, kind), etag=etag, limit_bytes=limit_bytes)


class _Codes(NamedTuple):
    """The error codes and the hint for a document that a mirror must have."""

    status: str
    """The code of a response that is not the document."""
    shape: str
    """The code of a document that cannot be parsed."""
    hint: str = "Is this the address of a mirror?"


_FEED = _Codes(
    "upstream.feed",
    "upstream.feed",
    "Is this the address of a mirror? If it is a registry, say so with --kind registry.",
)
_DOCUMENT = _Codes("upstream.status", "upstream.tree")


class MirrorClient(RegistryClient):
    """Reads the records, the feed of changes, the tree and the bags of another mirror."""

    def get_health(self) -> bytes | None:
        """Return the health document (JSON), or None if the server has none.

        Raises:
            UpstreamError: If there is no usable response.
        """
        response = self._client.get(f"{self.url}/health", limit_bytes=_HEALTH_BYTES)
        return response.body if response.is_found else None

    def get_changes(self, since: int, limit: int, parse: Callable[[bytes], T]) -> T:
        """Return a page of the feed of changes.

        Args:
            since: The number of the change before the first of the page.
            limit: The most changes of a page.
            parse: Reads the page; may raise `FormatError`.

        Raises:
            UpstreamError: `upstream.feed` if the server has no such page; others if there is no
                usable response.
        """
        path = f"mirror/changes?since={since}&limit={limit}"
        return self._get_parsed(path, _CHANGES_BYTES, parse, _FEED)

    def get_tree_node(self, prefix: str, parse: Callable[[bytes], T]) -> T:
        """Return a node of the tree of states.

        Args:
            prefix: The hexadecimal digits that lead to the node.
            parse: Reads the node; may raise `FormatError`.

        Raises:
            UpstreamError: `upstream.tree` if it cannot be parsed; others if there is no usable
                response.
        """
        return self._get_parsed(f"mirror/tree/{prefix}", _TREE_NODE_BYTES, parse, _DOCUMENT)

    def get_state(self, suffix: str) -> bytes:
        """Return the state of a record that the mirror must have (JSON).

        Raises:
            UpstreamError: `upstream.status` if it does not have it; others if there is no usable
                response.
        """
        return _found(self.get_record(suffix, "state"), self.record_url(suffix, "state"), _DOCUMENT)

    def download_bag(self, out: IO[bytes], limit_bytes: int) -> str:
        """Write the bag of all records (a tar) to a file; return its URL.

        Raises:
            UpstreamError: If the mirror does not send it completely.
        """
        url = self._bag_url
        response = self._client.download(
            url,
            out,
            accept=_TAR_TYPES,
            limit_bytes=limit_bytes,
            limit_seconds=_FULL_BAG_SECONDS,
        )
        _found(response, url, _DOCUMENT)
        return url

    def download_records(self, out: IO[bytes], suffixes: Iterable[str]) -> str | None:
        """Write a bag of some records (a tar) to a file; return its URL, or None if there is none.

        The mirror has no such bag if it does not have one of the records.

        Raises:
            UpstreamError: If there is no usable response.
        """
        query = urlencode([("id", suffix) for suffix in suffixes])
        response = self._client.download(f"{self._bag_url}?{query}", out, accept=_TAR_TYPES)
        return self._bag_url if response.is_found else None

    @property
    def _bag_url(self) -> str:
        return f"{self.url}/mirror/bundle.tar"

    def _get_parsed(
        self, path: str, limit_bytes: int, parse: Callable[[bytes], T], codes: _Codes
    ) -> T:
        url = f"{self.url}/{path}"
        where = url.partition("?")[0]
        body = _found(self._client.get(url, limit_bytes=limit_bytes), where, codes)
        try:
            return parse(body)
        except FormatError as error:
            place = f"{error.where}: " if error.where else ""
            message = f"The response is not what a mirror sends: {place}{error.message}."
            raise UpstreamError(codes.shape, message, where=where, hint=codes.hint) from error


def _found(response: Response, where: str, codes: _Codes) -> bytes:
    """Return the body of a response with the status 200; any other is an error."""
    if response.is_found:
        return response.body
    message = f"The server answered with the status {response.status}."
    raise UpstreamError(codes.status, message, where=where, hint=codes.hint)
