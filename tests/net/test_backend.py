"""Connections go to the address that was judged, whatever the name leads to a moment later."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

import httpcore
import pytest

from mirror.errors import UpstreamError
from mirror.net.backend import GuardedBackend, Resolve, TransferLimits, resolve_by_system
from mirror.net.errors import TransientError
from tests.net.conftest import MakeClient, refusal
from tests.net.server import GREETING, Site, message, saying

PUBLIC = "93.184.216.34"
OTHER_PUBLIC = "2606:4700::1111"
PRIVATE = "10.0.0.1"


@dataclass
class Recorder(httpcore.NetworkBackend):
    """Connects to nothing, and takes notes; some addresses are dead."""

    dead: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def connect_tcp(
        self,
        host: str,
        port: int,  # noqa: ARG002
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """Take notes."""
        self.asked.append(host)
        self.seconds.append(timeout or 0)
        if host in self.dead:
            raise httpcore.ConnectTimeout
        return httpcore.NetworkStream()


def in_turn(*answers: list[str]) -> Resolve:
    """A resolver with another answer each time."""
    left = iter(answers)
    return lambda _, __: next(left)


def connect(resolve: Resolve, recorder: Recorder, *, allow_private: bool = False) -> None:
    """Connect to a name."""
    backend = GuardedBackend(
        TransferLimits(), allow_private=allow_private, resolve=resolve, inner=recorder
    )
    backend.connect_tcp("registry.example", 443, 4.0)


def test_a_connection_goes_to_the_address_that_was_checked() -> None:
    """DNS rebinding: the address is public at the check, and private at the next request."""
    recorder, resolve = Recorder(), in_turn([PUBLIC], [PRIVATE])
    connect(resolve, recorder)
    assert [PUBLIC] == recorder.asked
    with pytest.raises(UpstreamError) as caught:
        connect(resolve, recorder)
    assert caught.value.code == "upstream.private"
    assert PRIVATE in caught.value.message
    assert "--allow-private" in caught.value.hint
    assert [PUBLIC] == recorder.asked


@pytest.mark.parametrize("addresses", [[PUBLIC, PRIVATE], [PRIVATE, PUBLIC], ["::1", PUBLIC]])
def test_one_refused_address_is_enough(addresses: list[str]) -> None:
    """Nothing is connected to, not even the public one."""
    recorder = Recorder()
    with pytest.raises(UpstreamError):
        connect(in_turn(addresses), recorder)
    assert [] == recorder.asked


def test_private_addresses_can_be_allowed() -> None:
    """An operator may read a mirror in the same network."""
    recorder = Recorder()
    connect(in_turn([PRIVATE]), recorder, allow_private=True)
    assert [PRIVATE] == recorder.asked


def test_an_unreachable_address_leaves_time_for_the_next() -> None:
    """The time to connect is shared by all of them."""
    recorder = Recorder(frozenset({OTHER_PUBLIC}))
    connect(in_turn([OTHER_PUBLIC, PUBLIC]), recorder)
    assert [OTHER_PUBLIC, PUBLIC] == recorder.asked
    first, second = recorder.seconds
    assert 1 < first <= 2  # half of the time
    assert 3 < second <= 4  # what is left, for nothing waited


def test_only_a_few_addresses_of_a_host_are_tried() -> None:
    """A name with a thousand unreachable addresses takes no longer."""
    addresses = [f"1.1.1.{number}" for number in range(200)]
    recorder = Recorder(frozenset(addresses))
    with pytest.raises(httpcore.ConnectTimeout):
        connect(in_turn(addresses), recorder)
    assert addresses[:4] == recorder.asked


def test_all_addresses_of_a_host_are_checked() -> None:
    """The addresses that would not be tried are checked, too."""
    addresses = [*(f"1.1.1.{number}" for number in range(200)), PRIVATE]
    with pytest.raises(UpstreamError, match="private"):
        connect(in_turn(addresses), Recorder())


@pytest.mark.parametrize(
    ("error", "may_pass"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), False),
        (socket.gaierror(socket.EAI_AGAIN, "try again"), True),
        (UnicodeError("label too long"), False),
        (None, True),
    ],
)
def test_only_a_failed_resolver_is_asked_again(error: Exception | None, may_pass: bool) -> None:  # noqa: FBT001
    """A name that does not exist is not asked for again; a resolver that failed is."""

    def resolve(host: str, port: int) -> list[str]:
        if error is not None:
            raise error
        return []

    with pytest.raises((UpstreamError, TransientError)) as caught:
        connect(resolve, Recorder())
    assert isinstance(caught.value, TransientError) == may_pass


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "0177.1", "localhost"])
def test_loopback_is_refused_in_every_notation(
    site: Site, make_client: MakeClient, host: str
) -> None:
    """The address that a notation resolves to decides."""
    client = make_client(allow_private=False, retries=3)
    assert refusal(client, site.url(host=host)).code == "upstream.private"
    assert (0, 0) == (client.requests, site.connections)


def test_the_unspecified_and_mapped_forms_are_refused(make_client: MakeClient) -> None:
    """0.0.0.0, :: and IPv4 in IPv6 lead to this machine on many systems."""
    client = make_client(allow_private=False)
    for host in ("0.0.0.0", "[::]", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"):  # noqa: S104
        assert refusal(client, f"http://{host}:9/").code == "upstream.private"


def test_a_redirect_cannot_lead_into_a_private_network(site: Site, make_client: MakeClient) -> None:
    """Each redirect is checked like the first URL, even where other hosts are allowed."""
    site.at("/", saying(message(b"", status="302 Found", location="http://metadata.example/")))
    places = {"registry.example": "127.0.0.1", "metadata.example": "169.254.169.254"}
    asked = list[str]()

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return [places[host]]

    client = make_client(allow_other_hosts=True, allow_private=False, resolve=resolve)
    assert refusal(client, site.url(host="registry.example")).code == "upstream.private"
    client = make_client(resolve=resolve)
    assert refusal(client, site.url(host="registry.example")).code == "upstream.redirect"
    assert "metadata.example" not in asked


def test_a_host_is_resolved_once_for_a_connection_and_keeps_its_name(
    site: Site, make_client: MakeClient
) -> None:
    """The Host header has the name, which is not resolved again while the connection is open."""
    site.at("/a", saying(message()))
    client = make_client(resolve=in_turn(["127.0.0.1"], ["127.0.0.2"]))
    for _ in range(3):
        assert client.get(site.url("/a", host="registry.example")).body == GREETING
    assert site.connections == 1
    assert {f"registry.example:{site.port}"} == {one.headers["host"] for one in site.requests}


def test_the_system_gives_each_address_once() -> None:
    """Addresses stay in the order of the resolver."""
    assert ["127.0.0.1"] == resolve_by_system("127.0.0.1", 80)
    assert "127.0.0.1" in resolve_by_system("localhost", 80) or "::1" in resolve_by_system(
        "localhost", 80
    )
