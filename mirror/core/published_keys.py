"""Reads published keys: `pith-mirrors.json` and `pith-signing-key.json` (K2)."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from urllib.parse import urlsplit

from mirror.core.keys import BUILT_IN, Key, parse_key
from mirror.core.limits import MAX_KEYS, require_at_most
from mirror.core.shape import list_member, object_member, text_member
from mirror.core.values import Object, Value, decode
from mirror.errors import FormatError

__all__ = ["parse_published_keys"]


def parse_published_keys(data: bytes, trust_as: Object) -> list[Key]:
    """Return the keys of `pith-mirrors.json` or `pith-signing-key.json`.

    Args:
        data: The file.
        trust_as: Members of K2 that the file lacks: `signer_id` (by default the host that
            publishes the key), `signer_type`, `valid_from`, `valid_until`, `event_types`. None of
            them can grant `may_revoke_others`.

    Raises:
        FormatError: A code of V1, `keys.shape`, or `limit.count` (B4).
    """
    published = list(_published(decode(data)))
    if not published:
        raise FormatError("keys.shape", "the file has no public_key with a public_key_hex")
    require_at_most(len(published), MAX_KEYS, "keys")
    return [_import(key, where, host, trust_as) for where, key, host in published]


def _published(value: Value) -> Iterator[tuple[str, Object, str]]:
    """Yield the JSON Pointer, the content and the host of each published key."""
    if isinstance(value, dict) and "public_key_hex" in value:
        yield "", value, _host(text_member(value, "url"))
    if key := object_member(value, "public_key"):
        yield "/public_key", key, _host(text_member(key, "url"))
    for index, entry in enumerate(list_member(value, "mirrors")):
        if key := object_member(entry, "public_key"):
            yield f"/mirrors/{index}/public_key", key, _host(text_member(entry, "base_url"))


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # an invalid IPv6 address
        return ""


def _import(published: Object, where: str, host: str, trust_as: Object) -> Key:
    members = ("key_id", "algorithm", "public_key_hex")
    given = {name: published[name] for name in members if name in published}
    key = parse_key({"signer_id": host, **trust_as, **given, "may_revoke_others": False}, where)
    _require_consistent(published, key, where)
    # The built-in key keeps its own members: importing it again changes nothing.
    is_built_in = (key.key_id, key.public_key) == (BUILT_IN.key_id, BUILT_IN.public_key)
    return BUILT_IN if is_built_in else key


def _require_consistent(published: Object, key: Key, where: str) -> None:
    """Check the other forms in which a document prints the same key (K1)."""
    forms: dict[str, str] = {
        "public_key_b64": base64.b64encode(key.public_key).decode(),
        "fingerprint_sha256_hex": key.fingerprint,
        "fingerprint_sha256_b32_first128bits": key.fingerprint_base32,
    }
    for name, expected in forms.items():
        if published.get(name, expected) != expected:
            message = f"does not belong to public_key_hex: that gives {expected}"
            raise FormatError("keys.shape", message, where=f"{where}/{name}")
