"""Servers that end with their test, clients that lose no time, and an authority to trust."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Protocol

import pytest

from mirror.errors import UpstreamError
from mirror.net import Client, ClientConfig
from mirror.net.backend import Resolve, resolve_by_system
from tests.net.authority import Authority
from tests.net.server import Site, running

QUICK = ClientConfig(
    requests_per_second=0,
    retries=0,
    backoff_seconds=0.001,
    connect_seconds=30,
    read_seconds=30,
    response_seconds=60,
    allow_private=True,
)
"""For servers on this machine; what a test is about, it says itself."""


class MakeClient(Protocol):
    """Makes a client that is closed with its test."""

    def __call__(
        self,
        *,
        pauses: list[float] | None = None,
        resolve: Resolve = resolve_by_system,
        **changes: object,
    ) -> Client:
        """Change `QUICK`; with `pauses`, take notes instead of pausing."""
        ...


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that the tests' clients trust."""
    return Authority(tmp_path_factory.mktemp("authority"), "trusted")


@pytest.fixture(autouse=True)
def trust(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust that authority, and no other; and have a proxy that nothing may use."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


@pytest.fixture
def site() -> Iterator[Site]:
    """A server without TLS."""
    with running(Site()) as site:
        yield site


@pytest.fixture
def secure_site(authority: Authority) -> Iterator[Site]:
    """A server with TLS, whose certificate is in order."""
    with running(Site(authority.server_context())) as site:
        yield site


@pytest.fixture
def make_client() -> Iterator[MakeClient]:
    """Clients, to the end of the test."""
    with ExitStack() as stack:

        def make(
            *,
            pauses: list[float] | None = None,
            resolve: Resolve = resolve_by_system,
            **changes: object,
        ) -> Client:
            politeness = replace(QUICK, **changes)  # type: ignore[arg-type]
            options = {} if pauses is None else {"pause": pauses.append}
            return stack.enter_context(Client(politeness, resolve=resolve, **options))

        yield make


def locally(_: str, __: int) -> list[str]:
    """A resolver to whom all names are this machine."""
    return ["127.0.0.1"]


def refusal(client: Client, url: str, **options: object) -> UpstreamError:
    """The error that getting a URL ends with."""
    with pytest.raises(UpstreamError) as caught:
        client.get(url, **options)  # type: ignore[arg-type]
    error = caught.value
    assert error.message.endswith(".")
    assert (error.message + error.where + error.hint).isprintable()
    return error
