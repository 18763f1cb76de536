"""Options and their environment variables with values that make no sense: a code, no traceback."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mirror.cli import main
from mirror.cli.options import Count
from tests.cli.conftest import BUNDLES, Mirror
from tests.cli.every_command import COMMANDS
from tests.cli.test_output_paths import PARAMETERS

NOT_UTF_8 = "\udcff\udcfe"
NONSENSE = (NOT_UTF_8, "x" * 200_000, "9" * 5000, "99999999999999999999", "nan", "-1", "\n\x1b[31m")

OPTIONS = {
    (name, one.opts[0]): one
    for name, one in PARAMETERS
    if isinstance(one, click.Option) and not one.is_flag and name not in {"serve", "findings"}
}
"""By command and name; `serve` would go on for ever."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store and a source."""
    folder = tmp_path_factory.mktemp("arguments")
    for name in ("demo.tar", "demo-keys.json", "demo.states.jsonl"):
        shutil.copy(BUNDLES / name, folder)
    (folder / "other.json").write_text("{}")
    shutil.copy(BUNDLES / "invalid" / "event.signature.json", folder / "one.json")
    arguments = ["merge", f"{folder}/demo.tar", "--db", f"{folder}/m.db"]
    assert 1 == CliRunner().invoke(main, arguments).exit_code  # its keys are not trusted
    return folder


CASES = [(name, one, value) for name, one in sorted(OPTIONS) for value in NONSENSE]
TRIED = int(os.environ.get("MIRROR_NONSENSE", "6"))
"""How many of them are tried; -1 for all, which takes some minutes."""
SAMPLE = random.Random(16).sample(CASES, len(CASES) if TRIED < 0 else TRIED)


@pytest.mark.parametrize("by", ["option", "variable"])
def test_invalid_values_give_no_traceback(
    prepared: Path, tmp_path: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """Of all that is tried, each ends with a code."""
    monkeypatch.setenv("MIRROR_DB", "m.db")
    for number, (name, option, value) in enumerate(SAMPLE):
        folder = tmp_path / str(number)
        shutil.copytree(prepared, folder)
        monkeypatch.chdir(folder)
        words = [one.format(folder=folder, verifier="") for one in COMMANDS[name]]
        with monkeypatch.context() as changes:
            if by == "variable":
                changes.setenv(str(OPTIONS[name, option].envvar), value)
                ran = mirror(*name.split(), *words)
            else:
                ran = mirror(*name.split(), *words, option, value)
        assert ran.exit_code in range(6), (name, option, value[:20], ran)


def test_every_option_has_a_type_that_checks_its_value() -> None:
    """A number has an end, and a text is UTF-8."""
    for (name, option), one in OPTIONS.items():
        assert one.type is not click.STRING, (name, option)
        if isinstance(one.type, click.IntRange):
            assert isinstance(one.type, Count) or one.type.max is not None, (name, option)


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (("findings", "--code", NOT_UTF_8), {}),
        (("findings", "--limit", str(1 << 63)), {}),
        (("findings", "ack", "--by", NOT_UTF_8, "--reason", "known", "--code", "event.id"), {}),
        (("findings", "ack", "--withdraw", str(1 << 63), "--by", "Ada", "--reason", "x"), {}),
        (("merge", "demo.tar", "--max-line", str(1 << 63)), {}),
        (("merge", "demo.tar"), {"MIRROR_MAX_LINE": str(1 << 63)}),
        (("findings",), {"MIRROR_FINDINGS_CODE": NOT_UTF_8}),
    ],
)
def test_an_unrepresentable_value_is_a_usage_error(
    prepared: Path,
    mirror: Mirror,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    variables: dict[str, str],
) -> None:
    """Exit 2, by the option."""
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    ran = mirror(*arguments, "--db", prepared / "m.db")
    assert (2, True) == (ran.exit_code, "Error: Invalid value for '--" in ran.stderr), ran
