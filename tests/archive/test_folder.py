"""Folders of bundles: which files are read, and that links are not followed (C3, C5)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.archive import ReadLimits, open_source
from mirror.cli import exit_codes
from mirror.core.keys import KeySet
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.pipeline import verify
from mirror.engine.search.metadata_check import open_metadata
from mirror.errors import SourceError
from tests.archive.tar_builders import (
    NO_LIMITS,
    bag_files,
    bundle_files,
    bundle_text,
    read,
    write_files,
)


def test_bundles_at_any_depth_are_read_and_other_names_are_ignored(tmp_path: Path) -> None:
    """C3: `bundle.json` and `*.bundle.json`, in any folder, and nothing else."""
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


def test_a_folder_without_bundles_is_reported(tmp_path: Path) -> None:
    """C3: a source without any bundle is reported."""
    (tmp_path / "a" / "bundle.json").mkdir(parents=True)
    assert ([], [("", "archive.empty")]) == (read(tmp_path).members, read(tmp_path).refused)


def test_files_of_other_names_are_counted_and_named(tmp_path: Path) -> None:
    """C3: except files that the protocol expects beside bundles; they are not refused."""
    known = dict.fromkeys(["a/state.json", "pith-mirrors.json", "a/x.state.json"], b"{}")
    write_files(tmp_path, {**bundle_files("a/bundle.json"), **known})
    assert [] == read(tmp_path).told
    write_files(tmp_path, dict.fromkeys(["README", "a/Bundle.json"], b""))
    expected = [
        f"1 file of other names passed over: {name}" for name in ("a/Bundle.json", "README")
    ]
    assert expected == read(tmp_path).told
    write_files(tmp_path, {f"b/{number}": b"" for number in range(9)})
    *_, told = read(tmp_path).told
    assert told.startswith("10 files of other names passed over: README, b/0")
    assert [] == read(tmp_path).refused


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("README", 0),
        (".DS_Store", 0),
        ("a/notes.txt", 0),
        ("a/state.json", 0),
        ("bundle (1).json", 1),
        ("all.JSONL", 1),
        ("a/more.tar.gz", 1),
    ],
)
def test_files_that_may_hold_bundles_are_reported(tmp_path: Path, name: str, code: int) -> None:
    """C3: they were passed over, so the exit code is 1; other files do not change it."""
    write_files(tmp_path, {**bundle_files("bundle.json"), name: b"{}"})
    summary = verify(ReadRequest([str(tmp_path)], lambda _report: None), KeySet())
    assert code == exit_codes.of_summary(summary)


BAG = bag_files(bundle_files("pith/AB/bundle.json", "pith/CD/bundle.json"))
FIRST, SECOND = "data/pith/AB/bundle.json", "data/pith/CD/bundle.json"


@pytest.mark.parametrize("above", ["", "bag/", "a/b/c/"])
def test_a_folder_with_bagit_txt_is_a_bag(tmp_path: Path, above: str) -> None:
    """C3, C5: its files are checked against its manifests, at any depth."""
    write_files(tmp_path, {f"{above}{name}": data for name, data in BAG.items()})
    whole = read(tmp_path)
    assert {f"{above}{name}" for name in (FIRST, SECOND)} == whole.files.keys()
    assert [] == whole.refused
    damages: dict[str, bytes] = {FIRST: b"{}", "bag-info.txt": b"", "data/pith/bundle.json": b"{}"}
    for name, data in damages.items():
        write_files(tmp_path, {f"{above}{name}": data})
        reading = read(tmp_path)
        assert [(f"{above}{name}", "archive.fixity")] == reading.refused
        assert f"{above}{SECOND}" in reading.files
        assert f"{above}{name}" not in reading.files
        (tmp_path / f"{above}{name}").unlink()
        write_files(tmp_path, {f"{above}{one}": text for one, text in BAG.items() if one == name})
    (tmp_path / f"{above}{FIRST}").unlink()
    assert [(f"{above}{FIRST}", "archive.fixity")] == read(tmp_path).refused


def test_bags_and_other_files_may_lie_side_by_side(tmp_path: Path) -> None:
    """C3: each bag has its own manifests, and files outside of bags need none."""
    for name in ("one", "two"):
        write_files(tmp_path / name, BAG)
    write_files(tmp_path, bundle_files("loose.bundle.json", "three/bundle.json"))
    reading = read(tmp_path)
    assert (6, []) == (len(reading.members), reading.refused)
    (tmp_path / "two" / SECOND).write_bytes(b"")
    reading = read(tmp_path)
    assert (5, [(f"two/{SECOND}", "archive.fixity")]) == (len(reading.members), reading.refused)


def test_links_in_a_bag_are_refused_and_not_followed(tmp_path: Path) -> None:
    """C5: a payload outside of the bag is not its payload."""
    outside = write_files(tmp_path / "outside", BAG)
    folder = write_files(tmp_path / "bag", {**BAG})
    (folder / FIRST).unlink()
    (folder / FIRST).symlink_to(outside / FIRST)
    assert [(FIRST, "archive.member")] == read(folder).refused
    (folder / "meta").symlink_to(outside)
    assert {(FIRST, "archive.member"), ("meta", "archive.member")} == {*read(folder).refused}


def test_apple_double_files_are_no_members(tmp_path: Path) -> None:
    """C5: in a folder, and in a bag in a folder; a `._*` file without its owner is a file."""
    double = b"\0\5\x16\7"
    loose = {"a/x.bundle.json": bundle_text(1), "a/._x.bundle.json": double, "._a": double}
    write_files(tmp_path / "loose", loose)
    assert ["a/x.bundle.json"] == [*read(tmp_path / "loose").files]
    assert ([], []) == (read(tmp_path / "loose").refused, read(tmp_path / "loose").told)
    doubles = {"data/._pith": double, "data/pith/AB/._bundle.json": double, "._data": double}
    write_files(tmp_path / "bag", {**BAG, **doubles})
    reading = read(tmp_path / "bag")
    assert ([FIRST, SECOND], []) == ([*reading.files], reading.refused)
    write_files(tmp_path / "alone", {"._x.bundle.json": double})
    assert ["._x.bundle.json"] == [*read(tmp_path / "alone").files]


def test_folders_may_nest_deeper_than_pythons_stack(tmp_path: Path) -> None:
    """C3: at any depth, in a bag, too."""
    depth = sys.getrecursionlimit() + 100
    write_below(tmp_path, ["d"] * depth, "x.bundle.json")
    write_below(tmp_path / "bag", ["data", *["d"] * depth], "x.bundle.json")
    (tmp_path / "bag" / "bagit.txt").write_bytes(BAG["bagit.txt"])
    reading = read(tmp_path)
    assert ["d/" * depth + "x.bundle.json"] == [*reading.files]
    assert [(f"bag/data/{'d/' * depth}x.bundle.json", "archive.fixity")] == reading.refused
    remove_chain(tmp_path / "d")
    remove_chain(tmp_path / "bag/data/d")


def test_a_folder_that_cannot_be_read_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    """C3: `source.unreadable` for it alone; also for a path that is too long for the system."""
    write_below(tmp_path / "deep", ["n" * 250] * 17, "x.bundle.json")
    write_files(tmp_path, bundle_files("a/bundle.json", "z/bundle.json"))
    reading = read(tmp_path)
    assert ["a/bundle.json", "z/bundle.json"] == [*reading.files]
    ((name, code),) = reading.refused
    assert ("source.unreadable", True) == (code, name.startswith("deep/nnn"))
    write_files(tmp_path, {"deep/bagit.txt": BAG["bagit.txt"]})
    assert ["source.unreadable"] == read(tmp_path).codes


def remove_chain(top: Path) -> None:
    """Remove nested folders one by one, because `shutil.rmtree` of Python 3.11 recurses."""
    places = [top]
    while folders := [one for one in places[-1].iterdir() if one.is_dir()]:
        places += folders
    for place in reversed(places):
        (place / "x.bundle.json").unlink(missing_ok=True)
        place.rmdir()


def write_below(top: Path, folders: list[str], name: str) -> None:
    """Write an empty bundle below folders whose full path may be too long."""
    top.mkdir(exist_ok=True)
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(top)
        for folder in folders:
            os.mkdir(folder)  # noqa: PTH102 - a `Path` would be resolved
            os.chdir(folder)
        Path(name).write_bytes(b"{}")
    finally:
        os.fchdir(before)
        os.close(before)


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


def test_a_special_file_is_refused_and_not_opened(tmp_path: Path) -> None:
    """C5: a pipe that nobody writes to does not stop the reading."""
    write_files(tmp_path, bundle_files("good/bundle.json"))
    os.mkfifo(tmp_path / "bundle.json")
    reading = read(tmp_path)
    assert [("bundle.json", "archive.member")] == reading.refused
    assert ["good/bundle.json"] == [name for name, _ in reading.members]


def test_a_file_larger_than_a_bundle_may_be_is_refused_alone(tmp_path: Path) -> None:
    """B4: `limit.size`, and the others are read; the limit is inclusive."""
    write_files(tmp_path, {"a.bundle.json": b"x" * 2001, "b.bundle.json": b"x" * 2000})
    reading = read(tmp_path, ReadLimits(member_bytes=2000))
    assert [("a.bundle.json", "limit.size")] == reading.refused
    assert ["b.bundle.json"] == [name for name, _ in reading.members]


@pytest.mark.parametrize("name", [b"\xff.bundle.json", b"a\xff/bundle.json", b"a\n/bundle.json"])
def test_a_name_that_an_archive_may_not_have_is_refused(tmp_path: Path, name: bytes) -> None:
    """C5: names in a folder are checked like names in a tar, and the report can be printed."""
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
def test_a_missing_source_is_unreadable(tmp_path: Path, name: str) -> None:
    """C3: `source.unreadable` is an error and not an item."""
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(SourceError, match=r"source\.unreadable"),
        open_source(str(tmp_path / name), NO_LIMITS),
    ):
        pass


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/null", "/dev/urandom"])
def test_a_device_is_refused_as_a_source(name: str) -> None:
    """A device may never end: nothing of it is read, or copied to the temporary folder."""
    with pytest.raises(SourceError, match="it is a device") as error, open_source(name, NO_LIMITS):
        pass
    assert error.value.code == "source.unreadable"
    with pytest.raises(SourceError, match="it is a device"), open_metadata(name):
        pass
