"""Every command of the program, each with arguments that it can work with, in one process.

As a program, it runs them all under each fault of the machine, in the folder that has its name:

    python -W error -m tests.cli.every_command FOLDER DESCRIPTOR

and writes to the descriptor, as lines of JSON, the result of each: the fault, the command, its exit
code or traceback, and its messages on standard error.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import nullcontext, redirect_stderr
from pathlib import Path

import tests.commands  # noqa: F401 - imports each command
from mirror.cli import main

ID = "EI5HAOZQLTRXHSO6XXITW2U5X6"

COMMANDS: dict[str, tuple[str, ...]] = {
    "merge": ("{folder}/demo.tar", "{folder}/other.json"),
    "verify": ("{folder}/demo.tar", "--json"),
    "show": (ID,),
    "history": (ID,),
    "diff": (ID, "2001-09-09"),
    "evidence": (ID, "{folder}/evidence.html", "--force"),
    "export": ("{folder}/out.tar", "--packed", "--force"),
    "backup": ("{folder}/backup.db", "--force"),
    "status": ("--json",),
    "compare": (
        "--upstream",
        "{folder}/demo.states.jsonl",
        "--report",
        "{folder}/report.html",
        "--force",
    ),
    "completion": ("zsh",),
    "conformance": ("--worlds", "0", "--task", "compare", "--", "{folder}/absent-program"),
    "root": (),
    "tables": ("{folder}/tables.db",),
    "figures": ("{folder}/figures.html", "--force"),
    "query": ("SELECT * FROM records",),
    "list": ("--where", "year > 2000"),
    "prove": (ID,),
    "find": ("paper",),
    "identify": ("--title", "A paper"),
    "keys list": (),
    "keys new": ("{folder}/new.key", "--name", "mirror.example/pith"),
    "keys add": ("{folder}/demo-keys.json",),
    "keys import": ("{folder}/demo-keys.json",),
    "keys remove": ("demo-library-2026",),
    "keys trust-profile": ("{folder}/absent.json",),
    "keys distrust-profile": ("none",),
    "keys trust-authority": ("{folder}/absent.pem",),
    "keys distrust-authority": ("none",),
    "checkpoint sign": ("--key", "{folder}/mirror.key"),
    "checkpoint verify": ("{folder}/absent.txt", "--verifier", "{verifier}"),
    "checkpoint list": (),
    "checkpoint stamp": ("--calendar", "http://127.0.0.1:9", "--allow-private", "--retries", "0"),
    "checkpoint upgrade": (),
    "checkpoint proof": ("{folder}/note.ots",),
    "check": (),
    "rebuild": (),
    "serve": ("--db", "{folder}/absent.db", "--port", "0"),
    "findings ack": ("--code", "event.shape", "--by", "a librarian", "--reason", "known"),
    "storage check": (ID,),
    "storage list": (ID,),
    "sync": (
        "http://127.0.0.1:9",
        "2101.00001",
        "--kind",
        "registry",
        "--retries",
        "0",
        "--allow-private",
    ),
    "probe": ("{folder}/one.json",),
    "headers add": ("{folder}/headers.jsonl",),
    "headers list": (),
    "anchors": ("--json",),
}
"""By command, its arguments."""

FROM_STANDARD_INPUT: dict[str, tuple[str, ...]] = {
    "merge": ("-",),
    "verify": ("-",),
    "identify": ("--title", "-"),
    "identify --metadata": ("-",),
    "prove": ("--check", "-"),
    "sync": ("http://127.0.0.1:9", "--ids", "-"),
    "checkpoint verify": ("-", "--verifier", "{verifier}"),
    "probe": ("-",),
    "conformance": ("--answer",),
    "headers add": ("-", "--height", "7"),
}
"""Commands that read standard input."""


def run(name: str, arguments: tuple[str, ...], folder: Path) -> tuple[str, int | str, str]:
    """Run a command; return its name, its exit code or traceback, and what it wrote on stderr."""
    said = io.StringIO()
    with nullcontext() if sys.stderr is None else redirect_stderr(said):
        code = _run(name, arguments, folder)
    return name, code, said.getvalue()


def _run(name: str, arguments: tuple[str, ...], folder: Path) -> int | str:
    texts = [one.format(folder=folder, verifier=_verifier(folder)) for one in arguments]
    try:
        main([*name.split(), *texts], prog_name="mirror")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else str(end.code)
    except BaseException:  # noqa: BLE001 - whatever it is, the test says so
        return traceback.format_exc()
    return "it did not end with an exit code"


def _verifier(folder: Path) -> str:
    path = folder / "verifier"
    return path.read_text() if path.exists() else ""


# Faults of the machine -----------------------------------------------------------------------


def _close(stream: str) -> None:
    """Leave a standard stream as Python finds one that is closed."""
    descriptor = getattr(sys, stream).fileno()
    setattr(sys, stream, None)
    os.close(descriptor)


def _delete_folder() -> None:
    Path("gone").mkdir()
    os.chdir("gone")
    os.environ["MIRROR_DB"] = "m.db"
    Path("../gone").rmdir()


FAULTS: dict[str, Callable[[], object]] = {
    "standard input is closed": lambda: _close("stdin"),
    "standard output is closed": lambda: _close("stdout"),
    "standard error is closed": lambda: _close("stderr"),
    "working folder deleted": _delete_folder,
    "no threads": lambda: threading.stack_size(1 << 46),
    "no file may grow": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
}


def _run_all(folder: Path, fault: str, out: int) -> None:
    chosen = FROM_STANDARD_INPUT if "input" in fault else COMMANDS
    os.chdir(folder)
    os.environ["MIRROR_DB"] = str(folder / "m.db")
    FAULTS[fault]()
    for name, arguments in chosen.items():
        os.write(out, json.dumps((fault, *run(name, arguments, folder))).encode() + b"\n")


def _run_in_forks(folder: Path, out: int) -> None:
    """Run all, a process for each fault, which begins with everything imported."""
    for fault in FAULTS:
        if not os.fork():
            _run_all(folder / fault, fault, out)
            os._exit(0)
        assert os.wait()[1] == 0, fault


if __name__ == "__main__":
    _run_in_forks(Path(sys.argv[1]), int(sys.argv[2]))
