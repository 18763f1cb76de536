"""Building the native engine: where that is impossible, one line says so, and no old engine stays.

The script runs with the interpreter of an environment of its own, so the engine of the environment
in which the tests run is not touched.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path

import pip
import pytest

from mirror import __version__

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "scripts"
CRATE = ROOT / "native"

needs_cargo = pytest.mark.skipif(not shutil.which("cargo"), reason="cargo is not installed here")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment that holds only pip, copied from the one of the tests."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    shutil.copytree(Path(pip.__file__).parent, packages / "pip")
    return folder


def _run(environment: Path, *arguments: str, **settings: str) -> str:
    """What the script says in an environment, where it ends with 0."""
    done = subprocess.run(
        [environment / "bin" / "python", SCRIPTS / "build_native.py", *arguments],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stdout
    return done.stderr


def _install_engine(environment: Path, built_from: str | None) -> Path:
    """Install a module by the name of the engine, with a note of its sources; return its file."""
    (packages,) = environment.glob("lib/python*/site-packages")
    module = packages / "mirror_native.py"
    information = packages / "pith_mirror_native-0.0.1.dist-info"
    information.mkdir(exist_ok=True)
    module.write_text("")
    (information / "METADATA").write_text("Name: pith-mirror-native\nVersion: 0.0.1\n")
    (information / "INSTALLER").write_text("pip\n")
    files = ["METADATA", "INSTALLER", "RECORD"]
    listed = ["mirror_native.py", *(f"{information.name}/{name}" for name in files)]
    (information / "RECORD").write_text("".join(f"{name},,\n" for name in listed))
    if built_from is not None:
        (environment / "native-sources.sha256").write_text(built_from)
    return module


def _digest() -> str:
    """The digest of the sources, as the script computes it."""
    code = "import build_native; print(build_native.sources_digest())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _unreachable(home: Path, port: int) -> str:
    """Make a folder for cargo without crates, with a registry at a port of this machine."""
    home.mkdir()
    (home / "config.toml").write_text(
        '[source.crates-io]\nreplace-with = "away"\n'
        f'[source.away]\nregistry = "sparse+http://127.0.0.1:{port}/"\n'
    )
    return str(home)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where connections are taken and nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port where nobody listens, which nobody else can take."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_without_cargo_it_says_so(environment: Path, tmp_path: Path) -> None:
    """One line, exit code 0."""
    said = _run(environment, PATH=str(tmp_path))
    assert said == "no native engine here, Python does its work: cargo is not installed\n"


@needs_cargo
def test_a_closed_registry_is_reported(environment: Path, tmp_path: Path, closed_port: int) -> None:
    """Cargo is there, its crates are not, and their registry refuses connections."""
    said = _run(environment, CARGO_HOME=_unreachable(tmp_path / "cargo", closed_port))
    assert re.fullmatch(r"no native engine here, .*: its crates cannot be fetched \(.+\)\n", said)


@needs_cargo
def test_a_silent_registry_is_given_up(environment: Path, tmp_path: Path, silent_port: int) -> None:
    """Nothing waits for a registry that accepts a connection and never answers."""
    home = _unreachable(tmp_path / "cargo", silent_port)
    said = _run(environment, CARGO_HOME=home, CARGO_HTTP_TIMEOUT="1")
    assert re.fullmatch(r"no native engine here, .*: its crates cannot be fetched \(.+\)\n", said)


@pytest.mark.parametrize("built_from", ["0" * 64, None])
@pytest.mark.parametrize("arguments", [(), ("--no-compile",)])
def test_an_engine_of_other_sources_is_removed(
    environment: Path, tmp_path: Path, built_from: str | None, arguments: tuple[str, ...]
) -> None:
    """Also one of which nobody knows the sources; a removed one is not removed again."""
    module = _install_engine(environment, built_from)
    said = _run(environment, *arguments, PATH=str(tmp_path))
    assert said.startswith("removing the native engine from .venv: it was built from other sources")
    assert not module.exists()
    assert "removing" not in _run(environment, *arguments, PATH=str(tmp_path))


@pytest.mark.parametrize("arguments", [(), ("--no-compile",)])
def test_an_engine_of_these_sources_stays(environment: Path, arguments: tuple[str, ...]) -> None:
    """Nothing is built, removed or said."""
    module = _install_engine(environment, _digest())
    assert not _run(environment, *arguments)
    assert module.exists()


def test_the_versions_are_one() -> None:
    """The crate, its lock file and the extra `native` have the version of pith-mirror."""
    crate = tomllib.loads((CRATE / "Cargo.toml").read_text("utf-8"))["package"]
    locked = tomllib.loads((CRATE / "Cargo.lock").read_text("utf-8"))["package"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert crate["version"] == __version__
    assert [one["version"] for one in locked if one["name"] == crate["name"]] == [__version__]
    assert project["optional-dependencies"]["native"] == [f"pith-mirror-native=={__version__}"]
