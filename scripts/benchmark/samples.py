"""Small files beside the corpus: signatures by themselves, and pages of single records."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from benchmark.signers import PUBLIC_KEYS, Object

SIGNATURES: Final = 20_000
PAGES: Final = 300


def signature_sample(lines: Iterable[bytes]) -> bytes:
    """Return the first valid signatures of bundles: key, digest and signature of each."""
    entries = (entry for line in lines for entry in _entries(orjson.loads(line)))
    return b"".join(islice((entry for entry in entries if _is_valid(entry)), SIGNATURES))


def _entries(bundle: Object) -> Iterator[bytes]:
    for event in bundle["events"]:
        digest = bytes.fromhex(event["event_id"].removeprefix("sha256:"))
        yield _entry(event["signer"]["key_id"], digest, event["signature"]["signature_b64"])
        if event["event_type"] == "record_created":
            receipt = event["payload"]["receipt"]
            digest = bytes.fromhex(bundle["canonical_sha256"])
            yield _entry(receipt["key_id"], digest, receipt["signature_b64"])


def _entry(key_id: str, digest: bytes, signature_b64: str) -> bytes:
    return PUBLIC_KEYS[key_id] + digest + base64.b64decode(signature_b64)


def _is_valid(entry: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(entry[:32]).verify(entry[64:], entry[32:64])
    except InvalidSignature:
        return False
    return True


def write_pages(folder: Path, lines: Iterable[bytes]) -> None:
    """Write single records as upstream serves them, each under its expected digest."""
    folder.mkdir()
    for line in islice(lines, PAGES):
        bundle = orjson.loads(line)
        page = orjson.dumps(_page(bundle), option=orjson.OPT_INDENT_2)
        (folder / f"{bundle['canonical_sha256']}.json").write_bytes(page)


def _page(bundle: Object) -> dict[str, Any]:
    """Return what a record's own address gives for `Accept: application/ld+json`."""
    return {
        "@context": "https://schema.org",
        "@type": "ScholarlyArticle",
        "identifier": bundle["pith_number"],
        "canonical_record": bundle["canonical_record"],
        "canonical_sha256": bundle["canonical_sha256"],
        "aliases": bundle["source_aliases"],
    }
