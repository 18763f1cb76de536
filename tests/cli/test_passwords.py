"""A password in a URL is neither printed nor stored, whichever way it comes in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import BUNDLES, Mirror, Ran, SampleStore

SECRET = "s3cr3t"  # noqa: S105 - what must not be found
URL = f"http://user:{SECRET}@127.0.0.1:9"
ID = "EI5HAOZQLTRXHSO6XXITW2U5X6"

POLITE = ("--allow-private", "--retries", "0")

WAYS = {
    "sync": (("sync", URL, ID, *POLITE), 5, "upstream.url"),
    "sync a registry": (
        ("sync", URL, ID, "--kind", "registry", *POLITE, "--json"),
        5,
        "upstream.url",
    ),
    "sync a mirror": (("sync", URL, "--kind", "mirror", *POLITE), 5, "upstream.url"),
    "sync the whole": (("sync", URL, "--full", "--kind", "mirror", *POLITE), 5, "upstream.url"),
    "sync an id": (
        ("sync", "http://127.0.0.1:9", f"{URL}/pith/x", "--kind", "registry", *POLITE, "--json"),
        1,
        "sync.id",
    ),
    "compare": (
        ("compare", "--upstream", URL, ID, *POLITE, "--report", "page.html"),
        5,
        "upstream.url",
    ),
    "compare with a mirror": (("compare", "--mirror", URL, *POLITE), 5, "upstream.url"),
    "compare under a name": (
        ("compare", "--upstream", "states.jsonl", "--upstream-name", URL),
        1,
        "differs",
    ),
    "history": (("compare", "--history", URL), 1, "lookup."),
    "merge": (("merge", f"{URL}/bag.tar"), 3, "source.unreadable"),
    "verify": (("verify", f"{URL}/bag.tar", "--json"), 3, "source.unreadable"),
    "probe": (("probe", f"{URL}/bag.tar"), 3, "source.unreadable"),
    "probe a report": (("probe", f"{URL}/bag.tar", "--json"), 3, "source.unreadable"),
    "identify a dump": (("identify", "--metadata", f"{URL}/dump"), 3, "source.unreadable"),
    "identify a file": (("identify", "--title", f"@{URL}/x"), 3, "source.unreadable"),
    "show": (("show", URL), 1, "lookup."),
    "prove": (("prove", "--check", URL), 3, "source.unreadable"),
    "keys": (("keys", "add", URL), 3, "source.unreadable"),
    "key file": (("merge", "b.tar", "--keys", URL), 3, "source.unreadable"),
    "checkpoint": (
        ("checkpoint", "verify", URL, "--verifier", f"@{URL}"),
        3,
        "source.unreadable",
    ),
    "export": (("export", "out.tar", "--since", URL), 3, ""),
    "serve": (("serve", "--port", "0", "--base-url", URL), 2, "user name or password"),
    "serve a source": (("serve", "--port", "0", "--source-url", URL), 2, "user name or password"),
    "store": (("status", "--db", URL), 4, "store.absent"),
}


@pytest.fixture
def folder(tmp_path: Path, sample_store: SampleStore) -> Path:
    """The working folder, with a store in it."""
    sample_store(BUNDLES / "demo.tar")
    (tmp_path / "states.jsonl").write_bytes((BUNDLES / "demo.states.jsonl").read_bytes())
    return tmp_path


def holding(folder: Path) -> Iterator[str]:
    """Yield the files that hold the secret."""
    for path in folder.rglob("*"):
        if path.is_file() and SECRET.encode() in path.read_bytes():
            yield path.name


def assert_kept(ran: Ran, folder: Path) -> None:
    """The secret is in no output and in no file."""
    assert SECRET not in ran.stderr
    assert SECRET.encode() not in ran.stdout
    assert [] == list(holding(folder))


@pytest.mark.parametrize("way", WAYS)
def test_a_password_is_neither_printed_nor_stored(folder: Path, mirror: Mirror, way: str) -> None:
    """The command says what it says of any other address that it cannot use."""
    arguments, exit_code, code = WAYS[way]
    ran = mirror(*arguments)
    assert_kept(ran, folder)
    assert (exit_code, True) == (ran.exit_code, code in ran.stderr + ran.stdout.decode()), ran


@pytest.mark.parametrize(
    "url",
    [
        "mirror.example",
        "javascript:alert(1)",
        f"https://x.example/?a={SECRET}",
        "https://x.example/#a",
        "https://",
    ],
)
@pytest.mark.parametrize("option", ["--base-url", "--source-url"])
def test_invalid_addresses_for_pages_are_a_usage_error(
    folder: Path, mirror: Mirror, option: str, url: str
) -> None:
    """Every page would link to it, and add a path to it."""
    ran = mirror("serve", "--port", "0", option, url)
    assert (2, True) == (ran.exit_code, f"Invalid value for '{option}'" in ran.stderr)
    assert_kept(ran, folder)


def test_a_proxy_is_named_by_its_variable_only(
    folder: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not used; an error of a request says so."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:{SECRET}@proxy.example:3128")
    ran = mirror("sync", "http://127.0.0.1:9", ID, "--kind", "registry", *POLITE)
    assert_kept(ran, folder)
    assert (5, True) == (ran.exit_code, "The proxy in HTTPS_PROXY is not used" in ran.stderr)
