"""Context of the tasks of a run: small enough to be sent with each task.

The key set is a file beside the results. A task reads it and compares its digest with the digest
in the context, so all workers verify with the same keys (K3).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from mirror.archive import ReadLimits
from mirror.core.keys import KeySet, parse_key_set
from mirror.core.redaction import redact
from mirror.core.values import canonical
from mirror.engine.cluster.storage import StoragePath
from mirror.engine.cluster.versions import require_versions
from mirror.errors import SourceError

__all__ = ["KEY_SET_FILE", "WORK_FOLDER", "TaskContext", "TaskSizes", "key_set_file"]

KEY_SET_FILE = "keys.json"
"""Name of the key set file of a run, in the folder of its results."""
WORK_FOLDER = "_work"
"""Name of the folder with temporary files of a run, in the folder of its results."""

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSizes:
    """Sizes of the work of tasks; results do not depend on them."""

    split_bytes: int = 8 * MIB
    """Bytes of a source that one task verifies."""
    row_group_bytes: int = 16 * MIB
    """Compressed bytes of verified facts that are shuffled together."""
    partition_bytes: int = 64 * MIB
    """Compressed bytes of verified facts that one task merges, on average."""
    prefix_digits: int = 0
    """Hexadecimal digits of `canonical_sha256` by which results are partitioned; 0 to choose by
    `partition_bytes`."""


@dataclass(frozen=True, slots=True)
class TaskContext:
    """Context of all tasks of one run."""

    out: str
    """URL of the folder of the results."""
    key_set_digest: str
    """Digest of the key set (K3)."""
    limits: ReadLimits
    now: int
    """Time when the run was started first, in microseconds since 1970 (B5)."""
    versions: dict[str, str] = field(hash=False)
    """Versions that must be the same on every worker."""
    task_sizes: TaskSizes = TaskSizes()

    def begin(self) -> tuple[StoragePath, KeySet]:
        """Check the versions of this worker; return the folder of the results and the key set.

        Raises:
            ClusterError: `cluster.versions` if this worker differs from the client.
            SourceError: `source.unreadable`, or `cluster.keys` if the key set has another digest.
        """
        require_versions(self.versions)
        return StoragePath(self.out), _key_set(self.out, self.key_set_digest)


def key_set_file(keys: KeySet) -> bytes:
    """Return the content of a key set file for `mirror keys add` (K2), one line."""
    return canonical(keys.to_value()) + b"\n"


@lru_cache(maxsize=4)
def _key_set(out: str, digest: str) -> KeySet:
    storage = StoragePath(out)
    found = parse_key_set(storage.read_bytes(KEY_SET_FILE), built_in=False)
    if found.digest != digest:
        message = f"the key set there has the digest {found.digest}, not {digest}"
        hint = "it was changed during the run; start again with another folder for the results"
        raise SourceError("cluster.keys", message, where=redact(f"{out}/{KEY_SET_FILE}"), hint=hint)
    return found
