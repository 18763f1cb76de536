"""Versions of the code of a worker, which must equal those of the client to get equal verdicts."""

from __future__ import annotations

import hashlib
import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import mirror
from mirror.core.rules import RULES
from mirror.errors import ClusterError

__all__ = ["check_versions", "find_versions", "require_versions"]

_LIBRARIES = ("dask", "distributed", "pandas", "pyarrow", "msgpack", "orjson", "zstandard")
"""Libraries whose data formats are exchanged between processes."""
_FOLDERS = ("core", "archive", "store", "engine")
"""Folders of the package whose code affects results."""
_CODE = (".py", ".bin")
"""Python, and data that results depend on: the zstd dictionary."""


@lru_cache(maxsize=1)
def find_versions() -> dict[str, str]:
    """Return the versions that must be the same in all processes, by name."""
    python = ".".join(platform.python_version_tuple()[:2])
    own = {"mirror": mirror.__version__, "rules": RULES, "code": _digest_of_code()}
    return {"python": python, **own, **{name: _version(name) for name in _LIBRARIES}}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _digest_of_code() -> str:
    """Return a digest of the code: two checkouts may have the same version."""
    package = Path(mirror.__file__).parent
    hashed = hashlib.sha256()
    paths = [one for name in _FOLDERS for one in (package / name).rglob("*")]
    for path in sorted(one for one in paths if one.suffix in _CODE):
        content = path.read_bytes()
        hashed.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode())
        hashed.update(content)
    return hashed.hexdigest()[:16]


def check_versions(found: dict[str, str], expected: dict[str, str]) -> str | None:
    """Return a description of versions that differ from the expected ones, or None."""
    differing = [
        f"{name} is {found.get(name, 'unknown')}, not {wanted}"
        for name, wanted in expected.items()
        if found.get(name) != wanted
    ]
    return ", ".join(differing) or None


def require_versions(expected: dict[str, str]) -> None:
    """Require that this process runs the same code as the client.

    Raises:
        ClusterError: `cluster.versions`
    """
    fault = check_versions(find_versions(), expected)
    if fault is not None:
        raise ClusterError(
            "cluster.versions",
            f"on a worker {fault}",
            where=platform.node(),
            hint="install the same mirror, Python and libraries on the workers and here",
        )
