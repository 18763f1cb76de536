"""Keys as a registry publishes them (K2)."""

from __future__ import annotations

from typing import Any

import pytest

from mirror.core.keys import BUILT_IN
from mirror.core.limits import MAX_KEYS
from mirror.core.published_keys import parse_published_keys
from tests.builders import Signer, to_json
from tests.helpers import code_of

ALICE = Signer("alice")
PUBLISHED: dict[str, Any] = {
    "key_id": ALICE.key_id,
    "algorithm": "ed25519",
    "public_key_hex": ALICE.public_key.hex(),
}
TRUST_AS: dict[str, Any] = {
    "signer_type": "registry",
    "valid_from": None,
    "valid_until": None,
    "event_types": ["*"],
}


def read(document: Any, **trust_as: Any) -> list[Any]:
    """The keys in a document."""
    return parse_published_keys(to_json(document), {**TRUST_AS, **trust_as})


@pytest.mark.parametrize(
    ("document", "signer_id"),
    [
        ({**PUBLISHED, "url": "https://one.example/key"}, "one.example"),
        ({"public_key": {**PUBLISHED, "url": "https://two.example"}}, "two.example"),
        (
            {"mirrors": [7, {}, {"public_key": PUBLISHED, "base_url": "https://three.example/"}]},
            "three.example",
        ),
    ],
)
def test_a_key_is_found_in_each_place_and_signs_for_its_host(document: Any, signer_id: str) -> None:
    """A person may name another signer; no document can."""
    (key,) = read(document)
    assert (signer_id, False) == (key.signer_id, key.may_revoke_others)
    assert ALICE.public_key.hex() == key.public_key_hex
    (key,) = read(document, signer_id="somebody", may_revoke_others=True)
    assert ("somebody", False) == (key.signer_id, key.may_revoke_others)


@pytest.mark.parametrize("url", [None, 7, "no address", "https://[::1/"])
def test_a_key_without_a_host_needs_a_signer(url: Any) -> None:
    """An empty signer_id is refused (K2)."""
    document = {**PUBLISHED, "url": url}
    assert "keys.shape" == code_of(lambda: read(document))
    assert "somebody" == read(document, signer_id="somebody")[0].signer_id


@pytest.mark.parametrize("document", [[], 7, {}, {"public_key": 7, "mirrors": {}}])
def test_a_document_without_a_key_is_refused(document: Any) -> None:
    """K2."""
    assert "keys.shape" == code_of(lambda: read(document))


@pytest.mark.parametrize("name", ["public_key_b64", "fingerprint_sha256_hex"])
def test_another_form_of_the_key_must_be_the_same_key(name: str) -> None:
    """K1."""
    document = {**PUBLISHED, name: "AAAA"}
    assert "keys.shape" == code_of(lambda: read(document, signer_id="somebody"))


def test_the_built_in_key_stays_as_it_is() -> None:
    """Importing it grants it nothing and takes nothing from it."""
    document = {
        "key_id": BUILT_IN.key_id,
        "algorithm": "ed25519",
        "public_key_hex": BUILT_IN.public_key_hex,
        "fingerprint_sha256_hex": BUILT_IN.fingerprint,
    }
    assert [BUILT_IN] == read(document, signer_id="somebody")


def test_too_many_keys_are_refused() -> None:
    """B4."""
    document = {"mirrors": [{"public_key": PUBLISHED}] * (MAX_KEYS + 1)}
    assert "limit.count" == code_of(lambda: read(document, signer_id="somebody"))
