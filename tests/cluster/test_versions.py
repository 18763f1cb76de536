"""A worker with other code or other keys takes no part in a run, at any time."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client

import mirror as package
from mirror.core.rules import RULES
from mirror.engine.cluster import open_cluster
from mirror.engine.cluster.versions import find_versions
from mirror.errors import ClusterError, SourceError
from tests.builders import Signer, key_set_file
from tests.cli.conftest import run_here
from tests.cluster.processes import (
    SOURCES,
    Cluster,
    Once,
    Out,
    World,
    kill,
    make_world,
    nothing,
    running_cluster,
)
from tests.processes import PATIENCE_S


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The work to merge."""
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def _cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster"), workers=0) as cluster:
        yield cluster


@pytest.fixture
def cluster(_cluster: Cluster) -> Iterator[Cluster]:
    """A scheduler, which no test may kill, and a worker with the same code as here."""
    if not any(one.poll() is None for one in _cluster.workers[:1]):
        _cluster.workers[:] = []
        _cluster.wait_for_worker(_cluster.add_worker())
    yield _cluster
    kill(*_cluster.workers[1:])  # of whatever kind
    del _cluster.workers[1:]


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Client]:
    """A client of it."""
    with open_cluster(cluster.address) as client:
        client.wait_for_workers(1, timeout=PATIENCE_S)
        yield client


def other(place: Path, file: str, more: str) -> dict[str, str]:
    """An environment with another `mirror`: one of its files has additional lines."""
    copy = place / "other" / "mirror"
    here = Path(package.__file__).parent
    shutil.copytree(here, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / file).open("a") as text:
        text.write(f"\n{more}\n")
    return {"PYTHONPATH": str(copy.parent)}


def none(place: Path) -> dict[str, str]:
    """An environment without `mirror`."""
    folder = place / "none" / "mirror"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('there is no mirror here')\n")
    return {"PYTHONPATH": str(folder.parent)}


CODE = find_versions()["code"]

OTHERS: dict[str, tuple[tuple[str, str] | None, str]] = {
    "a version": (
        ("__init__.py", "__version__ = '9.9.9'"),
        f"mirror is 9.9.9, not {package.__version__}",
    ),
    "another dictionary": (
        ("store/zstd_dictionary.bin", "more"),
        rf"code is \w{{16}}, not {CODE}",
    ),
    "a rule": (
        ("core/rules.py", "RULES = 'other'"),
        rf"rules is other, not {RULES}, code is \w{{16}}, not {CODE}",
    ),
    "a comment": (("core/merge.py", "# Another."), rf"code is \w{{16}}, not {CODE}"),
    "no mirror": (None, "mirror cannot be loaded: .*there is no mirror here"),
}
"""Differences of a worker, and the message for each."""

MOMENTS = [("verified", 6), ("merged", 2)]
"""The point in each stage."""


@pytest.mark.parametrize("what", OTHERS)
def test_run_refuses_a_worker_with_other_code(
    what: str, world: World, cluster: Cluster, tmp_path: Path
) -> None:
    """With the difference; no file is written."""
    edit, said = OTHERS[what]
    env = other(tmp_path, *edit) if edit else none(tmp_path)
    address = cluster.wait_for_worker(cluster.add_worker(env))
    ran = run_here(*world.command(cluster.address, tmp_path / "out"))
    assert (5, b"") == (ran.exit_code, ran.stdout)
    _, error, hint = ran.stderr.splitlines()
    assert re.match(rf"error: cluster\.versions at {re.escape(address)}: on a worker {said}", error)
    assert hint.startswith("hint: install the same mirror")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("moment", MOMENTS)
def test_worker_with_other_code_that_joins_later_does_nothing(
    moment: tuple[str, int], world: World, cluster: Cluster, client: Client, tmp_path: Path
) -> None:
    """Even if it is the only worker: the error is reported, and another worker finishes the run."""
    env = other(tmp_path, "core/merge.py", "# Another.")
    out = Out(tmp_path / "out")
    left: dict[str, tuple[int, int]] = {}

    def replace() -> None:
        cluster.wait_for_worker(cluster.add_worker(env))
        kill(cluster.workers[0])
        left.update(out.files())

    replacing = Once(*moment, replace)
    with pytest.raises(ClusterError, match=OTHERS["a comment"][1]) as caught:
        world.merge(client, out.path, replacing)
    assert "cluster.versions" == caught.value.code
    assert replacing.left > 2
    assert left == out.files()
    cluster.wait_for_worker(cluster.add_worker())
    kill(cluster.workers[1])
    assert world.root == world.merge(client, out.path, nothing)


def test_worker_without_mirror_that_joins_later_does_not_end_the_run(
    world: World, cluster: Cluster, client: Client, tmp_path: Path
) -> None:
    """The worker cannot unpickle its task, and counts as a lost worker."""
    env = none(tmp_path)

    def replace() -> None:
        cluster.wait_for_worker(cluster.add_worker(env))
        kill(cluster.workers[0])
        cluster.workers[1].wait(PATIENCE_S)
        cluster.add_worker()

    replacing = Once("verified", 6, replace)
    assert world.root == world.merge(client, tmp_path / "out", replacing)
    assert replacing.left > 2


LOSES_WHAT_IT_READS = """
_read_all = _read

def _read(group, job):
    return _read_all(group, job).iloc[:0]
"""


def test_facts_shuffled_by_a_worker_with_other_code_are_discarded(
    world: World, cluster: Cluster, client: Client, tmp_path: Path
) -> None:
    """The worker joins after the verification, and would lose its input; no state is written."""
    env = other(tmp_path, "engine/cluster/shuffle.py", LOSES_WHAT_IT_READS)
    out = tmp_path / "out"

    def add() -> None:
        cluster.wait_for_worker(cluster.add_worker(env))

    adding = Once("verified", 3 * SOURCES - 1, add)
    with pytest.raises(ClusterError, match="code is") as caught:
        world.merge(client, out, adding)
    assert ("cluster.versions", 1) == (caught.value.code, adding.left)
    kill(cluster.workers[1])
    assert world.root == world.merge(client, out, nothing)


def test_scheduler_without_mirror_is_an_error(world: World, tmp_path: Path) -> None:
    """The scheduler must unpickle what it forwards."""
    with running_cluster(tmp_path, workers=1, env=none(tmp_path)) as cluster:
        ran = run_here(*world.command(cluster.address, tmp_path / "out"))
    assert (5, b"") == (ran.exit_code, ran.stdout)
    assert "error: cluster.versions" in ran.stderr
    assert "scheduler" in ran.stderr


# Keys ----------------------------------------------------------------------------------------


class Stop(Exception):  # noqa: N818 - it is no error
    """Raised to end a run midway."""


@pytest.mark.parametrize("moment", MOMENTS)
def test_worker_that_reads_another_key_set_ends_the_run(
    moment: tuple[str, int], world: World, cluster: Cluster, client: Client, tmp_path: Path
) -> None:
    """They were changed between two runs; nothing is verified with them."""
    out = Out(tmp_path / "out")
    keys = out.path / "keys.json"

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        world.merge(client, out.path, Once(*moment, stop))
    kill(cluster.workers[0])
    cluster.wait_for_worker(cluster.add_worker())  # one that has not read the keys
    right = keys.read_bytes()
    keys.write_bytes(key_set_file(Signer("somebody")))
    left = out.files()
    with pytest.raises(SourceError) as caught:
        world.merge(client, out.path, nothing)
    assert ("cluster.keys", str(keys)) == (caught.value.code, caught.value.where)
    assert left == out.files()
    keys.write_bytes(right)
    assert world.root == world.merge(client, out.path, nothing)
