"""Evidence files in a real browser: opened from a disk, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mirror.engine.evidence.document import make_evidence
from mirror.engine.states.root import update_root
from mirror.store import open_store
from mirror.web.pages.evidence_file import evidence_page
from tests.browser import logged
from tests.builders import Object
from tests.evidence.samples import LIES
from tests.web.hostile import hostile_store


@contextmanager
def opened(page: Any, folder: Path, document: Object) -> Iterator[None]:
    """Show the page of a file, which must fetch nothing and log nothing."""
    path = folder / "evidence.html"
    path.write_bytes(evidence_page(document))
    page.context.set_offline(True)
    with logged(page) as log:
        page.goto(path.as_uri())
        yield
    assert log.requests == [path.as_uri()]
    assert log.errors == []


def test_a_file_is_verified_offline(page: Any, evidence: Object, tmp_path: Path) -> None:
    """The verdict, each check, whom to trust, the record and its events."""
    with opened(page, tmp_path, evidence):
        page.wait_for_selector("#verdict.good")
        assert page.inner_text("#verdict").startswith("All ")
        text = page.inner_text("main")
        assert "checkpoint signature" in text
        assert "block 840,000 as one of Bitcoin" in text
        assert str(evidence["pith_number"]) in text
        assert page.locator("h2").count() == 5


@pytest.mark.parametrize("lie", ["another state", "another mirror", "other headers"])
def test_a_failed_check_is_shown(page: Any, evidence: Object, tmp_path: Path, lie: str) -> None:
    document = {**evidence, "checkpoint": {**evidence["checkpoint"]}}
    document["headers"] = [{**one} for one in evidence["headers"]]
    LIES[lie][0](document)
    with opened(page, tmp_path, document):
        page.wait_for_selector("#verdict.bad")
        assert "failed" in page.inner_text("#verdict")


def test_hostile_strings_are_text(page: Any, tmp_path: Path) -> None:
    """Nothing in a bundle runs, loads, or leaves its place; the page verifies it all the same."""
    db, suffix = hostile_store(tmp_path)
    with open_store(db) as store:
        update_root(store)
        with store.snapshot():
            document = make_evidence(store, store.records.by_suffix(suffix[:26])[0])
    document["made_at"] = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
    with opened(page, tmp_path, document):
        page.wait_for_selector("#verdict.good, #verdict.bad")
        assert page.title() == "Evidence of a record"
        assert page.locator("img, iframe, svg").count() == 0
        assert "<img src=x" in page.inner_text("main")


def test_without_javascript_the_file_names_the_command(
    page_without_scripts: Any, evidence: Object, tmp_path: Path
) -> None:
    with opened(page_without_scripts, tmp_path, evidence):
        assert "mirror evidence --check" in page_without_scripts.inner_text("#verdict")
