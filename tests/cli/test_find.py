"""`mirror find` and `mirror identify`: output for people and for scripts."""

from __future__ import annotations

import gzip
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mirror.core.values import time_text
from tests.builders import Signer, key_set_file, make_bundle, make_event, make_record, to_json
from tests.cli.conftest import BUNDLES, Mirror, SampleStore, Terminal, run_here
from tests.helpers import DEMO_RECORDS, PITH_RECORDS
from tests.shared import lines

DEMO, PITH, KEYS = BUNDLES / "demo.tar", BUNDLES / "pith.tar", BUNDLES / "demo-keys.json"
TITLE = "GoSam applications for automated NLO calculations"
NUMBER = "pith:2013:A5G5GAJ7DMCZDPVAMNFAYYAUOP"


@pytest.fixture
def new_store(sample_store: SampleStore) -> Path:
    """A store of both sample bags, which is not indexed."""
    return sample_store(DEMO, PITH, "--keys", KEYS)


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, indexed."""
    store = tmp_path_factory.mktemp("indexed") / "mirror.db"
    assert run_here("merge", DEMO, PITH, "--keys", KEYS, "--db", store).exit_code == 0
    assert run_here("find", "hep-th", "--db", store).exit_code == 0
    return store


@pytest.fixture
def store(indexed: Path, mirror: Mirror, tmp_path: Path) -> Path:
    """A copy of it, where `mirror` runs."""
    shutil.copyfile(indexed, tmp_path / "mirror.db")
    return Path("mirror.db")


@contextmanager
def _writing(store: Path) -> Iterator[None]:
    """Another process is in the middle of a transaction."""
    with closing(sqlite3.connect(store, isolation_level=None)) as conn:
        conn.execute("BEGIN IMMEDIATE")
        yield
        conn.execute("ROLLBACK")


# find ----------------------------------------------------------------------------------------


def test_find_prints_hits_for_scripts(store: Path, mirror: Mirror) -> None:
    """One a line, and nothing else on stdout."""
    ran = mirror("find", "1309.3741", "--json")
    expected = {"pith_number": NUMBER, "arxiv_id": "1309.3741", "version": 1,
                "receipt_verified": True, "title": "", "title_proved": False,
                "title_origin": "", "matched_by": "id",
                "excerpt": "", "cited_by": 0, "cites": 0}  # fmt: skip
    assert (0, [expected], "") == (ran.exit_code, ran.lines, ran.stderr)
    assert ["title hash"] == [hit["matched_by"] for hit in mirror("find", TITLE, "--json").lines]
    (hit, *_) = mirror("find", "holograph*", "bookkeeping", "--json").lines
    assert (1, 1) == (hit["cited_by"], hit["cites"])
    assert ("text", hit["title"]) == (hit["matched_by"], hit["excerpt"])
    assert "Boundary terms in a toy model of holographic bookkeeping" == hit["title"]


def test_find_prints_hits_for_people(store: Path, mirror: Mirror) -> None:
    """Number, id, the reason of the match, and the receipt."""
    text = mirror("find", TITLE).stdout.decode()
    assert (
        f"{NUMBER}  arXiv:1309.3741v1  by title hash  verified receipt from a trusted key\n" == text
    )
    text = mirror("find", "1705.09786").stdout.decode()
    assert "by id  no verified receipt from a trusted key" in text
    text = mirror("find", '"lemma 2 lacks"').stdout.decode()
    assert "\n    Boundary terms in a toy model" in text
    assert "Lemma 2 lacks a case" in text
    assert "\n    by signed citations: cites 1 record, cited by 1 work\n" in text
    assert "\x1b" not in text


def test_nothing_found_is_exit_1(store: Path, mirror: Mirror) -> None:
    """With a message on stderr."""
    ran = mirror("find", "zyxwvut", "--json")
    assert (1, b"", "nothing was found\n") == (ran.exit_code, ran.stdout, ran.stderr)


def test_a_reached_limit_is_reported(store: Path, mirror: Mirror) -> None:
    """There is more than what is shown."""
    ran = mirror("find", "hep-th", "--limit", "2", "--json")
    assert (0, 2, True) == (ran.exit_code, len(ran.lines), "more records match" in ran.stderr)
    for limit in ("0", "1001", "x"):
        assert mirror("find", "x", "--limit", limit).exit_code == 2


def test_merged_records_are_found_at_once(sample_store: SampleStore, mirror: Mirror) -> None:
    """The index follows by itself, merges and keys alike."""
    sample_store(PITH)
    assert mirror("find", "holographic").exit_code == 1
    mirror("merge", DEMO)
    assert mirror("find", "holographic").exit_code == 1
    mirror("keys", "add", KEYS)
    assert mirror("find", "holographic").exit_code == 0
    assert [] == [line for line in mirror("find", "x").stderr.splitlines() if "note" in line]


def test_a_locked_store_is_searched_with_the_index_that_it_has(
    new_store: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the index lacks is counted; names need no index."""
    monkeypatch.setattr("mirror.cli.record_search.WAIT_S", 0.01)
    with _writing(new_store):
        ran = mirror("find", "1309.3741")
        assert (0, True) == (
            ran.exit_code,
            f"{PITH_RECORDS + DEMO_RECORDS} records not indexed yet" in ran.stderr,
        )
        ran = mirror("identify", "--title", TITLE)
        assert (1, True) == (
            ran.exit_code,
            f"{PITH_RECORDS + DEMO_RECORDS} records not indexed yet" in ran.stderr,
        )
    assert mirror("identify", "--title", TITLE).exit_code == 0
    with _writing(new_store):
        ran = mirror("find", TITLE)
        assert (0, "") == (ran.exit_code, ran.stderr)


def test_a_missing_store_is_an_error(mirror: Mirror) -> None:
    """None is made by searching."""
    for words in (["find", "x"], ["identify", "--title", "x"], ["identify", "--metadata", "x"]):
        ran = mirror(*words)
        assert (4, True) == (ran.exit_code, "store.absent" in ran.stderr)
    assert not Path("mirror.db").exists()


def test_a_damaged_record_is_named(store: Path, mirror: Mirror) -> None:
    """What is not as it was written is not shown; the others are found."""
    mirror("find", "x")
    with closing(sqlite3.connect(store, isolation_level=None)) as conn:
        conn.execute("UPDATE record SET value = x'00' WHERE source_id = 'hep-th/9901234'")
    ran = mirror("find", '"lemma 2 lacks"')
    assert (4, True) == (ran.exit_code, "store.damaged" in ran.stderr)
    assert mirror("find", TITLE).exit_code == 0


@pytest.mark.parametrize(
    "query",
    ['"', '"a', "*", "AND", "a OR", "NEAR(", "'; DROP TABLE record;--", "\x00", "\u202ea",
     "names:hep", "-- ", "a " * 5_000, '" "', "\\", ""],
    ids=range(15),
)  # fmt: skip
def test_a_query_is_never_an_error(query: str, store: Path, mirror: Mirror) -> None:
    """0 or 1, and no hint of SQL."""
    ran = mirror("find", "--", query)
    assert ran.exit_code in {0, 1}
    assert "error" not in ran.stderr


def test_a_query_that_is_not_utf8_gives_no_traceback(store: Path, mirror_process: Mirror) -> None:
    """As a shell hands it over."""
    word = os.fsdecode(b"\xff\xfe")
    for words in (
        ["find", word],
        ["identify", "--title", word],
        ["identify", "--title", f"@{word}"],
    ):
        ran = mirror_process(*words)
        assert ran.exit_code in {1, 3}
        assert "Traceback" not in ran.stderr


def test_texts_of_records_are_escaped_on_the_terminal(mirror: Mirror, tmp_path: Path) -> None:
    """Control and direction characters in titles, ids and texts are shown by their code."""
    signer = Signer("author")
    record = make_record(arxiv_id="2401.1\n\x1b[31m\u202e")
    title = "zyx\x1b[2J\u202ekcab"
    graph = {"graph_snapshot": {"paper": {"title": title}}}
    event = make_event(record, signer, "graph_snapshot", graph)
    (tmp_path / "keys.json").write_bytes(key_set_file(signer))
    (tmp_path / "bundle.json").write_bytes(to_json(make_bundle(record, [event])))
    mirror("merge", "bundle.json", "--keys", "keys.json")
    text = mirror("find", "zyx*").stdout.decode()
    assert 4 == len(text.splitlines())
    assert not {"\x1b", "\u202e"} & set(text)
    assert title == mirror("find", "zyx*", "--json").lines[0]["title"]


# identify ------------------------------------------------------------------------------------


def test_identify_says_what_matches(store: Path, mirror: Mirror) -> None:
    """For scripts and for people."""
    ran = mirror("identify", "--title", TITLE, "--abstract", "x", "--json")
    expected = {
        "pith_number": NUMBER, "arxiv_id": "1309.3741", "version": 1, "receipt_verified": True,
        "matches": False,
        "title": {"matches": True, "variant": "as given", "confirmed": True},
        "abstract": {"matches": False, "variant": "", "confirmed": True},
    }  # fmt: skip
    assert (1, [expected], "") == (ran.exit_code, ran.lines, ran.stderr)
    ran = mirror("identify", "--title", TITLE.replace("automated", "auto-\nmated"))
    text = ran.stdout.decode()
    assert "title        matches, hyphens at line ends: none kept (confirmed)" in text
    assert ran.exit_code == 0
    ran = mirror("identify", "--title", TITLE, "--abstract", "ä")
    assert "abstract     differs from what was recorded (unconfirmed" in ran.stdout.decode()


def test_real_papers_are_identified(store: Path, mirror: Mirror) -> None:
    """From files and standard input."""
    for paper in lines("real/signed_records.jsonl")[:3]:
        Path("title.txt").write_text(paper["title"])
        words = ["--title", "@title.txt", "--abstract", "-", "--json"]
        ran = mirror("identify", *words, stdin=paper["abstract"].encode())
        assert [paper["pith_number"]] == [line["pith_number"] for line in ran.lines]
        assert (0, True) == (ran.exit_code, ran.lines[0]["abstract"]["matches"])


def test_an_unknown_paper_is_exit_1(store: Path, mirror: Mirror) -> None:
    """With a message on stderr."""
    ran = mirror("identify", "--title", "nobody wrote this", "--json")
    assert (1, b"") == (ran.exit_code, ran.stdout)
    assert "no record has that title" in ran.stderr
    ran = mirror("identify", "--title", TITLE, "--arxiv", "9999.99999")
    assert (1, True) == (ran.exit_code, "no record has that arXiv id" in ran.stderr)
    ran = mirror("identify", "--title", TITLE, "--arxiv", "1309.3741v1")
    assert ran.exit_code == 0


@pytest.mark.parametrize(
    "words",
    [[], ["--arxiv", "1309.3741"], ["--title", "-", "--abstract", "-"],
     ["--metadata", "x", "--title", "y"], ["--metadata", "x", "--arxiv", "y"]],
)  # fmt: skip
def test_invalid_arguments_are_a_usage_error(words: list[str], mirror: Mirror) -> None:
    """Exit 2, and what is asked for."""
    assert mirror("identify", *words).exit_code == 2


@pytest.mark.parametrize("text", ["@absent", "@.", "@", "@a\x00", "@latin1"])
def test_an_unreadable_text_is_an_error(text: str, store: Path, mirror: Mirror) -> None:
    """Exit 3, by its path."""
    Path("latin1").write_bytes("é".encode("latin-1"))
    ran = mirror("identify", "--title", text)
    assert (3, True) == (ran.exit_code, "source.unreadable" in ran.stderr)


def _dump(*papers: dict[str, Any]) -> bytes:
    return b"".join(to_json(paper) + b"\n" for paper in papers)


def _paper(arxiv_id: str, title: str, abstract: str = "x") -> dict[str, Any]:
    return {"id": arxiv_id, "title": title, "abstract": abstract, "versions": [{"version": "v1"}]}


def test_a_dump_is_checked_line_by_line(store: Path, mirror: Mirror) -> None:
    """JSON Lines on stdout; bad lines and the summary on stderr."""
    text = _dump(_paper("1309.3741", TITLE), _paper("0000.0001", "a")) + b"junk\n"
    ran = mirror("identify", "--metadata", "-", "--json", stdin=text)
    assert [
        {
            "arxiv_id": "1309.3741",
            "pith_number": NUMBER,
            "status": "abstract_differs",
            "version": 1,
        },
        {"arxiv_id": "0000.0001", "pith_number": None, "status": "missing", "version": None},
    ] == ran.lines
    assert ran.exit_code == 1
    assert "line 3: json.syntax" in ran.stderr
    assert "bad lines         1" in ran.stderr
    Path("dump.gz").write_bytes(gzip.compress(text))
    ran = mirror("identify", "--metadata", "dump.gz")
    assert f"abstract_differs: 1309.3741 ({NUMBER}, version 1)" in ran.stderr
    assert "abstract differs  1\n" in ran.stdout.decode()
    assert "missing           1\n" in ran.stdout.decode()


def test_a_dump_that_matches_is_exit_0(mirror: Mirror, tmp_path: Path) -> None:
    """Papers that the store lacks are counted, and are no mismatch."""
    (tmp_path / "bundle.json").write_bytes(to_json(make_bundle(make_record("T", "A"))))
    mirror("merge", "bundle.json")
    text = _dump(_paper("2401.00001", "t", "a"), _paper("2401.00002", "t", "a"))
    assert mirror("identify", "--metadata", "-", stdin=text).exit_code == 0
    assert mirror("identify", "--metadata", "-", stdin=text + b"{}\n").exit_code == 1
    assert mirror("identify", "--metadata", "-", stdin=b"").exit_code == 0


def test_proved_texts_are_stored_with_keep(store: Path, mirror: Mirror) -> None:
    """The summary counts them, JSON names them, and a search shows where the title is from."""
    text = _dump({"id": "1309.3741", "title": TITLE}, {"id": "1309.3741", "title": "another"})
    Path("dump.jsonl").write_bytes(text)
    before = time_text(datetime.now(UTC), microseconds=True)
    ran = mirror("identify", "--metadata", "dump.jsonl", "--keep")
    assert ran.exit_code == 1
    assert "titles kept       1\nabstracts kept    0\nnot kept          0\n" in ran.stdout.decode()
    ran = mirror("identify", "--metadata", "dump.jsonl", "--keep", "--json")
    assert [([], [])] * 2 == [(one["kept"], one["not_kept"]) for one in ran.lines]
    (hit,) = mirror("find", "automated NLO", "--json").lines
    assert (TITLE, True) == (hit["title"], hit["title_proved"])
    assert hit["title_origin"].startswith("proved by its digest, read from dump.jsonl on ")
    ran = mirror("find", "automated NLO")
    assert (
        f"{TITLE}\n    title proved by its digest, read from dump.jsonl on " in ran.stdout.decode()
    )
    shown = mirror("show", "1309.3741").stdout.decode()
    assert f"title              {TITLE}\n" in shown
    assert "                   (proved by its digest, read from dump.jsonl on " in shown
    assert TITLE not in mirror("show", "1309.3741", "--at", before).stdout.decode()
    assert {"title": 1} == mirror("status", "--json").lines[0]["proved_texts"]
    assert "proved texts   titles 1\n" in mirror("status").stdout.decode()
    assert mirror("check").exit_code == 0
    assert mirror("identify", "--title", TITLE, "--keep").exit_code == 2


def test_a_text_that_is_not_stored_is_named(mirror: Mirror, tmp_path: Path) -> None:
    """Nothing that was left out is exit 0."""
    (tmp_path / "bundle.json").write_bytes(to_json(make_bundle(make_record("a\u202eb", "A"))))
    mirror("merge", "bundle.json")
    text = _dump(_paper("2401.00001", "a\u202eb", "a"))
    ran = mirror("identify", "--metadata", "-", "--keep", "--json", stdin=text)
    (line,) = ran.lines
    assert (1, "match", ["title"]) == (ran.exit_code, line["status"], line["not_kept"])
    assert ["abstract"] == [one["kind"] for one in line["kept"]]
    assert "title not kept: 2401.00001: it has characters that do not print" in ran.stderr


def test_mismatches_after_the_first_twenty_are_counted(store: Path, mirror: Mirror) -> None:
    """A person sees the first twenty; `--json` names each."""
    text = _dump(*[_paper("1309.3741", f"{number}") for number in range(30)]) + b"x\n" * 30
    ran = mirror("identify", "--metadata", "-", stdin=text)
    assert 21 == len(ran.stderr.splitlines())
    assert "… and 40 more; --json prints all of them" in ran.stderr
    ran = mirror("identify", "--metadata", "-", "--json", stdin=text)
    assert 30 == len(ran.lines)
    assert 30 == ran.stderr.count("json.syntax")


def test_a_full_disk_is_an_error_of_the_output_and_not_of_the_dump(
    store: Path, mirror_process: Mirror, program: Path, tmp_path: Path
) -> None:
    """Exit 3 either way, and the right thing is named."""
    (tmp_path / "dump").write_bytes(_dump(*[_paper("1309.3741", "x")] * 10))
    ran = mirror_process("identify", "--metadata", "absent")
    assert (3, True) == (ran.exit_code, "source.unreadable at absent" in ran.stderr)
    command = f"{program} identify --metadata dump --json >/dev/full"
    done = subprocess.run(
        ["bash", "-c", command],  # noqa: S607
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert (3, True) == (done.returncode, b"output.failed" in done.stderr)


def test_both_work_on_a_terminal(store: Path, terminal: Terminal, tmp_path: Path) -> None:
    """With progress, and what matched in bold."""
    shown = terminal("find", '"toy model"')
    assert (0, True) == (shown.exit_code, "\x1b[1mtoy model\x1b[0m" in shown.text)
    (tmp_path / "dump").write_bytes(_dump(*[_paper("1309.3741", TITLE)] * 250))
    shown = terminal("identify", "--metadata", "dump")
    assert (1, True) == (shown.exit_code, "abstract differs  250" in shown.text)
