"""The verifier's conformance program: one process of Node that answers task after task."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Program", "node", "started"]

VERIFIER = Path(__file__).resolve().parents[2] / "verifier"


@cache
def node() -> str:
    """The path of Node 20 or newer, or a skip."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is absent: the verifier in JavaScript needs Node 20")
    version = subprocess.run([found, "--version"], capture_output=True, check=True, text=True)
    major = re.match(r"v(\d+)\.", version.stdout)
    if major is None or int(major[1]) < 20:
        pytest.skip(f"node is {version.stdout.strip()}: the verifier in JavaScript needs Node 20")
    return found


class Program:
    """The program, as it runs."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._asked = 0

    def ask(self, task: str, **members: Any) -> Any:
        """The answer to one task, without its id. Bytes are given as base64."""
        self._asked += 1
        line = {"id": self._asked, "task": task, **{k: _encoded(v) for k, v in members.items()}}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert answer.pop("id") == self._asked
        return answer

    def about(self, task: str, bundles: Sequence[bytes], keys: bytes | None = None) -> Any:
        """The answer to a task about bundles, under the keys of a key set file."""
        return self.ask(task, bundles=list(bundles), keys=keys)


def _encoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_encoded(item) for item in value]
    return b64encode(value).decode() if isinstance(value, bytes) else value


@contextmanager
def started() -> Iterator[Program]:
    """The program, until the block ends."""
    command = [node(), str(VERIFIER / "conformance.js")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        yield Program(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=60) == 0
