"""Made-up papers: a canonical record (R1) and the texts that a graph snapshot tells of it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from random import Random
from typing import Any, Final

import orjson

from benchmark import texts

Object = dict[str, Any]

_OLD_ARCHIVES: Final = ("astro-ph", "cond-mat", "hep-ex", "hep-ph", "hep-th", "quant-ph", "math")
_CATEGORIES: Final = (
    "astro-ph.CO", "astro-ph.HE", "cond-mat.mtrl-sci", "cond-mat.str-el", "cs.AI", "cs.CL",
    "cs.CR", "cs.CV", "cs.DC", "cs.DL", "cs.LG", "cs.PL", "eess.SP", "gr-qc", "hep-ex", "hep-lat",
    "hep-ph", "hep-th", "math.AG", "math.CO", "math.NT", "math.PR", "nucl-th", "physics.optics",
    "q-bio.NC", "quant-ph", "stat.ML",
)  # fmt: skip
_LICENSES: Final = (
    "http://arxiv.org/licenses/nonexclusive-distrib/1.0/",
    "http://creativecommons.org/licenses/by/4.0/",
    "http://creativecommons.org/licenses/by-nc-sa/4.0/",
    "http://creativecommons.org/publicdomain/zero/1.0/",
)
_YEARS: Final = range(1995, 2027)
_YEAR_WEIGHTS: Final = list(accumulate(range(3, 3 + len(_YEARS))))
"""Each year brought more papers than the one before."""


def canonical(value: Any) -> bytes:
    """Return canonical bytes (V2); of the numbers made here, orjson spells each as V2 does."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


@dataclass(frozen=True)
class Paper:
    """A made-up paper."""

    record: Object
    title: str
    abstract: str
    authors: str

    @cached_property
    def digest(self) -> bytes:
        """`canonical_sha256` as 32 raw bytes (R2)."""
        return hashlib.sha256(canonical(self.record)).digest()

    @cached_property
    def suffix(self) -> str:
        """The last part of the Pith Number (R3)."""
        return base64.b32encode(self.digest)[:26].decode()

    @cached_property
    def pith_number(self) -> str:
        """The Pith Number (R3)."""
        return f"pith:{self.record['metadata']['submitted_at'][:4]}:{self.suffix}"

    @property
    def aliases(self) -> dict[str, str]:
        """The aliases by kind (R4)."""
        source = self.record["source"]
        return {
            "arxiv": source["id"],
            "arxiv_version": f"{source['id']}v{source['version']}",
            "doi": f"10.48550/arxiv.{source['id']}",
            "pith_short_12": self.suffix[:12],
            "pith_short_16": self.suffix[:16],
            "pith_short_8": self.suffix[:8],
        }


def make_paper(rng: Random) -> Paper:
    """Return a paper that `rng` alone decides on."""
    title, abstract = texts.title(rng), texts.abstract(rng)
    year, month = rng.choices(_YEARS, cum_weights=_YEAR_WEIGHTS)[0], rng.randint(1, 12)
    if year == _YEARS[-1]:
        month = rng.randint(1, 4)  # the registry was filled in May
    clock = f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}"
    version = rng.choices((1, 2, 3, 4), weights=(60, 25, 10, 5))[0]
    primary, *cross = rng.sample(_CATEGORIES, k=rng.choices((1, 2, 3), weights=(5, 3, 2))[0])
    record = {
        "metadata": {
            "abstract_canon_sha256": _text_digest(abstract),
            "cross_cats_sorted": sorted(cross),
            "license": rng.choices(_LICENSES, weights=(70, 20, 5, 5))[0],
            "primary_cat": primary,
            "submitted_at": f"{year}-{month:02}-{rng.randint(1, 28):02}T{clock}Z",
            "title_canon_sha256": _text_digest(title),
        },
        "schema_version": "1.0",
        "source": {"id": arxiv_id(rng, year, month), "kind": "arxiv", "version": version},
    }
    return Paper(record, title, abstract, texts.authors(rng))


def _text_digest(text: str) -> str:
    return hashlib.sha256(" ".join(text.lower().split()).encode()).hexdigest()  # R5


def arxiv_id(rng: Random, year: int | None = None, month: int | None = None) -> str:
    """Return an arXiv id in the form of its month: it changed in April 2007 and in 2015."""
    year = rng.choices(_YEARS, cum_weights=_YEAR_WEIGHTS)[0] if year is None else year
    month = rng.randint(1, 12) if month is None else month
    short = f"{year % 100:02}{month:02}"
    if (year, month) < (2007, 4):
        return f"{rng.choice(_OLD_ARCHIVES)}/{short}{rng.randint(1, 999):03}"
    if year < 2015:
        return f"{short}.{rng.randint(1, 9999):04}"
    return f"{short}.{rng.randint(1, 24999):05}"
