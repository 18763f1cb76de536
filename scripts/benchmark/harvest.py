"""Harvesting by OAI-PMH: each format whole, and beside a merge that changes every record."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

from benchmark.process import ENVIRONMENT, RunError, mirror, module, run
from benchmark.serving import serve_process
from benchmark.session import Workshop, copy_store, remove_store, say

PREFIXES: Final = ("oai_dc", "oai_datacite", "pith_state")


def measure_harvest(shop: Workshop, db: Path) -> None:
    """Harvest each format whole; then one while every record changes, and what changed."""
    for prefix in PREFIXES:
        say(f"harvesting {prefix}")
        with serve_process(db) as (url, process):
            result = _harvest(shop, url, prefix)
            shop.keep(f"oai.{prefix}.peak_mib", peak_mib(process))
        shop.keep(f"oai.{prefix}.per_s", result["records"] / result["seconds"])
        shop.keep(f"oai.{prefix}.bytes", result["bytes"] / result["records"])
    _measure_beside(shop, db)


def _measure_beside(shop: Workshop, db: Path) -> None:
    """Harvest with oaipmh-scythe while a merge changes every record; then the increment.

    Raises:
        RunError: If the harvester then has anything else than the mirror gives.
    """
    say("harvesting beside a merge")
    changing = shop.store("changing")
    copy_store(db, changing)
    command = mirror("merge", shop.corpus.updates, "--db", changing)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with serve_process(changing) as (url, _):
        with subprocess.Popen(command, env=ENVIRONMENT, **quiet) as merge:  # type: ignore[call-overload]
            first = _harvest(shop, url, "pith_state", "copy", "--scythe")
        if merge.returncode:
            raise RunError(f"the merge beside ended with {merge.returncode}")
        since = ("--since", first["since"])
        second = _harvest(shop, url, "pith_state", "copy", "--scythe", *since)
        _harvest(shop, url, "pith_state", "whole", "--scythe")
    if _read(shop, "copy") != _read(shop, "whole"):
        raise RunError("after the increment, the harvester has not what the mirror gives")
    shop.keep("oai.beside.per_s", first["records"] / first["seconds"])
    shop.keep("oai.increment.records", second["records"])
    remove_store(changing)


def _harvest(
    shop: Workshop, url: str, prefix: str, name: str = "harvest", *options: str
) -> dict[str, Any]:
    """Harvest in a process of its own; return what it printed.

    Raises:
        RunError: If a whole harvest has not every record once.
    """
    out = shop.work / f"{name}.json"
    result: dict[str, Any] = json.loads(run(module("harvester", url, prefix, out, *options)).output)
    if "--since" not in options and result["records"] != shop.corpus.records:
        raise RunError(f"{result['records']} of {shop.corpus.records} records were harvested")
    return result


def _read(shop: Workshop, name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((shop.work / f"{name}.json").read_text("utf-8"))
    return found


def peak_mib(process: int) -> float:
    """Return the most memory that a running process held so far (`VmHWM` of proc_pid_status(5))."""
    status = Path(f"/proc/{process}/status").read_text("utf-8")
    match = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(match[1]) / 1024 if match else 0.0
