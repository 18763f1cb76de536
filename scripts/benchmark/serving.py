"""The mirror over HTTP against a bare application, asked by `wrk` in one run."""

from __future__ import annotations

import json
import re
import shutil
import socket
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmark.layout import NEW_BUNDLES, Corpus
from benchmark.process import ENVIRONMENT, RunError, mirror, module, run
from benchmark.session import Workshop, say

_CONNECTIONS: Final = 16
_SECONDS: Final = 5
_START_SECONDS: Final = 60.0
_PASS_RATE: Final = 1500
"""States a second that even a slow machine makes from facts, for the length of the first pass."""
_NEWCOMERS: Final = 120_000
"""More than native code merges while the servers are asked."""
_SCRIPT: Final = Path(__file__).with_name("load.lua")


def measure_serving(shop: Workshop, db: Path) -> None:
    """Ask for states: all of them once, then at random, conditionally, gently, beside a merge."""
    if shutil.which("wrk") is None:
        shop.skip("the mirror over HTTP: wrk is not installed")
        return
    names, size = _write_names(shop, db)
    with _bare(size) as bare, serve_mirror(db) as ours:
        load = _Load(shop, names, {"bare": bare, "mirror": ours})
        load.first_pass()
        load.take("any", "any")
        load.take("held", "held", ("mirror",))
        load.gently()
        with _merge_beside(shop, db):
            load.take("any", "anymerge")


def _write_names(shop: Workshop, db: Path) -> tuple[Path, int]:
    """Write name and state digest of each record; return the file and the mean size of a state."""
    path = shop.work / "names.txt"
    conn = sqlite3.connect(f"{db.absolute().as_uri()}?mode=ro", uri=True)
    query = "SELECT suffix, lower(hex(state.digest)) FROM record JOIN state ON id = record_id"
    rows = conn.execute(query).fetchall()
    conn.close()
    path.write_text("".join(f"{suffix} {digest}\n" for suffix, digest in rows))
    shown = [run(mirror("show", suffix, "--json", "--db", db)).output for suffix, _ in rows[:20]]
    return path, round(sum(len(text.encode()) for text in shown) / len(shown))


class _Load:
    """Asks servers for states, and keeps how they did."""

    def __init__(self, shop: Workshop, names: Path, servers: Mapping[str, str]) -> None:
        self._shop = shop
        self._names = names
        self._servers = servers
        self._rate = 0.0

    def first_pass(self) -> None:
        """Ask for each state once: they are made from facts, and kept.

        A slow machine may need longer; the rate is that of the time that was planned.
        """
        say("serving: every state once")
        seconds = self._shop.corpus.records // _PASS_RATE + 1
        result = self._wrk("mirror", "pass", seconds)
        self._shop.keep("serve.first.per_s", result["requests"] / result["seconds"])
        while result["requests"] < self._shop.corpus.records:
            seconds *= 2
            result = self._wrk("mirror", "pass", seconds)

    def take(self, mode: str, name: str, servers: Sequence[str] = ("bare", "mirror")) -> None:
        """Ask each server for as many states as it gives, there and back again.

        What happens beside it is not the same all the time, and so is fair to both.
        """
        rates: dict[str, list[float]] = {server: [] for server in servers}
        for server in (*servers, *reversed(servers)):
            say(f"serving: {server}, {name}")
            result = self._wrk(server, mode, _SECONDS)
            rates[server].append(result["requests"] / result["seconds"])
        for server, found in rates.items():
            self._shop.keep(f"serve.{server}.{name}.per_s", statistics.mean(found))
        if name == "any":
            self._rate = statistics.mean(rates["mirror"])

    def gently(self) -> None:
        """Ask each server for half as many as the mirror gives, and look at single answers.

        How long the slowest of a hundred take depends on the machine, too: on how fast a processor
        that waits goes on. The bare application shows that.
        """
        pause_ms = 1000 * _CONNECTIONS / (self._rate / 2)
        for server in self._servers:
            say(f"serving: {server}, at half load")
            result = self._wrk(server, "any", 2 * _SECONDS, {"LOAD_DELAY_MS": f"{pause_ms:.3f}"})
            self._shop.keep(f"serve.{server}.half.per_s", result["requests"] / result["seconds"])
            self._shop.keep(f"serve.{server}.half.p50_ms", result["p50_ms"])
            self._shop.keep(f"serve.{server}.half.p99_ms", result["p99_ms"])

    def _wrk(
        self, server: str, mode: str, seconds: int, more: Mapping[str, str] | None = None
    ) -> dict[str, float]:
        told = {"LOAD_NAMES": str(self._names), "LOAD_MODE": mode, **(more or {})}
        command = ["wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "-s", str(_SCRIPT)]
        environment = {**ENVIRONMENT, **told}
        output = run([*command, self._servers[server]], environment=environment).output
        match = re.search(r"^RESULT (\{.*\})$", output, re.MULTILINE)
        if match is None:
            raise RunError(f"wrk said nothing of its result: {output}")
        result: dict[str, float] = json.loads(match[1])
        if result["failed"]:
            raise RunError(f"{result['failed']} of {result['requests']} requests of {mode} failed")
        return result


# Servers, and what runs beside them ----------------------------------------------------------


@contextmanager
def serve_mirror(db: Path) -> Iterator[str]:
    """Serve a store; gives its address."""
    with serve_process(db) as (url, _):
        yield url


@contextmanager
def serve_process(db: Path) -> Iterator[tuple[str, int]]:
    """Serve a store; gives its address, and the id of the process."""
    port = _free_port()
    with _server(mirror("serve", "--db", db, "--port", str(port)), port) as served:
        yield served


@contextmanager
def _bare(size: int) -> Iterator[str]:
    port = _free_port()
    with _server(module("baseline_server", str(port), str(size)), port) as (url, _):
        yield url


@contextmanager
def _server(command: list[str | Path], port: int) -> Iterator[tuple[str, int]]:
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    try:
        _wait_for(process, port)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RunError(f"no server at port {port}")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def _merge_beside(shop: Workshop, db: Path) -> Iterator[None]:
    """Merge records that are new into the store that is served, for as long as is needed."""
    bundles = newcomers_of(shop.corpus)
    command = mirror("merge", bundles, "--db", db)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=ENVIRONMENT, **quiet) as process:  # type: ignore[call-overload]
        time.sleep(2)  # until it is at work
        yield
        if process.poll() is not None:
            raise RunError("the merge beside ended before the measure did")
        process.kill()


def newcomers_of(corpus: Corpus) -> Path:
    """Return bundles of records that are not in the bag; the first time, make them."""
    path = corpus.folder / "newcomers.jsonl"
    if not path.exists():
        say("making bundles for a merge beside, once")
        first = corpus.records + NEW_BUNDLES
        run(module("extra_bundles", path, str(first), str(_NEWCOMERS)))
    return path
