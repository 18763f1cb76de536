"""Typed links (RFC 8288), as a Link header and as a document of links (RFC 9264)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mirror.core.values import Object, Value

__all__ = ["TypedLink", "link_header", "linkset_text", "linkset_value"]


@dataclass(frozen=True, slots=True)
class TypedLink:
    """A link to a target; every part is a URL, or a fixed text, that needs no escaping."""

    rel: str
    target: str
    media_type: str = ""
    profile: str = ""

    @property
    def attributes(self) -> dict[str, str]:
        """The target attributes that the link has."""
        named = {"type": self.media_type, "profile": self.profile}
        return {name: value for name, value in named.items() if value}

    def written(self, anchor: str = "") -> str:
        """Return the link as RFC 8288 writes it, from its context or from an `anchor`."""
        attributes = {"rel": self.rel, **self.attributes, **({"anchor": anchor} if anchor else {})}
        written = (f'; {name}="{value}"' for name, value in attributes.items())
        return f"<{self.target}>{''.join(written)}"


def link_header(links: Iterable[TypedLink]) -> str:
    """Return the value of a Link header."""
    return ", ".join(link.written() for link in links)


def linkset_text(links: Mapping[str, Sequence[TypedLink]]) -> str:
    """Return links as `application/linkset`, one on each line (RFC 9264 section 4.1).

    Args:
        links: The links by their context, which becomes the anchor.
    """
    written = (one.written(anchor) for anchor, some in links.items() for one in some)
    return ",\n".join(written) + "\n"


def linkset_value(links: Mapping[str, Sequence[TypedLink]]) -> Object:
    """Return links as `application/linkset+json` (RFC 9264 section 4.2).

    Args:
        links: The links by their context, which becomes the anchor.
    """
    return {"linkset": [_context_object(anchor, some) for anchor, some in links.items()]}


def _context_object(anchor: str, links: Sequence[TypedLink]) -> Object:
    targets: dict[str, list[Value]] = {}
    for one in links:
        targets.setdefault(one.rel, []).append({"href": one.target, **one.attributes})
    return {"anchor": anchor, **targets}
