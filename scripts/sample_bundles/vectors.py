"""The vectors: the samples and the cases of the conformance kit, as tasks with their answers."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mirror.archive.bag_writer import write_bag
from mirror.core.rules import RULES
from mirror.engine.conformance.cases import rule_cases
from mirror.engine.conformance.task import ConformanceTask
from mirror.engine.conformance.vectors import vector_lines
from sample_bundles.files import BUNDLES
from sample_bundles.keys import KEYS_FILE

VECTORS: Final = BUNDLES.parent / "vectors"

VERSION: Final = "1"
"""The version of the vectors; published ones are never changed, so a change is a new version."""

_MOST_BYTES: Final = 1 << 17
"""Larger tasks are asked by the kit only."""


def vector_files() -> dict[str, bytes]:
    """Return the files of the bag by path."""
    lines = vector_lines(task for task in _tasks() if len(task.line(0)) <= _MOST_BYTES)
    tasks, answers = lines
    info = [
        ("External-Description", "Tasks and answers to test an implementation of the data rules"),
        ("Pith-Vectors-Version", VERSION),
        ("Pith-Rules", RULES),
        ("Pith-License", "MIT"),
    ]
    out = io.BytesIO()
    write_bag(out, lambda: [("answers.jsonl", answers), ("tasks.jsonl", tasks)], info)
    return dict(_members(out.getvalue()))


def _members(tar: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each file of a tar, without the folder that it is in."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                yield member.name.partition("/")[2], file.read()


def _tasks() -> Iterator[ConformanceTask]:
    yield from _of_samples()
    yield from rule_cases(f"vectors {VERSION}")


def _of_samples() -> Iterator[ConformanceTask]:
    demo_keys = (BUNDLES / KEYS_FILE).read_bytes()
    for path in sorted((BUNDLES / "invalid").glob("*.json")):
        if not path.name.endswith(".expected.json"):
            for keys in (None, demo_keys):
                yield _task("verify", f"the sample {path.name}", [path.read_bytes()], keys)
    for kind in ("verify", "merge", "root"):
        yield _task(kind, "the made-up records of demo.tar", _bundles("demo.tar"), demo_keys)
    for bundle in _bundles("pith.tar"):
        yield _task("merge", "a real record of pith.tar", [bundle], None)


def _bundles(name: str) -> list[bytes]:
    return [
        content
        for path, content in _members(Path(BUNDLES, name).read_bytes())
        if path.endswith("bundle.json")
    ]


def _task(kind: str, case: str, bundles: list[bytes], keys: bytes | None) -> ConformanceTask:
    return ConformanceTask(kind=kind, case=case, bundles=tuple(bundles), keys=keys)
