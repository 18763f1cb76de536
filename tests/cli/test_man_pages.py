"""Manual pages: each has all of its help, and other programs read it without an error."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest
from man_pages import PAGES, man_pages, roff
from sample_bundles import files

from tests.commands import walk

PATHS = sorted(map(str, PAGES.glob("*.1")))
NAMES = {"-".join(["mirror", *words]): command for words, command in walk()}


def run(*command: str) -> str:
    """What a program prints, which has no complaint."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr), done.stdout
    return done.stdout


def test_the_pages_match_the_help_texts() -> None:
    """`scripts/make_man_pages` makes them again; each command has one."""
    made = man_pages()
    assert {f"{name}.1" for name in NAMES} == made.keys()
    assert [] == files.differences(made, PAGES), "run scripts/make_man_pages"


def test_mandoc_reports_no_error() -> None:
    """Not about style either."""
    assert "" == run("mandoc", "-Tlint", *PATHS)


def test_groff_reports_no_error() -> None:
    """With all its warnings; `man` prints with it."""
    run("groff", "-man", "-Tutf8", "-ww", "-z", *PATHS)


@pytest.fixture(scope="module")
def shown() -> dict[str, str]:
    """Every page as mandoc shows it, without line breaks in paragraphs, by name."""
    text = re.sub(".\b", "", run("mandoc", "-Tutf8", "-Owidth=1000", *PATHS))
    pages = re.split(r"^([A-Z-]+)\(1\) .*\n", text, flags=re.MULTILINE)
    return {name.lower(): page for name, page in zip(pages[1::2], pages[2::2], strict=True)}


def test_each_paragraph_is_on_its_page(shown: dict[str, str]) -> None:
    """Text as it is; examples and tables line by line, with their columns."""
    assert NAMES.keys() == shown.keys()
    for name, command in NAMES.items():
        lines = [re.sub(r"\s+", " ", one).strip() for one in shown[name].splitlines()]
        for paragraph in re.split(r"\n\s*\n", command.help or ""):
            if "\b" in paragraph:
                written = [
                    " ".join(one.split()) for one in paragraph.split("\n") if one.strip(" \b")
                ]
                assert [] == [
                    one for one in written if one not in {*lines, "Example:", "Examples:"}
                ]
            elif not paragraph.lstrip().startswith(("Exit codes: ", "Environment: ")):
                assert " ".join(paragraph.replace("`", "").split()) in lines, name


def test_each_option_is_on_its_page(shown: dict[str, str]) -> None:
    """With its value, its help, its default and its variable."""
    for name, command in NAMES.items():
        context = click.Context(command, info_name=name)
        text = " ".join(shown[name].split())
        for one in command.params:
            if isinstance(one, click.Option):
                spelled, _ = one.get_help_record(context) or ("", "")
                assert f" {spelled} {(one.help or '').replace('`', '')}" in text
                assert one.envvar is None or f" {one.envvar} {one.opts[0]} " in text
    assert "--rate N Requests per second; 0: no limit. [default: 5.0; x>=0]" in " ".join(
        shown["mirror-sync"].split()
    )


def test_each_exit_code_is_on_its_page(shown: dict[str, str]) -> None:
    """Those of the command, and where it has none those of the program."""
    text = {name: " ".join(page.split()) for name, page in shown.items()}
    assert " 0 All match. 1 Something else was found. 2 Wrong usage. 3 " in text["mirror-compare"]
    assert " 0 Success, without findings. 1 Something was refused" in text["mirror-merge"]
    assert all(" 130 Interrupted. " in page for page in text.values())


def test_see_also_names_other_pages(shown: dict[str, str]) -> None:
    """To the commands above and below it, and to those that its help names."""
    text = {name: " ".join(page.split()) for name, page in shown.items()}
    add = "mirror-keys-add(1) Trust the keys and profiles of a key set file."
    assert add in text["mirror-keys"]
    assert "SEE ALSO mirror(1), mirror-keys(1)" in text["mirror-keys-add"]
    assert "mirror-keys(1), mirror-checkpoint-sign(1)" in text["mirror-keys-new"]


def test_special_characters_are_escaped(tmp_path: Path) -> None:
    """What roff would read as a macro, an escape or a hyphen is printed as it is."""
    text = '\\fB .TP \'n -- ~/.bashrc ^x `y` "z" – é'
    page = tmp_path / "x.1"
    page.write_text(f'.TH X 1 "2026-01-01"\n.SH NAME\nx \\- y\n.SH DESCRIPTION\n{roff(text)}\n')
    assert text in run("mandoc", "-Tutf8", str(page))
