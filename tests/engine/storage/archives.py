"""Archives that are made up: a server that answers on captures as a test says, and its store."""

from __future__ import annotations

from pathlib import Path

from tests.builders import Object, make_bundle, make_event, make_record, storage
from tests.engine.sync.sync_servers import AUTHOR, fill
from tests.net.server import Exchange, Handler, message, saying

CAPTURED_AT = "2026-05-04T00:00:00Z"
CAPTURED = "Mon, 04 May 2026 00:00:00 GMT"
"""The same time as a date of HTTP."""


def page(memento_datetime: str = CAPTURED, status: str = "200 OK", **fields: str) -> Handler:
    """A handler that answers HEAD without, and GET with a body."""

    def handle(exchange: Exchange) -> None:
        body = b"<p>a capture</p>" * 1000
        text = message(
            body, status=status, media_type="text/html", memento_datetime=memento_datetime, **fields
        )
        exchange.send(text if exchange.method == "GET" else text.removesuffix(body))

    return handle


def without_head(handler: Handler, status: str = "405 Method Not Allowed") -> Handler:
    """A handler that refuses HEAD."""

    def handle(exchange: Exchange) -> None:
        refusal = message(b"", status=status)
        (handler if exchange.method == "GET" else saying(refusal))(exchange)

    return handle


def bundle_of(number: int, *urls: str, captured_at: str = CAPTURED_AT) -> Object:
    """A bundle of the record of a number, with an attestation of the author for each URL."""
    record = make_record(arxiv_id=f"2401.{number:05}")
    events = [
        make_event(record, AUTHOR, "storage_attested", storage("an archive", url, captured_at))
        for url in urls
    ]
    return make_bundle(record, events)


def store_with(folder: Path, *bundles: Object) -> Path:
    """The path of a store with these bundles, which trusts the author."""
    return fill(folder / "mirror.db", bundles)
