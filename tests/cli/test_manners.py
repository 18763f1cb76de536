"""Output that ends early, has no room, or goes to a terminal that cannot show every character."""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import click
import pytest
from click.testing import CliRunner

from mirror.cli import main
from tests.cli.conftest import BUNDLES, Mirror, SampleStore, Terminal
from tests.commands import walk

DEMO = BUNDLES / "demo.tar"
INVALID = BUNDLES / "invalid" / "event.signature.json"


OUTPUT = [
    ("status",),
    ("query", "SELECT * FROM records", "--csv"),
    ("query", "SELECT * FROM records", "--json"),
    ("query", "SELECT * FROM records"),
    ("list",),
    ("list", "--ids"),
    ("show", "--all", "--json"),
    ("show", "EI5HAOZQ"),
    ("show", "EI5HAOZQ", "--json"),
    ("find", "EI5HAOZQ"),
    ("keys", "list"),
    ("root",),
    ("verify", str(INVALID), "--json"),
    ("merge", str(INVALID), "--in-memory", "--json"),
    ("check",),
    ("rebuild",),
    ("checkpoint", "list"),
]
"""Commands that print something, over a store of the demonstration."""

HELP = [("--help",), ("keys", "--help"), ("keys", "add", "--help"), ("show", "--help")]
"""Of the program, a group, a command of a group, and a command."""


Each: TypeAlias = Callable[..., tuple[dict[tuple[str, ...], int], str]]


@pytest.fixture
def each(program: Path, tmp_path: Path) -> Each:
    """`each(commands, stdout)` gives their exit codes, and all that they print on stderr."""

    def run(commands: list[tuple[str, ...]], stdout: int) -> tuple[dict[tuple[str, ...], int], str]:
        ran = {
            one: subprocess.run(
                [program, *one],
                cwd=tmp_path,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.PIPE,
                check=False,
            )
            for one in commands
        }
        stderr = b"".join(one.stderr for one in ran.values()).decode()
        return {one: done.returncode for one, done in ran.items()}, stderr

    return run


@pytest.fixture
def store(sample_store: SampleStore, mirror: Mirror) -> Mirror:
    """A store with the demonstration, and the tables beside it."""
    sample_store(DEMO)
    mirror("query", "SELECT 1")
    return mirror


# Output that ends early ----------------------------------------------------------------------


@pytest.mark.usefixtures("store")
def test_a_closed_pipe_ends_a_command_by_sigpipe(each: Each) -> None:
    """Without a message, as `git` does; a shell shows 141. So does help."""
    reader, writer = os.pipe()
    os.close(reader)
    codes, said = each([*OUTPUT, *HELP], writer)
    os.close(writer)
    assert {-signal.SIGPIPE} == set(codes.values()), codes
    assert "" == "".join(
        line for line in said.splitlines() if not line.startswith("event.signature: ")
    )


@pytest.mark.usefixtures("store")
def test_a_full_disk_is_exit_3_for_every_command(each: Each) -> None:
    """Also for help, where nothing but the code is left to say it."""
    with Path("/dev/full").open("wb") as full:
        codes, said = each([*OUTPUT, *HELP], full.fileno())
    assert {3} == set(codes.values()), codes
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    assert len(codes) == said.count("output.failed")


def test_a_full_disk_behind_standard_error_does_not_end_a_merge(
    program: Path, tmp_path: Path
) -> None:
    """A full disk behind stderr loses the findings, and not the merge."""
    command = f"{program} merge {INVALID} 2>/dev/full"
    done = subprocess.run(  # noqa: S602
        command, shell=True, cwd=tmp_path, capture_output=True, check=False
    )
    assert (1, True) == (done.returncode, b"event.signature 1" in done.stdout)


# Characters that cannot be shown -------------------------------------------------------------


def test_characters_outside_the_encoding_are_escaped(mirror_process: Mirror) -> None:
    """By their codes, on both streams."""
    latin = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    ran = mirror_process("prove", "--help", env=latin)
    assert (0, True) == (ran.exit_code, b"\\u2026" in ran.stdout), ran
    ran = mirror_process("status", "--db", "\u2026", env=latin)
    assert (4, True) == (ran.exit_code, "\\u2026" in ran.stderr), ran


@pytest.mark.usefixtures("store")
def test_every_command_prints_in_latin_1() -> None:
    """Help and output are whole under Latin-1."""
    commands = [one for one in OUTPUT if one[0] not in {"verify", "merge"}]
    for one in [*commands, *((*path, "--help") for path, _ in walk())]:
        ran = CliRunner(charset="latin-1").invoke(main, one)
        assert 0 == ran.exit_code, (one, ran.exception)


# A terminal ----------------------------------------------------------------------------------


def test_help_fits_80_columns() -> None:
    """Every line of the help of every command."""
    context = click.Context(main, info_name="mirror", terminal_width=80)
    for path, command in walk():
        long = [line for line in command.get_help(context).splitlines() if len(line) > 80]
        assert [] == long, path


def test_lines_wrap_by_words_and_never_follow_a_bar(terminal: Terminal) -> None:
    """A finding begins where a line begins: before it the bar is erased, or nothing is."""
    sources = sorted(map(str, (BUNDLES / "invalid").glob("event.*.json")))
    lines = terminal("merge", *sources).lines
    found = [line for line in lines if "event.signature:" in line and "(" not in line]
    assert found
    for line in found:
        before = line.partition("event.signature:")[0]
        assert before == "" or before.endswith(("\x1b[2K", "\r", "\x1b[?25h")), before
    plain = [line for line in lines if "\x1b" not in line and " " in line.strip()]
    assert [] == [line for line in plain if len(line) > 80 and len(line.split()) > 2]
    assert any(line.startswith(" " * 10) for line in plain), "the table wraps under its values"


def test_a_record_fits_80_columns(terminal: Terminal, sample_store: SampleStore) -> None:
    """A digest is never broken; what belongs to an event stays indented under it."""
    sample_store(DEMO, "--keys", BUNDLES / "demo-keys.json")
    lines = terminal("show", "EI5HAOZQ").lines
    assert [line for line in lines if len(line) > 80] == []
    digest = "223a703b305ce373c9debdd13b6a9dbfa7f380468b02ac2baf3698318bc8283d"
    above = lines[[line.strip() for line in lines].index(digest) - 1]
    assert above == "canonical SHA-256"
    first, second = next(
        pair for pair in itertools.pairwise(lines) if pair[0].lstrip().startswith("superseded by")
    )
    assert _indent(second) == _indent(first) + 2
    wide = terminal("show", "EI5HAOZQ", columns=100).lines
    assert f"canonical SHA-256   {digest}" in wide


def test_a_hit_fits_80_columns(
    terminal: Terminal, sample_store: SampleStore, mirror: Mirror
) -> None:
    """A title that is also the excerpt is printed once."""
    sample_store(DEMO, "--keys", BUNDLES / "demo-keys.json")
    mirror("find", "holographic")  # makes the index, so that no bar is drawn below
    lines = terminal("find", "holographic").lines
    plain = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", line) for line in lines]
    assert [line for line in plain if len(line) > 80] == []
    title = "Boundary terms in a toy model of holographic bookkeeping"
    assert plain.count(f"    {title}") == 1
    assert any("\x1b[1mholographic" in line for line in lines)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


# serve ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("store")
def test_a_port_in_use_is_an_error_of_one_line(mirror_process: Mirror) -> None:
    """`serve.address`, with what to do, exit 1; so is an invalid host."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = mirror_process("serve", "--port", port)
    assert 1 == ran.exit_code
    assert ran.stderr.startswith(f"error: serve.address: cannot listen at 127.0.0.1 port {port}: ")
    assert "--port" in ran.stderr
    assert "serving" not in ran.stderr
    ran = mirror_process("serve", "--host", "no such host", "--port", "0")
    assert (1, True) == (ran.exit_code, "serve.address" in ran.stderr)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_server_ends_with_exit_0_by_a_signal(tmp_path: Path, stop: signal.Signals) -> None:
    """Without a message about an interruption."""
    with subprocess.Popen(
        [sys.executable, "-m", "mirror", "serve", "--port", "0"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "serving" in process.stderr.readline()
        process.send_signal(stop)
        assert "" == process.stderr.read()
    assert 0 == process.returncode
