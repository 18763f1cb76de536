"""Running the program, in a process of its own or, where speed matters, in this one."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import pytest
from click.testing import CliRunner

from mirror.cli import main

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    exit_code: int
    stdout: bytes
    stderr: str

    @property
    def lines(self) -> list[Any]:
        """The JSON Lines on stdout."""
        return [orjson.loads(line) for line in self.stdout.splitlines()]


Mirror: TypeAlias = Callable[..., Ran]


def run_here(*arguments: object, stdin: bytes | None = None) -> Ran:
    """Run a command in this process, which has imported everything."""
    result = CliRunner().invoke(main, [str(one) for one in arguments], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout_bytes, result.stderr)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """`mirror(...)` runs a command in an empty folder, where `mirror.db` will be."""
    monkeypatch.chdir(tmp_path)
    return run_here


SampleStore: TypeAlias = Callable[..., Path]


@pytest.fixture(scope="session")
def _sample_stores(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Stores that `mirror merge` made, each once."""

    @cache
    def make(*arguments: object) -> Path:
        store = tmp_path_factory.mktemp("store") / "mirror.db"
        assert run_here("merge", *arguments, "--db", store).exit_code in {0, 1}
        return store

    return make


@pytest.fixture
def sample_store(
    _sample_stores: Callable[..., Path], mirror: Mirror, tmp_path: Path
) -> SampleStore:
    """`sample_store(...)` copies the store that `mirror merge ...` makes to `mirror.db`."""

    def copy(*arguments: object, db: str = "mirror.db") -> Path:
        shutil.copyfile(_sample_stores(*arguments), tmp_path / db)
        return Path(db)

    return copy


@pytest.fixture
def mirror_process(program: Path, tmp_path: Path) -> Mirror:
    """`mirror_process(...)` runs a command in a process, warnings being errors."""

    def run(*arguments: object, stdin: bytes = b"", env: dict[str, str] | None = None) -> Ran:
        command = [str(program), *map(str, arguments)]
        done = subprocess.run(
            command, cwd=tmp_path, input=stdin, capture_output=True, env=env, check=False
        )
        return Ran(done.returncode, done.stdout, done.stderr.decode())

    return run


@dataclass(frozen=True)
class Shown:
    """The output of a command on a terminal, with the control sequences."""

    exit_code: int
    text: str

    @property
    def lines(self) -> list[str]:
        """The lines of the text."""
        return self.text.split("\n")


Terminal: TypeAlias = Callable[..., Shown]


@pytest.fixture
def terminal(program: Path, tmp_path: Path) -> Terminal:
    """`terminal(...)` runs a command with a terminal for standard output and error."""

    def run(*arguments: str, columns: int = 80) -> Shown:
        env = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
        leader, follower = pty.openpty()
        with subprocess.Popen(
            [program, *arguments], cwd=tmp_path, stdout=follower, stderr=follower, env=env
        ) as process:
            os.close(follower)
            shown = read_terminal(leader)
        return Shown(process.returncode, shown)

    return run


def read_terminal(leader: int) -> str:
    """Return all that is written on a terminal until no process has it open, and close it."""
    shown = b""
    with open(leader, "rb", buffering=0) as file, suppress(OSError):  # so it ends on Linux
        while block := file.read(1 << 16):
            shown += block
    return shown.decode("utf-8", "replace").replace("\r\n", "\n")
