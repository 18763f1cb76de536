"""The description of the interface that `/openapi.json` gives (OpenAPI 3.1).

It says just what the server does: a test asks for everything, and holds each answer against it.
What the data rules fix, such as patterns and the types of events, is taken from the core.
"""

from __future__ import annotations

from typing import cast

import mirror
from mirror.core.values import DIGEST_PATTERN, Object, Value
from mirror.web.answers import IMMUTABLE, REVALIDATE
from mirror.web.operations import MAX_CHANGES, MAX_IDS
from mirror.web.pages import MAX_START
from mirror.web.schemas import (
    ANSWERS,
    ANY,
    CLOCK,
    COUNT,
    PLACE,
    RECORDS,
    TEXT,
    WORDS,
    all_of,
    beginning,
    is_just,
    list_of,
    matching,
    one_of,
    see,
    states,
)

__all__ = ["description"]

_ABOUT = """\
GET and HEAD only; any other method is answered with 405, as `#/components/responses/405` says. \
Nothing is verified or merged on a request. Bodies are compressed with zstd or gzip as \
`Accept-Encoding` likes. Who accepts `text/html` gets errors as pages."""


def description() -> Object:
    """Return the description."""
    title = "A mirror of the Pith Open Graph"
    of_head = {f"{name}-head": _of_head(one) for name, one in _SHARED.items() if name != "405"}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": mirror.__version__, "description": _ABOUT},
        "paths": _with_ids(
            {**_record_paths(), **_registry_paths(), **_own_paths(), **_page_paths()}
        ),
        "components": {
            "schemas": {**WORDS, **RECORDS, **states(), **ANSWERS},
            "headers": _HEADERS,
            "parameters": _PARAMETERS,
            "responses": {**_SHARED, **of_head},
        },
    }


_IDS = {
    "/pith/{suffix}": "record_page",
    "/pith/{suffix}.json": "record",
    "/pith/{suffix}/bundle.json": "bundle",
    "/.well-known/pith/{suffix}/bundle.json": "well_known_bundle",
    "/pith/{suffix}/state.json": "state",
    "/pith/{suffix}/badge.svg": "badge",
    "/arxiv/{name}": "arxiv",
    "/doi/{name}": "doi",
    "/pith-mirrors.json": "manifest",
    "/pith-signing-key.json": "registry_key",
    "/openapi.json": "description",
    "/health": "health",
    "/metrics": "metrics",
    "/mirror/changes": "changes",
    "/mirror/tree/": "tree_root",
    "/mirror/tree/{prefix}": "tree_node",
    "/mirror/checkpoint": "checkpoint",
    "/mirror/bundle.tar": "bag",
    "/": "home",
    "/find": "find",
    "/findings": "findings",
    "/trust": "trust",
    "/codes": "codes",
    "/static/{name}": "static",
}
"""The name of each path in `operationId`, after `get_` or `head_`."""


def _with_ids(paths: Object) -> Object:
    """Return paths with an `operationId` for each operation."""
    return {path: _with_id(_IDS[path], cast("Object", item)) for path, item in paths.items()}


def _with_id(name: str, item: Object) -> Object:
    named = {
        method: {"operationId": f"{method}_{name}", **cast("Object", item[method])}
        for method in ("get", "head")
    }
    return {**item, **named}


# Headers -------------------------------------------------------------------------------------


def _header(schema: Object, *, required: bool = True) -> Object:
    return {"required": required, "schema": schema}


def _sent(names: str) -> Object:
    return {name: see(name, "headers") for name in names.split()}


def _cached(cache: str = REVALIDATE, vary: str = "Accept-Encoding") -> Object:
    return {"Cache-Control": _header(is_just(cache)), "Vary": _header(is_just(vary))}


_DAYS, _MONTHS = "Mon|Tue|Wed|Thu|Fri|Sat|Sun", "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_DATE = matching(f"({_DAYS}), [0-9]{{2}} ({_MONTHS}) [0-9]{{4}} {CLOCK} GMT")
_HEADERS: Object = {
    "Access-Control-Allow-Origin": _header(is_just("*")),
    "Access-Control-Expose-Headers": _header(is_just("ETag, Link, Content-Location")),
    "Content-Encoding": _header(one_of("gzip", "zstd"), required=False),
    "Content-Security-Policy": _header(matching("default-src 'none'; .+")),
    "Cross-Origin-Resource-Policy": _header(is_just("cross-origin")),
    "ETag": _header(matching(f'"{DIGEST_PATTERN}(-gzip|-zstd)?"')),
    "Last-Modified": _header(_DATE, required=False),
    "Link": _header(matching(f'<{PLACE}>; rel="canonical"')),
    "Permissions-Policy": _header(is_just("camera=(), geolocation=(), microphone=()")),
    "Referrer-Policy": _header(is_just("no-referrer")),
    "X-Content-Type-Options": _header(is_just("nosniff")),
}
_OF_ALL = _sent("Access-Control-Allow-Origin")
_GUARDS = "Access-Control-Expose-Headers Content-Security-Policy X-Content-Type-Options"
_OF_BODIES = _OF_ALL | _sent(_GUARDS)
_OF_IMAGES = _sent("Cross-Origin-Resource-Policy Permissions-Policy Referrer-Policy")
_KEPT = _OF_BODIES | _cached() | _sent("ETag Content-Encoding")
_PASSING = _OF_BODIES | _cached("no-store") | _sent("Content-Encoding")
_OF_304 = {*_OF_ALL, *_cached(), "Content-Location", "ETag", "Link"}


# Answers -------------------------------------------------------------------------------------


def _content(media_type: str, schema: Object) -> Object:
    return {media_type: {"schema": schema}}


def _json(name: str) -> Object:
    return _content("application/json", see(name))


def _answer(text: str, content: Object, *headers: Object) -> Object:
    return {"description": text, "headers": all_of(*headers), "content": content}


_PAGE = _content("text/html", beginning("<!doctype html>"))


def _fault(text: str, status: int, code: str, *headers: Object, schema: str = "Problem") -> Object:
    narrowed: Object = {"properties": {"status": is_just(status), "code": matching(code)}}
    problem = _content("application/problem+json", {"allOf": [see(schema), narrowed]})
    content = problem if status == 500 else problem | _PAGE
    return _answer(text, content, _PASSING, *headers)


_PARAMETER_CODES = r"request\.(id|limit|since|prefix|start|after)"
_EITHER: Object = {"Cache-Control": _header(one_of("no-store", REVALIDATE))}
_ALLOW: Object = {"Allow": _header(one_of("GET, HEAD", "HEAD, GET"))}
_SHARED: dict[str, Object] = {
    "303": {
        "description": "It is there (RFC 9110 section 15.4.4).",
        "headers": _OF_BODIES
        | _cached(vary="Accept, Accept-Encoding")
        | {"Location": _header(matching(rf"{PLACE}(\.json)?"))},
    },
    "300": _fault("Several records.", 300, r"lookup\.ambiguous", _EITHER, schema="Choices"),
    "400": _fault("A parameter makes no sense.", 400, _PARAMETER_CODES),
    "404": _fault(
        "Nothing has that name.",
        404,
        r"(lookup\.unknown|http\.not_found|checkpoint\.none|keys\.unknown)",
    ),
    "405": _fault("GET and HEAD only.", 405, r"http\.method_not_allowed", _ALLOW),
    "500": _fault("A fault of ours.", 500, r"http\.internal_server_error"),
    "503": _fault("The store cannot be read now.", 503, r"store\.[a-z_]+"),
}


def _of_head(answer: Object) -> Object:
    """Return the answer to HEAD: the same without a body."""
    if "$ref" in answer:
        return {"$ref": f"{answer['$ref']}-head"}
    return {name: one for name, one in answer.items() if name != "content"}


def _of_known(headers: Object) -> Object:
    """Return the 304 in place of an answer with these headers."""
    kept: Object = {name: one for name, one in headers.items() if name in _OF_304}
    return {"description": "You have it already.", "headers": kept}


# Paths ---------------------------------------------------------------------------------------

_NAMED = """\
The 26 letters of a Pith Number or the first 8 or more, in any case; or another name of a record \
that holds no slash and does not end in `.json`. Versions of a paper share its arXiv id: 300."""
_EXAMPLES = ("7SOLO26TLPZRGSRX2HH227CICV", "7SOLO26T", "1705.09786")
_PARAMETERS: Object = {
    "suffix": {
        "name": "suffix",
        "in": "path",
        "required": True,
        "description": _NAMED,
        "schema": matching(r"(?![^/]*\.json$)[^/]+"),
        "examples": {name: {"value": name} for name in _EXAMPLES},
    },
    "If-None-Match": {"name": "If-None-Match", "in": "header", "schema": TEXT},
    "If-Modified-Since": {"name": "If-Modified-Since", "in": "header", "schema": TEXT},
}


def _path(text: str, content: Object, headers: Object, others: str, *asked: Value) -> Object:
    """Return what GET and HEAD of a path answer.

    Args:
        text: What it is.
        content: Of the answer to most requests.
        headers: Of the same.
        others: The statuses of other answers, apart by spaces.
        asked: Parameters, but for those of conditional requests.
    """
    answers = {status: see(status, "responses") for status in others.split()}
    return _operations(text, {"200": _answer(text, content, headers), **answers}, headers, *asked)


def _operations(text: str, answers: dict[str, Object], headers: Object, *asked: Value) -> Object:
    """Return GET and HEAD of a path with these answers; `headers` are those that a 304 keeps."""
    conditions = ["If-None-Match"] if "304" in answers else []
    if conditions:
        answers["304"] = _of_known(headers)
        conditions += ["If-Modified-Since"] if "Last-Modified" in headers else []
    of_head: Object = {status: _of_head(answer) for status, answer in answers.items()}
    return {
        "get": {"summary": text, "responses": {**answers}},
        "head": {"summary": f"{text} The headers alone.", "responses": of_head},
        "parameters": [*asked, *(see(name, "parameters") for name in conditions)],
    }


def _record_paths() -> Object:
    def path(text: str, content: Object, *headers: Object) -> Object:
        statuses = "300 304 404 500 503"
        return _path(text, content, all_of(_KEPT, *headers), statuses, see("suffix", "parameters"))

    def place(ending: str) -> Object:
        return {"Content-Location": _header(matching(PLACE + ending), required=False)}

    page = _PAGE | _content("application/ld+json", see("LinkedData"))
    by_accept, link = _cached(vary="Accept, Accept-Encoding"), _sent("Link")
    badge = _content("image/svg+xml", beginning("<svg "))
    dated = _sent("Last-Modified")
    bundle = path("A bundle (B6).", _json("Bundle"), place(r"/bundle\.json"), dated)
    state = path("A state.", _json("State"), place(r"/state\.json"), dated)
    return {
        "/pith/{suffix}": path("A page, or JSON-LD.", page, place(""), by_accept, link),
        "/pith/{suffix}.json": path("A record.", _json("Record"), place(r"\.json"), link),
        "/pith/{suffix}/bundle.json": bundle,
        "/.well-known/pith/{suffix}/bundle.json": bundle,
        "/pith/{suffix}/state.json": state,
        "/pith/{suffix}/badge.svg": path("A badge.", badge, _OF_IMAGES, _BRIEFLY),
    }


_BRIEFLY = _cached("public, max-age=300")


def _registry_paths() -> Object:
    dated = _KEPT | _sent("Last-Modified")
    manifest, key, itself = _json("Manifest"), _json("PublicKey"), _json("Description")
    return {
        "/pith-mirrors.json": _path("This mirror and its source.", manifest, dated, "304 500 503"),
        "/pith-signing-key.json": _path("The registry's key.", key, _KEPT, "304 404 500 503"),
        "/openapi.json": _path("This description.", itself, _KEPT, "304 500"),
    }


def _page_paths() -> Object:
    page, statuses = _KEPT | _OF_IMAGES, "304 500 503"
    form = _cached(vary="Accept, Accept-Encoding")
    query = _asked("q", TEXT, "A name, a title, or words; only the first 500 characters count.")
    start = _asked("start", {**COUNT, "maximum": MAX_START}, "How many hits to pass over.")
    after = _asked("after", {**COUNT, "maximum": 10**16 - 1}, "Where the page before ended.")
    code = _asked("code", TEXT, "Only what has this code.")
    named = "The way to the record of this name, in the form that `Accept` asks for."
    statuses_of_names = {one: see(one, "responses") for one in ["300", "404", "500", "503"]}
    lead: dict[str, Object] = {"303": see("303", "responses"), **statuses_of_names}
    found = _path(
        "What has this name or title, or holds these words: a page, or the same in JSON.",
        _PAGE | _json("Found"),
        _KEPT | form,
        f"303 400 {statuses}",
        query,
        start,
    )
    return {
        "/": _path("The first page.", _PAGE, page, statuses),
        "/find": found,
        "/findings": _path("What was refused.", _PAGE, page, f"400 {statuses}", code, after),
        "/trust": _path("Whom the mirror trusts.", _PAGE, page, statuses),
        "/codes": _path("Every code, and what it means.", _PAGE, page, "304 500"),
        "/static/{name}": _path("A file of the pages.", _FILES, _OF_FILES, "304 404 500", _FILE),
        "/arxiv/{name}": _operations(named, lead, {}, _name("An arXiv id.", "1705.09786v3")),
        "/doi/{name}": _operations(
            named, lead, {}, _name("A DOI of arXiv.", "10.48550/arxiv.1705.09786")
        ),
    }


def _name(text: str, example: str) -> Object:
    return {
        "name": "name",
        "in": "path",
        "required": True,
        "description": f"{text} It may hold slashes.",
        "schema": {"type": "string", "minLength": 1},
        "examples": {"first": {"value": example}},
    }


_FILE: Object = {**_name("A file.", "style.css"), "schema": matching(r"[a-z.]+")}
_FILES: Object = {one: {"schema": TEXT} for one in ("text/css", "text/javascript", "image/svg+xml")}
_OF_FILES: Object = _KEPT | {
    "ETag": _header(matching('"[0-9a-f]{16}(-gzip|-zstd)?"')),
    "Cache-Control": _header(one_of(REVALIDATE, IMMUTABLE)),
}


def _asked(name: str, schema: Object, text: str) -> Object:
    return {"name": name, "in": "query", "description": text, "schema": schema}


def _own_paths() -> Object:
    figures = _content("text/plain", beginning("# TYPE "))
    bag: Object = {"application/x-tar": ANY}
    up_to = {**COUNT, "maximum": MAX_CHANGES, "default": MAX_CHANGES}
    after = {**COUNT, "maximum": 2**53, "default": 0}
    since, limit = _asked("since", after, "A change."), _asked("limit", up_to, "How many.")
    ids = _asked("id", list_of(TEXT, maxItems=MAX_IDS), "Any name of a record; may be repeated.")
    changed = "What came after `since`, the oldest first; go on from `next`."
    bagged = "A BagIt bag of the records with these names, or of all."
    node, below = _json("TreeNode"), "A node of the tree over all states, and what is below it."
    note, signed = _content("text/plain", TEXT), "The checkpoint that was signed here last."
    whole, always = _OF_BODIES | _WHOLE, "304 500 503"
    return {
        "/health": _path("Whether the mirror works.", _json("Health"), _PASSING, always),
        "/metrics": _path("Figures for Prometheus.", figures, _PASSING, always),
        "/mirror/changes": _path(changed, _json("Changes"), _KEPT, "304 400 500 503", since, limit),
        "/mirror/tree/": _path("The root of the tree.", node, _KEPT, always),
        "/mirror/tree/{prefix}": _path(below, node, _KEPT, "304 400 500 503", _PREFIX),
        "/mirror/checkpoint": _path(signed, note, _KEPT, "304 404 500 503"),
        "/mirror/bundle.tar": _path(bagged, bag, whole, "300 400 404 500 503", ids),
    }


_PREFIX: Object = {
    "name": "prefix",
    "in": "path",
    "required": True,
    "description": "The hexadecimal digits that begin `canonical_sha256`.",
    "schema": matching("[0-9a-f]{1,62}"),
    "examples": {"first": {"value": "0"}},
}
_WHOLE: Object = {
    "Content-Disposition": _header(is_just('attachment; filename="bundle.tar"')),
    "Cache-Control": _header(is_just("no-store")),
}
