"""The mirror's own API: health, metrics, changes, tree, checkpoint and bags."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from mirror.core.values import Object, Value, hexdigest
from mirror.engine.transparency.checkpoints import last_own_checkpoint
from mirror.engine.transparency.tree_nodes import node_page
from mirror.errors import FormatError, LookUpError
from mirror.web.download import DownloadResponse, Downloads
from mirror.web.parameters import LARGEST_NUMBER, number_parameter
from mirror.web.representation import Representation, json_representation
from mirror.web.store_reader import StoreReader

__all__ = ["MirrorApi", "RequestMetrics"]

MAX_CHANGES = 1000
"""Changes on one page."""
MAX_IDS = 1000
"""Ids in one request for a bag."""


class RequestMetrics:
    """Counters of the responses of this process."""

    def __init__(self) -> None:
        self.responses: Counter[int] = Counter()
        self.seconds = 0.0
        self.started = time.time()

    def count(self, status: int, seconds: float) -> None:
        """Count a response."""
        self.responses[status] += 1
        self.seconds += seconds


class MirrorApi:
    """Handlers of the mirror's own paths."""

    def __init__(self, reader: StoreReader, metrics: RequestMetrics, downloads: Downloads) -> None:
        self._reader = reader
        self._downloads = downloads
        self._metrics = metrics

    def health(self, _request: Request) -> Representation:
        """Handle `/health`: `ok` if records could be read.

        Raises:
            StoreError: If none could.
        """
        with self._reader.snapshot() as snapshot:
            status: dict[str, Any] = asdict(snapshot.store.status())
            keys = snapshot.store.trust_log.key_set().digest
            version = snapshot.store.schema_version
            snapshot.require_readable()
        counts = {name: one for name, one in status.items() if not name.startswith("last_")}
        answer = json_representation(
            {
                "status": "ok",
                "store_version": version,
                "key_set_digest": keys,
                "last_ingest_at": status["last_fact_at"],
                "counts": counts,
            }
        )
        answer.cache, answer.etag = "no-store", ""
        return answer

    def metrics(self, _request: Request) -> Representation:
        """Handle `/metrics`, in the text format of Prometheus."""
        with self._reader.snapshot() as snapshot:
            status = snapshot.store.status()
        text = "".join(self._samples(asdict(status)))
        media_type = "text/plain; version=0.0.4"
        return Representation(body=text.encode(), media_type=media_type, cache="no-store")

    def _samples(self, status: dict[str, Any]) -> Iterator[str]:
        for name in ("records", "alias_claims", "equivocations", "stale"):
            yield from _sample(f"mirror_{name}", "gauge", {"": status[name]})
        for kind, passed, failed in (
            ("events", "events_valid", "events_invalid"),
            ("receipts", "receipts_verified", "receipts_refused"),
        ):
            by_code = {f'verdict="{code}"': n for code, n in status[failed].items()}
            yield from _sample(
                f"mirror_{kind}", "gauge", {'verdict="valid"': status[passed], **by_code}
            )
        metrics = self._metrics
        by_status = {f'status="{code}"': n for code, n in sorted(metrics.responses.items())}
        yield from _sample("mirror_http_responses_total", "counter", by_status)
        yield from _sample("mirror_http_seconds_total", "counter", {"": metrics.seconds})
        yield from _sample("mirror_start_time_seconds", "gauge", {"": metrics.started})

    def changes(self, request: Request) -> Representation:
        """Handle `/mirror/changes?since=N&limit=M`: the changes after N, the oldest first."""
        since = number_parameter(request, "since", 0, LARGEST_NUMBER)
        limit = number_parameter(request, "limit", MAX_CHANGES, MAX_CHANGES)
        with self._reader.snapshot() as snapshot:
            rows = snapshot.store.facts.changes(since, limit)
            last = snapshot.store.facts.last_arrival()
        changes: list[Value] = [
            {"change": one, "pith_number": f"pith:{year}:{suffix}", "at": at}
            for one, year, suffix, at in rows
        ]
        next_since = rows[-1][0] if rows else since
        page: Object = {"since": since, "next": next_since, "more": next_since < last}
        return json_representation({**page, "changes": changes})

    def checkpoint(self, _request: Request) -> Representation:
        """Handle `/mirror/checkpoint`: the last checkpoint that this mirror signed."""
        with self._reader.snapshot() as snapshot:
            note = last_own_checkpoint(snapshot.store)
        if note is None:
            raise LookUpError("checkpoint.none", "this mirror has signed no checkpoint")
        body = note.encode()
        return Representation(body=body, media_type="text/plain", etag=hexdigest(body))

    def keys(self, _request: Request) -> Representation:
        """Handle `/mirror/keys`: the trusted keys and profiles, as a key set file (K2)."""
        with self._reader.snapshot() as snapshot:
            return json_representation(snapshot.store.trust_log.key_set().to_value())

    def tree(self, request: Request) -> Representation:
        """Handle `/mirror/tree/{prefix}`: a node of the tree over all states."""
        with self._reader.snapshot() as snapshot:
            return json_representation(
                node_page(snapshot.store, request.path_params.get("prefix", ""))
            )

    def bag(self, request: Request) -> Response:
        """Handle `/mirror/bundle.tar?id=...`: a bag of the named records, or of all, streamed."""
        names = request.query_params.getlist("id")
        if len(names) > MAX_IDS:
            raise FormatError("request.id", f"more than {MAX_IDS} ids")
        with self._reader.snapshot() as snapshot:
            ids = [snapshot.find_id(name) for name in names] if names else None
        headers = {
            "Content-Disposition": 'attachment; filename="bundle.tar"',
            "Cache-Control": "no-store",
        }
        if request.method == "HEAD":
            return Response(media_type="application/x-tar", headers=headers)
        return DownloadResponse(self._reader, ids, headers, self._downloads)


def _sample(name: str, kind: str, values: Mapping[str, object]) -> Iterator[str]:
    yield f"# TYPE {name} {kind}\n"
    for labels, value in values.items():
        yield f"{name}{{{labels}}} {value}\n" if labels else f"{name} {value}\n"
