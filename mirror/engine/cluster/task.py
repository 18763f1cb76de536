"""What every task of a run is told: small enough to travel with each, and pinned by digests.

The key set itself lies beside the results; a task takes it from there and holds it against the
digest that it was told. So no worker judges under other keys than the rest (K3).
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

__all__ = ["KEYS", "WORK", "PieceSizes", "TaskContext", "keys_value"]

KEYS = "keys.json"
"""The key set of a run, in the folder of its results."""
WORK = "_work"
"""What a run keeps there until it is done."""

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceSizes:
    """How large pieces of work are; results do not depend on it."""

    part_bytes: int = 8 * MIB
    """Of a source, that one task verifies."""
    group_bytes: int = 16 * MIB
    """Of verified facts, compressed, that are shuffled together."""
    partition_bytes: int = 64 * MIB
    """The same, that one task merges, on average."""
    prefix_digits: int = 0
    """Of `canonical_sha256`, by which results are partitioned; 0 to choose by `partition_bytes`."""


@dataclass(frozen=True, slots=True)
class TaskContext:
    """One run, as its tasks know it."""

    out: str
    """The folder of the results, a URL."""
    key_set_digest: str
    """K3."""
    limits: ReadLimits
    now: int
    """When the run first began, in microseconds since 1970 (B5)."""
    versions: dict[str, str] = field(hash=False)
    """Of what must be the same on every worker."""
    sizes: PieceSizes = PieceSizes()

    def begin(self) -> tuple[StoragePath, KeySet]:
        """Return the folder of the results and the key set, for a task that is about to start.

        Raises:
            ClusterError: `cluster.versions` if this worker is not as the client is.
            SourceError: `source.unreadable`, or `cluster.keys` if the key set is another one.
        """
        require_versions(self.versions)
        return StoragePath(self.out), _key_set(self.out, self.key_set_digest)


def keys_value(keys: KeySet) -> bytes:
    """Return a key set as a file that `mirror keys add` takes (K2), one line."""
    return canonical(keys.to_value()) + b"\n"


@lru_cache(maxsize=4)
def _key_set(out: str, digest: str) -> KeySet:
    place = StoragePath(out)
    found = parse_key_set(place.read(KEYS), built_in=False)
    if found.digest != digest:
        message = f"the key set there has the digest {found.digest}, not {digest}"
        hint = "somebody changed it while the run was going on; start again in another folder"
        raise SourceError("cluster.keys", message, where=redact(f"{out}/{KEYS}"), hint=hint)
    return found
