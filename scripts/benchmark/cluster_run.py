"""A merge on a cluster of this machine.

    python -m benchmark.cluster_run WORKERS SOURCE KEYS OUT

It prints the seconds of the merge, without those of starting the workers; the root; the bytes that
Dask shuffled, as it counts them; and the most memory that a worker held.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from mirror.core.keys import parse_key_set
from mirror.engine.cluster import ClusterRequest, merge_on_cluster, open_cluster


def main(workers: int, source: str, keys_path: Path, out: str) -> None:
    """Merge a source on so many workers, and print what it took."""
    keys = parse_key_set(keys_path.read_bytes())
    with open_cluster("local", workers=workers) as client:
        started = time.perf_counter()
        dataset = merge_on_cluster(client, ClusterRequest((source,), out, keys))
        seconds = time.perf_counter() - started
        peak = max(client.run(_peak_mib).values())
        shuffled = client.run_on_scheduler(_shuffled_bytes)
    result = {
        "seconds": seconds,
        "root": dataset.root.root,
        "shuffled_bytes": shuffled,
        "peak_mib": peak,
    }
    print(json.dumps(result))


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _shuffled_bytes(dask_scheduler: Any) -> float:
    """Return the bytes of all that workers cut up to be sent to each other."""
    metrics = dask_scheduler.cumulative_worker_metrics
    return float(metrics["p2p", "foreground", "shards", "bytes"])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4])
