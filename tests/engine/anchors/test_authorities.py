"""Trusted time-stamp authorities: what is accepted, and that nothing else depends on them."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from mirror.engine.anchors.authorities import (
    MAX_AUTHORITIES,
    MAX_CERTIFICATES,
    Authority,
    add_authority,
    parse_authority,
    remove_authorities,
    trusted_authorities,
)
from mirror.errors import CorruptStoreError, FormatError, LookUpError, MirrorError
from mirror.store import open_store
from tests.engine.anchors.time_stamp_authority import TimeStampAuthority, certificate, private_key

TSA = TimeStampAuthority()
OTHER = TimeStampAuthority("other.example", 21, 22)


def _pem(*certificates: object) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)  # type: ignore[attr-defined]


def _server() -> bytes:
    return _pem(
        TSA.root,
        certificate(
            "www.example", 31, "tsa.example root", 11, purposes=(ExtendedKeyUsageOID.SERVER_AUTH,)
        ),
    )


# Files ---------------------------------------------------------------------------------------


def test_certificates_have_their_roles() -> None:
    """In any order, each once; the name is that of the root, or the operator's."""
    between = certificate("between", 31, "tsa.example root", 11, is_ca=True)
    found = parse_authority(_pem(TSA.signer, between, TSA.root, TSA.root))
    assert ("tsa.example root", "mine") == (found.name, parse_authority(found.pem, "mine").name)
    roles = [(one.role, one.subject) for one in found.summaries()]
    assert roles == [
        ("root", "CN=tsa.example root"),
        ("intermediate", "CN=between"),
        ("signer", "CN=tsa.example"),
    ]
    assert parse_authority(found.pem) == found


def test_a_private_key_in_the_file_is_passed_over() -> None:
    """It would be a mistake to keep it."""
    key = private_key(11).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert parse_authority(key + TSA.pem()).pem == TSA.pem()


@pytest.mark.parametrize(
    ("pem", "name", "code"),
    [
        (b"", "", "authority.shape"),
        (b"{}", "", "authority.shape"),
        (TSA.pem()[:-40], "", "authority.shape"),
        (TSA.pem().replace(b"MII", b"AAA"), "", "authority.shape"),
        (_pem(TSA.signer), "", "authority.root"),
        (_server(), "", "authority.certificate"),
        (TSA.pem(), " ", "authority.name"),
        (TSA.pem(), "a\nb", "authority.name"),
        (TSA.pem(), "a" * 129, "authority.name"),
        (TSA.pem() * (MAX_CERTIFICATES + 1), "", "limit.count"),
    ],
)
def test_a_file_that_is_no_authority_is_refused(pem: bytes, name: str, code: str) -> None:
    """With a code for each fault."""
    with pytest.raises(FormatError) as caught:
        parse_authority(pem, name)
    assert caught.value.code == code


def test_a_root_that_another_key_signed_is_no_root() -> None:
    """Its issuer has its own name, but not its own key."""
    false = certificate("tsa.example root", 11, "tsa.example root", 12, is_ca=True)
    with pytest.raises(FormatError) as caught:
        parse_authority(_pem(false))
    assert caught.value.code == "authority.root"


# Trust ---------------------------------------------------------------------------------------


def test_authorities_are_trusted_until_they_are_removed() -> None:
    """The log keeps both; a name can be used again."""
    with open_store(None) as store:
        assert add_authority(store, TSA.authority())
        assert not add_authority(store, TSA.authority())
        assert add_authority(store, OTHER.authority())
        assert trusted_authorities(store) == [OTHER.authority(), TSA.authority()]
        remove_authorities(store, ["tsa.example", "tsa.example"])
        assert trusted_authorities(store) == [OTHER.authority()]
        assert add_authority(store, Authority("tsa.example", (OTHER.root,), (), ()))
        changes = [(one.action, one.name) for one in store.authorities.log()]
        assert changes == [
            ("add", "tsa.example"),
            ("add", "other.example"),
            ("remove", "tsa.example"),
            ("add", "tsa.example"),
        ]


def test_a_refused_change_changes_nothing() -> None:
    """Another authority of a name, one too many, and names of which one is unknown."""
    with open_store(None) as store:
        add_authority(store, TSA.authority())
        faults = []
        for change in (
            lambda: add_authority(store, parse_authority(OTHER.pem(), "tsa.example")),
            lambda: remove_authorities(store, ["tsa.example", "none"]),
        ):
            with pytest.raises(MirrorError) as caught:
                change()
            faults.append(caught.value.code)
        assert faults == ["authority.conflict", "authority.unknown"]
        assert trusted_authorities(store) == [TSA.authority()]
        for number in range(MAX_AUTHORITIES - 1):
            add_authority(store, parse_authority(OTHER.pem(), f"other {number}"))
        with pytest.raises(FormatError) as caught:
            add_authority(store, OTHER.authority())
        assert caught.value.code == "limit.count"
    assert issubclass(LookUpError, MirrorError)


def test_keys_and_states_do_not_depend_on_authorities() -> None:
    """The key set digest (K3) and the version of all states stay as they were."""
    with open_store(None) as store:
        before = store.trust_log.key_set().digest, store.version()
        add_authority(store, TSA.authority())
        assert before == (store.trust_log.key_set().digest, store.version())


def test_a_lost_line_is_damage() -> None:
    """Also the last: it may have removed an authority."""
    with open_store(None) as store:
        add_authority(store, TSA.authority())
        remove_authorities(store, ["tsa.example"])
        store.connection.execute("DELETE FROM timestamp_authority WHERE action = 'remove'")
        with pytest.raises(CorruptStoreError):
            trusted_authorities(store)
        store.authorities.distrust_all("2026-01-01T00:00:00Z")
        assert store.authorities.trusted() == {}
