"""`mirror tables`: what it prints, and how it is used wrongly."""

from __future__ import annotations

import orjson

from tests.cli.conftest import BUNDLES, Mirror


def test_tables_reports_what_was_written(mirror: Mirror) -> None:
    """New, unchanged, brought up to date; a folder is always written whole."""
    mirror("merge", BUNDLES / "invalid" / "event.id.json")
    root = mirror("root", "--json").lines[0]["root"]
    first = mirror("tables", "out.db")
    assert b"all rows written: 1 record\n" in first.stdout
    assert root.encode() in first.stdout
    assert b"nothing changed" in mirror("tables", "out.db").stdout
    mirror("merge", BUNDLES / "pith.tar")
    assert b"brought up to date: 90 changed records\n" in mirror("tables", "out.db").stdout
    for _ in range(2):
        (said,) = mirror("tables", "folder", "--format", "jsonl", "--json").lines
        assert (said["records"], said["records_changed"], said["is_new"]) == (91, 91, True)
    assert said["root"] == mirror("root", "--json").lines[0]["root"]


def test_metadata_is_of_the_file(mirror: Mirror) -> None:
    """It is the only output, under the name that Datasette gives the file."""
    mirror("merge", BUNDLES / "invalid" / "event.id.json")
    metadata = orjson.loads(mirror("tables", "my.registry.db", "--metadata").stdout)
    assert [*metadata["databases"]] == ["my.registry"]
    ran = mirror("tables", "folder", "--format", "jsonl", "--metadata")
    assert (ran.exit_code, "leave out --format" in ran.stderr) == (2, True)


def test_the_wrong_kind_of_output_is_refused(mirror: Mirror) -> None:
    mirror("merge", BUNDLES / "invalid" / "event.id.json")
    mirror("tables", "out.db")
    mirror("tables", "folder", "--format", "jsonl")
    for arguments in (("folder",), ("out.db", "--format", "jsonl"), ("mirror.db",)):
        ran = mirror("tables", *arguments)
        assert (ran.exit_code, ran.stdout) == (3, b"")
        assert ran.stderr.startswith("error: output.")
