"""Policy for IP addresses: only those on the public internet are connected to.

A registry, or the operator of its DNS, must not be able to direct this client to its own machine,
to its local network, or to a cloud's metadata service (server-side request forgery). The lists
follow IANA's registries of special-purpose addresses (RFC 6890, RFC 8190). They are written out
here because `ipaddress.is_global` changed between patch versions of Python.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

__all__ = ["Address", "refusal_reason"]

Address = IPv4Address | IPv6Address

_SELF = "this machine itself"
_PRIVATE = "a private network"
_LINK = "the local link"
_CARRIER = "a provider's inner network"
_SPECIAL = "a special purpose"
_EXAMPLE = "examples and tests"
_GROUP = "groups of machines"
_RESERVED = "no use yet"

_REFUSED_4 = {
    IPv4Network(network): purpose
    for network, purpose in {
        "0.0.0.0/8": _SELF,  # RFC 1122 section 3.2.1.3; Linux takes 0.0.0.0 for 127.0.0.1
        "10.0.0.0/8": _PRIVATE,  # RFC 1918
        "100.64.0.0/10": _CARRIER,  # RFC 6598
        "127.0.0.0/8": _SELF,  # RFC 1122 section 3.2.1.3
        "169.254.0.0/16": _LINK,  # RFC 3927; clouds keep their metadata service here
        "172.16.0.0/12": _PRIVATE,  # RFC 1918
        "192.0.0.0/24": _SPECIAL,  # RFC 6890
        "192.0.2.0/24": _EXAMPLE,  # RFC 5737
        "192.88.99.0/24": _SPECIAL,  # RFC 7526
        "192.168.0.0/16": _PRIVATE,  # RFC 1918
        "198.18.0.0/15": _EXAMPLE,  # RFC 2544
        "198.51.100.0/24": _EXAMPLE,  # RFC 5737
        "203.0.113.0/24": _EXAMPLE,  # RFC 5737
        "224.0.0.0/4": _GROUP,  # RFC 1112
        "240.0.0.0/4": _RESERVED,  # RFC 1112; 255.255.255.255 is everybody on the link
    }.items()
}
_REFUSED_6 = {
    IPv6Network(network): purpose
    for network, purpose in {
        "::/127": _SELF,  # RFC 4291 sections 2.5.2 and 2.5.3
        "fc00::/7": _PRIVATE,  # RFC 4193
        "fec0::/10": _PRIVATE,  # RFC 3879
        "fe80::/10": _LINK,  # RFC 4291 section 2.5.6
        "ff00::/8": _GROUP,  # RFC 4291 section 2.7
        "2001::/23": _SPECIAL,  # RFC 2928; Teredo, which hides an IPv4 address, is among them
        "2001:db8::/32": _EXAMPLE,  # RFC 3849
        "2002::/16": _SPECIAL,  # RFC 3056: 6to4 hides an IPv4 address
        "3fff::/20": _EXAMPLE,  # RFC 9637
    }.items()
}
_GLOBAL_6 = IPv6Network("2000::/3")
"""The global unicast addresses that IANA has allocated (RFC 4291 section 2.4)."""
_TRANSLATED = IPv6Network("64:ff9b::/96")
"""NAT64 (RFC 6052 section 2.1): IPv4 addresses in a network without IPv4."""


def refusal_reason(address: Address) -> str:
    """Return the purpose of an address; empty for an address of the public internet.

    An IPv6 address that represents an IPv4 address is checked as that one.
    """
    target = _embedded(address) or address
    if isinstance(target, IPv4Address):
        return next((purpose for network, purpose in _REFUSED_4.items() if target in network), "")
    listed = next((purpose for network, purpose in _REFUSED_6.items() if target in network), "")
    return listed or ("" if target in _GLOBAL_6 else _RESERVED)


def _embedded(address: Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address represents, if it does."""
    if isinstance(address, IPv4Address):
        return None
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped
