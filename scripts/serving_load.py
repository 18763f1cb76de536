"""A load on `mirror serve`: what its process holds before and after, and how long /health took.

Linux only: memory, threads and open files are read from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

BUNDLES = Path(__file__).resolve().parents[1] / "bundles"
CLIENTS = 16
NONSENSE = 0.05
WARM_UP = 0.25
"""Of the time, until which caches fill."""
MAY_GROW_MIB = 24
PATIENCE_S = 30
PATHS = (
    "/pith/{}/state.json", "/pith/{}/state.json", "/pith/{}", "/pith/{}.json",
    "/pith/{}/bundle.json", "/pith/{}/badge.svg", "/find?q=theory", "/", "/findings",
    "/mirror/changes?limit=10", "/mirror/tree/", "/mirror/bundle.tar?id={}", "/metrics",
)  # fmt: skip
WRONG = (
    b"\x16\x03\x01\x02\x00nonsense\r\n\r\n",
    b"GET /pith/%FF%00/state.json HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /mirror/changes?since=x HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /mirror/bundle.tar HTTP/1.1\r\nHost: x\r\n\r\n",  # and gone after the first bytes
    b"GET /find?q=pith HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n...",
    b"GET /health HTTP/1.1\r\nX-Never: en",
)
"""Sent on a connection of its own, which is reset soon after."""


class Held(NamedTuple):
    """What a process holds."""

    memory_mib: float
    threads: int
    files: int


@dataclass
class Seen:
    """What clients saw."""

    statuses: Counter[str] = field(default_factory=Counter)
    nonsense: int = 0
    health_s: list[float] = field(default_factory=list)


def held(process: int) -> Held:
    """Return what a process holds now."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    values = dict(line.split(":", 1) for line in lines)
    files = len(os.listdir(f"/proc/{process}/fd"))  # noqa: PTH208
    return Held(int(values["VmRSS"].split()[0]) / 1024, int(values["Threads"]), files)


async def ask(port: int, path: str) -> str:
    """Ask for a path on a connection of its own, and read all of the answer; its status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
        return answer[9:12].decode() or "closed"
    finally:
        writer.close()


async def send_nonsense(port: int) -> None:
    """Send what is no request, or break off."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(random.choice(WRONG))  # noqa: S311
    with suppress(TimeoutError):
        await asyncio.wait_for(reader.read(100), random.random())  # noqa: S311
    writer.transport.abort()


async def be_a_client(port: int, names: Sequence[str], until: float, seen: Seen) -> None:
    """Ask until a time of the clock."""
    while time.monotonic() < until:
        with suppress(ConnectionError):
            if random.random() < NONSENSE:  # noqa: S311
                seen.nonsense += 1
                await send_nonsense(port)
            else:
                path = random.choice(PATHS).format(random.choice(names))  # noqa: S311
                seen.statuses[await ask(port, path)] += 1


async def watch(port: int, until: float, seen: Seen) -> None:
    """Ask for /health each second."""
    while time.monotonic() < until:
        began = time.monotonic()
        seen.statuses[await ask(port, "/health")] += 1
        seen.health_s.append(time.monotonic() - began)
        await asyncio.sleep(1)


async def load(port: int, process: int, names: Sequence[str], seconds: float) -> int:
    """Ask for so long; return the exit code."""
    seen, began = Seen(), time.monotonic()
    running = [be_a_client(port, names, began + seconds, seen) for _ in range(CLIENTS)]
    asking = asyncio.gather(*running, watch(port, began + seconds, seen))
    await asyncio.sleep(seconds * WARM_UP)
    before = held(process)
    await asking
    await asyncio.sleep(2)
    after = held(process)
    print(f"{sum(seen.statuses.values()):,} answers {dict(sorted(seen.statuses.items()))}")
    print(f"{seen.nonsense:,} times nonsense; /health took {max(seen.health_s):.3f} s at most")
    for name, one in (("after a quarter", before), ("at the end", after)):
        print(f"{name}: {one.memory_mib:.1f} MiB, {one.threads} threads, {one.files} open files")
    is_well = after.memory_mib - before.memory_mib < MAY_GROW_MIB and "500" not in seen.statuses
    return 0 if is_well else 1


def main() -> int:
    """Make a store, serve it, and ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        command: list[str | Path] = [sys.executable, "-m", "mirror"]
        store: list[str | Path] = ["--db", Path(folder, "mirror.db")]
        subprocess.run([*command, "merge", BUNDLES / "pith.tar", *store], check=False)
        changes = subprocess.run(
            ["tar", "-tf", BUNDLES / "pith.tar"],  # noqa: S607
            check=True, capture_output=True, text=True,
        ).stdout.split()  # fmt: skip
        names = [path.split("/")[-2] for path in changes if path.endswith("/bundle.json")]
        serve = [*command, "serve", "--port", "0", *store]
        with subprocess.Popen(serve, stderr=subprocess.PIPE, text=True) as server:
            lines = iter(server.stderr or ())
            url = next(line.split(" at ")[1].split()[0] for line in lines if " at http" in line)
            try:
                return asyncio.run(load(int(url.split(":")[2][:-1]), server.pid, names, seconds))
            finally:
                server.terminate()


if __name__ == "__main__":
    raise SystemExit(main())
