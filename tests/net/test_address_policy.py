"""Which addresses are on the public internet: by list, and against what `ipaddress` knows."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.net.address_policy import Address, refusal_reason

PUBLIC = [
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00::1",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
]
REFUSED = {
    "this machine itself": ["127.0.0.1", "127.255.255.254", "0.0.0.0", "::1", "::"],  # noqa: S104
    "a private network": ["10.0.0.1", "172.16.0.1", "172.31.9.9", "192.168.1.1", "fd00::1"],
    "the local link": ["169.254.169.254", "fe80::1", "fe80::1%eth0"],
    "a provider's inner network": ["100.64.0.1", "100.127.255.255"],
    "groups of machines": ["224.0.0.1", "239.1.1.1", "ff02::1"],
    "no use yet": ["240.0.0.1", "255.255.255.255", "::7f00:1", "100::1", "5f00::1", "4000::"],
    "examples and tests": ["192.0.2.1", "198.18.0.1", "203.0.113.9", "2001:db8::1", "3fff::1"],
    "a special purpose": ["192.0.0.8", "192.88.99.1", "2001::1", "2002:7f00:1::"],
}
HIDDEN = ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::7f00:1"]
"""IPv6 addresses that stand for IPv4 addresses of this machine or of a network around it."""

NOT_GLOBAL_TO_US = [IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24")]
"""Public by the letter, and of no use to a registry: we refuse more here than `ipaddress`."""


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_accepted(text: str) -> None:
    """Neighbours of the refused networks too."""
    assert refusal_reason(ip_address(text)) == ""


@pytest.mark.parametrize(
    ("text", "words"), [(text, words) for words, texts in REFUSED.items() for text in texts]
)
def test_special_purpose_addresses_are_refused_with_their_purpose(text: str, words: str) -> None:
    """Each kind has its words, which go into the message."""
    assert refusal_reason(ip_address(text)) == words


@pytest.mark.parametrize("text", HIDDEN)
def test_ipv4_addresses_within_ipv6_addresses_are_checked(text: str) -> None:
    """The IPv4 address within decides: a machine connects to it."""
    assert refusal_reason(ip_address(text))


NEAR = st.sampled_from([text for texts in REFUSED.values() for text in texts if "%" not in text])
STEPS = st.integers(-3, 3)


@st.composite
def addresses(draw: st.DrawFn) -> Address:
    """Any address, and often one near a boundary."""
    if draw(st.booleans()):
        return draw(st.ip_addresses())
    near = ip_address(draw(NEAR))
    top = 2**near.max_prefixlen - 1
    return type(near)(min(max(int(near) + draw(STEPS), 0), top))


@given(addresses())
def test_accepted_addresses_are_global_for_ipaddress(address: Address) -> None:
    """Each is global, and none of the special kinds."""
    if refusal_reason(address) or _is_hidden(address):
        return
    assert address.is_global
    kinds = (address.is_private, address.is_loopback, address.is_link_local,
             address.is_multicast, address.is_reserved, address.is_unspecified)  # fmt: skip
    assert not any(kinds)


@given(st.ip_addresses(v=4) | addresses())
def test_no_global_ipv4_address_is_refused(address: Address) -> None:
    """Except those of two networks that are not in use."""
    if isinstance(address, IPv4Address) and address.is_global and not address.is_multicast:
        is_ours = any(address in network for network in NOT_GLOBAL_TO_US)
        assert bool(refusal_reason(address)) == is_ours


@given(st.ip_addresses(v=4))
def test_mapped_and_translated_addresses_are_checked_as_their_ipv4_address(
    address: Address,
) -> None:
    """The two forms in which an IPv4 address is reached over IPv6."""
    forms = [IPv6Address(f"::ffff:{address}"), IPv6Address(f"64:ff9b::{address}")]
    assert [refusal_reason(address)] * 2 == [refusal_reason(form) for form in forms]


@given(st.integers(0, 2**125 - 1), st.integers(0, 7))
def test_only_one_eighth_of_ipv6_can_be_public(low: int, eighth: int) -> None:
    """RFC 4291 section 2.4: all that was ever given out begins with the bits 001."""
    address = IPv6Address(eighth << 125 | low)
    if eighth != 1 and not _is_hidden(address):
        assert refusal_reason(address)


def _is_hidden(address: Address) -> bool:
    """Whether an IPv6 address is judged as the IPv4 address in it."""
    return isinstance(address, IPv6Address) and int(address) >> 32 in {0xFFFF, 0x64FF9B << 64}
