"""Files that appear whole or not at all (`OutputFile`)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mirror.engine.atomic_file import OutputFile
from mirror.errors import OutputError


def write_half(path: Path, error: BaseException) -> None:
    """Fail in the middle of a file."""
    with OutputFile(path, force=True).open() as file:
        file.write(b"half")
        raise error


def test_a_file_takes_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    """Until the end the old file stands under its name, and then the new one does."""
    path = tmp_path / "x.tar"
    path.write_bytes(b"old")
    with OutputFile(path, force=True).open() as file:
        file.write(b"new")
        file.flush()
        assert b"old" == path.read_bytes()
    assert b"new" == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit, SystemExit])
def test_a_failure_leaves_nothing_behind(
    tmp_path: Path, error: type[BaseException], old: bytes | None
) -> None:
    """Whatever ends the writing, the folder is as it was, and the exception is the same."""
    path = tmp_path / "x.tar"
    if old is not None:
        path.write_bytes(old)
    with pytest.raises(error):
        write_half(path, error())
    files = {one: one.read_bytes() for one in tmp_path.iterdir()}
    assert ({} if old is None else {path: old}) == files


def test_a_disk_error_is_an_output_error_and_keeps_the_old_file(tmp_path: Path) -> None:
    """`output.failed`, with the name that was asked for."""
    path = tmp_path / "x.tar"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match=r"output\.failed") as caught:
        write_half(path, OSError(28, "No space left on device"))
    assert str(path) == caught.value.where
    assert (b"old", [path]) == (path.read_bytes(), list(tmp_path.iterdir()))


def test_a_folder_in_its_place_is_an_output_error(tmp_path: Path) -> None:
    """What cannot be replaced is not, and nothing is left beside it."""
    path = tmp_path / "x"
    path.mkdir()
    with (
        pytest.raises(OutputError, match=r"output\.failed"),
        OutputFile(path, force=True).open() as file,
    ):
        file.write(b"new")
    assert [path] == list(tmp_path.iterdir())


def test_a_pipe_in_its_place_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    """Nor is a device: `mirror export /dev/null` must not take /dev/null away."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with (
        pytest.raises(OutputError, match=r"output\.failed"),
        OutputFile(path, force=True).open() as file,
    ):
        file.write(b"new")
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert [path] == list(tmp_path.iterdir())


def test_a_missing_folder_is_an_output_error_unless_it_shall_be_made(tmp_path: Path) -> None:
    """`make_folder` makes all of them."""
    path = tmp_path / "a" / "b" / "x"
    with pytest.raises(OutputError, match=r"output\.failed"), OutputFile(path, force=True).open():
        pass
    assert [] == list(tmp_path.iterdir())
    with OutputFile(path, force=True).open(make_folder=True) as file:
        file.write(b"new")
    assert b"new" == path.read_bytes()


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_the_mode_is_that_of_any_new_file(tmp_path: Path, mask: int) -> None:
    """A temporary file is private; what takes its place is not more so than the umask says."""
    before = os.umask(mask)
    try:
        with OutputFile(tmp_path / "x").open():
            pass
    finally:
        os.umask(before)
    assert 0o666 & ~mask == stat.S_IMODE((tmp_path / "x").stat().st_mode)


def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path: Path) -> None:
    """The temporary name must not be what is too long."""
    path = tmp_path / ("x" * 250)
    with OutputFile(path, force=True).open() as file:
        file.write(b"new")
    assert [path] == list(tmp_path.iterdir())
