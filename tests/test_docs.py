"""The documents: what they show is run, what they point to is there, what exists is documented."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
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
def test_the_output_in_a_document_is_real(document: Path, tmp_path: Path) -> None:
    """Each `$ command` is run in one folder, in order, and prints what stands below it."""
    (tmp_path / "bundles").symlink_to(ROOT / "bundles")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
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
def test_links_between_documents_lead_somewhere(document: Path) -> None:
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
    whole, begun = set(), set()
    for path in (ROOT / "mirror").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                whole |= {*re.findall(r"\A[a-z]+\.[a-z_0-9]+\Z", node.value)}
            elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                begun |= {*re.findall(r"\A[a-z]+\.\Z", str(node.values[0].value))}
    return {one for one in whole - _OTHER_NAMES if not _NO_CODE.search(one)}, begun


def test_every_code_stands_in_the_table() -> None:
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


def test_nothing_names_the_rooms_that_are_not_built() -> None:
    """Documents speak of what there is."""
    names = {f"mirror {name}" for name in COMMANDS}
    for document in TOURS:
        for word in re.findall(r"`(mirror [a-z]+(?: [a-z]+)?)", document.read_text()):
            parts = word.split()
            assert word in names or " ".join(parts[:2]) in names | _GROUPS, word


# Scripts and units of the operator's page -------------------------------------------------------

OPERATING = (ROOT / "docs" / "operating.md").read_text()
NIGHTLY = "/usr/local/bin/mirror-nightly"


def _blocks(language: str, containing: str) -> list[str]:
    """The blocks of the operator's page in a language, with a text in them."""
    found = re.findall(rf"^```{language}\n(.*?)^```", OPERATING, re.MULTILINE | re.DOTALL)
    return [block for block in found if containing in block]


def _run_script(script: str, folder: Path, url: str) -> subprocess.CompletedProcess[str]:
    """Run a script as it stands, with this server for the one that it names."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = script.replace("https://first.example", url).replace("/var/lib/mirror", str(folder))
    return subprocess.run(
        ["sh", "-e", "-c", script],  # noqa: S607
        cwd=folder,
        env={**os.environ, "PATH": path, "MIRROR_ALLOW_PRIVATE": "1", "MIRROR_RETRIES": "0"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_two_mirrors_and_a_nightly_run_work(tmp_path: Path) -> None:
    """The scripts are run against a real mirror: what they say of it is true, and they end well."""
    (first, second), runner = (tmp_path / "first.db", tmp_path / "second"), CliRunner()
    second.mkdir()
    bundle = ROOT / "bundles" / "pith.tar"
    runner.invoke(main, ["merge", str(bundle), "--db", str(first)])
    made = runner.invoke(main, ["keys", "new", str(tmp_path / "key"), "--name", "first.example/y"])
    (second / "first.pub").write_text(made.stdout)
    runner.invoke(main, ["checkpoint", "sign", "--db", str(first), "--key", str(tmp_path / "key")])
    (two_mirrors,) = _blocks("sh", "mirror checkpoint verify - --verifier @first.pub")
    (nightly,) = _blocks("sh", f"# {NIGHTLY}\n")
    with served(ServerSettings(store=first)) as url:
        done = _run_script(two_mirrors, second, url)
        assert (0, True) == (done.returncode, "first.example/y" in done.stdout), done.stderr
    # The other mirror is gone: that is told, and the steps that do not need it are done.
    done = _run_script(nightly, second, url)
    assert (5, 2) == (done.returncode, done.stderr.count("mirror-nightly: exit 5: mirror "))
    assert "backup.db" in done.stdout
    assert (second / "backup.db").stat().st_size > 0


def test_what_starts_the_nightly_run_names_it(tmp_path: Path) -> None:
    """The line for cron, and the units for systemd, which systemd itself accepts."""
    (cron,) = _blocks("text", "MAILTO=")
    *when, user, command = cron.splitlines()[1].split()
    assert (5, "mirror", NIGHTLY) == (len(when), user, command)
    names = []
    for unit in _blocks("ini", "[Unit]"):
        name, _, content = unit.partition("\n")
        names.append(name.removeprefix("# "))
        (tmp_path / names[-1]).write_text(content.replace(NIGHTLY, "/bin/true"))
    assert ["mirror-nightly.service", "mirror-nightly.timer"] == names
    assert f"\nExecStart={NIGHTLY}\n" in OPERATING
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    (tmp_path / names[0]).write_text(
        (tmp_path / names[0]).read_text().replace("User=mirror", "User=root")
    )
    done = subprocess.run(
        [program, "verify", "--man=no", *names],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    assert "Unknown key" not in done.stderr
