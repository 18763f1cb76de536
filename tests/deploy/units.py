"""The files in `deploy/`: the settings of units for systemd, and their commands as it runs them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
STATE = "/var/lib/mirror"
SETTINGS = "/etc/mirror/mirror.env"


def settings_of(text: str) -> dict[str, dict[str, list[str]]]:
    """The values of each key in each section of a unit, in their order."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in text.splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), defaultdict(list))
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section[key].append(value)
    return sections


def variables_of(text: str) -> dict[str, str]:
    """The variables of a file that both systemd and a shell read."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return {name: shlex.split(value)[0] for name, _, value in (one.partition("=") for one in lines)}


def unit(name: str) -> dict[str, dict[str, list[str]]]:
    """The settings of a unit in `deploy/systemd`."""
    return settings_of((DEPLOY / "systemd" / name).read_text())


@cache
def can_restrict() -> bool:
    """Whether this user may make the files of a process read-only."""
    program = shutil.which("setpriv") and shutil.which("unshare")
    return bool(program) and 0 == subprocess.run(_restricted([], ["true"]), check=False).returncode


def _restricted(writable: list[Path], command: list[str]) -> list[str]:
    """A command for which all other files are read-only, and which has no privileges.

    That is `ProtectSystem=strict`, `CapabilityBoundingSet=` and `NoNewPrivileges=yes`. The root of
    the file system is not all: files of tests may be in memory, which is another one.
    """
    mounts = [f"mount --bind {one} {one}" for one in map(str, writable)]
    mounts += [
        "mount -o remount,bind,ro /",
        "! mountpoint -q /dev/shm || mount -o remount,bind,ro /dev/shm",
    ]
    drop = ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", *command]
    script = "\n".join(["set -e", *mounts, shlex.join(["exec", *drop])])
    return ["unshare", "--mount", "--propagation=private", "sh", "-c", script]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A folder in place of the paths that the units name, and settings in place of the file's."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        """In place of /var/lib/mirror."""
        return self.folder / "state"

    @property
    def store(self) -> Path:
        """The store of this mirror."""
        return self.state / "mirror.db"

    @property
    def incoming(self) -> Path:
        """Its folder of bags and bundles to merge."""
        return self.state / "incoming"

    @property
    def key(self) -> Path:
        """In place of the credential that systemd gives to the nightly run."""
        return self.folder / "credentials" / "mirror.checkpoint-key"

    def lay(self) -> Machine:
        """Make the folders."""
        for one in (self.state, self.key.parent, self.folder / "tmp"):
            one.mkdir(parents=True)
        return self

    def command(self, name: str) -> list[str]:
        """`ExecStart` of a unit, under its restrictions where this user may set them."""
        (command,) = unit(name)["Service"]["ExecStart"]
        return self.restricted(name, self._here(command).split())

    def restricted(self, name: str, command: list[str]) -> list[str]:
        """A command under the restrictions of a unit, where this user may set them."""
        has_state = "StateDirectory" in unit(name)["Service"]
        writable = [self.folder / "tmp", *([self.state] if has_state else [])]
        return _restricted(writable, command) if can_restrict() else command

    def environment(self, name: str) -> dict[str, str]:
        """What systemd and the file of settings give to a unit, and what tests need."""
        service = unit(name)["Service"]
        assert [SETTINGS] == service["EnvironmentFile"]
        named = dict(one.split("=", 1) for one in service["Environment"])
        given = {**named, **variables_of((DEPLOY / "mirror.env").read_text())}
        return {
            "PATH": os.environ["PATH"],
            **{key: self._here(value) for key, value in given.items()},
            "CREDENTIALS_DIRECTORY": str(self.key.parent),
            "TMPDIR": str(self.folder / "tmp"),
            "MIRROR_ALLOW_PRIVATE": "1",  # 127.0.0.1
            "MIRROR_RETRIES": "0",
            "MIRROR_RATE": "1000",
            "MIRROR_JOBS": "1",  # no processes for a few records
            **self.settings,
        }

    def run(self, name: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a unit to its end."""
        return subprocess.run(
            self.command(name),
            env={**self.environment(name), **settings},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )

    def _here(self, text: str) -> str:
        """A text with the paths of this machine."""
        script = str(DEPLOY / "mirror-nightly")
        text = text.replace("/opt/mirror/bin/mirror-nightly", script).replace(
            STATE, str(self.state)
        )
        return text.replace("/opt/mirror/bin", str(Path(sys.executable).parent))
