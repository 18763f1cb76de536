"""Made-up prose that compresses about as real prose does: words drawn as often as Zipf's law says.

How much smaller a packed bag or a store gets depends on what is in it. Words from a short list
would flatter both, and random letters would wrong them.
"""

from __future__ import annotations

from itertools import accumulate
from random import Random
from typing import Final

_COMMON: Final = (
    "the", "of", "and", "a", "to", "in", "we", "is", "that", "for", "with", "by", "on", "as",
    "are", "this", "from", "which", "an", "be",
)  # fmt: skip
_SYLLABLES: Final = (
    "a", "al", "am", "an", "ar", "bra", "cal", "co", "con", "cu", "de", "di", "dis", "duc",
    "e", "ef", "el", "en", "er", "fi", "for", "ga", "ge", "gra", "he", "i", "im", "in", "ing",
    "is", "ju", "kin", "la", "le", "li", "lo", "lu", "ma", "men", "mi", "mo", "na", "ne",
    "ni", "no", "o", "or", "pa", "per", "po", "pro", "qua", "ra", "re", "ri", "ro", "sa",
    "se", "si", "so", "sta", "str", "su", "ta", "te", "ter", "ti", "tion", "to", "tra", "tu",
    "u", "un", "va", "ve", "vi", "vo", "wa", "wi", "y", "ze",
)  # fmt: skip
_ACCENTED: Final = ("Bü", "Gö", "Mü", "Ño", "Łu", "Ål", "Çe", "Ré", "Šu", "Žó")
_FORMULAS: Final = (
    r"$\mathbb{Z}_2$",
    r"$\alpha \to \beta$",
    r"$O(n \log n)$",
    r"$\sqrt{s} = 13$ TeV",
    r"$\Lambda_{\rm c}$",
    r"$x^{2} + y^{2}$",
)
_VOCABULARY: Final = 8000


def _made_up_words() -> list[str]:
    rng = Random("the words of the benchmark")  # noqa: S311 - made up, not secret
    return ["".join(rng.choices(_SYLLABLES, k=rng.randint(2, 5))) for _ in range(_VOCABULARY)]


_WORDS: Final = [*_COMMON, *_made_up_words()]
_WEIGHTS: Final = list(accumulate(1 / (rank + 2.7) for rank in range(len(_WORDS))))


def words(rng: Random, count: int) -> str:
    """Return so many words as one line."""
    return " ".join(rng.choices(_WORDS, cum_weights=_WEIGHTS, k=count))


def title(rng: Random) -> str:
    """Return a title of 5 to 14 words."""
    return words(rng, rng.randint(5, 14)).capitalize()


def abstract(rng: Random) -> str:
    """Return an abstract of some sentences, with LaTeX in one of three."""
    sentences = [words(rng, rng.randint(9, 24)).capitalize() for _ in range(rng.randint(4, 8))]
    if rng.random() < 1 / 3:
        sentences[1] += f" {rng.choice(_FORMULAS)}"
    return ". ".join(sentences) + "."


def authors(rng: Random) -> str:
    """Return the names of one to six authors; some are not ASCII."""
    return ", ".join(_name(rng) for _ in range(rng.randint(1, 6)))


def _name(rng: Random) -> str:
    first, last = ("".join(rng.choices(_SYLLABLES, k=rng.randint(2, 3))) for _ in range(2))
    accent = rng.choice(_ACCENTED) if rng.random() < 0.1 else ""
    return f"{first.capitalize()} {accent}{last if accent else last.capitalize()}"
