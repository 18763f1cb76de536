"""Bags: bags that bagit accepts can be read, and bagit accepts the bags written here (C2, C5)."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bagit
import pytest

from mirror.archive import ReadLimits, RefusedMember, open_source, write_bag
from tests.archive.tar_builders import (
    COMPRESSIONS,
    Files,
    Reading,
    bag_files,
    below,
    bundle_files,
    bundle_text,
    entry,
    manifest,
    plain_tar,
    read,
    tar_by_python,
    write_files,
)

FORMATS = {
    "GNU": tarfile.GNU_FORMAT,
    "PAX": tarfile.PAX_FORMAT,
    "USTAR": tarfile.USTAR_FORMAT,
}
GNU_TAR = shutil.which("tar") or ""
PAYLOAD = {
    **bundle_files("pith/AB/ABC/bundle.json", "pith/CD/CDE/bundle.json", "pith/EF/EFG/bundle.json"),
    "pith-mirrors.json": b"{}",
    "pith/AB/ABC/state.json": b"{}",
}
BUNDLES = {name: data for name, data in PAYLOAD.items() if name.endswith("bundle.json")}
FIRST, SECOND, THIRD = BUNDLES


@pytest.fixture(autouse=True)
def _quiet_bagit() -> Iterator[None]:
    """Turn bagit's log into assertions."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def validates(folder: Path) -> bool:
    """Whether the tool of the Library of Congress accepts a bag."""
    try:
        return bool(bagit.Bag(str(folder)).validate())
    except bagit.BagError:
        return False


def bag_on_disk(folder: Path, payload: Files, algorithms: list[str] | None = None) -> Path:
    """A bag made by the tool of the Library of Congress."""
    write_files(folder, payload)
    bagit.make_bag(str(folder), checksums=algorithms)
    return folder


def read_bag(files: Files) -> Reading:
    """The result of reading a bag of these files, in a tar, in the folder `bag`."""
    return read(plain_tar(below("bag", files)))


def assert_same_as_bagit(tmp_path: Path, files: Files, bundles: Files) -> None:
    """Assert that bagit accepts a bag, and that all its bundles are read, as a tar and a folder."""
    assert validates(write_files(tmp_path / "bag", files))
    reading = read_bag(files)
    assert (below("bag/data", bundles), []) == (reading.files, reading.refused)
    reading = read(tmp_path / "bag")
    assert (below("data", bundles), []) == (reading.files, reading.refused)


# C2: what others write -----------------------------------------------------------------------


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("tar_format", FORMATS.values(), ids=FORMATS)
def test_bags_by_bagit_in_tars_by_python_are_read(
    tmp_path: Path, tar_format: int, compression: str
) -> None:
    """C2: in each format that Python writes, with folders, owners and times of this machine."""
    folder = bag_on_disk(tmp_path / "bag", PAYLOAD)
    with tarfile.open(tmp_path / "bag.tar", "w", format=tar_format) as tar:
        tar.add(folder, "some bag")
    reading = read(COMPRESSIONS[compression]((tmp_path / "bag.tar").read_bytes()))
    assert (below("some bag/data", BUNDLES), []) == (reading.files, reading.refused)


ALGORITHMS = sorted(name for name in hashlib.algorithms_guaranteed if not name.startswith("shake"))


@pytest.mark.parametrize(
    "algorithms", [*([name] for name in ALGORITHMS), ["md5", "sha1", "sha512"]]
)
def test_bags_of_any_algorithm_are_read_and_checked(tmp_path: Path, algorithms: list[str]) -> None:
    """C2, C5: one manifest or several; a flipped byte is found by any of them."""
    folder = bag_on_disk(tmp_path / "bag", PAYLOAD, algorithms)
    assert validates(folder)
    with tarfile.open(tmp_path / "bag.tar", "w") as tar:
        tar.add(folder, "bag")
    reading = read(tmp_path / "bag.tar")
    assert (below("bag/data", BUNDLES), []) == (reading.files, reading.refused)
    data = (tmp_path / "bag.tar").read_bytes()
    flipped = data.replace(PAYLOAD[SECOND], PAYLOAD[SECOND].replace(b"pith_open", b"pith_oqen"))
    reading = read(flipped)
    assert below("bag/data", {FIRST: BUNDLES[FIRST], THIRD: BUNDLES[THIRD]}) == reading.files
    assert [(f"bag/data/{SECOND}", "archive.fixity")] == reading.refused


@pytest.mark.skipif(not GNU_TAR, reason="there is no tar")
@pytest.mark.parametrize("option", ["gnu", "posix", "ustar", "oldgnu", "v7"])
@pytest.mark.parametrize("seed", [1, 2])
def test_bags_in_tars_by_gnu_tar_are_read_in_any_order(
    tmp_path: Path, seed: int, option: str
) -> None:
    """C2: folders after their files, manifests before or after the data, `./` before names."""
    folder = bag_on_disk(tmp_path / "bag", PAYLOAD)
    names = [f"./{path.relative_to(tmp_path).as_posix()}" for path in [folder, *folder.rglob("*")]]
    random.Random(seed).shuffle(names)
    command = [GNU_TAR, f"--format={option}", "--no-recursion", "-cf", "bag.tar", *names]
    subprocess.run(command, cwd=tmp_path, check=True)
    reading = read(tmp_path / "bag.tar")
    assert (below("./bag/data", BUNDLES), []) == (reading.files, reading.refused)


@pytest.mark.parametrize("prefix", ["", "./", "bag/", "./bag/", "a/b/c/"])
@pytest.mark.parametrize("order", ["tags first", "data first", "declaration last"])
def test_a_bag_may_lie_anywhere_and_in_any_order(prefix: str, order: str) -> None:
    """C2: at the root or in a folder; a manifest may follow the files that it lists."""
    files = dict(bag_files(PAYLOAD))
    if order == "data first":
        files = dict(reversed([*files.items()]))
    if order == "declaration last":
        files["bagit.txt"] = files.pop("bagit.txt")
    reading = read(plain_tar({prefix + name: data for name, data in files.items()}))
    assert {f"{prefix}data/{name}": data for name, data in BUNDLES.items()} == reading.files
    assert [] == reading.refused


def test_two_bags_in_one_tar_are_checked_by_their_own_manifests() -> None:
    """C2, C5: the same paths in two bags are independent."""
    one, two = (
        bag_files({"bundle.json": bundle_text(1)}),
        bag_files({"bundle.json": bundle_text(2)}),
    )
    reading = read(plain_tar({**below("one", one), **below("two", two)}))
    assert (2, []) == (len(reading.members), reading.refused)
    swapped = {**two, "data/bundle.json": bundle_text(1)}
    reading = read(plain_tar({**below("one", one), **below("two", swapped)}))
    assert [("two/data/bundle.json", "archive.fixity")] == reading.refused
    assert ["one/data/bundle.json"] == [*reading.files]


def test_a_bag_within_a_bag_is_payload(tmp_path: Path) -> None:
    """C2: a bundle below `data` is read, whatever the folders between."""
    payload = below("inner", bag_files({"bundle.json": bundle_text(1)}))
    payload["inner/bundle.json"] = bundle_text(2)
    bundles = {name: data for name, data in payload.items() if name.endswith("bundle.json")}
    assert_same_as_bagit(tmp_path, bag_files(payload), bundles)


def test_names_that_no_header_of_a_tar_can_hold_are_read(tmp_path: Path) -> None:
    """C2, C3: long, foreign and spaced names, as bagit lists them."""
    names = ["x" * 200 + "/bundle.json", "書/é b.bundle.json", " a /b.bundle.json", "*/bundle.json"]
    folder = bag_on_disk(tmp_path / "bag", bundle_files(*names))
    assert validates(folder)
    with tarfile.open(tmp_path / "bag.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(folder, "bag")
    reading = read(tmp_path / "bag.tar")
    assert (below("bag/data", bundle_files(*names)), []) == (reading.files, reading.refused)


# C2: spellings of tag files ------------------------------------------------------------------


def with_manifest(change: Callable[[bytes], bytes], payload: Files = PAYLOAD) -> dict[str, bytes]:
    """A bag whose payload manifest is written in another way, without a tag manifest."""
    files = dict(bag_files(payload))
    files["manifest-sha256.txt"] = change(files["manifest-sha256.txt"])
    del files["tagmanifest-sha256.txt"]
    return files


SPELLINGS: dict[str, Callable[[bytes], bytes]] = {
    "CRLF": lambda text: text.replace(b"\n", b"\r\n"),
    "CR": lambda text: text.replace(b"\n", b"\r"),
    "no final LF": lambda text: text.rstrip(b"\n"),
    "blank lines": lambda text: b"\n" + text.replace(b"\n", b"\n\n \n"),
    "one space": lambda text: text.replace(b"  ", b" "),
    "tab": lambda text: text.replace(b"  ", b"\t"),
    "space and asterisk": lambda text: text.replace(b"  ", b" *"),
    "two asterisks": lambda text: text.replace(b"  ", b" **"),
    "./ before names": lambda text: text.replace(b"  ", b"  ./"),
    "/./ in names": lambda text: text.replace(b"data/", b"data/.//"),
    "white space before": lambda text: b"  " + text.replace(b"\n", b"\n\t"),
    "white space after": lambda text: text.replace(b"\n", b" \t\n"),
    "byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "upper case": lambda text: b"".join(
        line[:64].upper() + line[64:] for line in text.splitlines(keepends=True)
    ),
    "comment": lambda text: b"# what these are\n" + text,
    "lone word": lambda text: b"nothing\n" + text,
}


@pytest.mark.parametrize("change", SPELLINGS.values(), ids=SPELLINGS)
def test_manifests_are_read_in_every_spelling_that_bagit_reads(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    """C2: every bag that `bagit.py --validate` accepts is readable."""
    assert_same_as_bagit(tmp_path, with_manifest(change), BUNDLES)


ENCODINGS = ["UTF-8", "utf-8", "utf8", "ISO-8859-1", "latin_1", "UTF-16", "utf_16"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_tag_files_are_read_in_their_encoding(tmp_path: Path, encoding: str) -> None:
    """C2, RFC 8493 section 2.1.1: `bagit.txt` names the encoding of the other tag files."""
    payload = bundle_files("café/bundle.json", "ÿ.bundle.json")
    assert_same_as_bagit(tmp_path, bag_files(payload, encoding=encoding), payload)


@pytest.mark.parametrize(
    "declaration",
    [
        b"BagIt-Version: 1.0\r\nTag-File-Character-Encoding: ISO-8859-1\r\n",
        b"BagIt-Version: 1.0\rTag-File-Character-Encoding: ISO-8859-1\r",
        b"BagIt-Version: 0.97\nTag-File-Character-Encoding: ISO-8859-1",
        b"BagIt-Version: 1.0\nTag-File-Character-Encoding:ISO-8859-1\n",
        b"BagIt-Version: 1.0\nTag-File-Character-Encoding : ISO-8859-1\n",
        b"BagIt-Version: 1.0\nTag-File-Character-Encoding:\n  ISO-8859-1\n",
        b"Tag-File-Character-Encoding: ISO-8859-1\n\nBagIt-Version: 1.0\nOther: x\n",
        b"BagIt-Version: 1.0\nTag-File-Character-Encoding: iso8859_1\n",
    ],
)
def test_declarations_are_read_in_every_spelling_that_bagit_reads(
    tmp_path: Path, declaration: bytes
) -> None:
    """C2: every bag that `bagit.py --validate` accepts is readable."""
    payload = bundle_files("café/bundle.json")
    files = {**bag_files(payload, encoding="ISO-8859-1"), "bagit.txt": declaration}
    del files["tagmanifest-sha256.txt"]
    assert_same_as_bagit(tmp_path, files, payload)


@pytest.mark.parametrize(
    "encoding",
    [
        *("none-such", "rot13", "base64", "undefined", "idna", "punycode", "utf-7", "é", "", "\0"),
        *("unicode_escape", "UTF-16LE", "UTF-32", "windows-1252", "x" * 60_000),
    ],
)
def test_an_encoding_that_no_manifest_can_have_refuses_what_is_in_the_bag(encoding: str) -> None:
    """C5: the encoding is named; no crash, no long run, nothing without a message."""
    payload = bundle_files("bundle.json", "\\ud800.bundle.json")
    declaration = f"BagIt-Version: 1.0\nTag-File-Character-Encoding: {encoding}\n".encode()
    reading = read_bag({**bag_files(payload), "bagit.txt": declaration})
    assert {} == reading.files
    assert {"archive.fixity"} == set(reading.codes)
    expected = {*below("bag/data", payload), "bag/manifest-sha256.txt"}
    assert expected <= {*dict(reading.refused)}


def test_utf_16_without_its_mark_is_no_encoding_of_a_manifest() -> None:
    """C5: the file meant is ambiguous."""
    files = with_manifest(lambda text: text.decode().encode("utf-16-le"))
    declaration = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-16\n"
    reading = read_bag({**files, "bagit.txt": declaration})
    assert ({}, {"archive.fixity"}) == (reading.files, set(reading.codes))


@pytest.mark.parametrize("line", [b"x" * 20_000, b"0 " + b"x" * 9_000_000, b" " * 20_000])
def test_a_line_that_is_too_long_refuses_its_manifest(line: bytes) -> None:
    """C5, B4: it is not split into several lines."""
    reading = read_bag(with_manifest(lambda text: line + b"\n" + text))
    assert ("bag/manifest-sha256.txt", "archive.fixity") in reading.refused
    assert {} == reading.files


def test_percent_escapes_in_manifests_stand_for_what_rfc_8493_says() -> None:
    """C2, RFC 8493 section 2.1.3: a percent sign is written `%25`; nothing else is escaped."""
    names = ["100%.bundle.json", "%0A.bundle.json", "%41/bundle.json"]
    payload = bundle_files(*names)
    files = with_manifest(lambda text: text.replace(b"%", b"%25"), payload)
    reading = read_bag(files)
    assert (below("bag/data", payload), []) == (reading.files, reading.refused)


def test_percent_signs_that_bagit_does_not_escape_are_read(tmp_path: Path) -> None:
    """C2: bagit writes a percent sign unescaped, also where it looks like an escape."""
    payload = bundle_files("100%.bundle.json", "100%25.bundle.json", "%41/bundle.json")
    assert_same_as_bagit(tmp_path, bag_files(payload), payload)


def test_a_line_end_in_a_name_is_escaped_in_the_manifest_and_refused(tmp_path: Path) -> None:
    """C5: bagit accepts the name; here it refuses its member, and the others are read."""
    folder = bag_on_disk(tmp_path / "bag", bundle_files("a\nb.bundle.json", "c.bundle.json"))
    assert validates(folder)
    with tarfile.open(tmp_path / "bag.tar", "w", format=tarfile.GNU_FORMAT) as tar:
        tar.add(folder, "bag")
    reading = read(tmp_path / "bag.tar")
    assert ["bag/data/c.bundle.json"] == [*reading.files]
    assert [("bag/data/a\nb.bundle.json", "archive.member")] == reading.refused


@pytest.mark.parametrize("listed", ["NFC", "NFD"])
@pytest.mark.parametrize("packed", ["NFC", "NFD"])
def test_a_manifest_may_list_a_name_in_another_unicode_form(listed: str, packed: str) -> None:
    """C2: as bagit does, because some disks change the normalization form of names."""
    name = "café.bundle.json"
    one = unicodedata.normalize("NFC" if packed == "NFC" else "NFD", name)
    other = unicodedata.normalize("NFC" if listed == "NFC" else "NFD", name)
    files = with_manifest(
        lambda text: text.replace(one.encode(), other.encode()), bundle_files(one)
    )
    reading = read_bag(files)
    assert ([f"bag/data/{one}"], []) == ([*reading.files], reading.refused)


def test_names_that_differ_in_unicode_form_only_are_two_members(tmp_path: Path) -> None:
    """C2: bagit accepts such a bag, so both are read, each checked by its own digest."""
    payload = bundle_files("caf\u00e9.bundle.json", "cafe\u0301.bundle.json")
    assert_same_as_bagit(tmp_path, bag_files(payload), payload)


def test_a_refused_name_that_the_manifest_lists_is_not_missing() -> None:
    """C5: a name that is not UTF-8, which its manifest lists as messages show it, is one fault."""
    shown = manifest({"data/\\xff.bundle.json": bundle_text(1)})
    tags = {"bagit.txt": b"BagIt-Version: 1.0\n", "manifest-sha256.txt": shown}
    odd = entry(b"bag/data/\xff.bundle.json", bundle_text(1))
    reading = read(odd + plain_tar(below("bag", tags)))
    assert [("bag/data/\\xff.bundle.json", "archive.member")] == reading.refused


# C5: fixity ----------------------------------------------------------------------------------


def test_a_flipped_payload_byte_refuses_its_member_alone() -> None:
    """C5: `archive.fixity` on the right member, wherever the byte is."""
    good = BUNDLES[SECOND]
    for place in range(0, len(good), 101):
        bad = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
        reading = read_bag({**bag_files(PAYLOAD), f"data/{SECOND}": bad})
        assert [(f"bag/data/{SECOND}", "archive.fixity")] == reading.refused
        assert below("bag/data", {FIRST: BUNDLES[FIRST], THIRD: BUNDLES[THIRD]}) == reading.files


@pytest.mark.parametrize("name", ["pith-mirrors.json", "pith/AB/ABC/state.json"])
def test_a_payload_file_that_is_no_bundle_is_checked_too(name: str) -> None:
    """C5: a manifest that does not match refuses the member, with any algorithm."""
    reading = read_bag({**bag_files(PAYLOAD), f"data/{name}": b"[]"})
    assert [(f"bag/data/{name}", "archive.fixity")] == reading.refused
    assert below("bag/data", BUNDLES) == reading.files


@pytest.mark.parametrize("name", ["bag-info.txt", "manifest-sha256.txt", "bagit.txt"])
def test_a_wrong_tag_manifest_refuses_the_tag_file_alone(name: str) -> None:
    """C5: the bundles match the payload manifest, and are read."""
    files = dict(bag_files(PAYLOAD))
    digest = hashlib.sha256(files[name]).hexdigest().encode()
    lie = files["tagmanifest-sha256.txt"].replace(digest, b"0" * 64)
    reading = read_bag({**files, "tagmanifest-sha256.txt": lie})
    assert [(f"bag/{name}", "archive.fixity")] == reading.refused
    assert below("bag/data", BUNDLES) == reading.files


def test_a_flipped_manifest_byte_refuses_the_member_of_its_line_alone() -> None:
    """C5: digest, space or name; other lines are used, and the tag manifest reports it."""
    text = bag_files(PAYLOAD)["manifest-sha256.txt"]
    start = text.index(b"\n") + 1
    for place in range(start, text.index(b"\n", start), 3):
        flipped = text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :]
        reading = read_bag({**bag_files(PAYLOAD), "manifest-sha256.txt": flipped})
        others = below("bag/data", {FIRST: BUNDLES[FIRST], THIRD: BUNDLES[THIRD]})
        assert others.keys() == reading.files.keys(), place
        assert {
            (f"bag/data/{SECOND}", "archive.fixity"),
            ("bag/manifest-sha256.txt", "archive.fixity"),
        } <= set(reading.refused)
        assert {"archive.fixity"} == set(reading.codes)


WRONG = b"0" * 64


@pytest.mark.parametrize(
    "lines",
    [
        [b"%(right)s  data/%(name)s", b"%(wrong)s  data/%(name)s"],
        [b"%(wrong)s  data/%(name)s", b"%(right)s  data/%(name)s"],
        [b"%(right)s  data/%(name)s", b"%(wrong)s  ./data//%(name)s"],
        [b"%(right)s  data/%(name)s", b"%(wrong)s  data/%(name)s", b"%(right)s  data/%(name)s"],
        [b"%(right)s  data/%(name)s", b"%(wrong)s *data/%(name)s"],
    ],
)
def test_a_manifest_that_lists_a_file_with_two_digests_does_not_match_it(
    lines: list[bytes],
) -> None:
    """C5: `archive.fixity`, whichever digest is right, in any spelling of the name."""
    right = hashlib.sha256(BUNDLES[FIRST]).hexdigest().encode()
    words = {b"right": right, b"wrong": WRONG, b"name": FIRST.encode()}
    twice = b"".join(line % words + b"\n" for line in lines)
    reading = read_bag(
        with_manifest(lambda text: twice + b"".join(text.splitlines(keepends=True)[1:]))
    )
    assert [(f"bag/data/{FIRST}", "archive.fixity")] == reading.refused
    assert 2 == len(reading.members)


def test_a_manifest_may_list_a_file_twice_with_one_digest() -> None:
    """C5: both lines have the same digest."""
    reading = read_bag(with_manifest(lambda text: text + text.upper()[:64] + text[64:]))
    assert (below("bag/data", BUNDLES), []) == (reading.files, reading.refused)


def test_of_two_manifests_of_one_name_the_first_counts() -> None:
    """C5: the second file of the same name is refused, and its lines are not used."""
    files = below("bag", bag_files(PAYLOAD))
    lie = {"bag/./manifest-sha256.txt": manifest({f"data/{FIRST}": b"other"})}
    reading = read(plain_tar({**files, **lie}))
    assert [("bag/./manifest-sha256.txt", "archive.member")] == reading.refused
    assert below("bag/data", BUNDLES) == reading.files


def test_a_fetch_file_is_mentioned_where_something_is_missing(tmp_path: Path) -> None:
    """C5, RFC 8493 section 2.2.3: no file is fetched, and the message says so."""
    files = dict(bag_files(PAYLOAD))
    del files[f"data/{SECOND}"]
    for name, is_said in (("fetch.txt", True), ("data/fetch.txt", False)):
        path = tmp_path / name.replace("/", "-")
        path.write_bytes(plain_tar(below("bag", {**files, name: b"https://x.example - data/x\n"})))
        with open_source(str(path), ReadLimits()) as source:
            refused = [one for one in source.items() if isinstance(one, RefusedMember)]
        (message,) = (one.message for one in refused if one.name == f"bag/data/{SECOND}")
        assert is_said == ("fetch.txt" in message)


def steps_of_reading(path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Instructions of SQLite's virtual machine used to read an archive, in hundreds."""
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1

    def connect(*arguments: Any, **words: Any) -> sqlite3.Connection:
        db = sqlite3.Connection(*arguments, **words)
        db.set_progress_handler(tick, 100)
        return db

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", connect)
        with open_source(str(path), ReadLimits()) as source:
            assert any(isinstance(item, RefusedMember) for item in source.items())
    return count


def one_in_nfc(count: int) -> list[str]:
    """Names that differ, and are equal in NFC: letters are composed or decomposed."""
    letters = ("\u00e9", "e\u0301")
    return [
        "data/" + "".join(letters[number >> bit & 1] for bit in range(12))
        for number in range(count)
    ]


def test_work_on_names_equal_in_nfc_grows_linearly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C5: twice as many members and lines take twice the work, not four times."""
    steps = []
    for count in (250, 500, 1000):
        names = one_in_nfc(2 * count)
        lines = "".join(f"{'0' * 64}  {name}\n" for name in names[:count])
        tags = {"bagit.txt": b"BagIt-Version: 1.0\n", "manifest-sha256.txt": lines.encode()}
        path = tmp_path / f"{count}.tar"
        path.write_bytes(plain_tar({**tags, **dict.fromkeys(names[count:], b"")}))
        steps.append(steps_of_reading(path, monkeypatch))
    assert steps[1] < 2.5 * steps[0]
    assert steps[2] < 2.5 * steps[1]


def test_a_name_that_two_lines_have_in_nfc_is_that_of_neither() -> None:
    """C5: names that differ by normalization form are different names, if both are present."""
    spelled = ["\u1e69.bundle.json", "s\u0307\u0323.bundle.json", "\u1e61\u0323.bundle.json"]
    text = bundle_text(1)
    listed = manifest({f"data/{name}": text for name in spelled[:2]})
    tags = {"bagit.txt": b"BagIt-Version: 1.0\n", "manifest-sha256.txt": listed}
    reading = read_bag({**tags, f"data/{spelled[2]}": text})
    assert ({}, ["archive.fixity"] * 3) == (reading.files, reading.codes)


def test_a_missing_member_is_reported() -> None:
    """C5: a file that a manifest lists and the archive lacks is `archive.fixity`."""
    files = dict(bag_files(PAYLOAD))
    del files[f"data/{SECOND}"], files["bag-info.txt"]
    reading = read_bag(files)
    expected = {f"bag/data/{SECOND}", "bag/bag-info.txt"}
    assert {(name, "archive.fixity") for name in expected} == set(reading.refused)
    assert 2 == len(reading.refused) == len(reading.members)


def test_an_unlisted_member_is_refused_alone() -> None:
    """C5: no manifest lists it."""
    reading = read_bag({**bag_files(PAYLOAD), "data/pith/bundle.json": bundle_text(9)})
    assert [("bag/data/pith/bundle.json", "archive.fixity")] == reading.refused
    assert below("bag/data", BUNDLES) == reading.files


def test_a_member_must_match_every_manifest() -> None:
    """C5: one manifest that does not match is enough."""
    files = dict(bag_files(PAYLOAD))
    data = {name: text for name, text in files.items() if name.startswith("data/")}
    files["manifest-sha512.txt"] = manifest({**data, f"data/{SECOND}": b"other"}, "sha512")
    reading = read_bag(files)
    assert [(f"bag/data/{SECOND}", "archive.fixity")] == reading.refused
    assert 2 == len(reading.members)


def test_a_manifest_of_an_unknown_algorithm_vouches_for_nothing() -> None:
    """C5: it has no effect."""
    files = dict(bag_files(PAYLOAD))
    reading = read_bag({**files, "manifest-crc32.txt": b"00000000  data/x\n"})
    assert (3, []) == (len(reading.members), reading.refused)
    files["manifest-none.txt"] = files.pop("manifest-sha256.txt")
    del files["tagmanifest-sha256.txt"]
    reading = read_bag(files)
    assert [] == reading.members
    assert {(f"bag/data/{name}", "archive.fixity") for name in BUNDLES} <= set(reading.refused)


def test_bundles_outside_the_payload_are_not_read() -> None:
    """C2: in a bag, bundles are payload; a tag file of such a name is not a bundle."""
    reading = read_bag({**bag_files(PAYLOAD), "bundle.json": bundle_text(9)})
    assert below("bag/data", BUNDLES) == reading.files


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "data/../../x", "", ".", "~/x", "data/\0"])
def test_a_manifest_that_points_out_of_its_bag_reads_nothing_there(path: str) -> None:
    """C5: listed files are read from the archive and nowhere else."""
    lie = f"{'0' * 64}  {path}\n".encode()
    reading = read_bag(with_manifest(lambda text: text + lie))
    assert below("bag/data", BUNDLES) == reading.files


def test_a_truncated_bag_is_read_up_to_the_cut_and_reported() -> None:
    """C5: a truncated manifest is no reason to refuse the members before it."""
    for files in (dict(bag_files(PAYLOAD)), dict(reversed([*bag_files(PAYLOAD).items()]))):
        data = plain_tar(below("bag", files))
        for cut in range(1024, len(data) - 1024, 300):
            reading = read(data[:cut])
            names = [name for name, text in BUNDLES.items() if data.index(text) + len(text) <= cut]
            assert {f"bag/data/{name}" for name in names} == reading.files.keys(), cut
            assert "archive.truncated" in reading.codes, cut
            assert not {"archive.member", "archive.empty"} & set(reading.codes), cut


# C2: what is written here --------------------------------------------------------------------


def written(payload: Files) -> bytes:
    """A bag by `write_bag`."""
    out = io.BytesIO()
    write_bag(out, payload.items, [("Source-Organization", "tests"), ("Bag-Count", "1 of 1")])
    return out.getvalue()


def in_order(payload: Files) -> dict[str, bytes]:
    """The same, sorted by path, as `write_bag` requires."""
    return dict(sorted(payload.items()))


MANY = in_order(bundle_files(*(f"pith/{n:02}/{n:026}/bundle.json" for n in range(50))))
LONG = in_order(bundle_files("pith/" + "x" * 90 + "/" + "y" * 80 + "/bundle.json"))


@pytest.mark.parametrize("payload", [in_order(PAYLOAD), MANY, LONG, {}], ids=len)
def test_a_written_bag_validates_with_bagit_and_is_read_back(
    tmp_path: Path, payload: Files
) -> None:
    """C2: every tar written here is such a bag, also one of no bundles."""
    data = written(payload)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(tmp_path, filter="data")
    (bag,) = tmp_path.iterdir()
    assert validates(bag)
    assert {"bagit.txt", "bag-info.txt"} <= {path.name for path in bag.iterdir()}
    bundles = {name: text for name, text in payload.items() if name.endswith("bundle.json")}
    reading = read(data)
    assert below(f"{bag.name}/data", bundles) == reading.files
    assert ["archive.empty"] * (not bundles) == reading.codes


def test_a_written_bag_does_not_depend_on_time_and_machine() -> None:
    """C2: mtime, owner and mode are fixed, and names are sorted."""
    data = written(MANY)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        infos = tar.getmembers()
    fixed = {(i.mtime, i.uid, i.gid, i.uname, i.gname) for i in infos}
    assert {(0, 0, 0, "", "")} == fixed
    assert 1 == len({info.mode for info in infos if info.isreg()})
    names = [info.name for info in infos if "/data/" in info.name]
    assert sorted(names) == names


def test_two_exports_of_one_content_are_the_same_bytes() -> None:
    """C2: after any earlier run, and for any machine, user, clock and language."""
    expected = written(MANY)
    written(LONG)
    assert expected == written(dict(MANY))
    script = (
        "import io, os, sys\n"
        "os.umask(0o77); os.chdir('/')\n"
        "from mirror.archive import write_bag\n"
        "from tests.archive.test_bag_writer import MANY, written\n"
        "sys.stdout.buffer.write(written(MANY))\n"
    )
    for changes in (
        {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "1", "USER": "nobody", "HOME": "/"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONHASHSEED": "2"},
    ):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **changes},
            capture_output=True,
            check=True,
            timeout=60,
        )
        assert expected == done.stdout


def test_a_flipped_byte_in_a_written_bag_is_found() -> None:
    """C2, C5: the manifests written here list every file of the payload with its digest."""
    data = written(in_order(PAYLOAD))
    flipped = data.replace(BUNDLES[SECOND], BUNDLES[SECOND].replace(b"cs.DL", b"cs.CL"))
    reading = read(flipped)
    assert [(f"pith/data/{SECOND}", "archive.fixity")] == reading.refused
    assert 2 == len(reading.members)


def test_pax_headers_of_names_in_a_bag_are_applied() -> None:
    """C2: a bag in a pax tar that has every name in an extended header."""
    payload = bundle_files(*(f"{n}/{'é' * 60}/bundle.json" for n in range(3)))
    data = tar_by_python(below("bag", bag_files(payload)), tarfile.PAX_FORMAT)
    reading = read(data)
    assert (below("bag/data", payload), []) == (reading.files, reading.refused)
