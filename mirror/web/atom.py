"""Atom feeds (RFC 4287) as XML, with links between pages (RFC 5005 section 3).

All texts are plain (`type="text"`): a reader shows markup in them as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mirror
from mirror.core.xml_text import XML_DECLARATION, xml_element

__all__ = ["ATOM", "AtomCategory", "AtomEntry", "AtomFeed", "AtomLink", "atom_xml"]

ATOM = "application/atom+xml"
_NAMESPACE = "http://www.w3.org/2005/Atom"


@dataclass(frozen=True, slots=True)
class AtomLink:
    """A link (RFC 4287 section 4.2.7)."""

    rel: str
    href: str
    """An absolute address."""
    media_type: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class AtomCategory:
    """A category (RFC 4287 section 4.2.2)."""

    term: str
    scheme: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtomEntry:
    """An entry of a feed (RFC 4287 section 4.1.2)."""

    entry_id: str
    title: str
    updated: str
    """A time of RFC 3339."""
    summary: str
    links: Sequence[AtomLink]
    contributors: Sequence[str] = ()
    categories: Sequence[AtomCategory] = ()
    rights: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtomFeed:
    """A page of a feed (RFC 4287 section 4.1.1)."""

    feed_id: str
    title: str
    subtitle: str
    author: str
    author_url: str
    icon: str
    updated: str
    links: Sequence[AtomLink]
    entries: Sequence[AtomEntry]


def atom_xml(feed: AtomFeed) -> bytes:
    """Return a feed as an XML document in UTF-8."""
    parts = [
        xml_element("id", feed.feed_id),
        xml_element("title", feed.title),
        xml_element("subtitle", feed.subtitle),
        xml_element("updated", feed.updated),
        _person("author", feed.author, feed.author_url),
        xml_element("generator", "mirror", {"version": mirror.__version__}),
        xml_element("icon", feed.icon),
        *map(_link, feed.links),
        *map(_entry, feed.entries),
    ]
    return f'{XML_DECLARATION}<feed xmlns="{_NAMESPACE}">{"".join(parts)}</feed>\n'.encode()


def _entry(entry: AtomEntry) -> str:
    parts = [
        xml_element("id", entry.entry_id),
        xml_element("title", entry.title),
        xml_element("updated", entry.updated),
        *(_person("contributor", name) for name in entry.contributors),
        *map(_link, entry.links),
        *map(_category, entry.categories),
        *([xml_element("rights", entry.rights)] if entry.rights else []),
        xml_element("summary", entry.summary),
    ]
    return f"<entry>{''.join(parts)}</entry>\n"


def _person(role: str, name: str, url: str = "") -> str:
    uri = xml_element("uri", url) if url else ""
    return f"<{role}>{xml_element('name', name or 'unnamed')}{uri}</{role}>"


def _link(one: AtomLink) -> str:
    named = {"rel": one.rel, "type": one.media_type, "title": one.title, "href": one.href}
    return xml_element("link", "", {name: value for name, value in named.items() if value})


def _category(one: AtomCategory) -> str:
    scheme = {"scheme": one.scheme} if one.scheme else {}
    return xml_element("category", "", {"term": one.term, **scheme})
