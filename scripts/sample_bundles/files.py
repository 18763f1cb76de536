"""Texts, bags and folders: how the samples are laid down and compared."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from mirror.archive.bag_writer import write_bag

BUNDLES: Final = Path(__file__).resolve().parents[2] / "bundles"

_KEPT: Final = ("facts", "README.md")
"""What in `bundles/` is not built."""


def pretty(value: Any) -> bytes:
    """Return JSON for people: members in the order they have, an LF at the end."""
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"


def bag(members: Mapping[str, bytes], description: str) -> bytes:
    """Return a bag of bundles as one tar (C2).

    Args:
        members: Contents by path below `data/`.
        description: What the bag holds, for `bag-info.txt`.
    """
    out = io.BytesIO()
    info = [("Bag-Software-Agent", "scripts/make_bundles"), ("External-Description", description)]
    write_bag(out, lambda: sorted(members.items()), info)
    return out.getvalue()


def path_in_bag(pith_number: str, name: str = "bundle.json") -> str:
    """Return where the bundle of a record lies below `data/` (C2)."""
    suffix = pith_number.rpartition(":")[2]
    return f"pith/{suffix[:2]}/{suffix}/{name}"


def write(files: Mapping[str, bytes], root: Path = BUNDLES) -> None:
    """Write the files below `root` and remove what is left over there."""
    for name in _left_over(files, root):
        (root / name).unlink()
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def differences(files: Mapping[str, bytes], root: Path = BUNDLES) -> list[str]:
    """Return one line for each file below `root` that is not as it should be, by name."""
    faults = dict.fromkeys(_left_over(files, root), "left over")
    for name, content in files.items():
        path = root / name
        if not path.is_file():
            faults[name] = "missing"
        elif path.read_bytes() != content:
            faults[name] = "differs"
    return [f"{name}: {fault}" for name, fault in sorted(faults.items())]


def _left_over(files: Mapping[str, bytes], root: Path) -> Iterable[str]:
    found = [path.relative_to(root) for path in root.rglob("*") if not path.is_dir()]
    built = [path.as_posix() for path in found if path.parts[0] not in _KEPT]
    return sorted(name for name in built if name not in files)
