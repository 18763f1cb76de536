"""A cluster of this machine, against the plain engine in one process, and against itself."""

from __future__ import annotations

import json
import shutil
from typing import Any

from benchmark.process import RunError, module, run
from benchmark.session import Workshop, say


def measure_clustering(shop: Workshop) -> None:
    """Merge the corpus in one process, with one worker, and with two."""
    say("the plain engine in one process")
    command = module(
        "single_process", shop.corpus.packed, shop.corpus.keys, shop.store("oneprocess")
    )
    plain = json.loads(run(command).output)
    shop.keep("cluster.plain.seconds", plain["seconds"])
    for workers in (1, 2):
        say(f"a cluster, workers: {workers}")
        found = _merge(shop, workers)
        if found["root"] != plain["root"]:
            raise RunError(f"the roots are {found['root']} and {plain['root']}")
        shop.keep(f"cluster.{workers}.seconds", found["seconds"])
        shop.keep(f"cluster.{workers}.peak_mib", found["peak_mib"])
        shop.keep("cluster.shuffled_bytes", found["shuffled_bytes"])


def _merge(shop: Workshop, workers: int) -> dict[str, Any]:
    out = shop.work / "dataset"
    shutil.rmtree(out, ignore_errors=True)
    command = module("cluster_run", str(workers), shop.corpus.packed, shop.corpus.keys, out)
    result: dict[str, Any] = json.loads(run(command).output)
    shutil.rmtree(out)
    return result
