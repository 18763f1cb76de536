"""Units for systemd: it accepts them, and they restrict the services as far as these allow."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.commands import walk
from tests.deploy.units import DEPLOY, ROOT, SETTINGS, STATE, settings_of, unit, variables_of

UNITS = sorted(
    path.name for path in (DEPLOY / "systemd").glob("*.[st]*r*") if "sysusers" not in path.name
)
SERVICES = [name for name in UNITS if name.endswith(".service")]
EXPOSURE = 15
"""At most so much, of 100, by `systemd-analyze security`; a service without restrictions has 96."""
SHARED = "# The same in both services.\n"

Analyze: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install systemd")
    return found


@pytest.fixture
def analyze(tmp_path: Path) -> Analyze:
    """`systemd-analyze` for a machine with these units and the programs that they start."""
    program = _program("systemd-analyze")
    installed = tmp_path / "etc/systemd/system"
    shutil.copytree(DEPLOY / "systemd", installed)
    for target in Path("/lib/systemd/system").glob("*.target"):
        shutil.copy(target, installed, follow_symlinks=True)
    (tmp_path / "opt/mirror/bin").mkdir(parents=True)
    for name in ("mirror", "mirror-nightly"):
        shutil.copy("/bin/true", tmp_path / "opt/mirror/bin" / name)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [program, f"--root={tmp_path}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def test_there_is_a_service_a_nightly_run_and_its_timer() -> None:
    """The units are those that are tested here."""
    assert ["mirror-nightly.service", "mirror-nightly.timer", "mirror.service"] == UNITS


def test_systemd_accepts_the_units(analyze: Analyze) -> None:
    """Each key and value, each unit that is named, and each program."""
    done = analyze("verify", "--man=no", *UNITS)
    said = [line for line in done.stderr.splitlines() if "mirror" in line]
    assert (0, []) == (done.returncode, said)


def test_systemd_would_refuse_a_fault(analyze: Analyze, tmp_path: Path) -> None:
    """An unknown key, and a program that is not there."""
    path = tmp_path / "etc/systemd/system/mirror.service"
    path.write_text(path.read_text().replace("NoNewPrivileges", "NoNewPrivilege"))
    (tmp_path / "opt/mirror/bin/mirror-nightly").unlink()
    said = analyze("verify", "--man=no", *UNITS).stderr
    assert ("NoNewPrivilege" in said, "mirror-nightly is not executable" in said) == (True, True)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_restricted(analyze: Analyze, name: str) -> None:
    """By the measure of systemd itself."""
    options = ("security", "--offline=true", "--no-pager")
    done = analyze(*options, f"--threshold={EXPOSURE}", name)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze cannot measure a file of a unit")
    assert 0 == done.returncode, done.stdout
    assert "Overall exposure level" in done.stdout
    assert 0 != analyze(*options, "--threshold=5", name).returncode


def test_both_services_have_the_same_restrictions() -> None:
    """Those that depend on nothing in the service stand last, in one order."""
    blocks = {
        (DEPLOY / "systemd" / name).read_text().split(SHARED)[1].partition("\n\n[")[0].strip()
        for name in SERVICES
    }
    (block,) = blocks
    assert block.count("\n") > 20


def _values(name: str, *keys: str) -> Sequence[list[str]]:
    service = unit(name)["Service"]
    return [service.get(key, []) for key in keys]


def test_only_the_nightly_run_writes_to_the_store() -> None:
    """Both run as one user, and all files but those of a state directory are read-only."""
    writes = ("User", "ProtectSystem", "StateDirectory", "ReadWritePaths", "LoadCredential")
    assert [["mirror"], ["strict"], [], [], []] == _values("mirror.service", *writes)
    key = ["mirror.checkpoint-key"]
    assert [["mirror"], ["strict"], ["mirror"], [], key] == _values(
        "mirror-nightly.service", *writes
    )


def test_the_timer_starts_the_nightly_run() -> None:
    """Once a day, later if the machine was off; an enabled timer is started with the machine."""
    timer = unit("mirror-nightly.timer")
    assert (["*-*-* 03:17:00"], ["yes"]) == (
        timer["Timer"]["OnCalendar"],
        timer["Timer"]["Persistent"],
    )
    assert ["timers.target"] == timer["Install"]["WantedBy"]
    assert "Unit" not in timer["Timer"]  # the service of the same name


def test_the_user_of_the_services_can_be_made(tmp_path: Path) -> None:
    """A system user without a shell, whose home is the folder of the store."""
    program = _program("systemd-sysusers")
    (tmp_path / "etc").mkdir()
    file = DEPLOY / "systemd" / "mirror.sysusers"
    done = subprocess.run(
        [program, f"--root={tmp_path}", str(file)], capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr
    name, _, _, _, _, home, shell = (tmp_path / "etc/passwd").read_text().strip().split(":")
    assert ("mirror", STATE, True) == (name, home, shell.endswith("nologin"))


def test_each_setting_is_read_by_an_option_or_the_script() -> None:
    """By an option of `mirror`, or by the nightly script."""
    text = (DEPLOY / "mirror.env").read_text()
    names = {*variables_of(text), *variables_of(re.sub("(?m)^#(?=MIRROR_)", "", text))}
    options = {option.envvar for _, command in walk() for option in command.params}
    script = (DEPLOY / "mirror-nightly").read_text()
    assert {one for one in names - options if f"${{{one}:-" not in script} == set()
    assert len(names & options) > 3


def test_the_line_for_cron_runs_the_script_with_the_settings(tmp_path: Path) -> None:
    """`/bin/sh` runs it, as cron does; here for a script that prints what it was given."""
    mail, line = (DEPLOY / "mirror.cron").read_text().splitlines()[1:]
    *when, user, command = line.split(maxsplit=6)
    assert ("MAILTO=library@mirror.example", 5, "mirror") == (mail, len(when), user)
    script = tmp_path / "mirror-nightly"
    script.write_text('#!/bin/sh\necho "$MIRROR_SERVE_NAME, $MIRROR_DB"\n')
    script.chmod(0o700)
    command = command.replace(SETTINGS, str(DEPLOY / "mirror.env"))
    command = command.replace("/opt/mirror/bin/mirror-nightly", str(script))
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert (f"A mirror of pith.science, {STATE}/mirror.db\n", "") == (done.stdout, done.stderr)


def test_a_key_that_is_repeated_has_all_its_values() -> None:
    """Those of `Environment` and of `SystemCallFilter` are lists."""
    text = "[Service]\n# A comment\nA=1\nA=2=3\n\n[Install]\nB=\n"
    assert {"Service": {"A": ["1", "2=3"]}, "Install": {"B": [""]}} == settings_of(text)


def test_the_page_has_every_file() -> None:
    """And every file that its commands name is there."""
    page = (ROOT / "docs" / "running.md").read_text()
    files = {str(path.relative_to(DEPLOY)) for path in DEPLOY.rglob("*") if path.is_file()}
    assert files == set(re.findall(r"\]\(\.\./deploy/(.+?)\)", page))
    for name in re.findall(r"(?<!\.\./)deploy/([\w/*.-]+)", page):
        assert list(DEPLOY.glob(name)), name
