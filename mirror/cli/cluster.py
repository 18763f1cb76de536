"""`mirror merge --cluster`: the same merge on the workers of a Dask cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from mirror.archive import ReadLimits
from mirror.cli import exit_codes
from mirror.cli.ingest_view import summary_rows
from mirror.cli.options import Count, grouped, setting
from mirror.cli.output import echo, plural, print_table, say
from mirror.cli.progress import show_progress
from mirror.core.keys import KeySet
from mirror.core.redaction import redact
from mirror.errors import ClusterError

if TYPE_CHECKING:  # the base install has no Dask
    from mirror.engine.cluster import ClusterResult

__all__ = ["ClusterOptions", "cluster_options", "merge_on_cluster"]

_PACKAGES = ("dask", "distributed", "fsspec", "pandas", "pyarrow")
_LOCAL = "local"
_SIZE = re.compile(r"[0-9]+(?:\.[0-9]+)? ?(?:[kMGT]i?)?B?|auto", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Options of `mirror merge` for a cluster."""

    cluster: str | None
    workers: int | None
    worker_memory: str | None
    prefix_digits: int | None

    def find_conflict(self, sources: tuple[str, ...], out: str | None) -> str | None:
        """Return a message about options that exclude each other, or None."""
        local_only = (self.workers, self.worker_memory)
        if self.cluster is None:
            is_odd = any(one is not None for one in (*local_only, self.prefix_digits))
            return (
                "--workers, --worker-memory and --prefix-digits need --cluster" if is_odd else None
            )
        if not self.cluster:
            return "--cluster needs the address of a scheduler, or local"
        if self.worker_memory is not None and not _SIZE.fullmatch(self.worker_memory):
            return "--worker-memory must be a size such as 4GiB"
        if self.cluster != _LOCAL and local_only != (None, None):
            return "--workers and --worker-memory are for --cluster local"
        if out is None:
            return "--cluster needs --out, a folder or a URL for the states"
        return "--cluster cannot read standard input" if "-" in sources else None


cluster_options = grouped(
    "cluster",
    ClusterOptions,
    (
        setting(
            "--cluster",
            "cluster",
            metavar="ADDRESS|local",
            help="Merge on the workers of a Dask scheduler or of this machine; needs --out.",
        ),
        setting(
            "--workers",
            "workers",
            type=Count(1),
            help="With --cluster local: processes to start; one per core if not given.",
        ),
        setting(
            "--worker-memory",
            "worker_memory",
            metavar="SIZE",
            help="With --cluster local: memory of each, like 4GiB; an equal share if not given.",
        ),
        setting(
            "--prefix-digits",
            "prefix_digits",
            type=click.IntRange(min=1, max=4),
            help="With --cluster: hexadecimal digits by which states are partitioned.",
        ),
    ),
)
"""Gives a command the options of a cluster, and passes it `cluster`."""


def merge_on_cluster(
    names: tuple[str, ...],
    out: str,
    keys: KeySet,
    limits: ReadLimits,
    chosen: ClusterOptions,
    *,
    as_json: bool,
) -> int:
    """Merge, print the result, and return the exit code.

    Raises:
        ClusterError: `cluster.missing`, or as the engine's.
        MirrorError: As the engine's.
    """
    _require_packages()
    from mirror.engine import cluster  # noqa: PLC0415 - only now is it known to be there

    sizes = cluster.TaskSizes(prefix_digits=chosen.prefix_digits or 0)
    with cluster.open_cluster(
        chosen.cluster or _LOCAL,
        workers=chosen.workers,
        worker_memory=chosen.worker_memory or "auto",
    ) as client:
        say(f"dashboard: {client.dashboard_link}")
        with show_progress(noun="tasks") as progress:
            order = cluster.ClusterRequest(names, out, keys, limits, sizes, progress.show_stage)
            dataset = cluster.merge_on_cluster(client, order)
    if as_json:
        echo(dataset.to_line(), nl=False)
    print_table(_rows(dataset, out), err=as_json)
    return exit_codes.of_summary(dataset.summary)


def _require_packages() -> None:
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise ClusterError(
            "cluster.missing",
            f"not installed: {', '.join(missing)}",
            hint="pip install 'pith-mirror[cluster]', here and on every worker",
        )


def _rows(dataset: ClusterResult, out: str) -> dict[str, str | list[str]]:
    summary = dataset.summary
    rows = summary_rows(summary, redact(out))
    rows["states"] = rows.pop("store")
    rows["root"] = dataset.root.root
    rows["key set digest"] = dataset.root.key_set_digest
    if summary.has_findings:
        rows["findings"] = f"{plural(summary.findings, 'finding')}, each in {redact(out)}/findings"
    return rows
