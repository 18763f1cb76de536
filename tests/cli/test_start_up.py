"""Start of a command: it imports what it needs, and the list of commands imports none of them."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.cli.commands import COMMANDS
from tests.cli.conftest import BUNDLES, SampleStore
from tests.commands import COMMANDS as ALL_COMMANDS
from tests.commands import GROUPS

WIDTH = 80

HEAVY = {
    "cryptography", "httpcore", "httpx", "importlib.resources", "jinja2", "mirror.archive",
    "mirror.store", "msgpack", "multiprocessing", "rich", "sqlite3", "sqlite_utils", "starlette",
    "zstandard",
}  # fmt: skip
"""Modules that the program itself does without: they take longer than click."""

NOT_FOR_SHOW = HEAVY - {"cryptography", "mirror.store", "msgpack", "sqlite3", "zstandard"}
NOT_FOR_SHOW |= {"cryptography.x509", "opentimestamps", "rfc3161_client"}
"""Modules that reading a record does without."""

PROGRAM = """
import sys
from mirror.cli import main
try:
    main(sys.argv[1:])
finally:
    print(*sys.modules, sep="\\n")
"""


def loaded_by(folder: Path, *arguments: str, **variables: str) -> set[str]:
    """The modules that a command imports."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    env = {**os.environ, **variables}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_the_program_itself_imports_no_command(tmp_path: Path, argument: str) -> None:
    """Neither one of them nor a library that is slow to load."""
    loaded = loaded_by(tmp_path, argument)
    assert set() == loaded & (HEAVY | {f"mirror.cli.{name}" for name in COMMANDS})


@pytest.mark.parametrize("words", ["mirror\n", "mirror\nkeys\n"])
def test_completing_a_name_imports_no_command(tmp_path: Path, words: str) -> None:
    """Neither that of a command nor that of one in a group."""
    count = str(words.count("\n"))
    asked = {"_MIRROR_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": count}
    loaded = loaded_by(tmp_path, **asked)
    assert "mirror.cli.completion" in loaded
    others = {f"mirror.cli.{name}" for name in COMMANDS} - {"mirror.cli.completion"}
    assert set() == loaded & (HEAVY | others)


def test_show_imports_what_reading_takes(sample_store: SampleStore, tmp_path: Path) -> None:
    """No client, no progress, no reader of archives, no process pool, no sqlite-utils."""
    sample_store(BUNDLES / "demo.tar")
    loaded = loaded_by(tmp_path, "show", "EI5HAOZQ")
    assert "mirror.store" in loaded
    assert set() == loaded & NOT_FOR_SHOW


def test_the_table_of_commands_is_that_of_their_helps() -> None:
    """Each line of `mirror --help` is the first sentence of the command's own help, whole."""
    program = {**ALL_COMMANDS, **GROUPS}
    limit = WIDTH - 2 - max(map(len, COMMANDS)) - 2 - 2  # as click indents, aligns and leaves room
    assert COMMANDS == {name: program[name].get_short_help_str(limit) for name in COMMANDS}
    assert COMMANDS.keys() == {name for name in program if name and " " not in name}
    modules = {
        path.stem for path in (Path(sys.modules["mirror.cli"].__file__ or "").parent).glob("*.py")
    }
    assert COMMANDS.keys() <= modules


@pytest.mark.parametrize("name", ALL_COMMANDS)
def test_each_option_is_a_parameter_of_its_command(name: str) -> None:
    """Click would say so only when the command is run."""
    command = ALL_COMMANDS[name]
    assert command.callback is not None
    taken = set(inspect.signature(inspect.unwrap(command.callback)).parameters)
    given = {one.name for one in command.params if one.expose_value}
    assert taken - {"ctx", "limits", "client_config", "cluster"} <= given
    if not taken & {"limits", "client_config", "cluster"}:  # these hold many options
        assert given - {"force"} <= taken
