"""Output that ends early, has no room, or goes to a terminal that cannot show every character."""

from __future__ import annotations

import itertools
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest

from mirror.cli import main
from tests.cli.conftest import BUNDLES, Mirror
from tests.commands import walk

DEMO = BUNDLES / "demo.tar"
INVALID = BUNDLES / "invalid" / "event.signature.json"


COMMANDS = [path for path, _ in walk()]
"""The words that name each command, groups and the program itself among them."""

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

_WALK = """
import os, signal, sys
import click
from mirror.cli import main
name, *commands = sys.argv[1:]
for one in main.list_commands(context := click.Context(main)):
    main.get_command(context, one)  # imported once, and not by each fork
for line in commands:
    pid = os.fork()
    if not pid:
        try:
            main(line.split("\\x1f") if line else [], prog_name="mirror")
        except SystemExit as ended:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(ended.code)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(status, line.split("\\x1f"), file=open(name, "a"))
"""


def _each(
    tmp_path: Path, commands: list[tuple[str, ...]], *, stdout: int, encoding: str = "utf-8"
) -> tuple[dict[str, int], str]:
    """The exit code of each command, forked from one process, and what all said on stderr."""
    lines = ["\x1f".join(one) for one in commands]
    done = subprocess.run(
        [sys.executable, "-c", _WALK, str(tmp_path / "codes"), *lines],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=True,
    )
    rows = (tmp_path / "codes").read_text().splitlines()
    codes = {line.partition(" ")[2]: int(line.partition(" ")[0]) for line in rows}
    assert len(codes) == len(commands)
    return codes, done.stderr.decode("latin-1")


@pytest.fixture
def store(mirror: Mirror) -> Mirror:
    """A store with the demonstration, and the tables beside it."""
    mirror("merge", DEMO)
    mirror("query", "SELECT 1")
    return mirror


HELP = [(*one, "--help") for one in COMMANDS]


# Output that ends early ----------------------------------------------------------------------


@pytest.mark.usefixtures("store")
def test_a_closed_pipe_ends_a_command_by_sigpipe(tmp_path: Path) -> None:
    """As `git` ends: no word, and 141 for a shell; help does, too."""
    reader, writer = os.pipe()
    os.close(reader)
    codes, said = _each(tmp_path, [*OUTPUT, *HELP], stdout=writer)
    os.close(writer)
    assert {-signal.SIGPIPE} == set(codes.values()), codes
    assert "" == "".join(
        line for line in said.splitlines() if not line.startswith("event.signature: ")
    )


@pytest.mark.usefixtures("store")
def test_a_full_disk_is_exit_3_for_every_command(tmp_path: Path) -> None:
    """Also for help, where nothing but the code is left to say it."""
    with Path("/dev/full").open("wb") as full:
        codes, said = _each(tmp_path, [*OUTPUT, *HELP], stdout=full.fileno())
    assert {3} == set(codes.values()), codes
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    assert len(codes) == said.count("output.failed")


def test_messages_that_nobody_can_read_do_not_end_the_work(tmp_path: Path) -> None:
    """A full disk behind stderr loses the findings, and not the merge."""
    command = f"{sys.executable} -m mirror merge {INVALID} 2>/dev/full"
    done = subprocess.run(  # noqa: S602
        command, shell=True, cwd=tmp_path, capture_output=True, check=False
    )
    assert (1, True) == (done.returncode, b"event.signature 1" in done.stdout)


# Characters that cannot be shown -------------------------------------------------------------


@pytest.mark.usefixtures("store")
def test_characters_that_a_terminal_lacks_are_replaced(tmp_path: Path) -> None:
    """No command ends with a traceback under Latin-1; help and output are whole."""
    commands = [one for one in OUTPUT if one[0] not in {"verify", "merge"}]
    with (tmp_path / "out").open("wb") as out:
        codes, said = _each(tmp_path, [*commands, *HELP], stdout=out.fileno(), encoding="latin-1")
    assert {0} == set(codes.values()), codes
    assert "Traceback" not in said
    text = (tmp_path / "out").read_bytes()
    assert b"\\u2026" in text or b"\\u2014" in text or b"\\u2019" in text


# A terminal ----------------------------------------------------------------------------------


def test_help_fits_80_columns() -> None:
    """Every line of the help of every command."""
    context = click.Context(main, info_name="mirror", terminal_width=80)
    for path, command in walk():
        long = [line for line in command.get_help(context).splitlines() if len(line) > 80]
        assert [] == long, path


def _on_a_terminal(tmp_path: Path, *arguments: str, columns: str = "80") -> list[str]:
    """What a command shows on a terminal, as lines, with the control sequences left in."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "mirror", *arguments]
    env = {**os.environ, "COLUMNS": columns, "TERM": "xterm"}
    process = subprocess.Popen(command, cwd=tmp_path, stdout=slave, stderr=slave, env=env)
    os.close(slave)
    shown = b""
    while True:
        try:
            block = os.read(master, 65536)
        except OSError:  # so a terminal ends on Linux
            break
        if not block:
            break
        shown += block
    process.wait()
    os.close(master)
    return shown.decode().replace("\r\n", "\n").split("\n")


def test_lines_wrap_by_words_and_never_follow_a_bar(tmp_path: Path) -> None:
    """A finding begins where a line begins: before it the bar is erased, or nothing is."""
    sources = sorted(map(str, (BUNDLES / "invalid").glob("event.*.json")))
    lines = _on_a_terminal(tmp_path, "merge", *sources)
    found = [line for line in lines if "event.signature:" in line and "(" not in line]
    assert found
    for line in found:
        before = line.partition("event.signature:")[0]
        assert before == "" or before.endswith(("\x1b[2K", "\r", "\x1b[?25h")), before
    plain = [line for line in lines if "\x1b" not in line and " " in line.strip()]
    assert [] == [line for line in plain if len(line) > 80 and len(line.split()) > 2]
    assert any(line.startswith(" " * 10) for line in plain), "the table wraps under its values"


def test_a_record_fits_80_columns(tmp_path: Path, mirror: Mirror) -> None:
    """A digest is never broken; what belongs to an event stays indented under it."""
    mirror("merge", DEMO, "--keys", BUNDLES / "demo-keys.json")
    lines = _on_a_terminal(tmp_path, "show", "EI5HAOZQ")
    assert [line for line in lines if len(line) > 80] == []
    digest = "223a703b305ce373c9debdd13b6a9dbfa7f380468b02ac2baf3698318bc8283d"
    above = lines[[line.strip() for line in lines].index(digest) - 1]
    assert above == "canonical SHA-256"
    first, second = next(
        pair for pair in itertools.pairwise(lines) if pair[0].lstrip().startswith("superseded by")
    )
    assert _indent(second) == _indent(first) + 2
    wide = _on_a_terminal(tmp_path, "show", "EI5HAOZQ", columns="100")
    assert f"canonical SHA-256   {digest}" in wide


def test_a_hit_fits_80_columns(tmp_path: Path, mirror: Mirror) -> None:
    """And a title that is the excerpt is said once."""
    mirror("merge", DEMO, "--keys", BUNDLES / "demo-keys.json")
    mirror("find", "holographic")  # makes the index, so that no bar is drawn below
    lines = _on_a_terminal(tmp_path, "find", "holographic")
    plain = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", line) for line in lines]
    assert [line for line in plain if len(line) > 80] == []
    title = "Boundary terms in a toy model of holographic bookkeeping"
    assert plain.count(f"    {title}") == 1
    assert any("\x1b[1mholographic" in line for line in lines)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


# serve ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("store")
def test_a_port_in_use_is_one_sentence_before_serving_is_said(mirror_process: Mirror) -> None:
    """`serve.address`, with what to do, exit 1; a host that is none is told the same way."""
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
def test_a_signal_is_the_normal_end_of_a_server(tmp_path: Path, stop: signal.Signals) -> None:
    """Exit 0, and nothing is said of an interruption."""
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
