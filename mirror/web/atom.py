"""Atom feeds (RFC 4287) as XML, with links between pages (RFC 5005 section 3).

All texts are plain (`type="text"`): a reader shows markup in them as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

import mirror
from mirror.core.xml_text import xml_text

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
    root = Element("feed", {"xmlns": _NAMESPACE})
    _add(root, "id", feed.feed_id)
    _add(root, "title", feed.title)
    _add(root, "subtitle", feed.subtitle)
    _add(root, "updated", feed.updated)
    _add_person(root, "author", feed.author, feed.author_url)
    _add(root, "generator", "mirror", {"version": mirror.__version__})
    _add(root, "icon", feed.icon)
    _add_links(root, feed.links)
    for entry in feed.entries:
        _add_entry(root, entry)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _add_entry(root: Element, entry: AtomEntry) -> None:
    added = SubElement(root, "entry")
    _add(added, "id", entry.entry_id)
    _add(added, "title", entry.title)
    _add(added, "updated", entry.updated)
    for name in entry.contributors:
        _add_person(added, "contributor", name)
    _add_links(added, entry.links)
    for one in entry.categories:
        scheme = {"scheme": one.scheme} if one.scheme else {}
        _add(added, "category", "", {"term": one.term, **scheme})
    if entry.rights:
        _add(added, "rights", entry.rights)
    _add(added, "summary", entry.summary)


def _add_person(parent: Element, role: str, name: str, url: str = "") -> None:
    person = SubElement(parent, role)
    _add(person, "name", name or "unnamed")
    if url:
        _add(person, "uri", url)


def _add_links(parent: Element, links: Iterable[AtomLink]) -> None:
    for one in links:
        named = {"rel": one.rel, "type": one.media_type, "title": one.title, "href": one.href}
        _add(parent, "link", "", {name: value for name, value in named.items() if value})


def _add(
    parent: Element, name: str, text: str, attributes: Mapping[str, str] | None = None
) -> None:
    listed = {one: xml_text(value) for one, value in (attributes or {}).items()}
    SubElement(parent, name, listed).text = xml_text(text) or None
