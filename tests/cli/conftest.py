"""Running the real program, in its own process or, where speed matters, in this one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
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


@pytest.fixture
def mirror_process(tmp_path: Path) -> Mirror:
    """`mirror_process(...)` runs a command as a person does, warnings being errors."""

    def run(*arguments: object, stdin: bytes = b"", env: dict[str, str] | None = None) -> Ran:
        command = [sys.executable, "-W", "error", "-m", "mirror", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=tmp_path, input=stdin, capture_output=True, env=env, check=False
        )
        return Ran(done.returncode, done.stdout, done.stderr.decode())

    return run
