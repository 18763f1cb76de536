"""`mirror merge --cluster`, as a person meets it; what it computes is tested in tests/cluster."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.cli.conftest import BUNDLES, Mirror

DEMO, KEYS = BUNDLES / "demo.tar", BUNDLES / "demo-keys.json"
INVALID = BUNDLES / "invalid" / "event.id.json"

PACKAGES = ("dask", "distributed", "fsspec", "pandas", "pyarrow")

HIDING = f"""
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {PACKAGES!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hide())
for name in {PACKAGES!r}:
    sys.modules[name] = None
"""
"""A Python in which these are not installed."""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cluster", "local", DEMO], "--cluster needs --out"),
        (["--cluster", "local", "--out", "o", "-"], "reads no standard input"),
        (["--cluster", "local", "--out", "o", "--in-memory", DEMO], "there is no store"),
        (["--workers", "2", DEMO], "need --cluster"),
        (["--worker-memory", "1GiB", DEMO], "need --cluster"),
        (["--prefix-digits", "2", DEMO], "need --cluster"),
        (["--cluster", "tcp://127.0.0.1:1", "--workers", "2", "--out", "o", DEMO], "for --cluster"),
        (["--cluster", "local", "--prefix-digits", "5", "--out", "o", DEMO], "1<=x<=4"),
        (["--out", KEYS, DEMO], "is a file"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    mirror: Mirror, arguments: list[object], message: str
) -> None:
    """Exit 2, before anything is read or written."""
    ran = mirror("merge", *arguments)
    assert (2, b"") == (ran.exit_code, ran.stdout)
    assert message in ran.stderr
    assert list(Path.cwd().iterdir()) == []


def test_findings_and_the_root_are_told(mirror: Mirror) -> None:
    """Exit 1; one line of JSON on stdout, the table on stderr; the root that a store has."""
    sources = (DEMO, INVALID, "--keys", KEYS)
    plain = mirror("merge", *sources)
    root = orjson.loads(mirror("root", "--json").stdout)
    Path("mirror.db").unlink()
    cluster = ("--cluster", "local", "--workers", "1", "--out", "out")
    ran = mirror("merge", *sources, *cluster, "--json")
    (told,) = ran.lines
    assert (plain.exit_code, root) == (ran.exit_code, {name: told[name] for name in root})
    assert re.search(r"^findings +1 finding, each in out/findings$", ran.stderr, re.MULTILINE)
    assert re.search(rf"^root +{told['root']}$", ran.stderr, re.MULTILINE)
    assert told == orjson.loads(Path("out", "dataset.json").read_bytes())
    again = mirror("merge", *sources, *cluster)
    assert (ran.exit_code, True) == (again.exit_code, told["root"].encode() in again.stdout)


def test_a_source_that_is_not_there(mirror: Mirror) -> None:
    """Exit 3, as on one machine; what else there is was merged."""
    ran = mirror("merge", "none", DEMO, "--keys", KEYS, "--cluster", "local", "--out", "out")
    assert ran.exit_code == 3
    assert b"1 could not be read" in ran.stdout
    assert re.search(rb"^records +8, 2 equivocations$", ran.stdout, re.MULTILINE)


def test_the_keys_of_the_store_are_trusted(mirror: Mirror) -> None:
    """And those of --keys; the store itself is only read."""
    assert mirror("keys", "add", KEYS).exit_code == 0
    before = Path("mirror.db").read_bytes()
    ran = mirror("merge", DEMO, "--cluster", "local", "--workers", "1", "--out", "out", "--json")
    assert (0, 83) == (ran.exit_code, ran.lines[0]["summary"]["events_valid"])
    assert before == Path("mirror.db").read_bytes()


def python(tmp_path: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run a program in an empty folder."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )


def mirror_without_dask(tmp_path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command where none of the packages of a cluster is installed."""
    words = [str(one) for one in arguments]
    return python(tmp_path, f"{HIDING}\nfrom mirror.cli import main; main({words!r})")


def test_the_base_install_needs_no_dask(tmp_path: Path) -> None:
    """Everything else works without it; --cluster says what is missing, and what to do."""
    ran = mirror_without_dask(tmp_path, "merge", DEMO, "--keys", KEYS)
    assert (0, "") == (ran.returncode, ran.stderr)
    assert "--cluster" in mirror_without_dask(tmp_path, "merge", "--help").stdout
    ran = mirror_without_dask(tmp_path, "merge", DEMO, "--cluster", "local", "--out", "out")
    assert (5, "") == (ran.returncode, ran.stdout)
    assert (
        "cluster.missing: not installed: dask, distributed, fsspec, pandas, pyarrow" in ran.stderr
    )
    assert "pip install 'pith-mirror[cluster]'" in ran.stderr


def test_no_command_loads_dask_before_it_is_asked_for(tmp_path: Path) -> None:
    """It takes a second, and nearly nobody needs it; sqlite-utils loads pandas by itself."""
    code = "import sys, mirror.cli; print([one for one in {!r} if one in sys.modules])"
    assert python(tmp_path, code.format(PACKAGES[:3])).stdout == "[]\n"
