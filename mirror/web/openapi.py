"""The description of the interface that `/openapi.json` gives (OpenAPI 3.1)."""

from __future__ import annotations

import mirror
from mirror.core.values import Object, Value

__all__ = ["description"]

_JSON = "application/json"
_NAME: Object = {
    "name": "suffix",
    "in": "path",
    "required": True,
    "description": "The 26 letters of a Pith Number, or its first 8 or more.",
    "schema": {"type": "string", "minLength": 8, "maxLength": 26, "pattern": "^[A-Z2-7]{8,26}$"},
}


def description() -> Object:
    """Return the description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "A mirror of the Pith Open Graph",
            "version": mirror.__version__,
            "description": "GET and HEAD only. Nothing is verified or merged on a request.",
        },
        "paths": {**_record_paths(), **_registry_paths(), **_own_paths()},
        "components": {"schemas": {"Problem": _PROBLEM}},
    }


_PROBLEM: Object = {
    "type": "object",
    "description": "A problem document (RFC 9457).",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "hint": {"type": "string"},
        "instance": {"type": "string"},
        "choices": {"type": "array", "items": {"type": "object"}},
    },
}


def _content(media_type: str, schema: Object) -> Object:
    return {media_type: {"schema": schema}}


def _ok(media_type: str, text: str, schema: Object | None = None) -> Object:
    return {"description": text, "content": _content(media_type, schema or {"type": "object"})}


_PROBLEM_CONTENT = _content("application/problem+json", {"$ref": "#/components/schemas/Problem"})
_UNKNOWN: Object = {"description": "No record has that name.", "content": _PROBLEM_CONTENT}
_SEVERAL: Object = {"description": "Several records have it.", "content": _PROBLEM_CONTENT}
_WRONG: Object = {"description": "The request makes no sense.", "content": _PROBLEM_CONTENT}
_SAME: Object = {"description": "You have it already."}
_AWAY: Object = {"description": "The store cannot be read now.", "content": _PROBLEM_CONTENT}


def _get(summary: str, responses: Object, parameters: list[Value] | None = None) -> Object:
    operation: Object = {"summary": summary, "responses": {**responses, "503": _AWAY}}
    return {"get": {**operation, "parameters": parameters} if parameters else operation}


def _of_record(summary: str, said: Object) -> Object:
    responses: Object = {"200": said, "300": _SEVERAL, "304": _SAME, "404": _UNKNOWN}
    return _get(summary, responses, [_NAME])


def _record_paths() -> Object:
    page: Object = {
        "description": "The page, or JSON-LD for `Accept: application/ld+json`.",
        "content": {
            "text/html": {"schema": {"type": "string"}},
            "application/ld+json": {"schema": {"type": "object"}},
        },
    }
    bundle = _of_record("The composed bundle (B6).", _ok(_JSON, "The bundle."))
    image = _ok("image/svg+xml", "A picture.", {"type": "string"})
    return {
        "/pith/{suffix}": _of_record("A record for people, or as linked data.", page),
        "/pith/{suffix}.json": _of_record("A record, and how it stands.", _ok(_JSON, "A record.")),
        "/pith/{suffix}/bundle.json": bundle,
        "/.well-known/pith/{suffix}/bundle.json": bundle,
        "/pith/{suffix}/state.json": _of_record("The merged state.", _ok(_JSON, "The state.")),
        "/pith/{suffix}/badge.svg": _of_record("A badge.", image),
    }


def _registry_paths() -> Object:
    return {
        "/pith-mirrors.json": _get(
            "This mirror and its source.", {"200": _ok(_JSON, "The manifest."), "304": _SAME}
        ),
        "/pith-signing-key.json": _get(
            "The registry's key.", {"200": _ok(_JSON, "The key."), "304": _SAME}
        ),
    }


def _own_paths() -> Object:
    tar: Object = {"type": "string", "format": "binary"}
    return {
        "/health": _get("Whether the mirror works.", {"200": _ok(_JSON, "It does.")}),
        "/metrics": _get(
            "Figures for Prometheus.", {"200": _ok("text/plain", "Figures.", {"type": "string"})}
        ),
        "/mirror/changes": _get(
            "What changed, the oldest first; go on from `next`.",
            {"200": _ok(_JSON, "A page of changes."), "304": _SAME, "400": _WRONG},
            [_number("since", 2**53), _number("limit", 1000)],
        ),
        "/mirror/bundle.tar": _get(
            "A BagIt bag of the records named, or of all.",
            {
                "200": _ok("application/x-tar", "The bag.", tar),
                "300": _SEVERAL,
                "400": _WRONG,
                "404": _UNKNOWN,
            },
            [
                {
                    "name": "id",
                    "in": "query",
                    "description": "Any name of a record; may be given again.",
                    "schema": {"type": "array", "items": {"type": "string"}, "maxItems": 1000},
                }
            ],
        ),
    }


def _number(name: str, highest: int) -> Object:
    schema: Object = {"type": "integer", "minimum": 0, "maximum": highest}
    return {"name": name, "in": "query", "schema": schema}
