"""`mirror merge --cluster`, as a person meets it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from mirror.core.keys import KeySet, parse_key_set
from tests.builders import Signer, key_set_file
from tests.cli.conftest import BUNDLES, Mirror, Ran
from tests.cluster.processes import MIRROR, Cluster, running_cluster, started

DEMO, KEYS = BUNDLES / "demo.tar", BUNDLES / "demo-keys.json"

TABLE = [
    "bundles", "events", "receipts", "records", "new", "states", "root", "key set digest",
]  # fmt: skip


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler and a worker."""
    with running_cluster(tmp_path_factory.mktemp("cluster"), workers=1) as cluster:
        yield cluster


def rows(text: str) -> dict[str, str]:
    """A table."""
    lines = [re.split("  +", line, maxsplit=1) for line in text.splitlines()]
    return {name: value for name, value in lines}  # noqa: C416 - the pairs are checked


def merge(mirror: Mirror, cluster: Cluster, *arguments: object, out: str = "out") -> Ran:
    """Merge on it."""
    return mirror("merge", *arguments, "--cluster", cluster.address, "--out", out)


# What is said --------------------------------------------------------------------------------


def said_by(ran: Ran) -> str:
    """The lines on stderr, but for the warnings about the demo keys."""
    lines = ran.stderr.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("warning: key demo-"))


def test_output_is_a_table(mirror: Mirror, cluster: Cluster) -> None:
    """On stdout, and where to watch the work on stderr; no store is written."""
    ran = merge(mirror, cluster, DEMO, "--keys", KEYS)
    shown = rows(ran.stdout.decode())
    assert (0, TABLE) == (ran.exit_code, list(shown))
    assert ("9 read, 0 refused", "out") == (shown["bundles"], shown["states"])
    assert re.fullmatch(r"dashboard: http://127\.0\.0\.1:\d+/status\n", said_by(ran))
    assert ["out"] == os.listdir()  # noqa: PTH208


def test_json_output_is_one_line(mirror: Mirror, cluster: Cluster) -> None:
    """That of `dataset.json`; the table is for whoever watches."""
    ran = merge(mirror, cluster, DEMO, "--keys", KEYS, "--json")
    assert (0, Path("out/dataset.json").read_bytes()) == (ran.exit_code, ran.stdout)
    (said,) = ran.lines
    dashboard, table = said_by(ran).split("\n", maxsplit=1)
    shown = rows(table)
    assert dashboard.startswith("dashboard: ")
    assert TABLE == list(shown)
    assert (said["root"], said["key_set_digest"]) == (shown["root"], shown["key set digest"])


def test_findings_make_the_exit_code_1(mirror: Mirror, cluster: Cluster) -> None:
    """And it is said how much it is, and where."""
    ran = merge(mirror, cluster, DEMO)
    shown = rows(ran.stdout.decode())
    assert (1, [*TABLE, "findings"]) == (ran.exit_code, list(shown))
    assert "88 findings, each in out/findings" == shown["findings"]
    assert "0 valid, 83 invalid (event.key_unknown 83)" == shown["events"]


def test_unreadable_source_makes_the_exit_code_3(mirror: Mirror, cluster: Cluster) -> None:
    """The others are merged all the same."""
    ran = merge(mirror, cluster, "absent.json", DEMO, "--keys", KEYS)
    shown = rows(ran.stdout.decode())
    assert (3, "1 could not be read") == (ran.exit_code, shown["sources"])
    assert "8, 2 equivocations" == shown["records"]
    assert "1 finding, each in out/findings" == shown["findings"]


def test_another_run_is_not_overwritten(mirror: Mirror, cluster: Cluster) -> None:
    """Neither with other keys nor over files of somebody's."""
    assert 0 == merge(mirror, cluster, DEMO, "--keys", KEYS).exit_code
    before = Path("out/dataset.json").read_bytes()
    ran = merge(mirror, cluster, DEMO)
    assert (3, b"") == (ran.exit_code, ran.stdout)
    assert "error: output.other_run at out: " in ran.stderr
    assert "which differs in: key set\n" in ran.stderr
    assert before == Path("out/dataset.json").read_bytes()


# What is asked -------------------------------------------------------------------------------

ADDRESS = ("--cluster", "tcp://127.0.0.1:9")
SENSELESS: dict[str, tuple[str, ...]] = {
    "no out": ("--cluster", "local"),
    "no out, an address": ADDRESS,
    "standard input": ("-", "--cluster", "local", "--out", "out"),
    "in memory": ("--in-memory", "--cluster", "local", "--out", "out"),
    "workers without a cluster": ("--workers", "2", "--out", "out"),
    "memory without a cluster": ("--worker-memory", "1GiB", "--out", "out"),
    "digits without a cluster": ("--prefix-digits", "2", "--out", "out"),
    "workers of others": (*ADDRESS, "--workers", "2", "--out", "out"),
    "memory of others": (*ADDRESS, "--worker-memory", "1GiB", "--out", "out"),
    "no workers": ("--cluster", "local", "--workers", "0", "--out", "out"),
    "no digits": ("--cluster", "local", "--prefix-digits", "0", "--out", "out"),
    "many digits": ("--cluster", "local", "--prefix-digits", "5", "--out", "out"),
    "memory that is no size": ("--cluster", "local", "--worker-memory", "lots", "--out", "out"),
    "an empty address": ("--cluster", "", "--out", "out"),
}


@pytest.mark.parametrize("what", SENSELESS)
def test_contradictory_options_are_refused(what: str, mirror: Mirror) -> None:
    """Before anything is started or written."""
    ran = mirror("merge", DEMO, *SENSELESS[what])
    assert (2, b"") == (ran.exit_code, ran.stdout)
    assert "Error: " in ran.stderr
    assert [] == os.listdir()  # noqa: PTH208


def test_too_little_memory_for_a_worker_is_refused(mirror: Mirror) -> None:
    """It could not begin with so little."""
    ran = mirror("merge", DEMO, "--cluster", "local", "--worker-memory", "100MiB", "--out", "out")
    assert (5, b"") == (ran.exit_code, ran.stdout)
    assert ran.stderr.startswith("error: cluster.memory: 100MiB is too little")
    assert [] == os.listdir()  # noqa: PTH208


def test_a_cluster_that_cannot_start_is_an_error(mirror_process: Mirror, tmp_path: Path) -> None:
    """`cluster.start`, with what Dask says: here its folder for temporary files is a file."""
    (tmp_path / "file").touch()
    env = {**os.environ, "DASK_TEMPORARY_DIRECTORY": str(tmp_path / "file")}
    arguments = ("--cluster", "local", "--workers", "1", "--worker-memory", "2GiB", "--out", "out")
    ran = mirror_process("merge", BUNDLES / "demo.tar", *arguments, env=env)
    assert (5, True) == (ran.exit_code, "error: cluster.start at local: " in ran.stderr), ran
    assert "Traceback" not in ran.stderr


def test_options_come_from_the_environment(
    mirror: Mirror, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of other commands."""
    monkeypatch.setenv("MIRROR_CLUSTER", cluster.address)
    monkeypatch.setenv("MIRROR_OUT", "out")
    monkeypatch.setenv("MIRROR_KEYS", str(KEYS))
    monkeypatch.setenv("MIRROR_JSON", "1")
    ran = mirror("merge", DEMO)
    assert (0, 8) == (ran.exit_code, ran.lines[0]["records"])
    assert Path("out/dataset.json").read_bytes() == ran.stdout
    for name, value, fault in (
        ("MIRROR_WORKERS", "2", "--workers and --worker-memory are for --cluster local"),
        ("MIRROR_WORKER_MEMORY", "1GiB", "--workers and --worker-memory are for --cluster local"),
        ("MIRROR_PREFIX_DIGITS", "5", "5 is not in the range 1<=x<=4"),
    ):
        with monkeypatch.context() as context:
            context.setenv(name, value)
            ran = mirror("merge", DEMO)
        assert 2 == ran.exit_code
        assert fault in ran.stderr


def test_the_keys_are_those_of_the_store_and_those_given(mirror: Mirror, cluster: Cluster) -> None:
    """As `mirror verify` has it: the store is read, and stays as it is."""
    somebody = Path("somebody.json")
    somebody.write_bytes(key_set_file(Signer("somebody")))
    assert 0 == mirror("keys", "add", KEYS, "--db", "my.db").exit_code
    before = Path("my.db").read_bytes()
    assert 0 == merge(mirror, cluster, DEMO, "--db", "my.db", out="store").exit_code
    both = merge(mirror, cluster, DEMO, "--db", "my.db", "--keys", somebody, out="both")
    assert 0 == both.exit_code
    keys = KeySet().with_added(parse_key_set(KEYS.read_bytes()))
    for out, expected in (
        ("store", keys),
        ("both", keys.with_added(parse_key_set(somebody.read_bytes()))),
    ):
        assert expected.digest == parse_key_set(Path(out, "keys.json").read_bytes()).digest
        said = orjson.loads(Path(out, "dataset.json").read_bytes())
        assert (expected.digest, 0) == (said["key_set_digest"], said["events_invalid"])
    assert before == Path("my.db").read_bytes()
    assert not Path("mirror.db").exists()


def test_help_describes_the_options_of_clusters(mirror: Mirror) -> None:
    """With its environment variables, and an example."""
    text = mirror("merge", "--help").stdout.decode()
    for word in ("--cluster ADDRESS|local", "MIRROR_CLUSTER", "--workers", "MIRROR_WORKERS",
                 "--worker-memory", "MIRROR_WORKER_MEMORY", "--prefix-digits",
                 "MIRROR_PREFIX_DIGITS", "mirror merge --cluster local"):  # fmt: skip
        assert word in text


# Without Dask --------------------------------------------------------------------------------

PACKAGES = ["dask", "distributed", "fsspec", "pandas", "pyarrow"]

HIDING = """
import sys
from importlib.machinery import PathFinder

class Hiding(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = name.partition(".")[0] in {hidden!r}
        return None if hidden else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Hiding
"""


def hiding(folder: Path, *names: str) -> dict[str, str]:
    """An environment in which these packages are not installed."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(HIDING.replace("{hidden!r}", repr(names)))
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.fixture
def new_process(tmp_path: Path) -> Mirror:
    """`new_process(...)` runs a command in a process that has imported nothing before."""

    def run(*arguments: object, env: dict[str, str]) -> Ran:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "mirror", *map(str, arguments)],
            cwd=tmp_path, env=env, capture_output=True, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr.decode())

    return run


def test_other_commands_work_without_dask(new_process: Mirror, tmp_path: Path) -> None:
    """And says what to install."""
    env = hiding(tmp_path / "hiding", *PACKAGES, "gcsfs", "s3fs", "numpy")
    command = ("merge", DEMO, "--keys", KEYS)
    ran = new_process(*command, "--cluster", "local", "--out", "out", env=env)
    assert (5, b"") == (ran.exit_code, ran.stdout)
    error, hint = said_by(ran).splitlines()
    assert f"error: cluster.missing: not installed: {', '.join(PACKAGES)}" == error
    assert "hint: pip install 'pith-mirror[cluster]', here and on every worker" == hint
    assert not (tmp_path / "out").exists()
    assert b"--cluster" in new_process("merge", "--help", env=env).stdout
    assert 0 == new_process(*command, env=env).exit_code
    assert 0 == new_process("verify", DEMO, env=env).exit_code


def test_only_missing_packages_are_named(new_process: Mirror, tmp_path: Path) -> None:
    """If it is but one of them."""
    env = hiding(tmp_path / "hiding", "pyarrow")
    ran = new_process("merge", DEMO, "--cluster", "local", "--out", "out", env=env)
    assert 5 == ran.exit_code
    assert ran.stderr.startswith("error: cluster.missing: not installed: pyarrow\n")


def loaded() -> set[str]:
    """The packages that all commands together load before they begin."""
    program = "import sys, mirror.cli.main; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.decode().splitlines()}


def test_other_commands_do_not_import_dask() -> None:
    """It takes a second to load."""
    found = loaded()
    assert "mirror" in found
    others = {"dask", "distributed", "fsspec", "gcsfs", "s3fs", "tornado"}
    assert set() == found & (others | {"numpy", "pandas", "pyarrow"})


# Progress ------------------------------------------------------------------------------------


def read_all(terminal: int) -> str:
    """What is written to a terminal until nobody holds it any more."""
    found = b""
    try:
        while data := os.read(terminal, 4096):
            found += data
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(terminal)
    return found.decode()


def test_terminal_shows_a_progress_bar_for_each_stage(cluster: Cluster, tmp_path: Path) -> None:
    """Each with a bar, on stderr; stdout is as ever."""
    arguments = ["merge", DEMO, "--keys", KEYS, "--cluster", cluster.address, "--out", "out"]
    terminal, other_end = os.openpty()
    env = {"TERM": "xterm", "COLUMNS": "100"}
    with started(tmp_path, *MIRROR, *arguments, env=env, err=other_end) as client:
        os.close(other_end)
        shown = read_all(terminal)
        stdout, _ = client.communicate()
    assert 0 == client.returncode
    assert TABLE == list(rows(stdout.decode()))
    assert re.search(r"verified .*\d+/\d+.* tasks", shown)
    assert re.search(r"merged .*\d+/\d+.* tasks", shown)


def test_output_to_a_pipe_has_no_progress_bars(cluster: Cluster, mirror_process: Mirror) -> None:
    """Where to watch the work, and the table; nothing else."""
    ran = mirror_process("merge", DEMO, "--cluster", cluster.address, "--out", "out")
    assert re.fullmatch(r"dashboard: \S+\n", ran.stderr)
    assert [*TABLE, "findings"] == list(rows(ran.stdout.decode()))
