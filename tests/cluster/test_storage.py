"""Storage by URL: a real S3 interface, a real HTTP server, and unsupported operations."""

from __future__ import annotations

import functools
import http.server
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from distributed import Client
from moto.server import ThreadedMotoServer

from mirror.archive import BUNDLES, Member, ReadLimits, RefusedMember
from mirror.cli import exit_codes
from mirror.engine.cluster import (
    ClusterRequest,
    ClusterResult,
    TaskSizes,
    merge_on_cluster,
)
from mirror.engine.cluster.splits import read_split
from mirror.engine.cluster.storage import StoragePath, expand_glob
from mirror.engine.findings import Finding
from mirror.errors import OutputError, SourceError
from tests.archive.tar_builders import bundle_files, bundle_text, plain_tar, write_files
from tests.cluster.dask_program import local_cluster
from tests.cluster.scenarios import (
    NO_KEYS,
    NO_LIMITS,
    TINY,
    USUAL,
    Answer,
    context_in,
    read_answer,
    single,
    source_of,
    splits_of,
)
from tests.cluster.sources import KINDS, bag, lines

TEXTS = [bundle_text(number) for number in range(1, 6)]


# S3 ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def s3_environment() -> Iterator[dict[str, str]]:
    """An object store on this machine, as the environment in which it is found."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "a key for tests",
        "AWS_SECRET_ACCESS_KEY": "and no secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    server.stop()


@pytest.fixture(scope="module")
def s3(s3_environment: dict[str, str]) -> Iterator[Any]:
    """The object store, in the environment of this process, with two buckets."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_environment.items():
            patch.setenv(name, value)
        found = fsspec.filesystem("s3", use_listings_cache=False)
        found.mkdir("bags")
        found.mkdir("results")
        yield found
        found.clear_instance_cache()


@pytest.fixture(scope="module")
def cloud(s3: Any, s3_environment: dict[str, str]) -> Iterator[Client]:
    """A cluster that knows the object store."""
    with local_cluster(1, env=s3_environment) as client:
        yield client


ODD = ["é", "a b", "%20", "a+b", "[a]", "*", "#", "?", "~", "a&b=c"]


@pytest.fixture(scope="module")
def copies(s3: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same sources in a local folder and in the bucket `bags`."""
    folder = tmp_path_factory.mktemp("copies")
    for kind, write in KINDS.items():
        write(folder / kind, [*TEXTS, b"{"])
    write_files(folder / "tars", {f"{at}.tar": bag([text]) for at, text in enumerate(TEXTS)})
    odd = [f"{name}/{file}" for name in ODD for file in ("y.bundle.json", "other")]
    write_files(folder / "odd", dict.fromkeys(["a/b/bundle.json", "a/x.bundle.json", *odd], b"{"))
    write_files(folder / "odd", bundle_files("b.bundle.json", "c/d/e/bundle.json"))
    write_files(folder / "odd", {"large.bundle.json": TEXTS[2] + b" " * 1000})
    for path in folder.rglob("*"):
        if path.is_file():
            s3.pipe_file(f"bags/{path.relative_to(folder)}", path.read_bytes())
    return folder


def run(
    client: Client,
    names: Sequence[str],
    out: str,
    sizes: TaskSizes = USUAL,
    limits: ReadLimits = NO_LIMITS,
) -> ClusterResult:
    """Merge on a cluster."""
    return merge_on_cluster(client, ClusterRequest(names, out, NO_KEYS, limits, sizes))


def fetched(s3: Any, out: str, folder: Path) -> Answer:
    """The content of the bucket, copied to this machine."""
    start = len(out.removeprefix("s3://")) + 1
    for path in s3.find(out):
        write_files(folder, {path[start:]: s3.cat_file(path)})
    return read_answer(folder)


def expected_of(
    copies: Path, urls: Sequence[str], above: str = "s3://bags", limits: ReadLimits = NO_LIMITS
) -> Answer:
    """The result of one machine for local copies, with the names replaced."""
    answer = single([url.replace(above, str(copies), 1) for url in urls], limits=limits)
    named = [renamed(one, one.source.replace(str(copies), above, 1)) for one in answer.findings]
    return replace(answer, findings=named)


def renamed(report: Finding, source: str) -> Finding:
    """The finding with another name of its source, which its digest covers, too."""
    is_of_words = replace(report, digest="") == report
    return replace(report, source=source, digest="" if is_of_words else report.digest)


WAYS = {
    "whole": (USUAL, NO_LIMITS),
    "cut, with limits": (TaskSizes(split_bytes=4000), ReadLimits(members=11, member_bytes=1400)),
}


@pytest.mark.parametrize(("sizes", "limits"), WAYS.values(), ids=WAYS)
def test_an_object_store_gives_the_same_answer(
    cloud: Client, s3: Any, copies: Path, tmp_path: Path, *, sizes: TaskSizes, limits: ReadLimits
) -> None:
    """Sources of every kind, and the results, in S3."""
    urls, out = (
        [f"s3://bags/{name}" for name in [*KINDS, "odd"]],
        f"s3://results/{sizes.split_bytes}",
    )
    dataset = run(cloud, urls, out, sizes, limits)
    answer = fetched(s3, out, tmp_path)
    assert expected_of(copies, urls, limits=limits) == answer
    assert (urls, answer.root) == (dataset.sources, dataset.root)
    assert (limits != NO_LIMITS) == ({"limit.size", "limit.count"} <= {*answer.codes})


def test_wildcard_expands_to_all_matching_objects(
    cloud: Client, s3: Any, copies: Path, tmp_path: Path
) -> None:
    """Sorted by name; other objects of the bucket are not read."""
    dataset = run(cloud, ["s3://bags/tars/*.tar", "s3://bags/odd/*/y.bundle.json"], str(tmp_path))
    tars = [f"s3://bags/tars/{at}.tar" for at in range(5)]
    odd = sorted(f"s3://bags/odd/{name}/y.bundle.json" for name in ODD)
    assert [*tars, *odd] == dataset.sources
    assert expected_of(copies, dataset.sources) == read_answer(tmp_path)


def test_names_in_an_object_store_are_checked_like_those_in_a_folder(
    cloud: Client, s3: Any, tmp_path: Path
) -> None:
    """C5: a name with control characters is refused, anywhere."""
    files = bundle_files("a\x7f/bundle.json", "b.bundle.json")
    write_files(tmp_path / "names", files)
    for name, data in files.items():
        s3.pipe_file(f"bags/names/{name}", data)
    run(cloud, ["s3://bags/names"], str(tmp_path / "out"))
    expected = expected_of(tmp_path, ["s3://bags/names"])
    assert ["archive.member"] == expected.codes
    assert expected == read_answer(tmp_path / "out")


def test_objects_that_mark_folders_are_not_read(cloud: Client, s3: Any, tmp_path: Path) -> None:
    """Consoles create an empty object with the name of each folder."""
    s3.pipe_file("bags/marked/", b"")
    s3.pipe_file("bags/marked/x.bundle.json/", b"")
    s3.pipe_file("bags/marked/a/bundle.json", TEXTS[0])
    assert (1, []) == _came_to(run(cloud, ["s3://bags/marked"], str(tmp_path)))


def _came_to(dataset: ClusterResult) -> tuple[int, list[str]]:
    return dataset.root.records, sorted(dataset.summary.refused)


def test_other_objects_beside_the_results_are_not_changed(
    cloud: Client, s3: Any, copies: Path
) -> None:
    """The name of a folder is not a pattern, also when its files are removed."""
    s3.pipe_file("results/run1/_work/verified/theirs", b"not yet merged")
    run(cloud, ["s3://bags/tars/0.tar"], "s3://results/run[1]")
    assert ["results/run1/_work/verified/theirs"] == s3.find("results/run1")
    assert not s3.find("results/run[1]/_work")


def test_finished_run_in_an_object_store_is_not_repeated(
    cloud: Client, s3: Any, copies: Path
) -> None:
    """The same command gives the same, and writes nothing; another one is refused."""
    first = run(cloud, ["s3://bags/a bag"], "s3://results/again")
    before = {path: about["ETag"] for path, about in s3.find("results/again", detail=True).items()}
    assert first == run(cloud, ["s3://bags/a bag"], "s3://results/again")
    with pytest.raises(OutputError, match=r"output\.other_run.*differs in: sources$"):
        run(cloud, ["s3://bags/a packed bag"], "s3://results/again")
    after = {path: about["ETag"] for path, about in s3.find("results/again", detail=True).items()}
    assert before == after


def test_an_object_that_changes_while_it_is_read_is_noticed(
    cloud: Client, s3: Any, tmp_path: Path
) -> None:
    """Also if it has the same size: every object has an ETag."""
    s3.pipe_file("bags/changing", lines(TEXTS[:1]))

    def progress(_stage: str, done: int, _total: int) -> None:
        if not done:
            s3.pipe_file("bags/changing", lines(TEXTS[1:2]))

    order = ClusterRequest(["s3://bags/changing"], str(tmp_path), NO_KEYS, progress=progress)
    with pytest.raises(SourceError, match=r"source\.changed at s3://bags/changing"):
        merge_on_cluster(cloud, order)


def test_objects_that_cannot_be_read_are_findings(cloud: Client, s3: Any, tmp_path: Path) -> None:
    """Like files: the others are read, and the exit code is 3."""
    s3.pipe_file("bags/good", TEXTS[0])
    names = ["s3://bags/good", "s3://no-such-bucket/x", "s3://bags/no-such-object", "nope://x"]
    dataset = run(cloud, names, str(tmp_path))
    answer = read_answer(tmp_path)
    assert (names[1:], ["source.unreadable"] * 3) == (
        [one.source for one in answer.findings],
        answer.codes,
    )
    assert (1, 3) == (dataset.root.records, exit_codes.of_summary(dataset.summary))
    assert "Protocol not known: nope" in answer.findings[2].message


@pytest.mark.parametrize("name", ["s3://bags/no-such-*", "s3://no-such-bucket/*", "nope://*"])
def test_wildcard_without_a_match_is_an_error(
    cloud: Client, s3: Any, tmp_path: Path, name: str
) -> None:
    """Nothing is read: a pattern without a match is a mistake."""
    with pytest.raises(SourceError, match=r"source\.unreadable") as caught:
        run(cloud, [name], str(tmp_path / "out"))
    assert name == caught.value.where
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("out", ["s3://no-such-bucket/out", "nope://x/out"])
def test_output_that_cannot_be_written_is_an_error(
    cloud: Client, s3: Any, copies: Path, out: str
) -> None:
    """`output.failed`, with the URL, before anything is read."""
    with pytest.raises(OutputError, match=r"output\.failed") as caught:
        run(cloud, ["s3://bags/a bag"], out)
    assert caught.value.where.startswith(out)


# HTTP ----------------------------------------------------------------------------------------


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and logs nothing."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is above
        """Log nothing."""


class Ranged(Quiet):
    """Supports ranges, too, and counts the bytes that were sent."""

    taken: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        """Respond with a file, or a range of it."""
        data = Path(self.translate_path(self.path)).read_bytes()
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        start, end = (int(wanted[1]), int(wanted[2]) + 1) if wanted else (0, len(data))
        found = data[start:end]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Type", "application/x-tar")
        self.send_header("Content-Length", str(len(found)))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{start + len(found) - 1}/{len(data)}")
        self.end_headers()
        with suppress(OSError):  # a client that has read enough closes the connection
            for at in range(0, len(found), 1 << 16):
                self.wfile.write(found[at : at + (1 << 16)])
                self.taken.append(len(found[at : at + (1 << 16)]))


@contextmanager
def serving(folder: Path, handler: type[Quiet]) -> Iterator[str]:
    """Serve a folder on this machine; return its URL."""
    handle = functools.partial(handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handle) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("sizes", [USUAL, TINY], ids=["whole", "cut"])
def test_a_web_server_gives_the_same_answer(
    client: Client, tmp_path: Path, sizes: TaskSizes
) -> None:
    """One without ranges: the source is one split, and is fetched as a whole."""
    for kind in ("bundle.json", "JSON Lines in gzip", "a bag", "a packed bag"):
        KINDS[kind](tmp_path / kind.replace(" ", "-"), [*TEXTS, b"{"])
    write_files(tmp_path / "folder", bundle_files("b/bundle.json", "a.bundle.json", "c"))
    names = ["bundle.json", "JSON-Lines-in-gzip", "a-bag", "a-packed-bag", "folder", "a-bag?x=1"]
    (tmp_path / names[-1]).write_bytes((tmp_path / "a-bag").read_bytes())
    with serving(tmp_path, Quiet) as url:
        urls = [f"{url}/{name}" for name in names]
        run(client, [*urls, f"{url}/no-such-file"], str(tmp_path / "out"), sizes)
        answer = read_answer(tmp_path / "out")
    refused = answer.findings.pop()
    assert (f"{url}/no-such-file", "source.unreadable") == (refused.source, refused.code)
    assert (1, expected_of(tmp_path, urls, url).findings) == (
        answer.summary.pop("sources_failed"),
        answer.findings,
    )


def test_password_in_a_url_is_used_and_not_stored(client: Client, tmp_path: Path) -> None:
    """Neither in the results nor in the temporary files beside them."""
    (tmp_path / "source").write_bytes(lines(TEXTS))
    with serving(tmp_path, Quiet) as url:
        secret = url.replace("//", "//user:s3cr3t@")
        run(client, [f"{secret}/source", f"{secret}/absent"], str(tmp_path / "out"))
    answer = read_answer(tmp_path / "out")
    assert {f"{url}/absent"} == {finding.source for finding in answer.findings}
    assert len(TEXTS) == answer.summary["bundles_read"]
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert [] == [path.name for path in files if b"s3cr3t" in path.read_bytes()]


@pytest.mark.parametrize("url", ["http://user:s3cr3t@127.0.0.1:9/x", "odd://user:s3cr3t@h/x"])
def test_a_password_in_a_url_is_in_no_error(url: str) -> None:
    """Neither as the location of an error, nor in the message of a library."""
    with pytest.raises(SourceError) as raised:
        StoragePath(url).read_bytes()
    assert "s3cr3t" not in str(raised.value)
    assert "s3cr3t" not in raised.value.hint


class Busy(Quiet):
    """Refuses some of the requests, and counts them all."""

    refused: ClassVar[set[int]] = set()
    count = 0

    def send_head(self) -> Any:
        """Respond, or report that it is busy."""
        Busy.count += 1
        if Busy.count not in self.refused:
            return super().send_head()
        self.send_error(503)
        return None


MOMENTS = {"as it is looked at": {1}, "as it is read": {5, 6}, "as it is looked at again": {6}}
"""Requests that are refused; the status is read four times before reading, and after it."""


@pytest.mark.parametrize("refused", MOMENTS.values(), ids=MOMENTS)
def test_request_to_a_busy_server_is_repeated(
    client: Client, tmp_path: Path, refused: set[int]
) -> None:
    """A source that is readable after a moment is read, without findings or changes."""
    (tmp_path / "source").write_bytes(lines(TEXTS))
    Busy.count, Busy.refused = 0, refused
    with serving(tmp_path, Busy) as url:
        run(client, [f"{url}/source"], str(tmp_path / "out"))
        assert Busy.count > max(refused)
        assert expected_of(tmp_path, [f"{url}/source"], url) == read_answer(tmp_path / "out")


def test_a_large_archive_is_read_by_ranges(client: Client, tmp_path: Path) -> None:
    """A split fetches little more than its content, and nothing before or after it."""
    (tmp_path / "large.tar").write_bytes(
        plain_tar(
            {
                "bundle.json": TEXTS[0],
                "large": bytes(48 << 20),
                "x.bundle.json": TEXTS[1],
            }
        )
    )
    with serving(tmp_path, Ranged) as url:
        context = context_in(tmp_path / "work")
        parts = splits_of(source_of(f"{url}/large.tar"), context)
        Ranged.taken.clear()
        items = [
            one for part in parts for one in read_split(part, StoragePath(context.out), NO_LIMITS)
        ]
        passed_over = RefusedMember(
            "", "archive.other_files", "1 file of other names passed over: large"
        )
        expected = [Member("bundle.json", TEXTS[0]), Member("x.bundle.json", TEXTS[1]), passed_over]
        assert expected == items
        assert 2 * 512 < sum(Ranged.taken) < 24 << 20
        run(client, [f"{url}/large.tar"], str(tmp_path / "out"), TINY)
        assert expected_of(tmp_path, [f"{url}/large.tar"], url) == read_answer(tmp_path / "out")


def test_output_on_a_web_server_is_an_error(client: Client, tmp_path: Path) -> None:
    """`output.failed`: a web server for files accepts none."""
    (tmp_path / "source").write_bytes(TEXTS[0])
    with serving(tmp_path, Quiet) as url, pytest.raises(OutputError, match=r"output\.failed"):
        run(client, [str(tmp_path / "source")], f"{url}/out")


# Names and versions --------------------------------------------------------------------------

NAMES = ["a*", "[a]", "dir/?", "~/x", "a::b", "/x/*.tar", "s3://bags/x.tar", "http://host/x#y"]


@pytest.mark.parametrize("name", NAMES)
def test_path_or_url_without_wildcards_is_not_expanded(name: str) -> None:
    """With or without such files: the shell has expanded paths before."""
    assert [name] == expand_glob(name)


def test_wildcards_match_files_and_folders(tmp_path: Path) -> None:
    """In any URL, also `file:`."""
    write_files(tmp_path, dict.fromkeys(["a1.tar", "a2.tar", "b.tar", "a[1].tar", "a3/x"], b""))
    url = f"file://{tmp_path}"
    assert [f"{url}/{name}.tar" for name in ("a1", "a2", "a[1]", "b")] == expand_glob(
        f"{url}/*.tar"
    )
    assert [f"{url}/{name}" for name in ("a1.tar", "a2.tar")] == expand_glob(f"{url}/a[12].tar")
    assert [f"{url}/a3"] == expand_glob(f"{url}/a?")


def _make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


VERSIONED: dict[str, Callable[[Path], object]] = {
    "another size": lambda path: path.write_bytes(b"12345"),
    "the same size": lambda path: path.write_bytes(b"4321"),
    "another time": lambda path: os.utime(path, (1, 1)),
    "a folder in its place": _make_folder,
}


@pytest.mark.parametrize("change", VERSIONED.values(), ids=VERSIONED)
def test_a_version_changes_with_the_file(tmp_path: Path, change: Callable[[Path], object]) -> None:
    """Alone, or in a folder at any depth; it is the same while nothing changes."""
    path = write_files(tmp_path, {"folder/deep/bundle.json": b"1234"}) / "folder/deep/bundle.json"
    os.utime(path, (2, 2))
    places = [StoragePath(str(path)), StoragePath(str(tmp_path))]
    before = [place.version(BUNDLES.is_name) for place in places]
    assert before == [place.version(BUNDLES.is_name) for place in places]
    change(path)
    assert not {*before} & {place.version(BUNDLES.is_name) for place in places}


def _new(folder: Path, name: str) -> None:
    write_files(folder, {name: b""})


STEPS: dict[str, tuple[bool, Callable[[Path], object]]] = {
    "another name": (
        True,
        lambda folder: (folder / "a.bundle.json").rename(folder / "bundle.json"),
    ),
    "one that is gone": (True, lambda folder: (folder / "a.bundle.json").unlink()),
    "a new one": (True, lambda folder: _new(folder, "b/c/bundle.json")),
    "a new one whose name is no text": (True, lambda folder: _new(folder, "\udcff.bundle.json")),
    "a new one that is not meant": (False, lambda folder: _new(folder, "b/bundle.json.tmp")),
}


@pytest.mark.parametrize(("is_another", "step"), STEPS.values(), ids=STEPS)
def test_a_version_changes_with_the_files_of_a_folder(
    tmp_path: Path, step: Callable[[Path], object], *, is_another: bool
) -> None:
    """With a change of relevant files, and no others."""
    write_files(tmp_path, {"a.bundle.json": b"", "README": b""})
    before = StoragePath(str(tmp_path)).version(BUNDLES.is_name)
    step(tmp_path)
    assert is_another == (before != StoragePath(str(tmp_path)).version(BUNDLES.is_name))


def test_storage_path_lists_reads_and_removes_files(tmp_path: Path) -> None:
    """Names with wildcards are names."""
    files = {"a*": b"1", "[b]/c": b"22", "::": b"", "~": b"333"}
    write_files(tmp_path, {**files, "ab": b"4444"})
    place = StoragePath(str(tmp_path))
    assert {**{name: len(data) for name, data in files.items()}, "ab": 4} == place.files()
    assert all(place.exists(name) for name in files)
    assert not place.exists("[b]")
    assert not place.exists("x")
    assert b"333" == place.read_bytes("~")
    assert b"2" == place.read_bytes("[b]/c", 1, 2)
    assert {} == StoragePath(str(tmp_path / "x")).files()
    place.remove("[b]")
    assert {"a*", "::", "~", "ab"} == {*place.files()}
    place.remove("[b]")


MISSING: dict[str, Callable[[StoragePath], object]] = {
    "size": StoragePath.size_bytes,
    "version": lambda place: place.version(BUNDLES.is_name),
    "read": StoragePath.read_bytes,
    "read a file in it": lambda place: place.read_bytes("file"),
    "copy": lambda place: place.get_file(Path("/nowhere")),
}


@pytest.mark.parametrize("work", MISSING.values(), ids=MISSING)
@pytest.mark.parametrize("url", ["{}/x", "file://{}/x", "http://127.0.0.1:9/x"])
def test_missing_path_is_a_source_error(
    tmp_path: Path, work: Callable[[StoragePath], object], url: str
) -> None:
    """`source.unreadable`, with its address and a hint."""
    place = StoragePath(url.format(tmp_path))
    with pytest.raises(SourceError, match=r"source\.unreadable") as caught:
        work(place)
    assert (True, "check the path") == (caught.value.where.startswith(place.url), caught.value.hint)


@pytest.mark.parametrize("url", ["nope://x", "nope::s3://x"])
def test_url_of_an_unknown_protocol_is_a_source_error(url: str) -> None:
    """For any message of the library."""
    with pytest.raises(SourceError, match=r"source\.unreadable"):
        StoragePath(url)
