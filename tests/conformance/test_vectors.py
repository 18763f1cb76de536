"""The published vectors: as they are built, as the pages say, and as the oracle answers."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import bagit
import pytest

from mirror.engine.conformance.report import codes_in
from mirror.engine.conformance.vectors import MANIFEST, read_vectors
from mirror.errors import FormatError, SourceError
from tests.conformance import oracle_program

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "vectors"
PAGE = (ROOT / "docs" / "conformance.md").read_text()


def _lines(name: str) -> list[Any]:
    return [json.loads(line) for line in (VECTORS / "data" / name).read_bytes().splitlines()]


TASKS, ANSWERS = _lines("tasks.jsonl"), _lines("answers.jsonl")


def test_the_vectors_are_a_valid_bag() -> None:
    """Whole by its manifests, with what it is in its description; the page has its digest."""
    bag = bagit.Bag(str(VECTORS))
    bag.validate()
    digest = hashlib.sha256((VECTORS / MANIFEST).read_bytes()).hexdigest()
    assert f"`{digest}`" in PAGE
    assert f"version {bag.info['Pith-Vectors-Version']} " in PAGE
    assert read_vectors(VECTORS).digest == digest
    assert f"{len(TASKS)} tasks" in PAGE


def test_the_oracle_gives_the_answers() -> None:
    """One task in seven, and all that are small, by the second implementation."""
    checked: Counter[str] = Counter()
    for task, answer in zip(TASKS, ANSWERS, strict=True):
        assert task["id"] == answer["id"]
        if task["id"] % 7 == 0 or task["task"] in {"digest", "compare"}:
            found = {"id": task["id"], **oracle_program.answer(task)}
            assert json.dumps(found) == json.dumps(answer), task["case"]
            checked[task["task"]] += 1
    assert min(checked.values()) > 10


def test_a_refused_text_has_one_fault() -> None:
    """Each text that V1 refuses has one fault, so that its code can be compared exactly."""
    codes = Counter(code for answer in ANSWERS for code in codes_in(answer))
    assert sum(codes[code] > 0 for code in codes if code.startswith("json.")) == 5
    for task, answer in zip(TASKS, ANSWERS, strict=True):
        if task["task"] == "digest" and "refused" in task["case"]:
            assert task["case"].endswith(answer["code"])


def test_a_changed_folder_is_refused(tmp_path: Path) -> None:
    """A file that is not as the manifest says, or is not there."""
    folder = tmp_path / "vectors"
    shutil.copytree(VECTORS, folder)
    with (folder / "data" / "answers.jsonl").open("ab") as file:
        file.write(b"\n")
    with pytest.raises(FormatError, match=r"conformance\.vectors"):
        read_vectors(folder)
    (folder / "data" / "answers.jsonl").unlink()
    with pytest.raises(SourceError, match=r"source\.unreadable"):
        read_vectors(folder)


def test_examples_of_the_page() -> None:
    """Those that are whole are answered as the page says."""
    found = [json.loads(line) for line in re.findall(r"^(\{\"id\".*)$", PAGE, re.MULTILINE)]
    tasks = {one["id"]: one for one in found if "task" in one}
    answers = {one["id"]: one for one in found if "task" not in one}
    assert tasks.keys() == answers.keys()
    whole = [
        number for number, task in tasks.items() if "…" not in json.dumps(task, ensure_ascii=False)
    ]
    assert len(whole) == 3
    for number in whole:
        assert {"id": number, **oracle_program.answer(tasks[number])} == answers[number]
