"""Inputs of any size for each entry point, and the function that reads them."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

from click.testing import CliRunner
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from mirror.archive import ReadLimits
from mirror.cli import main
from mirror.core.record import parse_record
from mirror.core.values import time_text
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.processors import with_processes
from mirror.engine.search.index import update_index
from mirror.engine.states.trust import add_keys, remove_keys
from mirror.store import open_store
from mirror.web import ServerSettings, create_app
from mirror.web.endpoint import Endpoint
from tests.builders import (
    Object,
    Signer,
    author_claim,
    citation,
    key_set_file,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    revocation,
    snapshot,
    to_json,
)
from tests.chains import chain, roots
from tests.helpers import keys_of
from tests.proofs import in_block, path, stamp

AUTHOR, STRANGER = Signer("author"), Signer("stranger")
KEYS = keys_of(AUTHOR)
RECORD = make_record()
NUMBER = make_bundle(RECORD)["pith_number"]
SUFFIX = NUMBER[-26:]
ALIAS = {"alias_kind": "arxiv", "alias_value": RECORD["source"]["id"]}
BAGIT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"

Action: TypeAlias = Callable[[], object]
Prepare: TypeAlias = Callable[[int], Action]
"""Makes an input of a size, and returns the function that reads it."""

_folder: ContextVar[Path] = ContextVar("_folder")
_numbers = count()


@contextmanager
def files_in(folder: Path) -> Iterator[None]:
    """Put all inputs in a folder, with stores to copy."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)
        _made_store.cache_clear()


def _new(ending: str) -> Path:
    return _folder.get() / f"{next(_numbers)}{ending}"


# Parts of inputs -----------------------------------------------------------------------------


@cache
def record_of(number: int) -> Object:
    """One of many records."""
    return make_record(arxiv_id=f"2401.{number:05}")


@cache
def claim(number: int, signer: Signer = AUTHOR, of_record: int | None = None) -> Object:
    """One of many events, of the usual record or of one of many."""
    payload = author_claim(f"https://orcid.org/{number}")
    record = RECORD if of_record is None else record_of(of_record)
    return make_event(record, signer, "author_claimed", payload)


def time_of(number: int) -> str:
    """One of many times."""
    return f"2026-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"


def alias(number: int) -> Object:
    """One of many alias times."""
    return {**ALIAS, "created_at": time_of(number)}


def receipt(number: int, signer: Signer = AUTHOR) -> Object:
    """One of many receipts, which differ in what is not signed."""
    return {**make_receipt(RECORD, signer), "number": number}


def said_again(number: int) -> Object:
    """One of many events of one slot (M5)."""
    return make_event(RECORD, AUTHOR, "author_claimed", author_claim(), time_of(number))


def contradiction(number: int) -> Object:
    """One of many events, each two of which equivocate (M4)."""
    said = author_claim(beside=number % 2)
    return make_event(RECORD, AUTHOR, "author_claimed", said, time_of(number // 2))


def revoked(number: int, target: Object) -> Object:
    """One of many revocations."""
    return make_event(
        RECORD, AUTHOR, "event_revoked", revocation(target["event_id"], f"reason {number}")
    )


def cited(number: int) -> Object:
    """One of many citations."""
    return make_event(RECORD, AUTHOR, "citation_signed", citation(f"arxiv:2501.{number:05}"))


def stamped(number: int) -> Object:
    """One of many time-stamps of one record, each of another calendar."""
    digest = parse_record(RECORD).canonical_sha256
    proof, _ = stamp(bytes.fromhex(digest), (path(str(number)), in_block(number)))
    payload = {
        "method": "opentimestamps",
        "digest": digest,
        "proof_b64": b64encode(proof).decode(),
        "calendar": f"https://{number}.example",
    }
    return make_event(RECORD, AUTHOR, "timestamp_anchored", payload)


def headers_of(size: int) -> Path:
    """A file of this many block headers."""
    file = _new(".headers")
    file.write_bytes(b"".join(chain(roots(size))))
    return file


def listing(size: int) -> Object:
    """A snapshot with this many references."""
    references = [{"arxiv_id": f"1706.{number:05}"} for number in range(size)]
    return make_event(
        RECORD, AUTHOR, "graph_snapshot", snapshot({"claims": [], "references": references})
    )


def finding(number: int) -> Object:
    """One of many integrity findings (S4)."""
    return {
        "payload": {"number": number},
        "payload_sha256": "0" * 64,
        "signature_b64": "AAAA",
        "signing_key_id": "nobody",
        "event_type": "pith.integrity.v1",
        "event_id": number,
        "created_at": "2026-01-01T00:00:00Z",
    }


def vouched(size: int) -> list[Object]:
    """Bundles of this many records, each with an event and a receipt."""
    return [_vouched(number) for number in range(size)]


@cache
def _vouched(number: int) -> Object:
    record = record_of(number)
    return make_bundle(record, [claim(1, AUTHOR, number)], [make_receipt(record, AUTHOR)])


def malformed(size: int) -> list[Object]:
    """Bundles of this many records, each with an invalid event."""
    return [make_bundle(record_of(number), [number]) for number in range(size)]


# Files ---------------------------------------------------------------------------------------


def lines_of(bundles: Iterable[Any]) -> Path:
    """JSON Lines."""
    path = _new(".jsonl")
    path.write_bytes(b"\n".join(map(to_json, bundles)))
    return path


def json_of(value: Any) -> Path:
    """One JSON value."""
    return lines_of([value])


def keys_file(*signers: Signer) -> Path:
    """A key set."""
    path = _new(".json")
    path.write_bytes(key_set_file(*signers))
    return path


def tar_of(members: Iterable[tuple[str, bytes]]) -> Path:
    """A tar."""
    path = _new(".tar")
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def bag_of(payload: list[tuple[str, bytes]], lacking: Iterable[str] = ()) -> Path:
    """A bag in a tar, whose manifest also lists missing files."""
    listed = [*payload, *((name, b"") for name in lacking)]
    manifest = "".join(
        f"{hashlib.sha256(content).hexdigest()}  data/{name}\n" for name, content in listed
    )
    tags = [("bag/bagit.txt", BAGIT), ("bag/manifest-sha256.txt", manifest.encode())]
    return tar_of([*tags, *((f"bag/data/{name}", content) for name, content in payload)])


def members(size: int) -> list[tuple[str, bytes]]:
    """Bundles of this many records, as members."""
    return [(f"{n}/bundle.json", to_json(make_bundle(record_of(n)))) for n in range(size)]


def bags(size: int) -> list[tuple[str, bytes]]:
    """This many bags in one tar."""
    tags = (("bagit.txt", BAGIT), ("manifest-sha256.txt", b""))
    return [(f"{n}/{name}", content) for n in range(size) for name, content in tags]


def folder_of(size: int) -> Path:
    """A folder of this many bundles."""
    folder = _new("")
    for name, content in members(size):
        path = folder / name
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    return folder


# Readers -------------------------------------------------------------------------------------


def merging(source: Path, limits: ReadLimits | None = None) -> Action:
    """Merge a source into an empty store that trusts the author."""
    db = store_of([])

    def merge() -> None:
        with with_processes(1), open_store(db) as store:
            ingest(
                store,
                ReadRequest([str(source)], lambda _report: None, limits=limits or ReadLimits()),
            )

    return merge


def merging_lines(bundles: Iterable[Any], limits: ReadLimits | None = None) -> Action:
    """Merge JSON Lines."""
    return merging(lines_of(bundles), limits)


def store_of(bundles: Iterable[Any], *, indexed: bool = False) -> Path:
    """A store that trusts the author."""
    return Path(shutil.copy(_made_store(tuple(map(to_json, bundles)), indexed), _new(".db")))


@cache
def _made_store(bundles: tuple[bytes, ...], indexed: bool) -> Path:  # noqa: FBT001 - a key
    db = _new(".db")
    with with_processes(1), open_store(db) as store:
        add_keys(store, KEYS)
        if bundles:
            source = _new(".jsonl")
            source.write_bytes(b"\n".join(bundles))
            ingest(store, ReadRequest([str(source)], lambda _report: None))
        if indexed:
            update_index(store)
    return db


def run(*arguments: object, codes: tuple[int, ...] = (0, 1)) -> Any:
    """Run a command, which must succeed."""
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in codes, result.output
    return result


def command(*arguments: object) -> Action:
    """Run a command."""
    return lambda: run(*arguments)


def export(*options: object) -> Callable[[Iterable[Any]], Action]:
    """Export a store."""
    return lambda bundles: command("export", _new(".tar"), "--db", store_of(bundles), *options)


def increment(size: int) -> Action:
    """Export the records that a base bag lacks."""
    db, base = store_of(vouched(size)), _new(".tar")
    run("export", base, "--db", db)
    return command("export", _new(".tar"), "--db", db, "--since", base)


def comparing(events: list[Any]) -> Action:
    """Compare a state with one that lacks every other event."""
    bundle, out = make_bundle(RECORD, events), _new("")
    run("merge", lines_of([bundle]), "--in-memory", "--keys", keys_file(AUTHOR), "--out", out)
    (path,) = out.rglob("state.json")
    state = json.loads(path.read_bytes())
    state["current"]["author_claims"] = state["current"]["author_claims"][::2]
    path.write_bytes(to_json(state))
    return command("compare", "--upstream", out, "--db", store_of([bundle]))


def adding_keys(size: int) -> Action:
    """Trust a key that signed an event of every record."""
    records = [record_of(number) for number in range(size)]
    db = store_of(
        make_bundle(one, [claim(1, STRANGER, number)]) for number, one in enumerate(records)
    )
    return command("keys", "add", keys_file(STRANGER), "--db", db, "--jobs", 1)


def adding_many_keys(*, one_public_key: bool) -> Prepare:
    """Trust many keys."""

    def prepare(size: int) -> Action:
        signers = [
            Signer("one" if one_public_key else f"signer {n}", key_id=f"{n}") for n in range(size)
        ]
        return command("keys", "add", keys_file(*signers), "--db", _new(".db"))

    return prepare


def changing_trust(size: int, signer: Signer, *words: str) -> Action:
    """Run a command after this many changes of trust in one key."""
    db = store_of([make_bundle(RECORD, [claim(1)], None, [])])
    with open_store(db) as store:
        for number in range(size):
            if (number % 2 == 0) == (signer is AUTHOR):
                remove_keys(store, [signer.key_id])
            else:
                add_keys(store, keys_of(signer))
    return command(*words, "--db", db)


def one_changed(size: int, *, is_trust: bool) -> Action:
    """List the records that changed since a time after which one of many did."""
    records = [record_of(number) for number in range(size + 1)]
    strange = make_bundle(records[0], [claim(1, STRANGER, 0)])
    db = store_of([*([strange] if is_trust else []), *map(make_bundle, records[1:])])
    with open_store(db) as store:
        at = time_text(datetime.now(UTC), microseconds=True)
        if is_trust:
            add_keys(store, keys_of(STRANGER))
        else:
            ingest(store, ReadRequest([str(lines_of([strange]))], lambda _report: None))
    return command("diff", "--since", at, "--db", db)


def requesting(db: Path, path: str) -> Action:
    """Answer a request, in this thread and from the store; templates are compiled before."""

    def request() -> None:
        scope = _scope(path)
        endpoint = _endpoint(create_app(ServerSettings(store=db, cache_bytes=0)), scope)
        endpoint._pages._env = _templates()
        answer = endpoint._handling.handler(Request(scope))
        status = answer.status_code if isinstance(answer, Response) else answer.status
        assert status == 200, path

    return request


@cache
def _templates() -> Environment:
    app = create_app(ServerSettings(store=Path("none.db")))
    return _endpoint(app, _scope("/"))._pages._env


def _scope(path: str) -> dict[str, Any]:
    path, _, query = path.partition("?")
    host = [(b"host", b"localhost"), (b"accept", b"text/html")]
    return {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "query_string": query.encode(),
        "headers": host,
    }


def _endpoint(app: Starlette, scope: dict[str, Any]) -> Endpoint:
    """Return the response for a path, and record the route in the scope."""
    for route in app.routes:
        match, found = route.matches(scope)
        if match is Match.FULL:
            scope.update(found)
            endpoint = found["endpoint"]
            assert isinstance(endpoint, Endpoint)
            return endpoint
    raise AssertionError(scope["path"])
