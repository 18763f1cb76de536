"""The same merge on a Dask cluster: the functions of the core, called from many machines.

Three steps, each of tasks that leave whole files or none, so that a run that was cut off goes on:

1. Every source is looked at; folders and large archives are surveyed and cut into parts.
2. Every part is read and verified where a worker is; its facts are left beside the results.
3. Dask shuffles the facts by the first digits of `canonical_sha256`; each partition is merged.

The root, the states, the findings and the counts are those of `mirror merge` on one machine.
"""

from mirror.engine.cluster.run import ClusterRequest, ClusterResult, merge_on_cluster
from mirror.engine.cluster.task import PieceSizes
from mirror.engine.cluster.workers import open_cluster

__all__ = ["ClusterRequest", "ClusterResult", "PieceSizes", "merge_on_cluster", "open_cluster"]
