"""What a page of HTML says, read strictly enough for mistakes in it to show."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset(["area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source"])


@dataclass(frozen=True)
class Element:
    """A start tag."""

    tag: str
    attributes: dict[str, str]


@dataclass
class Page(HTMLParser):
    """A page; `faults` tells of tags that do not close as they opened."""

    source: str
    elements: list[Element] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    places: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    """Each text and attribute value, with the tags, classes and ids of all it stands within."""
    _open: list[str] = field(default_factory=list)
    _within: list[frozenset[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.source)
        self.close()
        self.faults += [f"<{tag}> is left open" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element, and that it is open."""
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.faults.append(f"<{tag}> has an attribute twice")
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append(Element(tag, attributes))
        named = {tag, *attributes.get("class", "").split(), attributes.get("id", "")}
        within = (self._within[-1] if self._within else frozenset()) | named
        self.places += [(value, within) for value in attributes.values()]
        if tag not in VOID:
            self._open.append(tag)
            self._within.append(within)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that is closed at once."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()
            self._within.pop()

    def handle_endtag(self, tag: str) -> None:
        """Close the element that was opened last."""
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")
        if self._within:
            self._within.pop()

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.texts.append(data)
        self.places.append((data, self._within[-1] if self._within else frozenset()))

    @property
    def text(self) -> str:
        """All text of the page."""
        return "".join(self.texts)

    def all(self, *tags: str) -> list[Element]:
        """The elements of these names."""
        return [one for one in self.elements if one.tag in tags]

    def values(self, name: str) -> list[str]:
        """The values of an attribute, wherever it stands."""
        return [one.attributes[name] for one in self.elements if name in one.attributes]

    @property
    def loads(self) -> list[str]:
        """The addresses of what a browser fetches for the page by itself."""
        links = [one for one in self.all("link") if one.attributes["rel"] in {"icon", "stylesheet"}]
        sources = [one.attributes["src"] for one in self.elements if "src" in one.attributes]
        return [*sources, *(one.attributes["href"] for one in links)]
