"""Build the native engine of native/ and install it in the environment of this interpreter.

Nothing is done if the installed engine was built from these very sources. Where `cargo` is missing
or its crates cannot be fetched, one line says so within seconds, and the environment is left
without an engine: one that was built from other sources is removed, so that no test runs with it.
Only an error in the sources themselves ends with 1.

`--no-compile` only removes an engine that was built from other sources.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CRATE = ROOT / "native"
LOG = ROOT / ".cache" / "native-build.txt"
DISTRIBUTION = "pith-mirror-native"

BUILT_FROM = Path(sys.prefix) / "native-sources.sha256"
"""Digest of the sources from which the installed engine was built."""

FETCH_SECONDS = 30
"""Limit for fetching all crates. What was fetched is kept, so another run continues."""

PATIENCE = {"CARGO_HTTP_TIMEOUT": "5", "CARGO_NET_RETRY": "0"}
"""Settings of cargo for a registry that does not answer; those of the environment come first."""

OFFLINE = {"CARGO_NET_OFFLINE": "true", "MATURIN_PEP517_ARGS": "--locked"}
"""Settings of a build: crates as fetched, in the versions of Cargo.lock."""

FAULT_OF_OURS = "could not compile `mirror-native`"
"""Words of cargo when the sources of the crate are wrong, and not the machine."""


class CannotBuildError(Exception):
    """A reason why this machine cannot build the engine."""


def say(text: str) -> None:
    """Print a line to stderr."""
    print(text, file=sys.stderr, flush=True)


def sources_digest() -> str:
    """Return the SHA-256, in hexadecimal, of the paths and contents of all sources of the crate."""
    files = [CRATE / name for name in ("Cargo.toml", "Cargo.lock", "pyproject.toml")]
    files += (path for path in (CRATE / "src").rglob("*") if path.is_file())
    digest = hashlib.sha256()
    for path in sorted(files):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(CRATE).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def is_installed() -> bool:
    """Say whether an engine is installed in this environment."""
    folders = [path for path in sys.path if Path(path).is_relative_to(sys.prefix)]
    return any(importlib.metadata.distributions(name=DISTRIBUTION, path=folders))


def is_current(digest: str) -> bool:
    """Say whether the installed engine was built from sources with this digest."""
    built_from = BUILT_FROM.read_text("ascii") if BUILT_FROM.exists() else None
    return built_from == digest and is_installed()


def remove_engine() -> None:
    """Remove the installed engine, if there is one, and the note of its sources."""
    BUILT_FROM.unlink(missing_ok=True)
    if is_installed():
        say("removing the native engine from .venv: it was built from other sources")
        pip = [sys.executable, "-m", "pip", "uninstall", "--yes", "--quiet"]
        subprocess.run([*pip, DISTRIBUTION], check=True)


def run(
    *command: str | Path, settings: Mapping[str, str], seconds: float | None = None
) -> tuple[bool, str]:
    """Run a command in native/ with settings added to the environment.

    A command that takes longer than `seconds` is killed, with all processes that it started.

    Returns:
        Whether it succeeded, and all that it printed.
    """
    late = ""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            cwd=CRATE,
            env=os.environ | settings,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            process.wait(seconds)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            late = f"\nerror: it did not end within {seconds} seconds"
        output.seek(0)
        return process.returncode == 0, output.read().decode(errors="replace") + late


def first_error(output: str) -> str:
    """Return the first line of an output that names an error, or else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["no output"]
    return next((line for line in lines if line.lower().startswith("error")), lines[-1])


def fetch_crates() -> None:
    """Have all crates of Cargo.lock on this machine.

    Raises:
        CannotBuildError: `cargo` is missing or does not run, or a crate cannot be fetched.
    """
    cargo = shutil.which("cargo")
    if cargo is None:
        raise CannotBuildError("cargo is not installed")
    fetch = (cargo, "fetch", "--locked")
    is_there, _ = run(*fetch, "--offline", settings={}, seconds=FETCH_SECONDS)
    if is_there:
        return
    is_there, output = run(*fetch, settings=PATIENCE | os.environ, seconds=FETCH_SECONDS)
    if not is_there:
        raise CannotBuildError(f"its crates cannot be fetched ({first_error(output)})")


def install_engine() -> None:
    """Compile the crate for release, and install the wheel.

    Raises:
        CannotBuildError: maturin cannot be installed, or this machine lacks what a crate needs.
        SystemExit: The sources of the crate have an error.
    """
    say("building the native engine: a minute or two")
    pip = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-deps")
    is_built, output = run(*pip, "--verbose", CRATE, settings=OFFLINE)
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_text(output, "utf-8")
    if is_built:
        return
    if FAULT_OF_OURS in output:
        say(output)
        sys.exit(1)
    raise CannotBuildError(f"{first_error(output)}; {LOG.relative_to(ROOT)} has more")


def build() -> None:
    """Build and install the engine, or say in one line why this machine cannot."""
    digest = sources_digest()
    if is_current(digest):
        return
    remove_engine()
    try:
        fetch_crates()
        install_engine()
    except CannotBuildError as reason:
        say(f"no native engine here, Python does its work: {reason}")
    else:
        BUILT_FROM.write_text(digest, "ascii")


def main() -> None:
    """Build the engine, or with `--no-compile` only remove one that is not current."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--no-compile",
        action="store_true",
        help="build nothing; remove an engine that was built from other sources",
    )
    if not parser.parse_args().no_compile:
        build()
    elif not is_current(sources_digest()):
        remove_engine()


if __name__ == "__main__":
    main()
