"""The mirror's own paths for operators and other mirrors: health, figures, changes, exports."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import IO, cast

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mirror.archive import write_bag
from mirror.core.values import Object, Value, hexdigest
from mirror.engine.checkpoint import last_own_checkpoint
from mirror.engine.descent import tell
from mirror.engine.export import bundle_text
from mirror.errors import FormatError, LookUpError
from mirror.store import open_store
from mirror.web.answers import Answer, json_answer
from mirror.web.library import Library

__all__ = ["Operations", "Traffic"]

MAX_CHANGES = 1000
"""Changes on one page."""
MAX_IDS = 1000
"""Ids that one export may name."""
_BLOCKS_AHEAD = 16


class Traffic:
    """What this process answered, counted."""

    def __init__(self) -> None:
        self.responses: Counter[int] = Counter()
        self.seconds = 0.0
        self.started = time.time()

    def note(self, status: int, seconds: float) -> None:
        """Count a response."""
        self.responses[status] += 1
        self.seconds += seconds


class Operations:
    """Answers on the mirror's own paths."""

    def __init__(self, library: Library, traffic: Traffic) -> None:
        self._library = library
        self._traffic = traffic

    def health(self, _request: Request) -> Answer:
        """Answer `/health`."""
        with self._library.shelf() as shelf:
            status = cast("Object", asdict(shelf.store.status()))
            keys = shelf.store.trust.key_set().digest
            version = shelf.store.schema_version
        counts = {name: one for name, one in status.items() if not name.startswith("last_")}
        answer = json_answer(
            {
                "status": "ok",
                "store_version": version,
                "key_set_digest": keys,
                "last_ingest_at": status["last_run_at"],
                "counts": counts,
            }
        )
        answer.cache, answer.etag = "no-store", ""
        return answer

    def metrics(self, _request: Request) -> Answer:
        """Answer `/metrics` in Prometheus' text format."""
        with self._library.shelf() as shelf:
            status = shelf.store.status()
        text = "".join(self._samples(cast("Object", asdict(status))))
        media_type = "text/plain; version=0.0.4"
        return Answer(body=text.encode(), media_type=media_type, cache="no-store")

    def _samples(self, status: Object) -> Iterator[str]:
        for name in ("records", "alias_claims", "equivocations", "stale"):
            yield from _sample(f"mirror_{name}", "gauge", {"": status[name]})
        for kind, passed, failed in (
            ("events", "events_valid", "events_invalid"),
            ("receipts", "receipts_verified", "receipts_refused"),
        ):
            by_code = {f'verdict="{code}"': n for code, n in cast("Object", status[failed]).items()}
            yield from _sample(
                f"mirror_{kind}", "gauge", {'verdict="valid"': status[passed], **by_code}
            )
        traffic = self._traffic
        by_status = {f'status="{code}"': n for code, n in sorted(traffic.responses.items())}
        yield from _sample("mirror_http_responses_total", "counter", cast("Object", by_status))
        yield from _sample("mirror_http_seconds_total", "counter", {"": traffic.seconds})
        yield from _sample("mirror_start_time_seconds", "gauge", {"": traffic.started})

    def changes(self, request: Request) -> Answer:
        """Answer `/mirror/changes?since=N&limit=M`: what came after N, the oldest first."""
        since = _number(request, "since", 0, 2**53)
        limit = _number(request, "limit", MAX_CHANGES, MAX_CHANGES)
        with self._library.shelf() as shelf:
            rows = shelf.store.facts.changes(since, limit)
            last = shelf.store.facts.last_arrival()
        changes: list[Value] = [
            {"change": one, "pith_number": f"pith:{year}:{suffix}", "at": at}
            for one, year, suffix, at in rows
        ]
        next_since = rows[-1][0] if rows else since
        page: Object = {"since": since, "next": next_since, "more": next_since < last}
        return json_answer({**page, "changes": changes})

    def checkpoint(self, _request: Request) -> Answer:
        """Answer `/mirror/checkpoint`: the note that was signed here last."""
        with self._library.shelf() as shelf:
            note = last_own_checkpoint(shelf.store)
        if note is None:
            raise LookUpError("checkpoint.none", "this mirror has signed no checkpoint")
        body = note.encode()
        return Answer(body=body, media_type="text/plain", etag=hexdigest(body))

    def tree(self, request: Request) -> Answer:
        """Answer `/mirror/tree/{prefix}`: a node of the tree over all states."""
        with self._library.shelf() as shelf:
            return json_answer(tell(shelf.store, request.path_params.get("prefix", "")))

    def bag(self, request: Request) -> Response:
        """Answer `/mirror/bundle.tar?id=...`: a bag of the records named, or of all, streamed."""
        names = request.query_params.getlist("id")
        if len(names) > MAX_IDS:
            raise FormatError("request.id", f"more than {MAX_IDS} ids")
        with self._library.shelf() as shelf:
            ids = [shelf.find_id(name) for name in names] if names else None
        headers = {
            "Content-Disposition": 'attachment; filename="bundle.tar"',
            "Cache-Control": "no-store",
        }
        if request.method == "HEAD":
            return Response(media_type="application/x-tar", headers=headers)
        return StreamingResponse(
            _stream(self._library, ids), media_type="application/x-tar", headers=headers
        )


def _sample(name: str, kind: str, values: Object) -> Iterator[str]:
    yield f"# TYPE {name} {kind}\n"
    for labels, value in values.items():
        yield f"{name}{{{labels}}} {value}\n" if labels else f"{name} {value}\n"


def _number(request: Request, name: str, default: int, highest: int) -> int:
    text = request.query_params.get(name, str(default))
    if re.fullmatch(r"[0-9]{1,16}", text) is None or int(text) > highest:
        raise FormatError(f"request.{name}", f"{name} must be a number from 0 to {highest}")
    return int(text)


# A bag, as it is written ---------------------------------------------------------------------


class _Pipe:
    """A file that is written in one thread and read in another, a few blocks at a time."""

    def __init__(self) -> None:
        self._blocks: queue.Queue[bytes | None] = queue.Queue(_BLOCKS_AHEAD)
        self._closed = threading.Event()

    def write(self, data: bytes) -> int:
        """Take a block; raises BrokenPipeError once nobody reads any more."""
        while not self._closed.is_set():
            try:
                self._blocks.put(bytes(data), timeout=0.5)
            except queue.Full:
                continue
            return len(data)
        raise BrokenPipeError

    def end(self) -> None:
        """Say that all was written."""
        while not self._closed.is_set():
            try:
                return self._blocks.put(None, timeout=0.5)
            except queue.Full:
                continue
        return None

    def blocks(self) -> Iterator[bytes]:
        """Yield what was written."""
        try:
            while (block := self._blocks.get()) is not None:
                yield block
        finally:
            self._closed.set()


def _stream(library: Library, ids: list[int] | None) -> Iterator[bytes]:
    pipe = _Pipe()
    failure: list[BaseException] = []

    def write() -> None:
        try:
            with open_store(library.path, read_only=True) as store, store.snapshot():

                def payload() -> Iterator[tuple[str, bytes]]:
                    for suffix, one in store.records.in_bag_order(ids):
                        yield f"pith/{suffix[:2]}/{suffix}/bundle.json", bundle_text(store, one)

                write_bag(cast("IO[bytes]", pipe), payload)
        except BaseException as error:  # noqa: BLE001 - it is raised where the response is sent
            failure.append(error)
        finally:
            pipe.end()

    threading.Thread(target=write, daemon=True).start()
    yield from pipe.blocks()
    if failure:
        raise failure[0]
