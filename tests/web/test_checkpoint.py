"""`/mirror/checkpoint`: the last note that was signed from the store that is served."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from mirror.core.transparency.signed_note import make_signer, parse_note, verify_note
from mirror.engine.transparency.checkpoints import keep_checkpoint, make_checkpoint
from mirror.store import open_store
from mirror.web import ServerSettings
from tests.builders import Signer
from tests.web.conftest import BUNDLES, make_store, served

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
OURS = make_signer("ours.example", Signer("ours").seed)
THEIRS = make_signer("theirs.example", Signer("theirs").seed)
PATH = "/mirror/checkpoint"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of the demo bag."""
    return make_store(tmp_path / "mirror.db", BUNDLES / "demo.tar")


@pytest.fixture
def client(store: Path) -> Iterator[httpx.Client]:
    """A client of a mirror that serves it."""
    with served(ServerSettings(store=store)) as url, httpx.Client(base_url=url) as opened:
        yield opened


def test_a_mirror_without_a_checkpoint_says_so(client: httpx.Client, store: Path) -> None:
    """What others signed is not its own."""
    assert client.get(PATH).status_code == 404
    with open_store(store.with_name("theirs.db")) as elsewhere:
        note = make_checkpoint(elsewhere, THEIRS, NOW).encode()
    with open_store(store) as opened:
        assert keep_checkpoint(opened, note, [THEIRS.verifier], NOW).is_new
    answer = client.get(PATH)
    assert (404, "checkpoint.none") == (answer.status_code, answer.json()["code"])
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_last_checkpoint_is_served_as_it_was_signed(client: httpx.Client, store: Path) -> None:
    """As text, to the byte, with a validator; the next one is there at once."""
    with open_store(store) as opened:
        notes = [make_checkpoint(opened, OURS, NOW)]
    answer = client.get(PATH)
    assert (200, notes[0].encode()) == (answer.status_code, answer.content)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert verify_note(parse_note(answer.content), [OURS.verifier]).signed_by == (OURS.verifier,)
    same = {"If-None-Match": answer.headers["etag"]}
    assert client.get(PATH, headers=same).status_code == 304
    with open_store(store) as opened:
        notes.append(make_checkpoint(opened, OURS, NOW + timedelta(days=1)))
    assert notes[1].encode() == client.get(PATH, headers=same).content


def test_a_damaged_checkpoint_is_not_served(client: httpx.Client, store: Path) -> None:
    """The store is at fault, and says no more than that."""
    with open_store(store) as opened:
        make_checkpoint(opened, OURS, NOW)
        opened.connection.execute("UPDATE checkpoint SET note = note || ' '")
    answer = client.get(PATH)
    assert (503, "store.damaged") == (answer.status_code, answer.json()["code"])
