r"""Text that TeX prints: escaped, except for accents and simple formulas.

Titles at arXiv have letters and formulas in TeX, such as `Schr\"odinger` and `$\eta^\prime$`.
They pass only in forms that cannot fail and run no other command; everything else is escaped.
"""

from __future__ import annotations

import re
from functools import cache

__all__ = ["tex_text"]

_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\textbraceleft{}",  # a brace counts in BibTeX, even after a backslash
        "}": r"\textbraceright{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{one: f"\\{one}" for one in "#$%&_"},
    }
)

_LETTER = r"(?:[A-Za-z]|\{[A-Za-z]\}|\\[ij](?![A-Za-z])|\{\\[ij]\})"
_ACCENT = (
    rf"\\[\"'`^~=.]{_LETTER}"
    r"|\\[Hcvudbr]\{[A-Za-z]\}"
    r"|\\(?:ss|ae|AE|oe|OE|aa|AA|o|O|l|L)(?![A-Za-z])"
)
_SYMBOLS = (
    "alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|vartheta|iota|kappa|lambda|mu|nu|xi"
    "|pi|rho|sigma|tau|upsilon|phi|varphi|chi|psi|omega|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma"
    "|Upsilon|Phi|Psi|Omega|prime|infty|ell|hbar|partial|nabla|times|cdot|pm|mp|to|rightarrow"
    "|leftarrow|leq|geq|le|ge|neq|approx|sim|propto|in|subset|cup|cap|otimes|oplus|ast|star|circ"
    "|dagger|perp|parallel|forall|exists"
)
_ATOM = rf"(?:[A-Za-z0-9]|\\(?:{_SYMBOLS})(?![A-Za-z]))"
_SCRIPT = rf"(?:{_ATOM}|\{{(?:{_ATOM}|[ +\-=,.()/*])+\}})"
_SCRIPTED = rf"{_ATOM}(?:_{_SCRIPT}(?:\^{_SCRIPT})?|\^{_SCRIPT}(?:_{_SCRIPT})?)?"
_FORMULA = rf"(?<!\\)\$(?! )(?:{_SCRIPTED}|[ +\-=<>,.:()/*|])*(?:{_SCRIPTED}|\))\$"


def tex_text(text: str) -> str:
    r"""Return one line of text as TeX prints it, with balanced braces.

    Accents on letters, some letters such as `\ss`, and formulas of letters, digits, symbols and
    single sub- and superscripts pass unchanged, in braces, so that styles do not change their case.
    """
    parts = _passing().split(text)
    return "".join(
        _in_braces(part) if at % 2 else part.translate(_ESCAPES) for at, part in enumerate(parts)
    )


def _in_braces(part: str) -> str:
    return part if part.startswith("{") else f"{{{part}}}"


@cache
def _passing() -> re.Pattern[str]:
    """Compile what passes when it is first needed: that takes longer than any import."""
    return re.compile(rf"(\{{(?:{_ACCENT})\}}|{_ACCENT}|{_FORMULA})")
