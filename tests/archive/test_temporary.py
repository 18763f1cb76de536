"""A full temporary folder is named in the error, which does not blame the source."""

from __future__ import annotations

import io
import resource
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mirror.archive import ReadLimits, open_source, translate_temporary_errors, write_bag
from mirror.cli import exit_codes
from mirror.engine.findings import UNREAD_CODES, Finding, Summary
from mirror.engine.ingest.source_cache import SourceResult
from mirror.errors import SourceError


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """Limit the size of files of this process, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder of Python and SQLite."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("SQLITE_TMPDIR", raising=False)
    return tmp_path


def bag_of(files: int) -> bytes:
    """A bag of empty files, whose manifest takes about 100 bytes for each."""
    out = io.BytesIO()
    write_bag(out, lambda: ((f"{number:07}.txt", b"") for number in range(files)))
    return out.getvalue()


def read(name: str) -> None:
    """Read a source to its end."""
    with open_source(name, ReadLimits()) as source:
        for _ in source.items():
            pass


def assert_named(error: SourceError, folder: Path) -> None:
    """The error names the full folder, and says what to do."""
    assert ("temporary.unwritable", str(folder)) == (error.code, error.where)
    assert str(folder) in error.message
    assert "TMPDIR" in error.hint


@pytest.mark.parametrize(
    ("files", "size_bytes"), [(200, 4096), (12_000, 1_500_000)], ids=["manifest", "names in SQLite"]
)
def test_without_room_for_an_archives_names_its_folder_is_named(
    folder: Path, files: int, size_bytes: int
) -> None:
    """For copies of manifests, and for the database of names."""
    bag = folder / "bag.tar"
    bag.write_bytes(bag_of(files))
    with files_of_at_most(size_bytes), pytest.raises(SourceError) as raised:
        read(str(bag))
    assert_named(raised.value, folder)


def test_without_room_for_standard_input_its_folder_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe is copied before it is read."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(bytes(100_000))))
    with files_of_at_most(4096), pytest.raises(SourceError) as raised:
        read("-")
    assert_named(raised.value, folder)


def test_other_errors_are_not_converted() -> None:
    """A file that does not exist is not an error of the temporary folder."""
    with pytest.raises(FileNotFoundError), translate_temporary_errors():
        raise FileNotFoundError(2, "No such file or directory")


@pytest.mark.parametrize("code", sorted(UNREAD_CODES))
def test_a_source_that_was_not_read_differs_from_a_refused_one(code: str) -> None:
    """Exit code 3, and nothing is cached."""
    report = Finding("bag.tar", "", None, code, "", "the disk is full")
    summary = Summary()
    summary.count(report)
    assert (1, 3, {}) == (
        summary.sources_failed,
        exit_codes.of_summary(summary),
        dict(summary.refused),
    )
    assert not SourceResult(findings=[report]).is_cacheable
