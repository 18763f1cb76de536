"""Completion of commands: its answers, and the scripts in the shells that are installed here."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mirror.cli import main
from mirror.cli.commands import COMMANDS as LINES
from mirror.cli.commands import SUBCOMMANDS
from mirror.cli.completion import complete_names
from mirror.cli.options import InputFile, SourceText, TextOrFile
from mirror.cli.output_paths import OutputFolder, OutputPath
from tests.cli.conftest import Mirror
from tests.cli.test_output_paths import PARAMETERS
from tests.commands import GROUPS

ROOT = Path(__file__).resolve().parents[2]

LINES_TO_COMPLETE = ("mirror me", "mirror keys trust-", "mirror --db=a")

BASH = """
. completions/mirror.bash
compopt() { echo "paths $2"; }  # which bash has only while a person completes
complete_line() {
    COMP_WORDS=($1) COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
    eval "$(complete -p mirror | sed 's/.* -F \\([^ ]*\\) .*/\\1/') mirror"
    printf '%s\\n' "${COMPREPLY[@]}"
}
"""

ZSH = """
fpath=(completions $fpath)
autoload -Uz _mirror
_describe() { print -l -- "${(@P)3}"; }
compset() { print -n "without $2, "; }
_path_files() { print "paths $1"; }
compadd() { print -l -- "${(@P)5}"; }
compdef() { : }
complete_line() {
    words=(${=1}) CURRENT=$#words
    _mirror
}
"""

FISH = """
source completions/mirror.fish
function complete_line
    complete -C $argv
end
"""

SHELLS = {
    "bash": (["bash", "--norc"], BASH, "{name}", "paths default"),
    "zsh": (["zsh", "-f"], ZSH, "{name}:{help}", "without -*=, paths -f"),
    "fish": (["fish", "--no-config"], FISH, "{name}\t{help}", "--db=a file"),
}
"""By shell, how to start it, what completes a line, and what it then gives: a command, paths."""


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes_by_the_installed_file(program: Path, tmp_path: Path, shell: str) -> None:
    """Commands, those of groups, and paths; with their help where the shell shows it.

    The file, which the wheel installs, runs the script that `mirror completion` prints.
    """
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    start, functions, form, paths = SHELLS[shell]
    (tmp_path / "completions").symlink_to(ROOT / "completions")
    (tmp_path / "a file").touch()
    lines = [f"complete_line {one!r}" for one in LINES_TO_COMPLETE]
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [*start, "-c", "\n".join([functions, *lines])],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    trust = {name: line for name, line in SUBCOMMANDS["keys"].items() if name.startswith("trust")}
    named = {"merge": LINES["merge"], **trust}
    expected = [form.format(name=name, help=line) for name, line in named.items()]
    assert ("", [*expected, paths]) == (done.stderr, done.stdout.rstrip("\n").split("\n"))


def completed(monkeypatch: pytest.MonkeyPatch, shell: str, *words: str) -> list[str]:
    """The completions of the last of some words, as a shell's script gets them."""
    joined = "\n".join(words) if shell == "bash" else " ".join(words)
    monkeypatch.setenv("_MIRROR_COMPLETE", f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", joined)
    monkeypatch.setenv("COMP_CWORD", words[-1] if shell == "fish" else str(len(words) - 1))
    return CliRunner().invoke(main, prog_name="mirror").output.splitlines()


def test_bash_splits_words_at_equals_signs_and_colons(monkeypatch: pytest.MonkeyPatch) -> None:
    """At each `=` and `:`; they are put together again."""
    assert ["plain,parquet"] == completed(
        monkeypatch, "bash", "mirror", "tables", "--format", "=", "p"
    )
    found = completed(monkeypatch, "bash", "mirror", "tables", "--format", "=")
    assert ["plain,sqlite", "plain,parquet", "plain,jsonl"] == found
    words = ("evidence", "arxiv", ":", "1705.09786", "out")
    assert ["file,out"] == completed(monkeypatch, "bash", "mirror", *words)
    words = ("--db", "=", "m.db", "keys", "rem")
    assert ["plain,remove"] == completed(monkeypatch, "bash", "mirror", *words)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_replace_the_whole_word(monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    """So a value is given with its option."""
    found = completed(monkeypatch, shell, "mirror", "tables", "--format=p")
    assert 1 == "\n".join(found).count("--format=parquet")
    assert "--since" in "".join(completed(monkeypatch, shell, "mirror", "diff", "--si"))


def test_options_are_completed_with_their_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that the command takes, also beside a store that is named before it."""
    found = completed(monkeypatch, "fish", "mirror", "--db", "m.db", "diff", "--si")
    assert ["plain,--since\tAll records that changed since TIME, a line each."] == found


def test_another_shell_is_refused(mirror: Mirror) -> None:
    """The shells are named."""
    ran = mirror("completion", "tcsh")
    assert (2, True) == (ran.exit_code, "'bash', 'zsh', 'fish'" in ran.stderr)


def test_the_tables_of_groups_are_those_of_their_helps() -> None:
    """Each line is the first sentence of the command's own help, and fits 80 columns whole."""
    assert SUBCOMMANDS.keys() == GROUPS.keys() - {""}
    for name, group in GROUPS.items():
        if name:
            helps = {one: (inner.help or "") for one, inner in group.commands.items()}
            lines = {one: text.partition("\n\n")[0] for one, text in helps.items()}
            assert SUBCOMMANDS[name] == lines
            limit = 80 - 2 - max(map(len, lines)) - 2
            assert [] == [line for line in lines.values() if len(line) > limit]


def test_names_are_completed_from_the_tables() -> None:
    """The commands that begin with a text, sorted, each with its line."""
    found = complete_names(LINES, "re")
    assert [("rebuild", LINES["rebuild"])] == [(one.value, one.help) for one in found]
    context = click.Context(main, resilient_parsing=True)
    assert sorted(LINES) == [one.value for one in main.shell_complete(context, "")]
    assert ["--db"] == [one.value for one in main.shell_complete(context, "--d")]


def test_each_parameter_completes_what_it_takes() -> None:
    """A path where it names a file or a folder, the choices of a choice, and nothing else."""
    context = click.Context(main, resilient_parsing=True)
    for name, one in PARAMETERS:
        found = {(item.type, item.value) for item in one.shell_complete(context, "")}
        assert _expected(name, one) == found, (name, one.name)


def _expected(name: str, parameter: click.Parameter) -> set[tuple[str, str]]:
    kind = parameter.type
    if isinstance(kind, click.Choice):
        return {("plain", one) for one in kind.choices}
    if isinstance(kind, OutputFolder) or (name, parameter.name) == ("conformance", "vectors"):
        return {("dir", "")}
    paths = (click.Path, SourceText, InputFile, OutputPath)
    is_path = isinstance(kind, paths) and not isinstance(kind, TextOrFile)
    is_program = (name, parameter.name) == ("conformance", "command")
    return {("file", "")} if is_path or is_program else set()
