"""A store whose file is replaced, taken away, or damaged while it is served."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mirror.errors import LookUpError, StoreError
from mirror.store import open_store
from mirror.web import ServerSettings
from mirror.web.state_cache import decompress
from mirror.web.store_reader import StoreReader
from tests.builders import make_bundle, make_record, to_json
from tests.web.conftest import make_store, served

FIRST, SECOND = make_record(), make_record(arxiv_id="2401.00002")
FIRST_SUFFIX = make_bundle(FIRST)["pith_number"].rpartition(":")[2]
SECOND_SUFFIX = make_bundle(SECOND)["pith_number"].rpartition(":")[2]


def _store(path: Path, record: dict[str, object]) -> Path:
    source = path.with_suffix(".json")
    source.write_bytes(to_json(make_bundle(record)))
    return make_store(path, source)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of the first record."""
    return _store(tmp_path / "mirror.db", FIRST)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A store of the second record, whose row ids are those of the first."""
    return _store(tmp_path / "other.db", SECOND)


@pytest.fixture
def library(path: Path) -> Iterator[StoreReader]:
    """The store, served."""
    library = StoreReader(path, cache_bytes=1 << 20)
    yield library
    library.close()


def _replace(path: Path, other: Path) -> None:
    """Rename a store over another, with nothing of the one before left."""
    for name in (f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)
    other.rename(path)


def _number(library: StoreReader, name: str) -> str:
    return str(json.loads(decompress(library.state(name)[1]))["pith_number"])


def test_nothing_of_the_replaced_file_is_left(
    library: StoreReader, path: Path, other: Path
) -> None:
    """Names, pages and cached states of the file before are forgotten."""
    assert _number(library, FIRST_SUFFIX).endswith(FIRST_SUFFIX)
    assert library.cached_state(FIRST_SUFFIX) is not None
    _replace(path, other)
    assert library.cached_state(FIRST_SUFFIX) is None
    with pytest.raises(LookUpError):
        library.state(FIRST_SUFFIX)
    assert _number(library, SECOND_SUFFIX).endswith(SECOND_SUFFIX)
    with library.snapshot() as snapshot:
        assert snapshot.store.records.suffix(1) == SECOND_SUFFIX
    assert library.cached_state(SECOND_SUFFIX) is not None


def test_a_snapshot_is_read_to_its_end(library: StoreReader, path: Path, other: Path) -> None:
    """It shows the file before; other requests fail with `store.replaced` until it ends."""
    with library.snapshot() as snapshot:
        _replace(path, other)
        assert snapshot.store.records.suffix(1) == FIRST_SUFFIX
        with pytest.raises(StoreError, match=r"store\.replaced"), library.snapshot():
            pass
        with pytest.raises(StoreError, match=r"store\.replaced"):
            library.state(FIRST_SUFFIX)
        assert snapshot.find(FIRST_SUFFIX).suffix == FIRST_SUFFIX
    with library.snapshot() as snapshot:
        assert snapshot.store.records.suffix(1) == SECOND_SUFFIX


def test_a_missing_file_is_reported(library: StoreReader, path: Path, other: Path) -> None:
    assert _number(library, FIRST_SUFFIX)
    path.unlink()
    for _ in range(2):
        assert library.cached_state(FIRST_SUFFIX) is None
        with pytest.raises(StoreError, match=r"store\.absent"):
            library.state(FIRST_SUFFIX)
    _replace(path, other)
    assert _number(library, SECOND_SUFFIX).endswith(SECOND_SUFFIX)


def test_a_restored_file_is_read_again(library: StoreReader, path: Path) -> None:
    aside = path.with_name("aside.db")
    assert _number(library, FIRST_SUFFIX)
    path.rename(aside)
    with pytest.raises(StoreError, match=r"store\.absent"), library.snapshot():
        pass
    aside.rename(path)
    assert _number(library, FIRST_SUFFIX).endswith(FIRST_SUFFIX)


def test_the_log_of_the_file_before_is_never_read_with_another(
    library: StoreReader, path: Path, other: Path
) -> None:
    """SQLite would take its pages for those of the new file."""
    assert _number(library, FIRST_SUFFIX)
    with open_store(path) as writer, writer.transaction():
        writer.states.mark_all_for_verdicts()
    assert path.with_name("mirror.db-wal").stat().st_size
    other.rename(path)
    for _ in range(2):
        with (
            pytest.raises(StoreError, match=r"mirror\.db-wal of the old file"),
            library.snapshot(),
        ):
            pass
    path.with_name("mirror.db-wal").unlink()
    path.with_name("mirror.db-shm").unlink()
    assert _number(library, SECOND_SUFFIX).endswith(SECOND_SUFFIX)


def test_many_readers_read_at_one_time(library: StoreReader) -> None:
    """There are more than the pool keeps open; each runs in a thread and reads the same state."""
    together = threading.Barrier(10, timeout=30)
    found: list[str] = []

    def read() -> None:
        with library.snapshot() as snapshot:
            together.wait()
            found.append(snapshot.find(FIRST_SUFFIX).suffix)

    threads = [threading.Thread(target=read) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [FIRST_SUFFIX] * 10


# What /health says ----------------------------------------------------------------------------


def _health(url: str) -> tuple[int, str]:
    answer = httpx.get(f"{url}/health")
    said = answer.json()
    return answer.status_code, str(said.get("code", said["status"]))


def test_health_follows_the_file(path: Path, other: Path) -> None:
    with served(ServerSettings(store=path)) as url:
        assert _health(url) == (200, "ok")
        path.unlink()
        assert _health(url) == (503, "store.absent")
        assert httpx.get(f"{url}/health").headers["Retry-After"] == "1"
        _replace(path, other)
        assert _health(url) == (200, "ok")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE record SET value = x'00'", (503, "store.damaged")),
        ("DELETE FROM record_totals", (503, "store.damaged")),
        ("UPDATE arrival SET content = x'00'", (503, "store.damaged")),
        ("DROP TABLE record_totals", (503, "store.unreadable")),
        ("DELETE FROM stale", (200, "ok")),
    ],
)
def test_health_is_not_ok_where_no_record_can_be_read(
    damage: str, said: tuple[int, str], path: Path
) -> None:
    conn = sqlite3.connect(path)
    conn.execute(damage)
    conn.commit()
    conn.close()
    with served(ServerSettings(store=path)) as url:
        assert _health(url) == said


def test_health_is_ok_with_one_damaged_record(path: Path, tmp_path: Path) -> None:
    """`mirror check` finds it; the others are served."""
    source = tmp_path / "more.json"
    source.write_bytes(to_json(make_bundle(SECOND)))
    make_store(path, source)
    conn = sqlite3.connect(path)
    conn.execute("UPDATE record SET value = x'00' WHERE id = 1")
    conn.commit()
    conn.close()
    with served(ServerSettings(store=path)) as url:
        assert _health(url) == (200, "ok")
