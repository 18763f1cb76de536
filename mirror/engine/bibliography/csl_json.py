"""A citation in CSL-JSON, as processors of the Citation Style Language read it (version 1.0.2).

Processors read `<i>`, `<b>`, `<sup>`, `<sub>` and two forms of `<span>` as markup. The format has
no escape for them, so a title or name with such a tag as text is written unchanged, and a processor
changes its font or capitals.
"""

from __future__ import annotations

from mirror.core.values import Object
from mirror.engine.bibliography.description import Description
from mirror.engine.bibliography.plain_text import one_line
from mirror.engine.bibliography.statements import origins

__all__ = ["csl_json"]


def csl_json(description: Description, url: str) -> Object:
    """Return the item, one object, as resolvers of DOIs return it.

    Names are literal: they are not taken apart.

    Args:
        description: The description of the record.
        url: The persistent address of the record.
    """
    record = description.record
    year, month, day = (int(part) for part in description.submitted_at[:10].split("-"))
    item: Object = {
        "id": record.pith_number,
        "type": "article",
        "title": one_line(description.title.text) if description.title else "",
        "author": [{"literal": name} for name in description.author_literals],
        "issued": {"date-parts": [[year, month, day]]},
        **(_of_arxiv(description) if description.arxiv_url else {}),
        "keyword": one_line(", ".join(record.categories)),
        "URL": url,
        "note": " ".join(
            [
                f"Pith Number {record.pith_number}.",
                f"Canonical SHA-256 {record.canonical_sha256}.",
                *map(one_line, origins(description)),
            ]
        ),
    }
    return {name: value for name, value in item.items() if value}


def _of_arxiv(description: Description) -> Object:
    source = description.record.source
    return {
        "publisher": "arXiv",
        "number": f"arXiv:{source['id']}",
        "version": str(source["version"]),
        "DOI": description.doi,
    }
