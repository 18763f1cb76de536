"""Merges sources on a Dask cluster with the functions of the core.

A run has three stages. A task writes complete files or none, so an interrupted run can be resumed:

1. Sources are checked; folders and large archives are scanned and divided into splits.
2. Each split is read and verified on a worker, which writes the facts beside the results.
3. Dask shuffles the facts by the first digits of `canonical_sha256`; each partition is merged.

The root, states, findings and counts are the same as of `mirror merge` on one machine.
"""

from mirror.engine.cluster.run import ClusterRequest, ClusterResult, merge_on_cluster
from mirror.engine.cluster.task import TaskSizes
from mirror.engine.cluster.workers import open_cluster

__all__ = ["ClusterRequest", "ClusterResult", "TaskSizes", "merge_on_cluster", "open_cluster"]
