"""Faults of the machine: each command says what is wrong, or goes on without; no traceback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TypeAlias

import pytest
from click.testing import CliRunner

from mirror.cli import main
from tests import commands
from tests.chains import chain, roots
from tests.cli.conftest import BUNDLES
from tests.cli.every_command import COMMANDS, FAULTS, FROM_STANDARD_INPUT

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store and with what the commands need."""
    folder = tmp_path_factory.mktemp("machine")
    for name in ("demo.tar", "demo-keys.json", "demo.states.jsonl"):
        shutil.copy(BUNDLES / name, folder)
    (folder / "other.json").write_text("{}")
    shutil.copy(BUNDLES / "invalid" / "event.signature.json", folder / "one.json")
    (header,) = chain(roots(1))
    (folder / "headers.jsonl").write_text(json.dumps({"height": 7, "header": header.hex()}))
    for arguments in (
        (
            "merge",
            folder / "demo.tar",
            "--keys",
            folder / "demo-keys.json",
            "--db",
            folder / "m.db",
        ),
        ("keys", "new", folder / "mirror.key", "--name", "mirror.example/pith"),
    ):
        ran = CliRunner().invoke(main, list(map(str, arguments)))
        assert ran.exit_code in {0, 1}, ran.output
    (folder / "verifier").write_text(ran.stdout.strip())
    return folder


Results: TypeAlias = dict[str, dict[str, tuple[int | str, str]]]


@pytest.fixture(scope="module")
def results(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """By fault and command: the exit code or traceback, and the messages."""
    folder = tmp_path_factory.mktemp("faults")
    for fault in FAULTS:
        shutil.copytree(prepared, folder / fault)
    reading, writing = os.pipe()
    program = [sys.executable, "-W", "error", "-m", "tests.cli.every_command"]
    with subprocess.Popen(
        [*program, str(folder), str(writing)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=[writing],
    ) as process:
        os.close(writing)
        found: Results = {}
        with os.fdopen(reading, encoding="utf-8") as lines:
            for fault, name, code, messages in map(json.loads, lines):
                found.setdefault(fault, {})[name] = code, messages
    assert process.returncode == 0
    return found


def test_every_command_has_arguments() -> None:
    """So that none is left out below."""
    assert set(COMMANDS) == set(commands.COMMANDS)


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_of_the_machine_gives_a_traceback(results: Results, fault: str) -> None:
    """Every command, under every fault."""
    found = results[fault]
    assert set(found) == set(FROM_STANDARD_INPUT if "input" in fault else COMMANDS)
    assert {} == {name: code for name, (code, _) in found.items() if code not in {0, 1, 3, 4, 5}}
    assert {} == {name: said for name, (code, said) in found.items() if "Traceback" in said}
    if fault == "working folder deleted":
        assert (4, True) == (found["merge"][0], "working folder" in found["merge"][1])
    if fault == "standard output is closed":
        assert {3} == {code for code, _ in found.values()}
    if fault == "standard input is closed":
        expected = "source.unreadable: -: standard input is closed"
        for name, (code, said) in found.items():
            assert (name, 3, True) == (name, code, expected in said.replace(" at -", ": -")), said


def test_a_process_that_starts_with_a_closed_stream(prepared: Path) -> None:
    """Python then has no such stream from the start on: the same as above."""
    for closed, code in (("<&-", 0), (">&-", 3), ("2>&-", 0)):
        command = f"{sys.executable} -W error -m mirror status --db m.db {closed}"
        done = subprocess.run(
            ["sh", "-c", command],  # noqa: S607
            cwd=prepared,
            capture_output=True,
            check=False,
        )
        assert (code, False) == (done.returncode, b"Traceback" in done.stderr), closed
