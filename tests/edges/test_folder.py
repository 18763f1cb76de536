"""Folders of bundles: which files are read, and that links lead nowhere (C3, C5)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.archive import Limits, open_source
from mirror.errors import SourceError
from tests.edges.archives import (
    NO_LIMITS,
    bag_files,
    bundle_files,
    bundle_text,
    read,
    write_files,
)


def test_bundles_at_any_depth_are_read_and_other_names_are_ignored(tmp_path: Path) -> None:
    """C3: `bundle.json` and `*.bundle.json`, wherever they lie, and nothing else."""
    bundles = bundle_files(
        "bundle.json", ".bundle.json", "a/b c/é.bundle.json", "d/e/f/bundle.json"
    )
    names = ["bundle.json.txt", "a/xbundle.json", "Bundle.json", "a.json", "bundle.json.d/x.json"]
    write_files(tmp_path, {**bundles, **dict.fromkeys(names, b"no bundle")})
    reading = read(tmp_path)
    assert (bundles, []) == (reading.files, reading.refused)


def test_the_order_is_that_of_the_names(tmp_path: Path) -> None:
    """C3: the same folder gives the same items in the same order on every machine."""
    names = [f"{a}/{b}.bundle.json" for a in "cab" for b in "zxy"]
    write_files(tmp_path, bundle_files(*names))
    assert sorted(names) == [name for name, _ in read(tmp_path).members]


def test_a_folder_without_bundles_is_told_of(tmp_path: Path) -> None:
    """C3: a source that holds nothing to read does not pass in silence."""
    (tmp_path / "a" / "bundle.json").mkdir(parents=True)
    assert ([], [("", "archive.empty")]) == (read(tmp_path).members, read(tmp_path).refused)


def test_a_bag_that_was_extracted_is_a_folder(tmp_path: Path) -> None:
    """C3: its bundles are read wherever they lie."""
    write_files(tmp_path, bag_files({"pith/AB/bundle.json": bundle_text(1)}))
    assert {"data/pith/AB/bundle.json": bundle_text(1)} == read(tmp_path).files


def test_links_are_refused_and_not_followed(tmp_path: Path) -> None:
    """C5: to a file, to a folder, to nothing, to itself: each is `archive.member`."""
    outside = write_files(tmp_path / "outside", bundle_files("x/bundle.json"))
    folder = write_files(tmp_path / "in", bundle_files("good/bundle.json"))
    (folder / "file.bundle.json").symlink_to(outside / "x/bundle.json")
    (folder / "folder").symlink_to(outside)
    (folder / "up").symlink_to("..")
    (folder / "gone.bundle.json").symlink_to("nothing")
    (folder / "self.bundle.json").symlink_to("self.bundle.json")
    (folder / "README").symlink_to("/etc/passwd")
    reading = read(folder)
    names = {"file.bundle.json", "folder", "up", "gone.bundle.json", "self.bundle.json"}
    assert ["good/bundle.json"] == [name for name, _ in reading.members]
    assert {(name, "archive.member") for name in names} == set(reading.refused)


def test_what_is_no_regular_file_is_refused_and_not_opened(tmp_path: Path) -> None:
    """C5: a pipe that nobody writes to does not stop the reading."""
    write_files(tmp_path, bundle_files("good/bundle.json"))
    os.mkfifo(tmp_path / "bundle.json")
    reading = read(tmp_path)
    assert [("bundle.json", "archive.member")] == reading.refused
    assert ["good/bundle.json"] == [name for name, _ in reading.members]


def test_a_file_larger_than_a_bundle_may_be_is_refused_alone(tmp_path: Path) -> None:
    """B4: `limit.size`, and the others are read; the limit is inclusive."""
    write_files(tmp_path, {"a.bundle.json": b"x" * 2001, "b.bundle.json": b"x" * 2000})
    reading = read(tmp_path, Limits(member_bytes=2000))
    assert [("a.bundle.json", "limit.size")] == reading.refused
    assert ["b.bundle.json"] == [name for name, _ in reading.members]


@pytest.mark.parametrize("name", [b"\xff.bundle.json", b"a\xff/bundle.json", b"a\n/bundle.json"])
def test_a_name_that_an_archive_may_not_have_is_refused(tmp_path: Path, name: bytes) -> None:
    """C5: names in a folder are judged like those in a tar, and the report can be printed."""
    path = os.path.join(os.fsencode(tmp_path), name)  # noqa: PTH118 - bytes
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
    Path(os.fsdecode(path)).write_bytes(bundle_text(1))
    write_files(tmp_path, {"good/bundle.json": bundle_text(2)})
    reading = read(tmp_path)
    assert ["good/bundle.json"] == [one for one, _ in reading.members]
    assert ["archive.member"] == reading.codes
    done = subprocess.run(
        [
            Path(sys.executable).with_name("mirror"),
            *("verify", "--json", "--db", tmp_path / "none.db", tmp_path),
        ],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (1, 1) == (done.returncode, len(done.stdout.splitlines())), done.stderr


@pytest.mark.parametrize("name", ["nothing", "file/below"])
def test_a_source_that_is_not_there_is_unreadable(tmp_path: Path, name: str) -> None:
    """C3: `source.unreadable` is an error and not an item."""
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(SourceError, match=r"source\.unreadable"),
        open_source(str(tmp_path / name), NO_LIMITS),
    ):
        pass
