"""The documents: what they show is run, what they point to is there, what exists is documented."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mirror.cli import main
from mirror.core.events.checks import EVENT_CODES
from mirror.web import ServerSettings
from mirror.web.pages.codes import codes
from mirror.web.pages.labels import CODES as WORDS
from tests.commands import COMMANDS, GROUPS
from tests.source import MODULES, source_of
from tests.web.conftest import served

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")])
TOURS = [ROOT / "README.md", ROOT / "docs" / "operating.md"]

_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


@dataclass(frozen=True)
class _Step:
    """A command of a document, and what the document says that it prints."""

    command: str
    printed: str


_NO_CODE = re.compile(
    r"\A(mirror|nacl|cpu|logging|pith)\.|\.(json|db|html|js|org|txt|tar|css|parquet|md)\Z"
)
"""What looks like a code and is the name of a module, file, host or setting."""
_OTHER_NAMES = {"http.disconnect", "next.id", "uvicorn.error"}
"""Of messages of ASGI, of columns in SQL, and of loggers."""


def _steps(document: Path) -> list[_Step]:
    steps = []
    for block in _BLOCK.findall(document.read_text()):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            steps.append(_Step(command, printed))
    return steps


def _pattern(printed: str) -> str:
    """A line `…` stands for any lines."""
    return re.escape(printed).replace(re.escape("…\n"), "(?:.*\n)*")


@pytest.mark.parametrize("document", TOURS, ids=lambda path: path.name)
def test_console_blocks_print_what_the_document_shows(
    document: Path, program: Path, tmp_path: Path
) -> None:
    """Each `$ command` is run in one folder, in order, and prints what stands below it."""
    (tmp_path / "bundles").symlink_to(ROOT / "bundles")
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    steps = _steps(document)
    assert steps
    for step in steps:
        done = subprocess.run(
            ["bash", "-c", step.command],  # noqa: S607
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert re.fullmatch(_pattern(step.printed), done.stdout), (
            f"{document.name} shows for `{step.command}`:\n{step.printed}\n"
            f"but it is:\n{done.stdout}"
        )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_have_a_target(document: Path) -> None:
    """Every relative link names a file or folder of the repository."""
    links = _LINK.findall(document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name: str) -> None:
    """The operator's page has each command by its full name."""
    assert f"`mirror {name}" in (ROOT / "docs" / "operating.md").read_text()


@pytest.mark.parametrize(("name", "command"), COMMANDS.items())
def test_every_option_is_documented(name: str, command: click.Command) -> None:
    """So is each option; and each with a value for every run has its environment variable."""
    page = (ROOT / "docs" / "operating.md").read_text()
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert f"`{parameter.opts[0]}" in page, f"{name} {parameter.opts[0]}"


def _said() -> tuple[set[str], set[str]]:
    """What in the source looks like a code, and what codes are put together from (`http.`)."""
    whole: set[str] = set()
    begun: set[str] = set()
    for source in map(source_of, MODULES):
        whole |= {text for _, text in source.strings if re.fullmatch(r"[a-z]+\.[a-z_0-9]+", text)}
        begun |= {text for text in source.beginnings if re.fullmatch(r"[a-z]+\.", text)}
    return {one for one in whole - _OTHER_NAMES if not _NO_CODE.search(one)}, begun


def test_every_code_is_in_the_table() -> None:
    """What the program can say, the table of codes explains; and nothing else."""
    whole, begun = _said()
    assert len(whole) > 100
    assert sorted(whole - codes().keys()) == []
    assert begun == {"event.", "http.", "record.", "request."}
    for name in ("not_found", "method_not_allowed"):  # by Starlette's own errors
        assert f"http.{name}" in codes()
    assert {*EVENT_CODES} <= WORDS.keys() <= codes().keys()
    left = {code for code in codes().keys() - whole if not code.startswith(tuple(begun))}
    assert left == {"equivocation"}


def test_every_code_has_a_meaning() -> None:
    """In each of its rows; what to do stands there, too, but for causes, which have a page."""
    for code, rows in codes().items():
        for row in rows:
            assert (row.code, bool(row.group), bool(row.meaning)) == (code, True, True)
            assert row.advice or row.group == "A comparison found a cause"
            assert row.meaning.count("`") % 2 == row.advice.count("`") % 2 == 0


_GROUPS = {f"mirror {name}" for name in GROUPS if name}


def test_documents_name_only_commands_that_exist() -> None:
    """Documents speak of what there is."""
    names = {f"mirror {name}" for name in COMMANDS}
    for document in TOURS:
        for word in re.findall(r"`(mirror [a-z]+(?: [a-z]+)?)", document.read_text()):
            parts = word.split()
            assert word in names or " ".join(parts[:2]) in names | _GROUPS, word


# Scripts of the operator's page ------------------------------------------------------------------

OPERATING = (ROOT / "docs" / "operating.md").read_text()


def _script(containing: str) -> str:
    """The script of the operator's page with a text in it."""
    blocks = re.findall(r"^```sh\n(.*?)^```", OPERATING, re.MULTILINE | re.DOTALL)
    (found,) = (block for block in blocks if containing in block)
    return str(found)


def _run_script(
    script: str, program: Path, folder: Path, url: str
) -> subprocess.CompletedProcess[str]:
    """Run a script as it stands, with this server for the one that it names."""
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-e", "-c", script.replace("https://first.example", url)],  # noqa: S607
        cwd=folder,
        env={**os.environ, "PATH": path, "MIRROR_ALLOW_PRIVATE": "1", "MIRROR_RETRIES": "0"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_script_for_two_mirrors_works(program: Path, tmp_path: Path) -> None:
    """The script is run against a real mirror: it says what the page says, and ends well."""
    (first, second), runner = (tmp_path / "first.db", tmp_path / "second"), CliRunner()
    second.mkdir()
    bundle = ROOT / "bundles" / "pith.tar"
    runner.invoke(main, ["merge", str(bundle), "--db", str(first)])
    made = runner.invoke(main, ["keys", "new", str(tmp_path / "key"), "--name", "first.example/y"])
    (second / "first.pub").write_text(made.stdout)
    runner.invoke(main, ["checkpoint", "sign", "--db", str(first), "--key", str(tmp_path / "key")])
    script = _script("mirror checkpoint verify - --verifier @first.pub")
    with served(ServerSettings(store=first)) as url:
        done = _run_script(script, program, second, url)
    assert (0, True) == (done.returncode, "first.example/y" in done.stdout), done.stderr
