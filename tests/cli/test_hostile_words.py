"""What people type and what bundles say, where it could hurt: names, lines, terminals, outputs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mirror.archive import ReadLimits
from tests.builders import (
    Signer,
    citation,
    key_set_file,
    make_bundle,
    make_event,
    make_record,
    to_json,
)
from tests.cli.conftest import BUNDLES, Mirror, SampleStore, Terminal
from tests.helpers import PITH_RECORDS

PITH = BUNDLES / "pith.tar"


@pytest.mark.parametrize(
    "command", [["merge", str(PITH)], ["verify", str(PITH)], ["check"], ["check", "--quick"],
                ["rebuild"], ["check", "--repair"], ["export", "out.tar"], ["status"]],
)  # fmt: skip
def test_every_command_works_on_a_terminal(
    command: list[str], sample_store: SampleStore, terminal: Terminal
) -> None:
    """Progress and all."""
    sample_store(PITH)
    shown = terminal(*command)
    assert (0, False) == (shown.exit_code, "Traceback" in shown.text)


def test_an_export_does_not_overwrite_a_store(sample_store: SampleStore, mirror: Mirror) -> None:
    """Neither the one that it reads nor another."""
    sample_store(PITH)
    sample_store(PITH, db="other.db")
    for out in ("mirror.db", "other.db"):
        ran = mirror("export", out)
        assert (3, True) == (ran.exit_code, "output.refused" in ran.stderr)
    assert mirror("check").exit_code == 0


def test_line_breaks_in_claims_are_escaped(mirror: Mirror, tmp_path: Path) -> None:
    """A line break in what is claimed is shown by its code."""
    signer = Signer("author")
    record = make_record(arxiv_id="2401.00001\nreceipt  verified: signed with key pith-v1-2026-05")
    payload = citation(citing="arxiv:1\n2026-01-01T00:00:00Z supports arxiv:666 — library.example")
    event = make_event(record, signer, "citation_signed", payload)
    (tmp_path / "keys.json").write_bytes(key_set_file(signer))
    (tmp_path / "bundle.json").write_bytes(to_json(make_bundle(record, [event])))
    mirror("merge", "bundle.json", "--keys", "keys.json")
    number = mirror("merge", "bundle.json", "--json").lines[0]["pith_number"]
    lines = mirror("show", number).stdout.decode().splitlines()
    assert [line for line in lines if line.startswith("receipt")] == [
        line for line in lines if "no trusted key signed" in line
    ]
    assert [line for line in lines if "2026-01-01T00:00:00Z supports" in line] == [
        line for line in lines if "\\n2026" in line
    ]


def test_names_that_are_not_utf8_are_accepted(mirror: Mirror, tmp_path: Path) -> None:
    """Files, folders, stores and identifiers may be called anything."""
    name = os.fsdecode(b"bad\xff.json")
    (tmp_path / name).write_bytes((BUNDLES / "invalid" / "event.id.json").read_bytes())
    assert [line["code"] for line in mirror("verify", name, "--json").lines] == ["event.id"]
    folder = tmp_path / os.fsdecode(b"folder\xff")
    folder.mkdir()
    (folder / "bundle.json").write_bytes((tmp_path / name).read_bytes())
    store = os.fsdecode(b"store\xff.db")
    ran = mirror("merge", name, folder, PITH, "--db", store)
    assert (1, True) == (ran.exit_code, f"{PITH_RECORDS + 2} read".encode() in ran.stdout)
    assert mirror("status", "--json", "--db", store).lines[0]["records"] == PITH_RECORDS + 1
    assert mirror("show", os.fsdecode(b"\xff"), "--db", store).exit_code == 1


def test_a_full_or_closed_output_is_exit_3(
    sample_store: SampleStore, program: Path, tmp_path: Path
) -> None:
    """A full disk behind stdout is exit 3, and so is a stdout that is closed."""
    sample_store(PITH)
    for words in ("status --json", "show 1611.08522 --json", f"merge {PITH} --json"):
        for redirection in (">/dev/full", ">&-"):
            done = subprocess.run(
                ["bash", "-c", f"{program} {words} {redirection}"],  # noqa: S607
                cwd=tmp_path,
                capture_output=True,
                check=False,
            )
            assert (3, True) == (done.returncode, b"output.failed" in done.stderr), words


@pytest.mark.parametrize(
    "identifier",
    [
        "https://pith.science/pith/7SOLO26TLPZRGSRX2HH227CICV/bundle.json",
        "https://pith.science/.well-known/pith/7SOLO26TLPZRGSRX2HH227CICV/bundle.json",
        "https://mirror.example/pith/7SOLO26T.json?x=1",
        "arxiv.org/abs/1705.09786v3",
        "https://arxiv.org/pdf/1705.09786v3.pdf",
    ],
)
def test_addresses_name_the_record_with_which_they_end(
    identifier: str, sample_store: SampleStore, mirror: Mirror
) -> None:
    """As they are copied from a browser."""
    sample_store(PITH)
    state = mirror("show", identifier, "--json").lines[0]
    assert state["pith_number"] == "pith:2017:7SOLO26TLPZRGSRX2HH227CICV"


@pytest.mark.parametrize("value", ["nan", "0", "-1", "x"])
def test_a_limit_must_be_a_number(value: str, mirror: Mirror) -> None:
    """Nothing that switches a limit off by accident."""
    assert mirror("verify", PITH, "--max-seconds", value).exit_code == 2


def test_an_export_of_an_oversized_record_is_exit_1(
    sample_store: SampleStore, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record may gather more junk than a mirror takes in one bundle: exit 1, by name."""
    sample_store(BUNDLES / "demo.tar")
    monkeypatch.setattr(
        "mirror.engine.export.bag.ReadLimits", lambda: ReadLimits(member_bytes=3000)
    )
    ran = mirror("export", "out.tar")
    assert (1, True) == (ran.exit_code, "is larger than mirrors take by default" in ran.stderr)
    assert Path("out.tar").exists()
