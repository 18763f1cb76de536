"""The clients of a registry and of a mirror: which URL they request, and what a status means."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from mirror.errors import FormatError, UpstreamError
from mirror.net import MirrorClient, RegistryClient, record_path
from tests.net.conftest import MakeClient
from tests.net.server import Site, message, saying


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        ("7SOLO26TLPZRGSRX2HH227CICV", "7SOLO26TLPZRGSRX2HH227CICV"),
        ("pith:2017:7SOLO26T", "pith:2017:7SOLO26T"),
        ("hep-th/9801199", "hep-th%2F9801199"),
        ("a?b#c", "a%3Fb%23c"),
        ("../health", "..%2Fhealth"),
        ("é", "%C3%A9"),
    ],
)
def test_a_name_is_one_segment_of_a_path(
    name: str, segment: str, site: Site, make_client: MakeClient
) -> None:
    """Whatever is in it, the server gets it as one segment."""
    assert record_path(name, "state") == f"pith/{segment}/state.json"
    RegistryClient(make_client(), site.url("/")).get_record(name, "state")
    assert [f"/pith/{segment}/state.json"] == site.paths


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("200 OK", (True, False, False)),
        ("304 Not Modified", (False, True, False)),
        ("300 Multiple Choices", (False, False, True)),
        ("404 Not Found", (False, False, False)),
        ("410 Gone", (False, False, False)),
    ],
)
def test_a_status_has_one_meaning(
    status: str, expected: tuple[bool, ...], site: Site, make_client: MakeClient
) -> None:
    """A document, the same document as before, several documents, or none."""
    site.at("/pith/A/bundle.json", saying(message(b"", status=status)))
    registry = RegistryClient(make_client(), site.url(""))
    response = registry.get_record("A", "bundle", etag='"1"')
    assert expected == (response.is_found, response.is_unchanged, response.is_ambiguous)
    assert registry.requests == 1


_Call = Callable[[MirrorClient, Callable[[bytes], Any]], Any]
DOCUMENTS: dict[str, tuple[str, _Call, str, str]] = {
    "changes": ("/mirror/changes?since=3&limit=2",
                lambda remote, parse: remote.get_changes(3, 2, parse),
                "upstream.feed", "upstream.feed"),
    "tree node": ("/mirror/tree/0f", lambda remote, parse: remote.get_tree_node("0f", parse),
                  "upstream.status", "upstream.tree"),
}  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_of_a_mirror_is_parsed(name: str, site: Site, make_client: MakeClient) -> None:
    """Errors name the URL without its query, and a hint."""
    path, get, no_document, malformed = DOCUMENTS[name]
    remote = MirrorClient(make_client(), site.url(""))
    with pytest.raises(UpstreamError) as missing:
        get(remote, json.loads)
    site.at(path, saying(message(b"[1]")))
    assert get(remote, json.loads) == [1]

    def refuse(_data: bytes) -> None:
        raise FormatError("any.shape", "must be an object")

    with pytest.raises(UpstreamError) as wrong:
        get(remote, refuse)
    where = site.url(path.partition("?")[0])
    assert [(no_document, where), (malformed, where)] == [
        (one.value.code, one.value.where) for one in (missing, wrong)
    ]
    assert "404" in missing.value.message
    assert "must be an object" in wrong.value.message
    assert all("mirror" in one.value.hint for one in (missing, wrong))


def test_a_server_without_health_or_bags_is_no_error(site: Site, make_client: MakeClient) -> None:
    """It may be a registry, or lack one of the records; but the bag of all must come."""
    remote, out = MirrorClient(make_client(), site.url("")), io.BytesIO()
    assert remote.get_health() is None
    assert remote.download_records(out, ["A", "B"]) is None
    with pytest.raises(UpstreamError, match=r"upstream\.status"):
        remote.download_bag(out, 100)
    with pytest.raises(UpstreamError, match=r"upstream\.status"):
        remote.get_state("A")
    assert out.getvalue() == b""


def test_bags_and_states_are_read(site: Site, make_client: MakeClient) -> None:
    """With the ids in the query, and the query in no URL that is shown."""
    remote, out = MirrorClient(make_client(), site.url("")), io.BytesIO()
    tar = saying(message(b"tar", media_type="application/x-tar"))
    bag = site.at("/mirror/bundle.tar", tar)
    site.at("/mirror/bundle.tar?id=A&id=B", tar)
    site.at("/health", saying(message(b"{}")))
    site.at("/pith/A/state.json", saying(message(b"{}")))
    assert (b"{}", b"{}") == (remote.get_health(), remote.get_state("A"))
    assert (bag, bag) == (remote.download_bag(out, 3), remote.download_records(out, ["A", "B"]))
    assert out.getvalue() == b"tartar"
    with pytest.raises(UpstreamError, match=r"upstream\.size"):
        remote.download_bag(out, 2)
