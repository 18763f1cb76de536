"""`mirror evidence`: writes a file, and checks it without a store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import BUNDLES, Mirror
from tests.cli.every_command import ID


def test_a_file_is_written_and_checked(mirror: Mirror, tmp_path: Path) -> None:
    """A changed page, and a changed document, exit with 1."""
    mirror("merge", str(BUNDLES / "demo.tar"))
    path = tmp_path / "evidence.html"
    written = json.loads(mirror("evidence", ID, str(path), "--json").stdout)
    assert written["bytes"] == path.stat().st_size < 300_000
    checked = mirror("evidence", "--check", str(path), "--json")
    assert checked.exit_code == 0
    assert json.loads(checked.stdout)["page_is_unchanged"]
    assert b"whom you must still trust" in mirror("evidence", "--check", str(path)).stdout
    path.write_bytes(path.read_bytes().replace(b"Evidence of", b"Truth about"))
    assert mirror("evidence", "--check", str(path)).exit_code == 1


def test_a_file_that_could_not_be_checked_is_not_written(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror("merge", str(BUNDLES / "demo.tar"))
    monkeypatch.setattr("mirror.cli.evidence._MOST_BYTES", 1000)
    refused = mirror("evidence", ID, str(tmp_path / "evidence.html"))
    assert refused.exit_code != 0
    assert "limit.size" in refused.stderr
    assert not (tmp_path / "evidence.html").exists()


def test_incomplete_or_contradictory_arguments_are_a_usage_error(
    mirror: Mirror, tmp_path: Path
) -> None:
    for arguments in ((), (ID,), (ID, "--check", "x")):
        assert mirror("evidence", *arguments).exit_code == 2
