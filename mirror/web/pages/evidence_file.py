"""Evidence files: one HTML page that holds an evidence document and checks it offline.

The words on the page are made by its program from the document, so the rest of the file is the same
for every record, and a file that was changed is found: it is not the page of its document.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files

from markupsafe import Markup

from mirror.core.values import Object, canonical, decode
from mirror.engine.verifier_modules import verifier_modules
from mirror.errors import FormatError
from mirror.web.pages.environment import environment

__all__ = ["document_in", "evidence_page", "is_unchanged"]

_DOCUMENT = re.compile(rb'<script type="application/json" id="evidence">([^<]*)</script>', re.ASCII)
_HINT = "`mirror evidence ID OUT.html` writes such a file"


def evidence_page(document: Object) -> bytes:
    """Return the file of an evidence document."""
    text = canonical(document)
    script, style = verifier_script(), _style()
    page = (
        environment()
        .get_template("evidence.html")
        .render(
            document=Markup(_escaped(text)),  # noqa: S704 - JSON without markup
            script=Markup(script),  # noqa: S704 - our own program
            style=Markup(style),  # noqa: S704 - our own style sheet
            script_hash=_hash(script),
            style_hash=_hash(style),
        )
    )
    return page.encode()


def _escaped(text: bytes) -> str:
    """Return JSON so that no browser takes any of it for markup: it is the same JSON."""
    return text.decode().replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


@cache
def _style() -> str:
    static = files("mirror.web") / "static"
    return (static / "style.css").read_text() + (static / "evidence.css").read_text()


def document_in(page: bytes) -> bytes:
    """Return the evidence document in a file; nothing in it is checked.

    Raises:
        FormatError: `evidence.shape` if there is none, or more than one.
    """
    found = _DOCUMENT.findall(page)
    if len(found) != 1:
        raise FormatError("evidence.shape", "this is no evidence file", hint=_HINT)
    return bytes(found[0])


def is_unchanged(page: bytes) -> bool:
    """Whether a file is, to the byte, what this version of the program makes of its document.

    Raises:
        FormatError: A code of V1, or `evidence.shape`.
    """
    value = decode(document_in(page))
    return isinstance(value, dict) and evidence_page(value) == page


# The modules as one script -----------------------------------------------------------------------

_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|class|const) (\w+))", re.MULTILINE)
_START = "evidence_page.js"


@cache
def verifier_script() -> str:
    """Return the modules as one script, each in a function of its own: files have no modules."""
    sources = {name: source.decode() for name, source in verifier_modules().items()}
    ordered: list[str] = []
    _visit(_START, sources, ordered)
    parts = [_wrapped(name, sources[name]) for name in ordered]
    return "\n".join(['"use strict";', *parts, f"{_variable(_START)}.showEvidence();\n"])


def _visit(name: str, sources: dict[str, str], ordered: list[str]) -> None:
    """List the modules that one needs, before it."""
    if name not in ordered:
        for _, needed in _IMPORT.findall(sources[name]):
            _visit(needed, sources, ordered)
        ordered.append(name)


def _wrapped(name: str, source: str) -> str:
    exported = _EXPORT.findall(source)
    body = _IMPORT.sub(lambda found: f"const {{{found[1]}}} = {_variable(found[2])};\n", source)
    body = _EXPORT.sub("", body)
    return (
        f"const {_variable(name)} = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}})();"
    )


def _variable(name: str) -> str:
    return f"module_{name.removesuffix('.js')}"
