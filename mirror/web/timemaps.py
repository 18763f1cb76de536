"""TimeMaps (RFC 7089 section 5): the mementos of an original resource, in two formats, by page."""

from __future__ import annotations

from mirror.core.values import Object, Value, hexdigest, time_text
from mirror.web.mementos import LINK_FORMAT, MementoAddresses, MementoSeconds, datetime_of
from mirror.web.representation import Representation, http_date, json_representation

__all__ = ["MAX_MEMENTOS", "TimeMap"]

MAX_MEMENTOS = 1000
"""Mementos on one page of a TimeMap."""


class TimeMap:
    """A page of the TimeMap of an original resource."""

    def __init__(self, addresses: MementoAddresses, seconds: MementoSeconds, after: str) -> None:
        """List the mementos after a second, 14 digits; after an empty text, the first ones."""
        self._addresses = addresses
        self._seconds = seconds
        later = seconds.after(after)
        self._listed = later[:MAX_MEMENTOS]
        self._has_more = len(later) > MAX_MEMENTOS
        self._after = after

    @property
    def _path(self) -> str:
        path = self._addresses.timemap_path
        return f"{path}?after={self._after}" if self._after else path

    @property
    def _next_path(self) -> str:
        """The path of the next page; empty if this is the last one."""
        path = self._addresses.timemap_path
        return f"{path}?after={self._listed[-1]}" if self._has_more else ""

    def link_format(self) -> Representation:
        """Return the page as links (RFC 6690), one on each line."""
        addresses, ends = self._addresses, self._seconds.ends()
        url, self_url = addresses.url(addresses.path), addresses.url(self._path)
        lines = [
            f'<{url}>; rel="original timegate"',
            f'<{self_url}>; rel="self"; type="{LINK_FORMAT}"{self._span()}',
        ]
        if self._next_path:
            next_url = addresses.url(self._next_path)
            lines.append(f'<{next_url}>; rel="timemap"; type="{LINK_FORMAT}"')
        named = ((one, [*ends.get(one, []), "memento"]) for one in self._listed)
        lines += addresses.memento_links(named)
        body = ",\n".join(lines).encode() + b"\n"
        return Representation(body=body, media_type=LINK_FORMAT, etag=hexdigest(body))

    def json(self) -> Representation:
        """Return the page in JSON, with the members that Memento aggregators use."""
        addresses = self._addresses
        url, self_url = addresses.url(addresses.path), addresses.url(self._path)
        mementos: Object = {"list": [self._entry(one) for one in self._listed]}
        if self._seconds.all:
            mementos["first"] = self._entry(self._seconds.all[0])
            mementos["last"] = self._entry(self._seconds.all[-1])
        value: Object = {
            "original_uri": url,
            "timegate_uri": url,
            "timemap_uri": {"link_format": self_url, "json_format": self_url},
            "self": self_url,
            "next": addresses.url(self._next_path) if self._next_path else None,
            "mementos": mementos,
        }
        return json_representation(value)

    def _span(self) -> str:
        if not self._listed:
            return ""
        first, last = (http_date(datetime_of(self._listed[end])) for end in (0, -1))
        return f'; from="{first}"; until="{last}"'

    def _entry(self, second: str) -> Value:
        path = self._addresses.memento_path(second)
        return {"datetime": time_text(datetime_of(second)), "uri": self._addresses.url(path)}
