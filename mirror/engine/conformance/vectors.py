"""Published vectors: a bag of tasks and the answers that they must get."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from mirror.core.values import Object, decode, encode, hexdigest
from mirror.engine.conformance.answers import answer
from mirror.engine.conformance.task import ConformanceTask, parse_task
from mirror.errors import FormatError, SourceError

__all__ = ["MANIFEST", "Vectors", "read_vectors", "vector_lines"]

MANIFEST = "manifest-sha256.txt"
_TASKS, _ANSWERS = "data/tasks.jsonl", "data/answers.jsonl"


class Vectors:
    """A bag of vectors that is as its manifest says."""

    def __init__(self, digest: str, tasks: list[ConformanceTask], answers: list[Object]) -> None:
        self.digest = digest
        """SHA-256 of the manifest, 64 hexadecimal digits: it identifies the content."""
        self._tasks, self._answers = tasks, answers

    def __iter__(self) -> Iterator[tuple[ConformanceTask, Object]]:
        """Yield each task and its answer."""
        return zip(self._tasks, self._answers, strict=True)


def read_vectors(folder: Path) -> Vectors:
    """Read a folder of vectors.

    Raises:
        SourceError: `source.unreadable`
        FormatError: `conformance.vectors` if it is not such a bag, or not as its manifest says.
    """
    try:
        manifest = (folder / MANIFEST).read_bytes()
        files = {name: (folder / name).read_bytes() for name in (_TASKS, _ANSWERS)}
    except OSError as error:
        message = f"{error.filename}: {error.strerror}"
        raise SourceError("source.unreadable", message, where=str(folder)) from error
    _require_listed(files, manifest.decode("utf-8", "replace"), folder)
    answers = {one["id"]: one for one in _objects(files[_ANSWERS], folder)}
    tasks = dict(parse_task(one) for one in _objects(files[_TASKS], folder))
    if sorted(tasks) != sorted(map(_number, answers)):
        raise _fault("its tasks and answers have other ids", folder)
    found = [answers[number] for number in tasks]
    return Vectors(hexdigest(manifest), list(tasks.values()), found)


def _number(value: object) -> int:
    return value if isinstance(value, int) else -1


def _require_listed(files: Mapping[str, bytes], manifest: str, folder: Path) -> None:
    listed = {line[66:]: line[:64] for line in manifest.splitlines()}
    for name, content in files.items():
        if listed.get(name) != hashlib.sha256(content).hexdigest():
            raise _fault(f"{name} is not as {MANIFEST} says", folder)


def _objects(text: bytes, folder: Path) -> Iterator[Object]:
    for line in text.splitlines():
        value = decode(line)
        if not isinstance(value, dict):
            raise _fault("a line is no object", folder)
        yield value


def _fault(message: str, folder: Path) -> FormatError:
    return FormatError(
        "conformance.vectors", message, where=str(folder), hint="fetch the folder again, whole"
    )


def vector_lines(tasks: Iterator[ConformanceTask]) -> tuple[bytes, bytes]:
    """Return the files of tasks and of answers, with ids from 1."""
    lines = [(task.line(number), answer(task), number) for number, task in enumerate(tasks, 1)]
    answers = [encode({"id": number, **found}) + b"\n" for _, found, number in lines]
    return b"".join(line for line, _, _ in lines), b"".join(answers)
