"""Nights of a mirror, by the commands of the units, beside a second mirror on this machine.

The commands are read from the units, and run under their restrictions where this user may set them.
"""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from mirror.core.transparency.checkpoint import Checkpoint
from mirror.store import open_store
from mirror.web import ServerSettings
from tests.builders import make_bundle, make_record, to_json
from tests.deploy.units import Machine, can_restrict
from tests.helpers import BUNDLES, DEMO_RECORDS, PITH_RECORDS
from tests.web.conftest import make_store, run_mirror, served

NIGHT, SERVER = "mirror-nightly.service", "mirror.service"
KEYS = BUNDLES / "demo-keys.json"


def _machine(folder: Path) -> Machine:
    """A machine whose mirror trusts the keys of the demo, and has a key to sign with."""
    machine = Machine(folder=folder).lay()
    assert 0 == run_mirror("keys", "add", KEYS, "--db", machine.store)
    assert 0 == run_mirror("keys", "new", machine.key, "--name", "mirror.example/pith")
    return machine


def _bring(machine: Machine) -> Path:
    """Put a bundle where the nightly run looks for them."""
    machine.incoming.mkdir()
    file = machine.incoming / "one.json"
    file.write_bytes(to_json(make_bundle(make_record())))
    return file


def _checkpoints(store: Path) -> list[Checkpoint]:
    with open_store(store, read_only=True) as opened:
        return [one.checkpoint for one in opened.checkpoints.all() if one.is_own]


def _arrivals(store: Path) -> int:
    with closing(sqlite3.connect(store)) as connection:
        return int(connection.execute("SELECT count(*) FROM arrival").fetchone()[0])


@contextmanager
def _server(machine: Machine) -> Iterator[str]:
    """Run the service of the server; its address."""
    log = machine.folder / "server.log"
    environment = {**machine.environment(SERVER), "MIRROR_SERVE_PORT": "0"}
    with (
        log.open("w") as file,
        subprocess.Popen(machine.command(SERVER), env=environment, stderr=file) as process,
    ):
        while (found := re.search(r"serving .* at (http://\S+)/ ", log.read_text())) is None:
            assert process.poll() is None, log.read_text()
            time.sleep(0.01)
        try:
            yield found[1]
        finally:
            process.terminate()
    assert 0 == process.returncode, log.read_text()


def _counted(url: str) -> int:
    return int(httpx.get(f"{url}/health").raise_for_status().json()["counts"]["records"])


def test_three_nights(tmp_path: Path) -> None:
    """The first finds a mirror, the second a change and a bundle; in the third nobody answers."""
    machine = _machine(tmp_path / "machine")
    store, backup = machine.store, machine.state / "backup.db"
    upstream = make_store(tmp_path / "first.db", BUNDLES / "demo.tar", keys=KEYS)
    with served(ServerSettings(store=upstream)) as url:
        first = machine.run(NIGHT, MIRROR_NIGHTLY_SYNC=url, MIRROR_NIGHTLY_COMPARE=url)
        assert (0, "") == (first.returncode, first.stderr)
        assert [DEMO_RECORDS] == [one.size for one in _checkpoints(store)]
        with _server(machine) as server:
            make_store(upstream, BUNDLES / "pith.tar")
            _bring(machine)
            second = machine.run(NIGHT, MIRROR_NIGHTLY_SYNC=url)
            assert (0, "") == (second.returncode, second.stderr)
            # The server was not started again. It reads what arrived, its words, and its figures.
            assert DEMO_RECORDS + PITH_RECORDS + 1 == _counted(server)
            assert "1611.08522" in httpx.get(f"{server}/find", params={"q": "hep-ex"}).text
            assert "no copy" not in httpx.get(f"{server}/figures").text
            assert httpx.get(f"{server}/mirror/checkpoint").text.split("\n")[1] == "99"
    before, signed = _arrivals(store), _checkpoints(store)[-1]
    third = machine.run(NIGHT, MIRROR_NIGHTLY_SYNC=url)
    assert 5 == third.returncode
    assert "upstream.unreachable" in third.stderr
    assert third.stderr.endswith(f"mirror-nightly: exit 5: mirror sync {url} --quiet\n")
    last = _checkpoints(store)
    assert (3, signed.root, before) == (len(last), last[-1].root, _arrivals(store))
    assert (before, 3) == (_arrivals(backup), len(_checkpoints(backup)))


def test_no_checkpoint_of_a_damaged_store(tmp_path: Path) -> None:
    """Nothing is signed, the backup of the night before is kept, and the unit fails."""
    machine = _machine(tmp_path / "machine")
    assert 0 == run_mirror("merge", _bring(machine), "--db", machine.store)
    backup = machine.state / "backup.db"
    assert 0 == run_mirror("backup", backup, "--db", machine.store)
    kept = backup.read_bytes()
    with closing(sqlite3.connect(machine.store)) as connection, connection:
        connection.execute("UPDATE arrival SET content = x'00'")
    done = machine.run(NIGHT, MIRROR_NIGHTLY_SYNC="")
    assert (4, "store.damaged" in done.stderr) == (done.returncode, True)
    assert "no checkpoint is signed" in done.stderr
    assert ([], kept) == (_checkpoints(machine.store), backup.read_bytes())


@pytest.fixture
def logging(tmp_path: Path) -> Machine:
    """A machine whose `mirror` only writes its arguments to a log; its `date` is `DAY`."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in {
        "mirror": 'echo "$*" >>"$STATE_DIRECTORY/log"',
        "date": "echo $((86400 * DAY))",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o700)
    machine = Machine(folder=tmp_path / "machine").lay()
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    settings = {"PATH": path, "DAY": "0", "STATE_DIRECTORY": str(machine.state)}
    return replace(machine, settings=settings)


def _logged(machine: Machine, command: str) -> list[str]:
    lines = (machine.state / "log").read_text().splitlines()
    return [line for line in lines if line.startswith(f"{command} ")]


def test_a_seventh_of_the_records_each_night(logging: Machine) -> None:
    """In seven nights each part is checked once."""
    for day in range(8):
        done = logging.run(NIGHT, MIRROR_NIGHTLY_PARTS="7", DAY=str(day))
        assert 0 == done.returncode
    expected = [f"check --part {day}/7 --quiet" for day in (1, 2, 3, 4, 5, 6, 7, 1)]
    assert expected == _logged(logging, "check")


@pytest.mark.parametrize("parts", ["0", "07", "1 2", "9" * 20])
def test_a_wrong_number_of_parts_is_refused_before_anything_is_done(
    parts: str, logging: Machine
) -> None:
    done = logging.run(NIGHT, MIRROR_NIGHTLY_PARTS=parts)
    assert 2 == done.returncode
    assert done.stderr.startswith("mirror-nightly: MIRROR_NIGHTLY_PARTS is not a whole number")
    assert [] == [*logging.state.iterdir()]


def test_many_files_are_merged_in_command_lines_of_200(logging: Machine) -> None:
    """Paths as long as Linux allows: so many of them are still a command line."""
    logging.incoming.mkdir()
    files = [logging.incoming / f"{number:03} {'x' * 9}" for number in range(401)]
    for file in files:
        file.touch()
    assert 0 == logging.run(NIGHT).returncode
    merged = [line.removesuffix(" --quiet") for line in _logged(logging, "merge")]
    assert [200, 200, 1] == [line.count(f"{logging.incoming}/") for line in merged]
    assert " ".join(map(str, files)) == " ".join(line.removeprefix("merge ") for line in merged)


def test_the_server_cannot_write_to_the_store(tmp_path: Path) -> None:
    """Its restrictions leave it no file of the store; those of the nightly run do."""
    if not can_restrict():
        pytest.skip("this user may not make files read-only for a process: run it as root")
    machine = Machine(folder=tmp_path / "machine").lay()
    places = {
        "the store": machine.state,
        "elsewhere": tmp_path,
        "temporary files": machine.folder / "tmp",
    }
    written = {
        (name, place)
        for name in (SERVER, NIGHT)
        for place, folder in places.items()
        if 0
        == subprocess.run(
            machine.restricted(name, ["touch", str(folder / name)]),
            stderr=subprocess.DEVNULL,
            check=False,
        ).returncode
    }
    temporary = {(name, "temporary files") for name in (SERVER, NIGHT)}
    assert temporary | {(NIGHT, "the store")} == written
