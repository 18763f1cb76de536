"""`/pith.sty`, and the lines on a record's page by which a paper uses it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import httpx
import pytest

from mirror.web import ServerSettings
from mirror.web.pages.latex_package import latex_lines, latex_package
from tests.web.conftest import served
from tests.web.markup import Page

ROOT = Path(__file__).resolve().parents[2]
SUFFIX = "7SOLO26TLPZRGSRX2HH227CICV"


def test_a_mirror_serves_the_package(site: str) -> None:
    """It is that of the source, and is asked for again."""
    response = httpx.get(f"{site}/pith.sty")
    assert response.status_code == 200
    assert response.content == (ROOT / "latex" / "pith.sty").read_bytes() == latex_package()
    assert response.headers["content-type"] == "text/x-tex; charset=utf-8"
    assert response.headers["cache-control"] == "public, no-cache"
    assert response.headers["content-encoding"] == "zstd"
    etag = {"If-None-Match": response.headers["etag"]}
    assert httpx.get(f"{site}/pith.sty", headers=etag).status_code == 304


def test_a_wheel_and_an_sdist_contain_it() -> None:
    """As installed, the server finds it in its own folder."""
    targets = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"][
        "targets"
    ]
    assert targets["wheel"]["force-include"]["latex/pith.sty"] == "mirror/web/pith.sty"
    assert "/latex" in targets["sdist"]["include"]


def test_the_page_of_a_record_has_the_lines(site: str) -> None:
    """The option is that for this mirror, and the package is a link."""
    page = Page(httpx.get(f"{site}/pith/{SUFFIX}").text)
    lines = f"\\usepackage[url={site}]{{pith}}\n\\pithnumber{{{SUFFIX}}}"
    assert lines in page.text
    assert "/pith.sty" in page.values("href")


def test_the_registry_itself_needs_no_option(store_path: Path) -> None:
    """Its address is what the package uses without one."""
    with served(ServerSettings(store=store_path, base_url="https://pith.science")) as site:
        page = Page(httpx.get(f"{site}/pith/{SUFFIX}").text)
    assert f"\\usepackage{{pith}}\n\\pithnumber{{{SUFFIX}}}" in page.text
    assert b"url .initial:n = https://pith.science ," in latex_package()


@pytest.mark.parametrize(
    "address", ["https://a.example/~me_2/$x", "http://127.0.0.1:8080", "https://pith.science:444"]
)
def test_the_option_has_the_address(address: str) -> None:
    """The package takes each of them: tests/latex."""
    assert latex_lines(address, SUFFIX).startswith(f"\\usepackage[url={address}]{{pith}}\n")


@pytest.mark.parametrize(
    "address",
    ["https://pith.science", "https://a.example/%7Eme", "https://a.example/}x", "https://[::1]",
     "https://a.example/#x", "https://a.example/a,b", "https://a.example/a=b", "\\x", ""],
)  # fmt: skip
def test_an_address_that_latex_would_misread_is_omitted(address: str) -> None:
    """LaTeX would read these otherwise; the lines are the usual ones."""
    assert latex_lines(address, SUFFIX) == f"\\usepackage{{pith}}\n\\pithnumber{{{SUFFIX}}}"
