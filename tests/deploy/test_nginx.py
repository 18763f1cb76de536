"""nginx in front of a mirror, by the example in `deploy/nginx`: a real nginx and a real server."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from mirror.web import ServerSettings
from tests.deploy.units import DEPLOY, ROOT
from tests.helpers import BUNDLES, PITH_RECORDS
from tests.net.authority import Authority
from tests.web.conftest import make_store, served

HOST = "mirror.example"
CONF = (DEPLOY / "nginx" / "mirror.conf").read_text()
RECORD = "/pith/EI5HAOZQLTRXHSO6XXITW2U5X6"
KEYS = BUNDLES / "demo-keys.json"
UNPACKED = ROOT / ".cache" / "nginx" / "usr" / "sbin"  # by scripts/setup
PROGRAM = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:{UNPACKED}")

_MAIN = """
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
daemon off;
worker_processes 1;
events {{}}
http {{
    access_log off;
    {temporary}
    include {folder}/mirror.conf;
}}
"""
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="nginx is absent: scripts/setup, or apt-get install nginx-light"
)


@dataclass(frozen=True)
class _Proxy:
    """A running nginx, and the mirror behind it."""

    folder: Path
    direct: str
    secure: str
    plain: str
    trust: ssl.SSLContext
    clients: httpx.Client

    def client(self, source: str = "127.0.0.1") -> httpx.Client:
        """A client that trusts its certificate."""
        transport = httpx.HTTPTransport(verify=self.trust, local_address=source)
        return httpx.Client(base_url=self.secure, transport=transport, headers={"Host": HOST})

    def get(self, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        """The response through nginx to a request with these headers and no others."""
        return _ask(self.clients, self.secure + path, method, headers)

    def get_directly(self, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        """The same request to the mirror itself."""
        return _ask(self.clients, self.direct + path, method, headers)


def _ask(client: httpx.Client, url: str, method: str, headers: Mapping[str, str]) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = httpx.Request(
        method, url, headers={"Host": HOST, **named}, extensions={"sni_hostname": HOST}
    )
    return client.send(request)


def _status(answer: httpx.Response) -> str | None:
    """What the cache did: `MISS`, `HIT`, `REVALIDATED`; None where there is no cache."""
    found: str | None = answer.headers.get("X-Cache-Status")
    return found


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _configuration(folder: Path, direct: str, secure: int, plain: int, pem: Path) -> str:
    """The example with places on this machine in place of its own; all else stays."""
    text = re.sub(r"\n    listen \[::\]:.*", "", CONF)  # not all machines have IPv6
    for pattern, value in {
        r"listen 443 ssl": f"listen 127.0.0.1:{secure} ssl",
        r"listen 80;": f"listen 127.0.0.1:{plain};",
        r"server 127\.0\.0\.1:8000": f"server {direct.removeprefix('http://')}",
        r"/var/cache/nginx-mirror": f"{folder}/cache",
        r"/etc/ssl/mirror/(fullchain|privkey)\.pem": str(pem),
        r"/var/www/acme": f"{folder}/acme",
    }.items():
        text, found = re.subn(pattern, value, text)
        assert found, pattern
    return text


@contextmanager
def _proxied(folder: Path, direct: str, *edits: tuple[str, str]) -> Iterator[_Proxy]:
    """Run nginx in front of a mirror; `edits` are changes to the example."""
    assert PROGRAM is not None
    authority = Authority(folder, "authority")
    authority.server_context(name=HOST)
    secure, plain = _free_ports(2)
    text = _configuration(folder, direct, secure, plain, folder / f"server-{HOST}-1.pem")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    (folder / "mirror.conf").write_text(text)
    main = _MAIN.format(
        user="user root;" if os.geteuid() == 0 else "",
        folder=folder,
        temporary=" ".join(f"{one}_temp_path {folder}/{one};" for one in _TEMPORARY),
    )
    (folder / "nginx.conf").write_text(main)
    log = str(folder / "error.log")
    command = [PROGRAM, "-p", str(folder), "-e", log, "-c", str(folder / "nginx.conf")]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert (0, False) == (checked.returncode, "[warn]" in checked.stderr), checked.stderr
    with ExitStack() as stack, subprocess.Popen(command) as process:
        try:
            _wait_for(secure, process)
            trust = ssl.create_default_context(cafile=authority.file)
            clients = stack.enter_context(httpx.Client(verify=trust))
            urls = f"https://127.0.0.1:{secure}", f"http://127.0.0.1:{plain}"
            yield _Proxy(folder, direct, *urls, trust, clients)
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
    pytest.fail("nginx ended")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the demo."""
    return make_store(
        tmp_path_factory.mktemp("store") / "mirror.db", BUNDLES / "demo.tar", keys=KEYS
    )


@pytest.fixture(scope="module")
def proxy(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Proxy]:
    """A mirror with an access log, with nginx in front of it."""
    settings = ServerSettings(store=store, base_url=f"https://{HOST}", access_log="json")
    with (
        served(settings) as direct,
        _proxied(tmp_path_factory.mktemp("nginx"), direct) as running,
    ):
        yield running


def test_plain_http_leads_to_tls(proxy: _Proxy) -> None:
    """Whatever the Host header says; but for the files that prove who owns a name."""
    answer = httpx.get(f"{proxy.plain}{RECORD}?a=b", headers={"Host": "other.example"})
    assert (301, f"https://{HOST}{RECORD}?a=b") == (answer.status_code, answer.headers["Location"])
    (proxy.folder / "acme/.well-known/acme-challenge").mkdir(parents=True)
    (proxy.folder / "acme/.well-known/acme-challenge/token").write_text("proof")
    assert "proof" == httpx.get(f"{proxy.plain}/.well-known/acme-challenge/token").text


def test_other_host_names_are_refused(proxy: _Proxy) -> None:
    """Of another name there is no certificate."""
    assert 200 == proxy.get("/health").status_code
    with proxy.client() as client, pytest.raises(httpx.ConnectError, match="unrecognized name"):
        client.get("/health", extensions={"sni_hostname": "other.example"})


def _lines(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, int]]:
    """Path and status of each line of the mirror's access log since the last call."""
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line[:1] == "{"]
    return [(line["path"], line["status"]) for line in lines]


def _until(proxy: _Proxy, path: str, wanted: str) -> list[httpx.Response]:
    """The responses up to the first one of which the cache says so; it stores one for a second."""
    answers = [proxy.get(path)]
    while _status(answers[-1]) != wanted:
        assert _status(answers[-1]) in {"HIT", "REVALIDATED"}
        time.sleep(0.05)
        answers.append(proxy.get(path))
    return answers


def test_a_stored_response_is_revalidated_by_its_etag(
    proxy: _Proxy, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The mirror answers 304 without a body; what changed is asked for again."""
    path = "/mirror/changes"
    first = proxy.get(path)
    stored = [*_until(proxy, path, "HIT"), *_until(proxy, path, "REVALIDATED")]
    assert "MISS" == _status(first)
    assert {_etag_and_text(first)} == {_etag_and_text(one) for one in stored}
    revalidated = sum(_status(one) == "REVALIDATED" for one in stored)
    assert [(path, 200), *[(path, 304)] * revalidated] == _lines(capsys)
    make_store(store, BUNDLES / "pith.tar")
    changed = _until(proxy, path, "EXPIRED")[-1]
    assert (path, 200) == _lines(capsys)[-1]
    assert len(first.json()["changes"]) + PITH_RECORDS == len(changed.json()["changes"])
    assert first.headers["ETag"] != changed.headers["ETag"]


def _etag_and_text(answer: httpx.Response) -> tuple[str, str]:
    return answer.headers["ETag"], answer.text


def test_a_clients_own_copy_is_revalidated(proxy: _Proxy) -> None:
    """304, from the cache and from the mirror; another ETag gets the body."""
    for path in (f"{RECORD}/state.json", "/mirror/keys", "/codes"):
        etag = proxy.get_directly(path).headers["ETag"]
        assert not etag.startswith("W/")
        answers = [proxy.get(path, If_None_Match=etag) for _ in range(2)]
        assert [(304, etag, b"")] * 2 == [
            (one.status_code, one.headers["ETag"], one.content) for one in answers
        ]
        assert 200 == proxy.get(path, If_None_Match='"other"').status_code


SAME = (
    "Content-Type", "Content-Encoding", "ETag", "Vary", "Link", "Location", "Cache-Control",
    "Last-Modified", "Memento-Datetime", "Content-Security-Policy",
)  # fmt: skip
"""Headers that nginx passes on as they are."""


def _seen(answer: httpx.Response) -> tuple[object, ...]:
    return (answer.status_code, *(answer.headers.get(name) for name in SAME), answer.content)


def test_the_cache_keeps_representations_apart(proxy: _Proxy) -> None:
    """Each request gets what the mirror itself answers, in any order, stored or not."""
    accepts = ("text/html", "application/ld+json")
    codings = ("identity", "gzip", "zstd")
    times: tuple[dict[str, str], ...] = ({}, {"Accept_Datetime": "Tue, 02 Jun 2026 18:00:00 GMT"})
    paths = (RECORD, f"{RECORD}/state.json", "/find?q=lemma", "/arxiv/hep-th/9901234")
    requests = [
        (path, {"Accept": accept, "Accept_Encoding": coding, **when})
        for path, accept, coding, when in itertools.product(paths, accepts, codings, times)
    ]
    expected = [_seen(proxy.get_directly(path, **headers)) for path, headers in requests]
    statuses = {}
    for order in (1, -1):
        for (path, headers), answer in list(zip(requests, expected, strict=True))[::order]:
            found = proxy.get(path, **headers)
            assert _seen(found) == answer, (path, headers)
            statuses[order, path, found.status_code] = _status(found)
    assert (
        len({one[3] for one in expected}) == 13
    )  # ETags: six of the page, three each of state and search
    assert {"MISS"} == {what for (_, _, code), what in statuses.items() if code != 200}
    assert statuses[-1, RECORD, 200] in {"HIT", "REVALIDATED"}


def test_a_bag_is_passed_on_as_it_comes(proxy: _Proxy) -> None:
    """Byte for byte, without a cache and without a temporary file."""
    with proxy.client() as client:
        through = client.get("/mirror/bundle.tar", extensions={"sni_hostname": HOST})
    assert (200, None) == (through.status_code, _status(through))
    assert proxy.get_directly("/mirror/bundle.tar").content == through.content
    assert "temporary file" not in (proxy.folder / "error.log").read_text()


def test_responses_for_monitoring_are_not_cached(proxy: _Proxy) -> None:
    """Nothing of it is stored; and figures of the server are for this machine only."""
    for path in ("/health", "/metrics"):
        assert [(200, None)] * 2 == [
            (one.status_code, _status(one)) for one in (proxy.get(path), proxy.get(path))
        ]
    with proxy.client("127.0.0.2") as client:
        codes = {
            path: client.get(path, extensions={"sni_hostname": HOST}).status_code
            for path in ("/health", "/metrics")
        }
    assert {"/health": 200, "/metrics": 403} == codes


def test_client_over_the_rate_limit_gets_429(store: Path, tmp_path: Path) -> None:
    """429; and when the mirror is down, 502: no old response in place of a new one."""
    edits = ("rate=50r/s", "rate=1r/m"), ("burst=200", "burst=3")
    with served(ServerSettings(store=store)) as direct, _proxied(tmp_path, direct, *edits) as proxy:
        assert [200] * 4 + [429] == [proxy.get("/mirror/keys").status_code for _ in range(5)]


def test_a_mirror_that_is_down_is_reported(store: Path, tmp_path: Path) -> None:
    """No old response is sent in place of a new one."""
    with _proxied(tmp_path, f"http://127.0.0.1:{_free_ports(1)[0]}") as proxy:
        assert 502 == proxy.get("/mirror/keys").status_code
    assert "proxy_cache_use_stale off;" in CONF
