"""How a record stands, in the words of the registry's own record JSON, from our state alone."""

from __future__ import annotations

from typing import cast

from mirror.core.values import Object, Value

__all__ = ["verification_status"]


def verification_status(state: Object) -> Object:
    """Return the members of `verification_status`, as the registry names them.

    A state exists only if its record hashes to its number, so `content_addressed` is true. All
    else is what the state's `current` shows: verified here, and neither revoked nor superseded.

    Args:
        state: A state (M6).
    """
    current = cast("dict[str, list[Object]]", state["current"])
    strengths = [cast("Object", claim["payload"])["strength"] for claim in current["author_claims"]]
    snapshot = _last_snapshot(current)
    return {
        "content_addressed": True,
        "pith_receipt": current["receipt"] is not None,
        "author_attested": "strong" in strengths,
        "weak_author_claims": strengths.count("weak"),
        "strong_author_claims": strengths.count("strong"),
        "externally_anchored": bool(current["timestamps"]),
        "storage_verified": bool(current["storage_attestations"]),
        "citation_signatures": len(current["citations"]),
        "replication_records": len(current["replications"]),
        "graph_snapshot": bool(current["graph_snapshots"]),
        "references_resolved": _are_references_resolved(snapshot),
        "formal_links_present": _has_formal_links(current, snapshot),
    }


def _last_snapshot(current: dict[str, list[Object]]) -> Object:
    if not current["graph_snapshots"]:
        return {}
    payload = cast("Object", current["graph_snapshots"][-1]["payload"])
    return cast("Object", payload["graph_snapshot"])


def _are_references_resolved(snapshot: Object) -> bool:
    """Whether the last snapshot has references and says that all of them are resolved."""
    references = snapshot.get("references")
    if not isinstance(references, dict):
        return False
    count, resolved = references.get("count"), references.get("resolved_work")
    return _is_positive(count) and resolved == count


def _has_formal_links(current: dict[str, list[Object]], snapshot: Object) -> bool:
    kinds = [cast("Object", one["payload"])["kind"] for one in current["replications"]]
    formal = snapshot.get("formal_canon")
    evidence = formal.get("evidence_count") if isinstance(formal, dict) else 0
    return "formal_bridge" in kinds or _is_positive(evidence)


def _is_positive(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
