"""Kill, Ctrl-C, full disk, read-only disk, two at once: what was stored stays, and is finished."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from mirror.engine.processors import usable_processors
from mirror.engine.states.check import CheckScope, check
from tests.builders import (
    Signer,
    author_claim,
    key_set_file,
    make_bundle,
    make_event,
    make_record,
    to_json,
)
from tests.cli.conftest import BUNDLES, Ran, run_here
from tests.processes import PATIENCE_S, assert_ended, children_of, wait_until_read, watched

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("MIRROR_KILLS", "12"))
"""How many processes are killed; some thousands take minutes."""

AUTHOR = Signer("author")


def _mirror(
    folder: Path, *arguments: object, limit_file_bytes: int | None = None
) -> subprocess.CompletedProcess[bytes]:
    def limit() -> None:
        if limit_file_bytes is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_file_bytes, limit_file_bytes))

    command = [sys.executable, "-m", "mirror", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False, preexec_fn=limit)


def _here(folder: Path, *arguments: object) -> Ran:
    """Run a command in this process: one that nothing disturbs."""
    with contextlib.chdir(folder):
        return run_here(*arguments)


def _heed_ctrl_c() -> None:
    """A job in the background of a shell is born deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _jsonl(folder: Path, start: int, count: int) -> Path:
    """So many records with an event each, in one file."""
    path = folder / f"from-{start}.jsonl"
    path.write_bytes(b"".join(map(_line, range(start, start + count))))
    return path


@cache
def _line(number: int) -> bytes:
    """The bundle of a record, on a line."""
    record = make_record(arxiv_id=f"2401.{number:05}")
    event = make_event(record, AUTHOR, "author_claimed", author_claim())
    return to_json(make_bundle(record, [event])) + b"\n"


def _keys(folder: Path) -> Path:
    path = folder / "keys.json"
    path.write_bytes(key_set_file(AUTHOR))
    return path


def _export(folder: Path, db: str) -> bytes:
    done = _here(folder, "export", f"{db}.tar", "--db", db, "--force")
    assert done.exit_code == 0, done.stderr
    return (folder / f"{db}.tar").read_bytes()


@pytest.mark.timeout(0)  # as many kills as one asks for
def test_no_kill_loses_a_fact(tmp_path: Path) -> None:
    """`kill -9` at random moments of merge, rebuild, export, keys add and remove."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.crash_runner", tmp_path, str(KILLS), "1"],
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    tally = json.loads(done.stdout)
    assert tally["kills"] >= KILLS
    assert (0, []) == (tally["lost"], tally["faults"])


def test_ctrl_c_exits_with_130_and_keeps_stored_data(tmp_path: Path) -> None:
    """The next run ends where an undisturbed run ends."""
    source, keys = _jsonl(tmp_path, 0, 1000), _keys(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "mirror", "merge", "-", "--keys", str(keys)],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_heed_ctrl_c,  # noqa: PLW1509
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(source.read_bytes())
        wait_until_read(process)  # it waits for more, and cannot have ended
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130
        assert b"interrupted: stored data is kept" in process.stderr.read()
        process.stdin.close()
    _assert_next_run_ends_like_an_undisturbed_one(source, keys)


def test_a_kill_ends_every_process_and_loses_nothing(tmp_path: Path) -> None:
    """Those that verify end with the one that writes; the next run ends where it should have."""
    source, keys = _jsonl(tmp_path, 0, 1000), _keys(tmp_path)
    command = [sys.executable, "-m", "mirror", "merge", str(source), "--keys", str(keys)]
    python = {**os.environ, "MIRROR_NATIVE": "off"}  # the native engine verifies in threads
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, env=python)
    try:
        while len(children_of(process.pid)) < min(2, usable_processors()):
            assert process.poll() is None
            time.sleep(0.01)
        children = watched(children_of(process.pid))
    finally:
        process.kill()
        process.wait()
    assert_ended(children)
    assert check(tmp_path / "mirror.db", CheckScope(), lambda _damage: None).damages == []
    _assert_next_run_ends_like_an_undisturbed_one(source, keys)


def _assert_next_run_ends_like_an_undisturbed_one(source: Path, keys: Path) -> None:
    folder = source.parent
    assert _here(folder, "merge", source, "--keys", keys).exit_code == 0
    _here(folder, "merge", source, "--keys", keys, "--db", "undisturbed.db")
    assert _export(folder, "undisturbed.db") == _export(folder, "mirror.db")


def test_two_merges_at_once_come_to_the_union(tmp_path: Path) -> None:
    """Each waits for the other's transactions; neither loses a fact."""
    sources = [_jsonl(tmp_path, 0, 300), _jsonl(tmp_path, 150, 300)]
    _here(tmp_path, "keys", "add", _keys(tmp_path))
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "mirror", "merge", source],
            cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for source in sources
    ]  # fmt: skip
    assert [0, 0] == [process.wait(timeout=120) for process in running]
    _here(tmp_path, "merge", *sources, "--keys", tmp_path / "keys.json", "--db", "one.db")
    assert _export(tmp_path, "one.db") == _export(tmp_path, "mirror.db")
    assert check(tmp_path / "mirror.db", CheckScope(), lambda _damage: None).damages == []


def test_a_file_that_may_not_grow_loses_nothing(tmp_path: Path) -> None:
    """As a full disk: the run ends with 4 or says so; what was committed is whole."""
    small, large = _jsonl(tmp_path, 0, 50), _jsonl(tmp_path, 50, 700)
    _here(tmp_path, "merge", small, "--keys", _keys(tmp_path))
    before = _export(tmp_path, "mirror.db")
    done = _mirror(tmp_path, "merge", large, limit_file_bytes=600_000)
    assert done.returncode == 4
    assert b"committed data is intact" in done.stderr
    failed = _mirror(tmp_path, "export", "mirror.db.tar", "--force", limit_file_bytes=60_000)
    assert failed.returncode == 3
    assert before == (tmp_path / "mirror.db.tar").read_bytes()
    assert [path for path in tmp_path.iterdir() if path.name.endswith(".partial")] == []
    assert _here(tmp_path, "merge", large).exit_code == 0
    assert check(tmp_path / "mirror.db", CheckScope(), lambda _damage: None).damages == []
    _here(tmp_path, "merge", small, large, "--keys", tmp_path / "keys.json", "--db", "one.db")
    assert _export(tmp_path, "one.db") == _export(tmp_path, "mirror.db")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB, or a skip where we may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs rights that this user has not")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)  # noqa: S607


def test_full_disk_is_reported_and_loses_nothing(disk: Path, tmp_path: Path) -> None:
    """`store.full`, exit 4; the store opens and checks out."""
    db = disk / "mirror.db"
    small, large = _jsonl(tmp_path, 0, 50), _jsonl(tmp_path, 50, 1500)
    assert _here(tmp_path, "merge", small, "--db", db).exit_code == 1
    done = _mirror(tmp_path, "merge", large, "--db", db)
    assert (4, True) == (done.returncode, b"store.full" in done.stderr)
    assert check(db, CheckScope(), lambda _damage: None).damages == []
    status = json.loads(_here(tmp_path, "status", "--db", db, "--json").stdout)
    assert status["records"] >= 50
    with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))
    full = _mirror(tmp_path, "export", disk / "out.tar", "--db", db)
    assert (3, False) == (full.returncode, (disk / "out.tar").exists())


def test_a_read_only_disk_is_read_and_not_written(disk: Path, tmp_path: Path) -> None:
    """Looking works, as from a DVD; writing says why not."""
    db = disk / "mirror.db"
    _here(tmp_path, "merge", BUNDLES / "demo.tar", "--db", db)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)  # noqa: S607
    assert _here(tmp_path, "status", "--db", db).exit_code == 0
    assert _here(tmp_path, "check", "--db", db).exit_code == 0
    assert _here(tmp_path, "export", "out.tar", "--db", db).exit_code == 0
    for command in (["merge", BUNDLES / "pith.tar"], ["rebuild"], ["keys", "add", _keys(tmp_path)]):
        done = _here(tmp_path, *command, "--db", db)
        assert done.exit_code == 4
        assert "store." in done.stderr
    assert _here(tmp_path, "export", disk / "out.tar", "--db", db).exit_code == 3
