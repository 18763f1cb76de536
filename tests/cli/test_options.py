"""Small files that are read as a whole: none may be large, or endless, or hold too much."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from mirror.cli import main
from mirror.cli.options import SMALL_BYTES, SmallFile, TextOrFile, read_input
from mirror.core.limits import MAX_KEYS
from mirror.core.transparency.signed_note import make_signer
from mirror.errors import LimitError
from tests.builders import Signer, key_set_file, to_json
from tests.cli.conftest import BUNDLES, Mirror
from tests.cli.every_command import ID
from tests.cli.test_output_paths import PARAMETERS

VERIFIER = make_signer("mirror.example/pith", bytes(32)).verifier.text

RUNS: dict[tuple[str, str], tuple[str, ...]] = {
    ("merge", "key_files"): ("bundle.json", "--keys", "FILE"),
    ("verify", "key_files"): ("bundle.json", "--keys", "FILE"),
    ("show", "key_files"): (ID, "--keys", "FILE"),
    ("probe", "key_files"): ("bundle.json", "--keys", "FILE"),
    ("evidence", "verifier"): (ID, "out.html", "--verifier", "@FILE"),
    ("prove", "proof_file"): ("--check", "FILE"),
    ("identify", "title"): ("--title", "@FILE"),
    ("identify", "abstract"): ("--abstract", "@FILE"),
    ("query", "sql"): ("@FILE",),
    ("keys add", "file"): ("FILE",),
    ("keys import", "file"): ("FILE",),
    ("keys trust-profile", "file"): ("FILE",),
    ("keys trust-authority", "file"): ("FILE",),
    ("checkpoint sign", "key"): ("--key", "FILE"),
    ("checkpoint verify", "file"): ("FILE", "--verifier", VERIFIER),
    ("checkpoint verify", "verifiers"): ("FILE", "--verifier", "@FILE"),
    ("findings ack", "reports"): ("--from", "FILE", "--by", "Ada", "--reason", "known"),
    ("sync", "id_file"): ("http://127.0.0.1:9", "--ids", "FILE"),
}
"""A run for each parameter that names a small file; `FILE` is its name."""

PATIENT = {("findings ack", "reports")}
"""Those that may be larger: the findings of a whole run."""


def arguments_of(run: tuple[str, str], file: object) -> list[str]:
    """The arguments of a run."""
    return [*run[0].split(), *(one.replace("FILE", str(file)) for one in RUNS[run])]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the demo bag."""
    path = tmp_path_factory.mktemp("store") / "mirror.db"
    arguments = ["merge", str(BUNDLES / "demo.tar"), "--db", str(path)]
    assert 1 == CliRunner().invoke(main, arguments).exit_code  # its keys are not trusted
    return path


@pytest.fixture
def trying(store: Path, tmp_path: Path, mirror: Mirror) -> Mirror:
    """`mirror`, in a folder with a store."""
    shutil.copy(store, tmp_path)
    return mirror


def _write_for_ever(path: Path, is_over: threading.Event) -> None:
    while not is_over.is_set():
        with suppress(BrokenPipeError), path.open("wb", buffering=0) as pipe:
            while True:
                pipe.write(b"y\n" * 32768)


@pytest.fixture
def endless(tmp_path: Path) -> Iterator[Path]:
    """A named pipe into which somebody writes for ever."""
    path, is_over = tmp_path / "pipe", threading.Event()
    os.mkfifo(path)
    writer = threading.Thread(target=_write_for_ever, args=(path, is_over))
    writer.start()
    yield path
    is_over.set()
    while writer.is_alive():  # it may open the pipe once more after this opened it
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        writer.join(0.01)


def test_every_option_of_a_small_file_is_tested() -> None:
    """Each parameter that names one has a type that says so, and stands in `RUNS`."""
    types = (SmallFile, TextOrFile)
    assert set(RUNS) == {
        (name, one.name) for name, one in PARAMETERS if isinstance(one.type, types)
    }


@pytest.mark.parametrize("run", RUNS, ids=" ".join)
def test_an_endless_file_is_refused(trying: Mirror, endless: Path, run: tuple[str, str]) -> None:
    """A device and a pipe, of which no more than the limit is read."""
    for file in ("/dev/zero", endless):
        ran = trying(*arguments_of(run, file))
        assert (3, True) == (ran.exit_code, f"error: limit.size at {file}: " in ran.stderr), ran


@pytest.mark.parametrize("run", RUNS, ids=" ".join)
def test_folders_and_unreadable_files_are_an_error(
    trying: Mirror, tmp_path: Path, run: tuple[str, str]
) -> None:
    """A folder, a file that is not there, one that gives an error, one that is not text."""
    (tmp_path / "noise").write_bytes(bytes(range(256)))
    for file in (tmp_path, "absent", "/proc/self/mem", "noise", "/proc/self/auxv", "/dev/null", ""):
        ran = trying(*arguments_of(run, file))
        assert ran.exit_code in {1, 2, 3, 5}, (file, ran)
        assert "Traceback" not in ran.stderr


def test_no_more_than_the_limit_is_read(endless: Path) -> None:
    """One byte beyond tells that there is more; the rest stays in the pipe."""
    reading = os.open(endless, os.O_RDONLY)
    try:
        with pytest.raises(LimitError):
            read_input(Path(f"/dev/fd/{reading}"), 1000)
        assert len(os.read(reading, 10)) == 10
    finally:
        os.close(reading)


def test_the_limit_itself_is_read(tmp_path: Path) -> None:
    """A file of just so many bytes; not one of one more."""
    path = tmp_path / "file"
    path.write_bytes(b" " * SMALL_BYTES)
    assert SMALL_BYTES == len(read_input(path))
    path.write_bytes(b" " * (SMALL_BYTES + 1))
    with pytest.raises(LimitError, match=r"limit\.size"):
        read_input(path)


def test_standard_input_is_limited_too(trying: Mirror) -> None:
    """As any file."""
    for run in RUNS:
        if run[1] != "verifiers":
            ran = trying(*arguments_of(run, "-"), stdin=b"y\n" * SMALL_BYTES)
            is_refused = run in PATIENT or "error: limit.size at -: " in ran.stderr
            assert (3, True) == (ran.exit_code, is_refused), ran


def test_a_file_named_dash_is_given_as_a_path(trying: Mirror, tmp_path: Path) -> None:
    """It is given as `./-`."""
    (tmp_path / "-").write_bytes(key_set_file(Signer("alice")))
    ran = trying("keys", "add", "./-", stdin=b"")
    assert (0, True) == (ran.exit_code, "key-alice" in ran.stderr), ran


# How much is in one --------------------------------------------------------------------------

_KEY = Signer("alice").key_value()

CROWDED: dict[str, tuple[tuple[str, str], Callable[[], bytes]]] = {
    "keys": (("keys add", "file"), lambda: to_json({"keys": [_KEY] * (MAX_KEYS + 1)})),
    "keys to import": (
        ("keys import", "file"),
        lambda: to_json({"mirrors": [{"public_key": _KEY}] * (MAX_KEYS + 1)}),
    ),
    "event types": (
        ("keys add", "file"),
        lambda: to_json({"keys": [{**_KEY, "event_types": ["x.y"] * 1001}]}),
    ),
    "profiles": (("keys add", "file"), lambda: to_json({"keys": [], "profiles": [{}] * 101})),
    "verifiers": (
        ("checkpoint verify", "verifiers"),
        lambda: f"{VERIFIER}\n".encode() * (MAX_KEYS + 1),
    ),
}
"""A run that reads a file, and one that holds too much."""


@pytest.mark.parametrize("what", CROWDED)
def test_too_many_values_are_refused(trying: Mirror, tmp_path: Path, what: str) -> None:
    """Before any of it is read: each key costs a millisecond."""
    run, content = CROWDED[what]
    (tmp_path / "crowd").write_bytes(content())
    ran = trying(*arguments_of(run, "crowd"))
    assert (3, True) == (ran.exit_code, "error: limit.count at crowd" in ran.stderr), ran


def test_several_files_share_one_limit(
    trying: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keys of all files, and those of the store, count together."""
    monkeypatch.setattr("mirror.core.keys.MAX_KEYS", 2)
    for name in ("alice", "bob"):
        (tmp_path / name).write_bytes(key_set_file(Signer(name)))
    ran = trying("verify", "absent", "--keys", "alice", "--keys", "bob")
    assert (3, True) == (ran.exit_code, "limit.count at bob" in ran.stderr), ran
    assert 0 == trying("keys", "add", "alice").exit_code
    ran = trying("keys", "add", "bob")
    assert (3, True) == (ran.exit_code, "limit.count" in ran.stderr), ran
