"""`mirror export`: packed or plain, whole or since a base."""

from __future__ import annotations

import json
import random
import re
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bagit
import pytest
import zstandard

from mirror.archive import write_bag, write_segments
from mirror.core.msgpack_values import pack
from mirror.core.transparency import merkle
from tests import oracle
from tests.builders import Signer, make_bundle, make_event, make_record, to_json
from tests.cli.conftest import BUNDLES, Mirror, Ran, SampleStore, run_here

DEMO, PITH = BUNDLES / "demo.tar", BUNDLES / "pith.tar"
KEYS = BUNDLES / "demo-keys.json"
TRUST = ("--keys", KEYS)


def bundles_in(path: Path) -> list[dict[str, Any]]:
    """The bundles of a bag of files, in its order."""
    with tarfile.open(path) as tar:
        files = [tar.extractfile(info) for info in tar if info.name.endswith("bundle.json")]
        return [json.loads(file.read()) for file in files if file]


def export(mirror: Mirror, db: str, out: str, *options: object) -> bytes:
    """Export a store, which must go well, and return the bag."""
    ran = mirror("export", out, "--db", db, "--force", *options)
    assert (0, b"") == (ran.exit_code, ran.stdout), ran.stderr
    return Path(out).read_bytes()


def root_in(ran: Ran) -> str:
    """The root that an export printed."""
    (root,) = re.findall(r"^root of the states: ([0-9a-f]{64})$", ran.stderr, re.MULTILINE)
    return str(root)


def write_lines(name: str, bundles: Iterable[Any]) -> str:
    """Write JSON Lines."""
    Path(name).write_bytes(b"\n".join(map(to_json, bundles)))
    return name


# The same facts, the same bytes --------------------------------------------------------------


@pytest.mark.parametrize(
    ("sample", "keys"), [(DEMO, TRUST), (DEMO, ()), (PITH, ())], ids=["demo", "untrusted", "pith"]
)
def test_plain_to_packed_to_plain_is_byte_for_byte_the_same(
    mirror: Mirror, sample: Path, keys: tuple[object, ...]
) -> None:
    """B6, C4: neither form loses or adds anything, and each gives the same states and findings."""
    first = mirror("merge", sample, "--db", "a.db", *keys, "--json")
    plain = export(mirror, "a.db", "plain.tar")
    second = mirror("merge", "plain.tar", "--db", "b.db", *keys, "--json")
    packed = export(mirror, "b.db", "packed.tar", "--packed")
    third = mirror("merge", "packed.tar", "--db", "c.db", *keys, "--json")
    assert plain == export(mirror, "c.db", "again.tar")
    assert packed == export(mirror, "c.db", "packed-again.tar", "--packed")
    assert plain != packed
    assert first.stdout == second.stdout == third.stdout != b""
    assert first.exit_code == second.exit_code == third.exit_code
    assert new_facts(first) == new_facts(second) == new_facts(third)


def new_facts(ran: Ran) -> str:
    """The line of a merge that counts new facts."""
    (line,) = re.findall(r"^new .*$", ran.stderr, re.MULTILINE)
    return str(line)


def test_an_export_does_not_depend_on_trusted_keys(
    mirror: Mirror, sample_store: SampleStore
) -> None:
    """B6: whatever the key set, also one that changed since; only the root differs."""
    sample_store(DEMO, *TRUST, db="a.db")
    sample_store(DEMO, db="b.db")
    forms: tuple[tuple[str, ...], ...] = ((), ("--packed",))
    expected = [export(mirror, "a.db", "a.tar", *form) for form in forms]
    assert expected == [export(mirror, "b.db", "b.tar", *form) for form in forms]
    mirror("keys", "add", KEYS, "--db", "b.db")
    assert expected == [export(mirror, "b.db", "b.tar", *form) for form in forms]


def pieces_of(bundle: dict[str, Any], order: random.Random) -> list[dict[str, Any]]:
    """A bundle in three, each with some of its events, claims and receipts, some of them twice."""
    pieces = [{**bundle, "events": [], "source_aliases": [], "receipts": []} for _ in range(3)]
    for member in ("events", "source_aliases", "receipts"):
        for item in bundle.get(member, []):
            for piece in order.sample(pieces, k=order.choice([1, 1, 2])):
                piece[member].insert(order.randrange(len(piece[member]) + 1), item)
    return pieces


@pytest.mark.parametrize("seed", range(3))
def test_an_export_does_not_depend_on_the_order_of_merges(
    mirror: Mirror, sample_store: SampleStore, seed: int
) -> None:
    """B6, C2: bundles in another order, in pieces, in several runs, some of them twice."""
    sample_store(DEMO, *TRUST, db="a.db")
    order = random.Random(seed)
    pieces = [piece for bundle in bundles_in(DEMO) for piece in pieces_of(bundle, order)]
    order.shuffle(pieces)
    for start in range(0, len(pieces), 10):
        write_lines("piece.jsonl", pieces[start : start + 10])
        mirror("merge", "piece.jsonl", "--db", "b.db")
    for options in ((), ("--packed",)):
        expected = export(mirror, "a.db", "a.tar", *options)
        assert expected == export(mirror, "b.db", "b.tar", *options)


def test_odd_values_survive_packing(mirror: Mirror) -> None:
    """V2: floats, great integers, foreign text and deep nesting come back to the byte."""
    record, author = make_record(), Signer("author")
    nested: Any = []
    for _ in range(28):
        nested = [nested, {"": nested}] if len(oracle.canonical(nested)) < 500 else [nested]
    odd = {
        "floats": [0.1, 1.0, -0.0, 1e16, 1e-7, 5e-324, 1.7976931348623157e308, 123456.789],
        "integers": [0, -1, 127, 128, -32, -33, 2**53 - 1, 1 - 2**53],
        "text": ["", "é書\U0001f600", "\x00\x1f\x7f\u2028\u202e", "x" * 300, '\\"/'],
        "nested": nested,
        "": {"é": None, "\U0001f600": True, "\uffff": False},
    }
    junk = [odd, 1.0, 1, True, [], {}, None, "", nested]
    events = [make_event(record, author, "odd.type", odd), *junk]
    Path("odd.json").write_bytes(to_json(make_bundle(record, events, junk)))
    first = mirror("merge", "odd.json", "--db", "a.db", "--json")
    plain = export(mirror, "a.db", "plain.tar")
    export(mirror, "a.db", "packed.tar", "--packed")
    second = mirror("merge", "packed.tar", "--db", "b.db", "--json")
    assert first.stdout == second.stdout
    assert plain == export(mirror, "b.db", "again.tar")
    composed = oracle.compose([oracle.read_bundle(Path("odd.json").read_bytes())])
    assert composed in plain


@pytest.mark.parametrize("options", [(), ("--packed",)], ids=["plain", "packed"])
def test_ids_choose_what_is_written(
    sample_store: SampleStore, mirror: Mirror, options: tuple[str, ...]
) -> None:
    """In the order of the bag, each once, however often and by whatever name it is given."""
    sample_store(PITH, db="a.db")
    chosen = bundles_in(PITH)[3:6]
    names = [one["pith_number"] for one in chosen]
    names += [names[0], chosen[1]["source"]["id"]]
    one = export(mirror, "a.db", "one.tar", *names, *options)
    assert one == export(mirror, "a.db", "two.tar", *reversed(names), *options)
    ran = mirror("merge", "one.tar", "--in-memory", "--json")
    expected = sorted(bundle["pith_number"] for bundle in chosen)
    assert expected == [state["pith_number"] for state in ran.lines]


@pytest.mark.parametrize("options", [(), ("--packed",)], ids=["plain", "packed"])
def test_every_export_validates_with_bagit(
    sample_store: SampleStore, mirror: Mirror, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """C2: every tar written here is a bag, also an increment without news."""
    sample_store(PITH, db="a.db")
    export(mirror, "a.db", "whole.tar", *options)
    export(mirror, "a.db", "nothing.tar", "--since", "whole.tar", *options)
    for name in ("whole", "nothing"):
        with tarfile.open(f"{name}.tar") as tar:
            tar.extractall(tmp_path / name, filter="data")
        assert bagit.Bag(str(tmp_path / name / "pith")).validate()


INVALID = sorted(
    path
    for path in (BUNDLES / "invalid").glob("*.json")
    if not path.name.endswith(".expected.json") and not path.name.startswith("json.")
)


@pytest.mark.parametrize("sample", INVALID, ids=lambda path: path.name)
def test_a_packed_bundle_has_the_findings_of_its_text(mirror: Mirror, sample: Path) -> None:
    """C4: the same findings and states, in the same places of the bundle."""
    bundle = json.loads(sample.read_bytes())
    with Path("packed.tar").open("wb") as out:
        write_bag(out, lambda: write_segments([pack(bundle)]))
    expected = json.loads(sample.with_suffix(".expected.json").read_bytes())
    keys = ["--keys", BUNDLES / expected["keys"]] if expected["keys"] else []
    plain = mirror("verify", sample, *keys, "--json")
    packed = mirror("verify", "packed.tar", *keys, "--json")
    assert expected["exit_code"] == plain.exit_code == packed.exit_code
    places = {"source": "packed.tar", "member": "pith/data/segments/00000000.msgpack.zst#1"}
    # A refused bundle is known by the digest of its bytes, which are others.
    assert [{**line, **places, "digest": ""} for line in plain.lines] == [
        {**line, "digest": ""} for line in packed.lines
    ]
    merged = mirror("merge", "packed.tar", *keys, "--in-memory", "--json")
    assert sample.with_suffix(".states.jsonl").read_bytes() == merged.stdout


# Roots ---------------------------------------------------------------------------------------


def names_in(path: str) -> list[str]:
    """The names of the payload of a bag, in its order."""
    with tarfile.open(path) as tar:
        return [info.name for info in tar if "/data/" in info.name]


def test_a_large_record_is_several_members_of_every_bag(
    sample_store: SampleStore, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C2: plain, packed and back the same bytes, and the states of the whole; bagit accepts it."""
    sample_store(DEMO, *TRUST)
    whole, root = export(mirror, "mirror.db", "whole.tar"), root_in(mirror("export", "again.tar"))
    monkeypatch.setattr("mirror.core.composed.MEMBER_EVENTS", 4)
    plain, packed = (
        export(mirror, "mirror.db", "1.tar"),
        export(mirror, "mirror.db", "2.tar", "--packed"),
    )
    assert plain == export(mirror, "mirror.db", "3.tar")
    names = names_in("1.tar")
    assert sorted(names) == names
    assert any(name.endswith("/0003.bundle.json") for name in names)
    assert len(names_in("whole.tar")) == sum(name.endswith("/bundle.json") for name in names)
    assert max(len(bundle["events"]) for bundle in bundles_in(Path("1.tar"))) == 4
    for name in ("1", "2"):
        ran = mirror("merge", f"{name}.tar", *TRUST, "--db", f"{name}.db")
        assert f"{len(names)} read, 0 refused" in ran.stderr + ran.stdout.decode()
        assert plain == export(mirror, f"{name}.db", f"{name}-plain.tar")
        assert packed == export(mirror, f"{name}.db", f"{name}-packed.tar", "--packed")
        assert root == root_in(mirror("export", f"{name}-root.tar", "--db", f"{name}.db"))
    with tarfile.open("1.tar") as tar:
        tar.extractall("bag", filter="data")
    assert bagit.Bag("bag/pith").validate()
    monkeypatch.setattr("mirror.core.composed.MEMBER_EVENTS", 50_000)
    assert whole == export(mirror, "1.db", "joined.tar")


def test_an_increment_of_a_large_record_is_several_members(
    sample_store: SampleStore, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C2: and it is found to be in its base by what is in it, however that was cut."""
    sample_store(DEMO)
    export(mirror, "mirror.db", "base.tar")
    monkeypatch.setattr("mirror.core.composed.MEMBER_EVENTS", 4)
    export(mirror, "mirror.db", "none.tar", "--since", "base.tar")
    assert [] == [name for name in names_in("none.tar") if name.endswith(".json")]
    mirror("merge", PITH, "--db", "pith.db")
    export(mirror, "pith.db", "pith.tar")
    export(mirror, "mirror.db", "all.tar", "--since", "pith.tar")
    assert any(name.endswith("/0002.bundle.json") for name in names_in("all.tar"))


@pytest.mark.parametrize(
    ("sample", "key_file"),
    [(DEMO, KEYS), (DEMO, None), (PITH, None)],
    ids=["demo", "untrusted", "pith"],
)
def test_the_root_is_that_of_all_core_digests(
    mirror: Mirror, sample: Path, key_file: Path | None
) -> None:
    """M12: as the slow oracle reckons each record's, whatever brought it, and however packed."""
    mirror("merge", sample, "--db", "a.db", *(["--keys", key_file] if key_file else []))
    printed = {
        root_in(mirror("export", "out.tar", "--db", "a.db", "--force", *options))
        for options in ([], ["--packed"], ["--since", PITH])
    }
    keys = oracle.load_keys(key_file.read_bytes()) if key_file else oracle.builtin_keys()
    by_record: dict[str, list[Any]] = {}
    for bundle in bundles_in(sample):
        by_record.setdefault(bundle["canonical_sha256"], []).append(bundle)
    leaves = [
        (bytes.fromhex(digest), bytes.fromhex(oracle.core_digest(bundles, keys)))
        for digest, bundles in by_record.items()
    ]
    assert {merkle.root(leaves).hex()} == printed


def test_a_root_is_printed_only_for_a_whole_export(
    sample_store: SampleStore, mirror: Mirror
) -> None:
    """Some records are not the store."""
    sample_store(DEMO, *TRUST)
    number = bundles_in(DEMO)[0]["pith_number"]
    ran = mirror("export", "one.tar", number)
    assert (0, False) == (ran.exit_code, "root" in ran.stderr)
    assert "one.tar: 1 record, " in ran.stderr
    assert "root of the states: " in mirror("export", "all.tar").stderr


def test_an_empty_store_has_a_bag_and_a_root(mirror: Mirror) -> None:
    """Of nothing."""
    Path("nothing").mkdir()
    assert 1 == mirror("merge", "nothing").exit_code
    ran = mirror("export", "out.tar")
    assert (0, "0" * 64) == (ran.exit_code, root_in(ran))
    assert "out.tar: 0 records, " in ran.stderr


def test_exporting_changes_no_facts(sample_store: SampleStore, mirror: Mirror) -> None:
    """The store is as it was, to `status` and `check` and to the next export."""
    sample_store(DEMO, *TRUST)
    before = mirror("status", "--json").lines
    first = export(mirror, "mirror.db", "one.tar")
    assert first == export(mirror, "mirror.db", "two.tar")
    assert before == mirror("status", "--json").lines
    assert 0 == mirror("check").exit_code


# Increments ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def october_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store of half of the demo bundles, exported; then it got the other half. And the root."""
    folder = tmp_path_factory.mktemp("october")
    bundles, store = bundles_in(DEMO), ("--db", folder / "mirror.db")
    write_lines(str(folder / "first.jsonl"), bundles[:4])
    write_lines(str(folder / "rest.jsonl"), bundles[3:])
    run_here("merge", folder / "first.jsonl", *TRUST, *store)
    root = root_in(run_here("export", folder / "october.tar", *store))
    run_here("merge", folder / "rest.jsonl", *store)
    return folder, root


@pytest.fixture
def october(october_folder: tuple[Path, str], mirror: Mirror, tmp_path: Path) -> str:
    """The files of that folder, where `mirror` runs."""
    folder, root = october_folder
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return root


@pytest.mark.parametrize("packed", [(), ("--packed",)], ids=["plain", "packed"])
def test_base_and_increment_are_the_whole(
    mirror: Mirror, october: str, packed: tuple[str, ...]
) -> None:
    """In any order, and in one command; the base is named by its file or by its root."""
    ran = mirror("export", "november.tar", "--since", "october.tar", *packed)
    assert (0, True) == (ran.exit_code, "november.tar: " in ran.stderr)
    by_root = export(mirror, "mirror.db", "by-root.tar", "--since", october, *packed)
    assert Path("november.tar").read_bytes() == by_root
    whole = export(mirror, "mirror.db", "whole.tar")
    orders = (["october.tar", "november.tar"], ["november.tar", "october.tar"])
    for at, order in enumerate(orders):
        assert 0 == mirror("merge", *order, "--db", f"{at}.db", *TRUST).exit_code
        assert whole == export(mirror, f"{at}.db", f"{at}.tar")
        for name in order:
            mirror("merge", name, "--db", f"{at}-one-by-one.db")
        assert whole == export(mirror, f"{at}-one-by-one.db", f"{at}.tar")
    ran = mirror("merge", "october.tar", "november.tar", *TRUST, "--in-memory", "--json")
    assert ((BUNDLES / "demo.states.jsonl").read_bytes(), 0) == (ran.stdout, ran.exit_code)


def test_a_base_may_be_packed(mirror: Mirror, october: str) -> None:
    """What is in it counts, not its form."""
    mirror("merge", "october.tar", "--db", "other.db")
    export(mirror, "other.db", "october-packed.tar", "--packed")
    export(mirror, "mirror.db", "one.tar", "--since", "october.tar")
    export(mirror, "mirror.db", "two.tar", "--since", "october-packed.tar")
    assert bundles_in(Path("one.tar")) == bundles_in(Path("two.tar")) != []


def test_an_increment_without_new_facts_is_an_empty_bag(mirror: Mirror, october: str) -> None:
    """Exit 0: a day without news is no fault."""
    now = root_in(mirror("export", "november.tar"))
    for since in ("november.tar", now):
        ran = mirror("export", "december.tar", "--since", since, "--force")
        assert (0, True) == (ran.exit_code, "december.tar: 0 records, " in ran.stderr)
        assert now == root_in(ran)
        assert [] == bundles_in(Path("december.tar"))
    assert october != now


def test_a_missing_base_is_one_finding_and_all_is_merged(mirror: Mirror, october: str) -> None:
    """Exit 1 and `archive.base` with what it is; with the base there, exit 0."""
    export(mirror, "mirror.db", "november.tar", "--since", october)
    ran = mirror("merge", "november.tar", "--db", "b.db", *TRUST)
    assert 1 == ran.exit_code
    assert 1 == ran.stderr.count("archive.base: november.tar:bag-info.txt: ")
    assert "Pith Open Graph bundles of 3 records" in ran.stderr
    assert b" 1 odd (archive.base 1)\n" in ran.stdout
    count = len(bundles_in(Path("november.tar")))
    assert re.search(rb"^records +%d, " % count, ran.stdout, re.MULTILINE)
    assert 0 == mirror("merge", "october.tar", "--db", "b.db").exit_code
    ran = mirror("merge", "november.tar", "--db", "b.db")
    assert (0, "") == (ran.exit_code, ran.stderr)
    assert 0 == mirror("verify", "november.tar", *TRUST).exit_code


BAD_BASES = {
    "missing": ("nowhere.tar", 3, "source.unreadable"),
    "folder": (".", 3, "export.base"),
    "truncated": ("cut.tar", 3, "export.base"),
    "flipped": ("flipped.tar", 3, "export.base"),
    "no bag": ("first.jsonl", 3, "export.base"),
    "unknown root": ("0" * 64, 1, "export.root_unknown"),
    "root in capitals": ("A" * 64, 3, "source.unreadable"),
    "store": ("mirror.db", 3, "export.base"),
    "nothing": ("", 3, "source.unreadable"),
}


@pytest.mark.parametrize(("since", "exit_code", "code"), BAD_BASES.values(), ids=BAD_BASES)
def test_an_unreadable_base_leaves_the_output_unchanged(
    mirror: Mirror, october: str, since: str, exit_code: int, code: str
) -> None:
    """Its code and exit code; OUT.tar and its folder are untouched."""
    bag = Path("october.tar").read_bytes()
    Path("cut.tar").write_bytes(bag[:-6000])
    Path("flipped.tar").write_bytes(bag.replace(b'"bundle_version"', b'"bundle_versiom"'))
    Path("out").mkdir()
    Path("out/november.tar").write_bytes(b"as it was")
    for arguments in (["november.tar"], ["november.tar", "--packed"], ["new.tar"]):
        name, *options = arguments
        ran = mirror("export", f"out/{name}", "--since", since, "--force", *options)
        assert (exit_code, b"", 1) == (ran.exit_code, ran.stdout, ran.stderr.count(code))
        assert "hint: " in ran.stderr
    assert [Path("out/november.tar")] == list(Path("out").iterdir())
    assert b"as it was" == Path("out/november.tar").read_bytes()


def test_a_file_that_is_named_like_a_root_is_the_base(mirror: Mirror, october: str) -> None:
    """A path goes first: what is there can be looked at."""
    Path(october).write_bytes(Path("october.tar").read_bytes())
    by_file = export(mirror, "mirror.db", "one.tar", "--since", october)
    Path(october).unlink()
    assert by_file == export(mirror, "mirror.db", "two.tar", "--since", october)
    Path(october).write_bytes(b"no bag")
    ran = mirror("export", "three.tar", "--since", october)
    assert (3, True) == (ran.exit_code, "export.base" in ran.stderr)


def test_a_base_may_come_through_standard_input(mirror: Mirror, october: str) -> None:
    """As any source."""
    data = Path("october.tar").read_bytes()
    assert 0 == mirror("export", "one.tar", "--since", "-", stdin=data).exit_code
    assert Path("one.tar").read_bytes() == export(
        mirror, "mirror.db", "two.tar", "--since", "october.tar"
    )


def test_since_and_packed_may_be_set_in_the_environment(
    mirror: Mirror, october: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As all options."""
    expected = export(mirror, "mirror.db", "one.tar", "--since", "october.tar", "--packed")
    monkeypatch.setenv("MIRROR_SINCE", "october.tar")
    monkeypatch.setenv("MIRROR_PACKED", "1")
    assert expected == export(mirror, "mirror.db", "two.tar")


def test_an_increment_of_named_records_has_no_others(mirror: Mirror, october: str) -> None:
    """An increment for one reader; what the base holds of a record is left out."""
    old, new = bundles_in(DEMO)[0], bundles_in(DEMO)[-1]
    number = new["pith_number"]
    export(mirror, "mirror.db", "new.tar", number, "--since", "october.tar")
    assert [number] == [bundle["pith_number"] for bundle in bundles_in(Path("new.tar"))]
    export(mirror, "mirror.db", "old.tar", old["pith_number"], "--since", october)
    assert [] == bundles_in(Path("old.tar"))
    ran = mirror("export", "none.tar", "2401.99999", "--since", "october.tar")
    assert (1, False) == (ran.exit_code, Path("none.tar").exists())


def test_a_packed_bag_is_read_in_a_process_of_its_own(
    sample_store: SampleStore, mirror: Mirror, mirror_process: Mirror
) -> None:
    """From a pipe, compressed or not, with warnings as errors."""
    sample_store(PITH)
    data = export(mirror, "mirror.db", "packed.tar", "--packed")
    expected = (BUNDLES / "pith.states.jsonl").read_bytes()
    for content in (data, zstandard.compress(data)):
        ran = mirror_process("merge", "-", "--in-memory", "--json", stdin=content)
        assert (expected, 0) == (ran.stdout, ran.exit_code)


def test_a_large_record_is_compared_as_one(
    sample_store: SampleStore, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C2: what a bag says of a record is what all its members say, plain or packed."""
    sample_store(DEMO, *TRUST)
    monkeypatch.setattr("mirror.core.composed.MEMBER_EVENTS", 4)
    export(mirror, "mirror.db", "1.tar")
    export(mirror, "mirror.db", "2.tar", "--packed")
    for name in ("1.tar", "2.tar"):
        ran = mirror("compare", "--upstream", name, "--bundles", "--json", "--no-history")
        statuses = [line["status"] for line in ran.lines]
        assert (0, len(names_in("1.tar")) > len(statuses) > 7) == (ran.exit_code, True), ran.stderr
        assert {"match"} == set(statuses)
