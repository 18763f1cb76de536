"""Folders of Parquet and JSON Lines: that they are the copy, whole or not at all."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from mirror.core.keys import parse_key_set
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.trust import add_keys
from mirror.engine.tables import folder as folders
from mirror.engine.tables import table_files
from mirror.engine.tables.copy import beside
from mirror.engine.tables.folder import ABOUT, write_folder
from mirror.engine.tables.schema import TABLES
from mirror.engine.tables.table_files import FORMS
from mirror.errors import OutputError
from mirror.store import Store, open_store
from tests.helpers import BUNDLES

SOURCES = [BUNDLES / "demo.tar", *sorted((BUNDLES / "invalid").glob("event.*y.json"))]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store of the demo bundle, with its keys, and of some invalid events."""
    folder = tmp_path_factory.mktemp("store")
    with open_store(folder / "mirror.db") as opened:
        add_keys(opened, parse_key_set((BUNDLES / "demo-keys.json").read_bytes()))
        ingest(opened, ReadRequest([str(one) for one in SOURCES], lambda _finding: None))
        yield opened


def write(store: Store, folder: Path, form: str) -> None:
    """Write the tables of a store."""
    result = write_folder(store, folder, form)
    assert (result.path, result.records_changed) == (folder, result.origin.records)


def rows_of_copy(store: Store, table: str) -> list[dict[str, Any]]:
    """Return all rows of a table of the copy beside a store."""
    assert store.path is not None
    with closing(sqlite3.connect(beside(store.path))) as conn:
        conn.row_factory = sqlite3.Row
        key = ", ".join(next(one.primary_key for one in TABLES if one.name == table))
        query = f"SELECT * FROM {table} ORDER BY {key}"  # noqa: S608
        return [dict(one) for one in conn.execute(query)]


def about(folder: Path) -> dict[str, Any]:
    """Return the origin of a folder."""
    value: dict[str, Any] = json.loads((folder / ABOUT).read_bytes())
    return value


def test_json_lines_are_the_rows_of_the_copy(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every table, row by row, with every column, null as null; in batches of any length."""
    monkeypatch.setattr(folders, "_BATCH_CHARACTERS", 700)
    write(store, tmp_path / "out", "jsonl")
    names = {one.name for one in (tmp_path / "out").iterdir()}
    assert names == {ABOUT, *(f"{one.name}.jsonl" for one in TABLES)}
    for table in TABLES:
        text = (tmp_path / "out" / f"{table.name}.jsonl").read_bytes()
        found = [orjson.loads(line) for line in text.splitlines()]
        assert found == rows_of_copy(store, table.name)
        columns = [one.name for one in table.all_columns]
        assert [one for one in found if [*one] != columns] == []


def test_parquet_is_the_rows_of_the_copy(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every table, row by row, in any number of row groups; types, NULL and metadata follow."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    monkeypatch.setattr(folders, "_BATCH", 7)
    monkeypatch.setattr(table_files, "_GROUP_ROWS", 20)
    write(store, tmp_path, "parquet")
    root = about(tmp_path)["root"]
    for table in TABLES:
        with parquet.ParquetFile(tmp_path / f"{table.name}.parquet") as file:
            assert file.read().to_pylist() == rows_of_copy(store, table.name)
            schema, groups = file.schema_arrow, file.num_row_groups
            assert (groups > 1) == (file.metadata.num_rows > 20)
        types = {"TEXT": "string", "INTEGER": "int64"}
        assert [(one.name, str(one.type), one.nullable) for one in schema] == [
            (one.name, types[one.type], not one.is_required) for one in table.all_columns
        ]
        known = {name.decode(): value.decode() for name, value in schema.metadata.items()}
        assert (known["meaning"], known["root"]) == (table.meaning, root)
        assert {"key_set_digest", "known_by"} <= known.keys()
        assert [one.metadata[b"meaning"].decode() for one in schema] == [
            one.meaning for one in table.all_columns
        ]


def test_an_older_folder_is_replaced(store: Store, tmp_path: Path) -> None:
    """Also one of the other form, or of another version of these tables; and an empty folder."""
    out = tmp_path / "out"
    out.mkdir(mode=0o750)
    write(store, out, "jsonl")
    assert out.stat().st_mode & 0o777 == 0o750
    changed = {**about(out), "format": "0", "store": "another"}
    (out / ABOUT).write_text(json.dumps(changed))
    (out / "records.jsonl").unlink()
    (out / "texts.parquet").touch()
    write(store, out, "jsonl")
    assert {one.suffix for one in out.iterdir()} == {".jsonl", ".json"}
    assert (out / "records.jsonl").exists()
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


def test_a_link_is_followed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    write(store, tmp_path / "link", "jsonl")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / ABOUT).exists()


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"letter.txt": ""}, "output.exists"),
        ({ABOUT: "{}"}, "output.refused"),
        ({ABOUT: "not JSON"}, "output.refused"),
        ({ABOUT: '{"made_by": "mirror tables"}', "letter.txt": ""}, "output.refused"),
    ],
)
def test_a_folder_of_something_else_is_refused(
    store: Store, tmp_path: Path, files: dict[str, str], code: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(OutputError) as error:
        write(store, tmp_path, "jsonl")
    assert error.value.code == code
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == files


def test_a_file_and_the_folder_of_the_store_are_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"output\.exists.*it is a file"):
        write(store, tmp_path / "file", "jsonl")
    assert store.path is not None
    with pytest.raises(OutputError, match=r"output\.refused.*reads a file in it"):
        write(store, store.path.parent, "jsonl")


def test_the_folder_of_another_store_is_refused(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(store, out, "jsonl")
    before = (out / ABOUT).read_bytes()
    with open_store(tmp_path / "other.db") as other:
        source = str(BUNDLES / "invalid" / "event.id.json")
        ingest(other, ReadRequest([source], lambda _finding: None))
        with pytest.raises(OutputError, match="copy of another store"):
            write(other, out, "jsonl")
    assert (out / ABOUT).read_bytes() == before


@pytest.mark.parametrize("form", FORMS)
def test_an_interrupted_run_leaves_the_old_folder(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    out = tmp_path / "out"
    write(store, out, form)
    before = {one.name: one.read_bytes() for one in out.iterdir()}

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    for name in ("_sync", "_check"):
        with monkeypatch.context() as patch:
            real = getattr(folders, name)
            seen: list[object] = []

            def second(*args: object, real: Any = real, seen: list[object] = seen) -> Any:
                seen.append(args)
                return stop() if len(seen) == 2 else real(*args)

            patch.setattr(folders, name, second)
            with pytest.raises(KeyboardInterrupt):
                write(store, out, form)
    assert {one.name: one.read_bytes() for one in out.iterdir()} == before
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


def test_a_rename_that_fails_gives_the_old_folder_its_name_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    write(store, out, "jsonl")
    before, rename = about(out), Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputError, match=r"output\.failed.*No space"):
        write(store, out, "jsonl")
    assert about(out) == before
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


def test_parquet_without_its_library_is_a_clear_error(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(OutputError, match=r"tables\.missing") as error:
        write(store, tmp_path / "out", "parquet")
    assert "pip install 'pith-mirror[tables]'" in error.value.hint
    assert not (tmp_path / "out").exists()
