"""The machine and the libraries that a figure was measured with.

A program of its own, `python -m benchmark.machine`: to ask the libraries is to load them.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.backends.openssl import backend

_LIBRARIES: Final = (
    "pith-mirror",
    "pith-mirror-native",
    "cryptography",
    "pynacl",
    "orjson",
    "msgpack",
    "ormsgpack",
    "zstandard",
    "sqlite-utils",
    "httptools",
    "uvloop",
)


def facts() -> dict[str, Any]:
    """Return what a reader needs to know to compare figures."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "openssl": backend.openssl_version_text(),
        "sqlite": sqlite3.sqlite_version,
        **{library: _version(library) for library in _LIBRARIES},
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    print(json.dumps(facts()))
