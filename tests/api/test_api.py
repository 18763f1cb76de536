"""The Python library: its surface, its examples, and that it says what the command says."""

from __future__ import annotations

import inspect
import io
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import mirror
from mirror.engine.search.index import update_index
from mirror.engine.search.metadata_check import keep_metadata
from mirror.store import open_store
from tests.builders import Signer, created, make_bundle, make_event, make_record, to_json
from tests.helpers import BUNDLES, keys_of, sample_states
from tests.web.conftest import make_store

ROOT = Path(__file__).resolve().parents[2]
SURFACE = Path(__file__).with_name("surface.txt")
TITLE = "Über die Größe von Zitationskaskaden: a corpus study in two languages"
DEMO, KEYS = BUNDLES / "demo.tar", BUNDLES / "demo-keys.json"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the demo bundles, indexed, with the title of one record kept."""
    path = make_store(tmp_path_factory.mktemp("demo") / "demo.db", DEMO, keys=KEYS)
    with open_store(path) as store:
        line = to_json({"id": "2699.00002", "title": TITLE})
        assert [*keep_metadata(store, io.BytesIO(line), "dump.jsonl")]
        update_index(store)
    return path


def _surface() -> str:
    """Return every public name with its signature or fields."""
    lines = []
    for name in mirror.__all__:
        found = getattr(mirror, name)
        lines.append(f"{name}{_signature(found)}")
        if inspect.isclass(found) and found.__module__ == "mirror.api":
            lines += [
                f"    {member}{_signature(inspect.getattr_static(found, member))}"
                for member in sorted(vars(found))
                if not member.startswith("_") or member == "__len__"
            ]
    return "\n".join(lines) + "\n"


def _signature(found: Any) -> str:
    is_exception = inspect.isclass(found) and issubclass(found, Exception)
    return str(inspect.signature(found)) if callable(found) and not is_exception else ""


def test_the_surface_changes_on_purpose_only() -> None:
    """A change here is a change for users: it belongs in the changelog and in `surface.txt`."""
    assert _surface() == SURFACE.read_text("utf-8")


def test_every_public_name_is_documented() -> None:
    text = (ROOT / "docs" / "python.md").read_text("utf-8")
    for name in mirror.__all__:
        assert inspect.getdoc(getattr(mirror, name)), name
    functions = [name for name in mirror.__all__ if inspect.isfunction(getattr(mirror, name))]
    assert [name for name in functions if f"mirror.{name}(" not in text] == []
    assert {*mirror.__all__} <= {*dir(mirror)}


@pytest.fixture
def folder(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the examples run: with the sample bundles and the store."""
    shutil.copy(demo, tmp_path / "demo.db")
    shutil.copytree(BUNDLES, tmp_path / "bundles")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _run_examples(text: str) -> dict[str, Any]:
    """Run the examples in a part of the document; return the names that they defined."""
    names: dict[str, Any] = {"mirror": mirror}
    for example in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(example, "docs/python.md", "exec"), names)  # noqa: S102 - our own text
    return names


def _document() -> tuple[str, str]:
    """Return the document without the part on pandas, and that part."""
    text = (ROOT / "docs" / "python.md").read_text("utf-8")
    before, _, rest = text.partition("## With pandas")
    part, _, after = rest.partition("\n## ")
    return before + after, part


def test_the_examples_in_the_document_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run_examples(_document()[0])
    shown = capsys.readouterr().out
    assert "8 records" in shown
    assert "\n0 records were known then" in shown
    assert "holographic bookkeeping (claimed by registry.example in a graph snapshot" in shown
    assert "lookup.not_yet this mirror first stored it at" in shown
    assert "bundle.shape" in shown


def test_the_example_with_pandas_gives_the_numbers_of_a_plain_count(folder: Path) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed: the extra `dev` has it")
    names = _run_examples(_document()[1])
    current = [state["current"] for state in sample_states("demo")]
    events = [
        (name, event)
        for one in current
        for name, listed in one.items()
        if isinstance(listed, list) and name != "source_aliases"
        for event in listed
    ]
    signers = Counter((one["signer"]["signer_id"], name) for name, one in events)
    months = Counter(one["created_at"][:7] for _, one in events)
    citing = [
        {event["payload"]["citing"] for event in one["citations"]}
        for one in current
        if one["citations"]
    ]
    found = names["signers"].stack()
    assert signers == {pair: count for pair, count in found.items() if count}
    assert months == dict(names["months"])
    assert sorted(map(len, citing), reverse=True) == list(names["cited"])


def test_states_are_those_of_the_command(demo: Path) -> None:
    with mirror.open_store(demo) as store:
        states = [store.state(record.pith_number) for record in store.records()]
        assert list(store.states()) == states
        for one in states:
            *_, last = store.history(one.pith_number)
            assert last["state_after"] == one.digest
        assert store.root().records == len(store) == len(states)
        assert store.key_set.get("pith-v1-2026-05") is not None
    found = {one.pith_number: one.value for one in states}
    assert found == {one["pith_number"]: one for one in sample_states("demo")}
    merged, report = mirror.merge_sources(DEMO, keys=mirror.read_key_set(KEYS))
    assert report.is_valid
    assert {one.digest: one for one in merged} == {one.digest: one for one in states}


def test_a_title_says_where_it_is_from(demo: Path) -> None:
    """A proved title is known since it was stored; a claimed one says whether it has the digest."""
    with mirror.open_store(demo) as store:
        kept, claimed = store.title("2699.00002"), store.title("hep-th/9901234")
        assert kept is not None
        assert claimed is not None
        assert (kept.is_proved, kept.is_claim, kept.source) == (True, False, "dump.jsonl")
        assert (claimed.is_proved, claimed.is_claim) == (True, True)
        assert kept.origin == f"proved by its digest, read from dump.jsonl on {kept.at[:10]}"
        assert store.title("2699.00002", at=kept.at) == kept
        *_, arrived = (one for one in store.history("2699.00002") if one["step"] == "arrival")
        assert store.title("2699.00002", at=str(arrived["known_at"])) is None
        assert store.title("2699.00005") is None


def test_a_search_gives_the_records_of_the_command(demo: Path, tmp_path: Path) -> None:
    """Every record of a name and of words; an index that lacks records is an error."""
    with mirror.open_store(demo) as store:
        first, *others = [one.source["id"] for one in store.search("zitationskaskaden")]
        assert (first, others) == ("2699.00002", ["2699.00001"])  # its title, and a reference
        assert len({one.pith_number for one in store.search("pith*")}) == len(store)
        assert [*store.search("nothing has this")] == []
    make_store(tmp_path / "new.db", DEMO)
    with (
        mirror.open_store(tmp_path / "new.db") as store,
        pytest.raises(mirror.StoreError, match="8 records are not indexed"),
    ):
        store.search("zitationskaskaden")


def test_a_root_of_the_past_is_that_of_the_command(demo: Path) -> None:
    """By known time; before anything was known it is that of no record."""
    with mirror.open_store(demo) as store:
        times = [str(step["known_at"]) for step in store.history("2699.00002")]
        assert store.root(at=max(times)[:10]) == store.root()
        assert store.root(at="2001-09-09").records == 0
        with pytest.raises(mirror.FormatError):
            store.root(at="yesterday")


def test_content_and_paths_are_the_same_source(tmp_path: Path) -> None:
    """A finding names the file, or which of the contents it is about."""
    signer = Signer("registry")
    record = make_record()
    event = make_event(record, signer, "record_created", created(record, signer))
    text = to_json(make_bundle(record, [event, 1]))
    path = tmp_path / "one.json"
    path.write_bytes(text)
    by_path, by_content = (
        mirror.verify_sources(source, keys=keys_of(signer)) for source in (path, text)
    )
    assert [one.code for one in by_path.findings] == ["event.shape"]
    assert not by_path.is_valid
    assert by_path.summary.events_valid == by_content.summary.events_valid == 1
    assert [one.digest for one in by_path.findings] == [one.digest for one in by_content.findings]
    assert by_path.findings[0].source == str(path)
    assert by_content.findings[0].source == "bytes 1"


def test_differences_are_named(demo: Path) -> None:
    with mirror.open_store(demo) as store:
        state = store.state("pith:2026:JCCOAP2XTU5776A7WX6DYB7J3E")
    other = state.value
    assert mirror.compare_states(state, other).is_same
    other["equivocation_count"] = 99
    comparison = mirror.compare_states(state.text, json.dumps(other).encode())
    assert comparison.status == "differs"
    assert comparison.causes
    with pytest.raises(mirror.FormatError):
        mirror.compare_states(state, b"[]")


def test_a_missing_store_and_name_are_errors_of_the_library(tmp_path: Path, demo: Path) -> None:
    with pytest.raises(mirror.StoreError) as absent, mirror.open_store(tmp_path / "none.db"):
        pass
    assert absent.value.code == "store.absent"
    with mirror.open_store(demo) as store, pytest.raises(mirror.LookUpError) as unknown:
        store.record("2501.00001")
    assert unknown.value.code == "lookup.unknown"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mirror.nothing  # noqa: B018 # type: ignore[attr-defined]


def test_the_command_is_not_imported() -> None:
    """`import mirror` loads next to nothing; the library loads no command, no server and no net."""
    script = (
        "import sys, mirror; before = len(sys.modules); mirror.open_store; "
        "print([one for one in sys.modules if one.startswith(('mirror.cli', 'mirror.web', "
        "'mirror.net', 'click', 'starlette', 'httpx', 'rich'))]); "
        "print(len([one for one in sys.modules if one.startswith('mirror')]) > 10)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split("\n")[:2] == ["[]", "True"]
