"""The registry's paths and the mirror's own, over a real socket."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard

from mirror.core.values import hexdigest
from tests.builders import Signer, author_claim, make_bundle, make_event, make_record, to_json
from tests.helpers import DEMO_RECORDS, PITH_RECORDS
from tests.web.conftest import BUNDLES, Serve, make_store, run_mirror

RECORDS = DEMO_RECORDS + PITH_RECORDS
"""What the store of the samples holds."""

SEEDS = {
    "7SOLO26TLPZRGSRX2HH227CICV": (
        "fc9cb76bd35bf3134a37d1cfad7c48154932c3bb6a1ea5cfe29d2d97bacadff6"
    ),
    "MENY3Y3QFD42TXHI5C7CMJ4DN5": (
        "611b8de37028f9a9dce8e8be2627836f4e3bf634227d50895a3d78b6f0b40035"
    ),
}
"""Records whose pages upstream prints, by suffix, with the hash that each expects."""

SUFFIX = "7SOLO26TLPZRGSRX2HH227CICV"
PATHS = (
    f"/pith/{SUFFIX}/bundle.json",
    f"/pith/{SUFFIX}/state.json",
    f"/pith/{SUFFIX}.json",
    f"/.well-known/pith/{SUFFIX}/bundle.json",
    "/pith-mirrors.json",
    "/pith-signing-key.json",
    "/mirror/changes",
    "/openapi.json",
)


@pytest.fixture
def client(site: str) -> Iterator[httpx.Client]:
    """A client of the sample mirror."""
    with httpx.Client(base_url=site) as opened:
        yield opened


@cache
def _shown(store: Path, *arguments: str) -> bytes:
    """What `mirror show` prints."""
    command = [sys.executable, "-m", "mirror", "show", *arguments, "--db", str(store)]
    return subprocess.run(command, check=True, capture_output=True).stdout


# The registry's paths ------------------------------------------------------------------------


@pytest.mark.parametrize("name", [SUFFIX, SUFFIX[:8], SUFFIX[:12], SUFFIX[:16], SUFFIX.lower()])
def test_state_and_bundle_are_what_the_command_line_prints(
    name: str, client: httpx.Client, store_path: Path
) -> None:
    """M13, B6: byte for byte, by any short form."""
    assert _shown(store_path, SUFFIX, "--json") == client.get(f"/pith/{name}/state.json").content
    bundle = _shown(store_path, SUFFIX, "--bundle")
    assert bundle == client.get(f"/pith/{name}/bundle.json").content
    assert bundle == client.get(f"/.well-known/pith/{name}/bundle.json").content


def test_the_record_has_its_verification_status(client: httpx.Client) -> None:
    """The names of its members are those of the registry."""
    record = client.get(f"/pith/{SUFFIX}.json").json()
    assert f"pith:2017:{SUFFIX}" == record["pith_number"]
    assert SEEDS[SUFFIX] == record["canonical_sha256"]
    expected = {
        "content_addressed": True,
        "pith_receipt": False,
        "author_attested": False,
        "weak_author_claims": 0,
        "strong_author_claims": 0,
        "externally_anchored": False,
        "storage_verified": False,
        "citation_signatures": 0,
        "replication_records": 0,
        "graph_snapshot": False,
        "references_resolved": False,
        "formal_links_present": False,
        "claims": {
            kind: {"claimed": 0, "checked": 0, "by": []}
            for kind in ("externally_anchored", "storage_verified", "author_attested",
                         "references_resolved", "formal_links_present")
        },
    }  # fmt: skip
    assert expected == record["verification_status"]


@pytest.mark.parametrize("suffix", SEEDS)
def test_the_verification_command_prints_the_canonical_hash(suffix: str, site: str) -> None:
    """The command is that of the pages upstream, with the name of this host."""
    if shutil.which("jq") is None or shutil.which("curl") is None:
        pytest.skip("needs curl and jq")
    line = (
        f"curl -sH 'Accept: application/ld+json' {site}/pith/{suffix} | jq -c '.canonical_record'"
        ' | python3 -c "import sys,json,hashlib; b=json.dumps(json.loads(sys.stdin.read()),'
        " sort_keys=True, separators=(',',':'), ensure_ascii=False).encode();"
        ' print(hashlib.sha256(b).hexdigest())"'
    )
    ran = subprocess.run(["bash", "-c", line], check=True, capture_output=True, text=True)  # noqa: S607
    assert SEEDS[suffix] == ran.stdout.strip()


def test_json_ld_and_the_page_share_a_path(client: httpx.Client) -> None:
    """Content negotiation chooses, and Vary names the header."""
    linked = client.get(f"/pith/{SUFFIX}", headers={"Accept": "application/ld+json"})
    assert linked.headers["content-type"] == "application/ld+json"
    assert "Accept" in re.split(r",\s*", linked.headers["vary"])
    assert f"{client.base_url}".rstrip("/") + f"/pith/{SUFFIX}" == linked.json()["@id"]


def test_a_removed_built_in_key_is_not_served(tmp_path: Path, serve: Serve) -> None:
    """K2: neither as the key to trust, nor in the manifest; and the page says that it is gone."""
    path = tmp_path / "mirror.db"
    assert run_mirror("keys", "remove", "pith-v1-2026-05", "--db", path) == 0
    with httpx.Client(base_url=serve(path)) as client:
        answer = client.get("/pith-signing-key.json")
        assert (404, "keys.unknown") == (answer.status_code, answer.json()["code"])
        _, theirs = client.get("/pith-mirrors.json").json()["mirrors"]
        assert "public_key" not in theirs
        page = client.get("/trust").text
        assert "No key is trusted here" in page
        assert "was removed: its signatures do not count here" in page
        assert "/pith-signing-key.json" not in page


def test_the_manifest_names_this_mirror_and_its_source(client: httpx.Client, site: str) -> None:
    """And the key is the registry's."""
    mine, theirs = client.get("/pith-mirrors.json").json()["mirrors"]
    assert (site, "https://pith.science") == (mine["base_url"], mine["source"])
    key = client.get("/pith-signing-key.json").json()
    assert theirs["public_key"]["public_key_hex"] == key["public_key_hex"]
    assert key["fingerprint_sha256_hex"] == "8d4b5ee74e4693bcd1df2446408b0d54"


def test_a_name_of_several_records_lists_the_choices(tmp_path: Path, serve: Serve) -> None:
    """The status is 300, with all choices; an unknown name gets 404."""
    records = [make_record(arxiv_id="2401.00001", version=version) for version in (1, 2)]
    source = tmp_path / "two.jsonl"
    source.write_bytes(b"\n".join(to_json(make_bundle(record)) for record in records))
    site = serve(make_store(tmp_path / "mirror.db", source))
    answer = httpx.get(f"{site}/pith/2401.00001.json")
    assert answer.status_code == 300
    page = httpx.get(answer.url, headers={"Accept": "text/html"})
    assert page.status_code == 300
    assert answer.headers["Vary"] == page.headers["Vary"] == "Accept, Accept-Encoding"
    assert len({choice["href"] for choice in answer.json()["choices"]}) == 2
    for choice in answer.json()["choices"]:
        assert httpx.get(f"{site}{choice['href']}.json").status_code == 200


# HTTP ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_conditional_requests_get_not_modified(path: str, client: httpx.Client) -> None:
    """RFC 9110 section 13: strong ETags, lists of them, weak ones, `*`, and times."""
    answer = client.get(path)
    etag = answer.headers["etag"]
    assert re.fullmatch(
        r'"[0-9a-f]{64}"', client.get(path, headers={"Accept-Encoding": ""}).headers["etag"]
    )
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = client.get(path, headers={"If-None-Match": known})
        assert (304, b"") == (again.status_code, again.content)
        assert etag == again.headers["etag"]
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    if (changed := answer.headers.get("last-modified")) is not None:
        assert client.get(path, headers={"If-Modified-Since": changed}).status_code == 304
        old = format_datetime(datetime.now(UTC) - timedelta(days=9), usegmt=True)
        assert client.get(path, headers={"If-Modified-Since": old}).status_code == 200
        both = {"If-Modified-Since": changed, "If-None-Match": '"other"'}
        assert client.get(path, headers=both).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_head_has_the_headers_of_get_and_no_body(path: str, client: httpx.Client) -> None:
    """RFC 9110 section 9.3.2."""
    got, head = client.get(path), client.head(path)
    assert (got.status_code, b"") == (head.status_code, head.content)
    for name in ("etag", "content-type", "content-length", "cache-control"):
        assert got.headers[name] == head.headers[name]


def test_bodies_are_compressed_by_accept_encoding(client: httpx.Client) -> None:
    """Each encoding has an ETag of its own; q=0 is no."""
    path = f"/pith/{SUFFIX}/state.json"
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    decoders: dict[str, Any] = {
        "gzip": gzip.decompress,
        "zstd": zstandard.ZstdDecompressor().decompress,
    }
    etags = {plain.headers["etag"]}
    for name, decode in decoders.items():
        with client.stream("GET", path, headers={"Accept-Encoding": name}) as answer:
            assert name == answer.headers["content-encoding"]
            assert plain.content == decode(b"".join(answer.iter_raw()))
            etags.add(answer.headers["etag"])
    assert len(etags) == 3
    refused = client.get(path, headers={"Accept-Encoding": "gzip;q=0, zstd;q=0, *"})
    assert "content-encoding" not in refused.headers
    liked = client.get(path, headers={"Accept-Encoding": "zstd;q=0.1, gzip;q=0.9"})
    assert liked.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_get_and_head(method: str, client: httpx.Client) -> None:
    """Other methods get 405 and the allowed ones."""
    answer = client.request(method, f"/pith/{SUFFIX}/state.json")
    assert answer.status_code == 405
    assert {"GET", "HEAD"} == set(re.split(r",\s*", answer.headers["allow"]))


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/pith/AAAAAAAA.json", 404, "lookup.unknown"),
        ("/pith/%00%FF/state.json", 404, "lookup.unknown"),
        ("/nothing/here", 404, "http.not_found"),
        ("/static/../../errors.py", 404, "http.not_found"),
        ("/mirror/changes?since=-1", 400, "request.since"),
        ("/mirror/changes?limit=9999", 400, "request.limit"),
        ("/mirror/bundle.tar?id=AAAAAAAA", 404, "lookup.unknown"),
    ],
)
def test_errors_are_problem_documents(
    path: str, status: int, code: str, client: httpx.Client
) -> None:
    """RFC 9457: they have codes of this mirror, and no details of its machine."""
    answer = client.get(path)
    assert (status, "application/problem+json") == (
        answer.status_code,
        answer.headers["content-type"],
    )
    problem = answer.json()
    assert (status, code) == (problem["status"], problem["code"])
    assert problem.get("hint") or not code.startswith("http."), "what to do"
    assert not re.search(r"Traceback|\.py|/home|/tmp|mirror\.db", answer.text)


@pytest.mark.parametrize("path", [*PATHS, "/health", "/metrics", "/nothing"])
def test_every_response_has_cors_and_security_headers(path: str, client: httpx.Client) -> None:
    """Reading from other sites is allowed; sniffing and loading from other sites are not."""
    headers = client.get(path).headers
    assert headers["access-control-allow-origin"] == "*"
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers


def test_a_merge_is_visible_after_its_commit(tmp_path: Path, serve: Serve) -> None:
    """The next request shows the new facts; ETag and time follow."""
    author = Signer("author")
    record = make_record()
    first, more = tmp_path / "first.json", tmp_path / "more.json"
    first.write_bytes(to_json(make_bundle(record)))
    event = make_event(record, author, "author_claimed", author_claim())
    more.write_bytes(to_json(make_bundle(record, [event])))
    store = make_store(tmp_path / "mirror.db", first)
    site = serve(store)
    name = record["source"]["id"]
    before = httpx.get(f"{site}/pith/{name}/state.json")
    assert run_mirror("merge", more, "--db", store) == 1
    after = httpx.get(f"{site}/pith/{name}/state.json")
    assert (0, 1) == (before.json()["event_count"], after.json()["event_count"])
    assert before.headers["etag"] != after.headers["etag"]


# The mirror's own ----------------------------------------------------------------------------


def test_changes_can_be_followed_page_by_page(client: httpx.Client) -> None:
    """Pages of any size have every record, in the order of arrival."""
    whole = client.get("/mirror/changes").json()
    assert (RECORDS, False) == (
        len({one["pith_number"] for one in whole["changes"]}),
        whole["more"],
    )
    for limit in (1, 7, 1000):
        since, seen = 0, []
        while True:
            page = client.get("/mirror/changes", params={"since": since, "limit": limit}).json()
            seen += page["changes"]
            since = page["next"]
            if not page["more"]:
                break
        assert whole["changes"] == seen


def test_the_streamed_bag_is_the_exported_one(
    client: httpx.Client, store_path: Path, tmp_path: Path
) -> None:
    """It has all records, or the named ones; another store merges it to the same bundles."""
    streamed = client.get("/mirror/bundle.tar")
    with tarfile.open(fileobj=io.BytesIO(streamed.content)) as tar:
        names = [name for name in tar.getnames() if name.endswith("bundle.json")]
    assert len(names) == RECORDS
    bag = tmp_path / "streamed.tar"
    bag.write_bytes(streamed.content)
    copy = make_store(tmp_path / "copy.db", bag, keys=BUNDLES / "demo-keys.json")
    for store in (copy, store_path):
        assert run_mirror("export", tmp_path / f"{store.stem}.tar", "--db", store) == 0
    exported = [(tmp_path / f"{name}.tar").read_bytes() for name in ("copy", store_path.stem)]
    assert exported[0] == exported[1]
    one = client.get("/mirror/bundle.tar", params={"id": [SUFFIX[:8], SUFFIX]})
    with tarfile.open(fileobj=io.BytesIO(one.content)) as tar:
        assert [f"pith/data/pith/7S/{SUFFIX}/bundle.json"] == [
            name for name in tar.getnames() if name.endswith("bundle.json")
        ]


def test_the_streamed_bag_holds_a_large_record_in_several_members(
    client: httpx.Client, store_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C2: as an export does; the bundle of one record is whole."""
    whole = client.get(f"/pith/{SUFFIX}/bundle.json").content
    monkeypatch.setattr("mirror.core.composed.MEMBER_EVENTS", 4)
    streamed = client.get("/mirror/bundle.tar").content
    with tarfile.open(fileobj=io.BytesIO(streamed)) as tar:
        names = [name for name in tar.getnames() if name.endswith("bundle.json")]
    assert sorted(names) == names
    assert len(names) > RECORDS
    (tmp_path / "streamed.tar").write_bytes(streamed)
    copy = make_store(tmp_path / "copy.db", tmp_path / "streamed.tar")
    bags = []
    for store in (copy, store_path):
        assert run_mirror("export", tmp_path / f"{store.stem}.tar", "--db", store) == 0
        bags.append((tmp_path / f"{store.stem}.tar").read_bytes())
    assert bags[0] == bags[1]
    assert whole == client.get(f"/pith/{SUFFIX}/bundle.json").content


def test_health_and_figures(client: httpx.Client) -> None:
    """What is in the store, and what was answered."""
    health = client.get("/health").json()
    assert ("ok", RECORDS) == (health["status"], health["counts"]["records"])
    figures = client.get("/metrics").text
    assert f"mirror_records {RECORDS}\n" in figures
    assert re.search(r'mirror_http_responses_total\{status="200"\} [1-9]', figures)


def test_the_description_lists_every_path(client: httpx.Client) -> None:
    """And what it says of a path is so."""
    description = client.get("/openapi.json").json()
    for path, operations in description["paths"].items():
        answer = client.get(path.replace("{suffix}", SUFFIX).replace("{prefix}", "0"))
        responses = operations["get"]["responses"]
        assert str(answer.status_code) in responses
        if answer.status_code != 200:
            continue
        media_types = responses["200"]["content"]
        assert answer.headers["content-type"].split(";")[0] in media_types, path


def test_the_etag_of_json_is_the_digest_of_the_body(client: httpx.Client) -> None:
    """This is so where no digest of the protocol names the content."""
    for path in ("/pith-signing-key.json", "/openapi.json"):
        answer = client.get(path, headers={"Accept-Encoding": "identity"})
        assert f'"{hexdigest(answer.content)}"' == answer.headers["etag"]
        assert hashlib.sha256(answer.content).hexdigest() in answer.headers["etag"]
        assert json.loads(answer.content)


def test_a_path_with_another_last_character_is_not_found(client: httpx.Client) -> None:
    """It gets no redirect, which would repeat the Host of the request."""
    for path in ("/health%0A", f"/pith/{SUFFIX}/state.json%0A", "/health/"):
        assert client.get(path, headers={"Host": "elsewhere.example"}).status_code == 404, path


def test_head_of_a_bag_makes_no_bag(client: httpx.Client) -> None:
    """It has no Content-Length, which is not known before the bag is made."""
    answer = client.head("/mirror/bundle.tar")
    assert answer.headers["content-type"] == "application/x-tar"
    assert answer.content == b""


def test_another_name_gets_a_content_location(client: httpx.Client) -> None:
    """RFC 9110 section 8.7: the canonical address itself has none."""
    place = f"/pith/{SUFFIX}/state.json"
    assert "content-location" not in client.get(place).headers
    for name in (SUFFIX[:8], SUFFIX.lower(), "1705.09786"):
        assert client.get(f"/pith/{name}/state.json").headers["content-location"] == place
