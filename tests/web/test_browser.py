"""The pages in a real browser: Debian's Chromium, driven through Playwright."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest

from mirror.core.bundle import parse_bundle, verify_bundle
from mirror.core.keys import parse_key_set
from mirror.core.merge import merge_bundles
from tests import oracle
from tests.browser import logged
from tests.web.conftest import Serve, run_mirror
from tests.web.hostile import hostile_store
from tests.web.lying_mirror import Lie, lying_mirror
from tests.web.past_store import SECONDS, SUFFIX, make_past

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / ".cache" / "axe-core" / "package" / "axe.min.js"

FULL, REAL = "EI5HAOZQLTRXHSO6XXITW2U5X6", "7SOLO26TLPZRGSRX2HH227CICV"
PATHS = (
    "/", "/find?q=holographic", "/find?q=zzzz", "/findings", "/findings?code=equivocation",
    "/trust", "/figures", "/pith/AAAAAAAA", f"/pith/{FULL}", f"/pith/{REAL}", "/pith/BVEKBPBF",
    "/pith/JCCOAP2X", "/pith/NQGOSQWC", "/pith/RFAEN2TO",
)  # fmt: skip

Open: TypeAlias = Callable[..., Any]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> str:
    """The address of the page of a hostile record."""
    store, suffix = hostile_store(tmp_path_factory.mktemp("hostile"))
    assert run_mirror("figures", store.with_name("figures.html"), "--db", store) == 0
    return f"{serve(store)}/pith/{suffix}"


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> str:
    """The address of the page of a record that changed at several known times."""
    path = tmp_path_factory.mktemp("past") / "mirror.db"
    make_past(path)
    return f"{serve(path)}/pith/{SUFFIX}"


@contextmanager
def opened(page: Any, url: str, width: int = 1280) -> Iterator[None]:
    """Show an address, which must load nothing from elsewhere and log no error."""
    host = "/".join(url.split("/")[:3])
    with logged(page) as log:
        page.set_viewport_size({"width": width, "height": 800})
        status = page.goto(url).status
        yield
    assert [one for one in log.requests if not one.startswith(f"{host}/")] == []
    # A browser logs it when the page itself is an answer such as 404.
    assert [one for one in log.errors if status == 200 or "status of 4" not in one] == []


def overflow(page: Any) -> int:
    """By how many pixels the page is wider than its window."""
    width: int = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return width


@pytest.mark.parametrize("path", PATHS)
def test_every_page_fits_every_width(path: str, site: str, page: Any) -> None:
    """No page scrolls sideways, from a small phone to a wide screen, in light or dark."""
    with opened(page, site + path, 320):
        for width, scheme in ((320, "light"), (390, "dark"), (768, "light"), (1440, "dark")):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 800})
            assert overflow(page) <= 0, width
            assert page.locator("h1").is_visible()


def test_a_date_leads_to_the_page_of_the_past_and_back(
    past: str, page_without_scripts: Any
) -> None:
    """Without JavaScript, by the list and by the form; the page fits a small phone."""
    page = page_without_scripts
    with opened(page, past, 320):
        page.get_by_role("link", name="2026-06-02T12:00:00Z").click()
        page.wait_for_url(f"{past}/at/{SECONDS[1]}")
        assert page.get_by_text("What this mirror knew by").is_visible()
        assert page.get_by_role("heading", name="What differs from today").is_visible()
        assert overflow(page) <= 0
        page.get_by_label("What was known by the end of a day").fill("2026-06-03")
        page.get_by_role("button", name="Show").click()
        page.wait_for_url(f"{past}/at/{SECONDS[2]}")
        page.get_by_role("link", name="Change before").click()
        page.wait_for_url(f"{past}/at/{SECONDS[1]}")
        page.get_by_role("link", name="Today", exact=True).click()
        page.wait_for_url(past)


def test_pages_follow_the_color_scheme(site: str, page: Any) -> None:
    """The system's setting chooses between light and dark."""
    shades = {}
    with opened(page, site):
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
            shades[scheme] = sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(",")))
    assert shades["dark"] < 150
    assert shades["light"] > 600


def test_hostile_strings_run_no_script(hostile: str, page: Any) -> None:
    """They also cause no request, and the page keeps its width."""
    figures = f"{hostile.partition('/pith/')[0]}/figures"
    for address in (hostile, figures):
        with opened(page, address, 320):
            assert overflow(page) <= 0
            page.set_viewport_size({"width": 1200, "height": 800})
            page.wait_for_timeout(300)
            assert "owned" not in page.title().split("\u2026")[0].split("<script>")[0]
            assert page.locator("article script, article iframe, article svg[onload]").count() == 0
            assert page.locator("a[href^=javascript]").count() == 0
            assert overflow(page) <= 0


def test_a_search_leads_to_the_record(site: str, page: Any) -> None:
    """A search by a name and one by words start from the home page."""
    with opened(page, site):
        page.get_by_label("Find a paper").fill("arXiv:1705.09786")
        page.get_by_role("button", name="Find").click()
        page.wait_for_url(f"**/pith/{REAL}")
        page.get_by_role("searchbox").fill("holographic")
        page.keyboard.press("Enter")
        page.wait_for_url("**/find?q=holographic")
        assert page.locator("mark").first.inner_text().lower() == "holographic"
        page.get_by_role("link", name="Boundary terms in a toy model").click()
        page.wait_for_url(f"**/pith/{FULL}")


def test_buttons_copy_the_text_beside_them(site: str, page: Any) -> None:
    """They copy numbers, LaTeX lines and the command, and announce it to screen readers."""
    permissions = ["clipboard-read", "clipboard-write"]
    page.context.grant_permissions(permissions)
    with opened(page, f"{site}/pith/{REAL}"):
        for name, copied in (
            ("short Pith Number", "pith:7SOLO26T"),
            ("Pith Number", f"pith:2017:{REAL}"),
            ("LaTeX lines", f"\\usepackage[url={site}]{{pith}}\n\\pithnumber{{{REAL}}}"),
        ):
            page.get_by_role("button", name=f"Copy the {name}", exact=True).click()
            page.get_by_text(f"The {name} was copied.", exact=True).wait_for(state="attached")
            assert copied == page.evaluate("navigator.clipboard.readText()")
        page.get_by_role("button", name="Copy the command").press("Enter")
        page.get_by_text("The command was copied.").wait_for(state="attached")
        command = page.evaluate("navigator.clipboard.readText()")
        assert command.startswith(f"curl -sH 'Accept: application/ld+json' {site}/pith/{REAL} \\\n")


def test_without_a_clipboard_copying_still_works(site: str, page: Any) -> None:
    """A page over plain HTTP has none."""
    with opened(page, f"{site}/pith/{REAL}"):
        page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
        page.get_by_role("button", name="Copy the canonical hash").click()
        page.get_by_text("The canonical hash was copied.").wait_for(state="attached")


def test_pages_are_complete_without_javascript(site: str, page_without_scripts: Any) -> None:
    """Only the buttons need it."""
    page = page_without_scripts
    with opened(page, f"{site}/pith/{FULL}"):
        assert page.locator("button.copy").count() == 0
        assert page.get_by_role("heading", name="History").is_visible()
        page.get_by_role("searchbox").fill("7SOLO26T")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/pith/{REAL}")
        page.get_by_role("link", name="Figures").first.click()
        page.wait_for_url("**/figures")
        assert page.get_by_role("img", name="Records by year").is_visible()
        assert page.get_by_role("table", name="Records by the year").is_visible()
        page.get_by_role("link", name="pith:2026:JCCOAP2X").click()
        page.wait_for_url("**/pith/JCCOAP2X*")


_PLACES = "a[href], button, input, summary, [tabindex='0']"
_FOCUS = """() => {
    const one = document.activeElement;
    if (one === document.body) return null;
    const box = one.getBoundingClientRect(), style = getComputedStyle(one);
    const drawn = one.closest("svg") ? "svg" : style.outlineStyle;
    const place = [...document.querySelectorAll(PLACES)].indexOf(one);
    return {name: one.outerHTML.slice(0, 100), outline: drawn, size: box.width * box.height, place};
}""".replace("PLACES", json.dumps(_PLACES))


def test_the_keyboard_reaches_every_control_with_visible_focus(site: str, page: Any) -> None:
    """The order is that of the page, from the skip link to the last link, without a trap."""
    with opened(page, f"{site}/pith/{FULL}"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        assert page.locator(".skip").bounding_box()["x"] >= 0
        expected = page.locator(_PLACES).count()
        reached: list[int] = []
        while len(set(reached)) < expected - 1:
            focus = page.evaluate(_FOCUS)
            assert focus is not None
            assert focus["outline"] != "none", focus
            assert focus["size"] > 0, focus
            reached.append(focus["place"])
            assert reached.count(focus["place"]) <= 4, focus  # a date has three parts and a button
            page.keyboard.press("Tab")
        assert reached == sorted(reached)
        assert page.evaluate("document.activeElement.getAttribute('href')") == "/health"


def test_the_skip_link_leads_to_the_content(site: str, page: Any) -> None:
    """The next focus is within the content."""
    with opened(page, f"{site}/trust"):
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_buttons_are_not_printed(site: str, page: Any) -> None:
    """Navigation and search are not printed, either."""
    with opened(page, f"{site}/pith/{FULL}"):
        page.emulate_media(media="print")
        for selector in (".masthead nav", ".search", "button.copy"):
            assert not page.locator(selector).first.is_visible()
        assert page.get_by_role("heading", name="History").is_visible()


def test_another_site_may_show_the_badge(site: str, page: Any) -> None:
    """The badge is an image that any page may embed."""
    other = page.context.new_page()  # it has no address yet
    other.set_content(f'<img src="{site}/pith/{FULL}/badge.svg">')
    other.wait_for_function("document.images[0].naturalWidth > 100")
    other.close()


# Verify in this browser ----------------------------------------------------------------------

REVOKED = "NQGOSQWC4PW6CNZIBD63YZNTZT"
RECEIPTS = "EJWVFYLWUGLCRHA7VSWSMMIDNO"
VERIFY = "Verify in this browser"


def verified(page: Any) -> tuple[str, dict[str, tuple[str, str]]]:
    """Press the button; the verdict, and what was compared and found, by check."""
    page.get_by_role("button", name=VERIFY).click()
    verdict = page.locator("[data-verifier] .verdict")
    verdict.wait_for()
    # What a person sees is said to those who listen.
    assert verdict.inner_text() == page.locator("#said").inner_text()
    rows = page.evaluate(
        """() => [...document.querySelectorAll(".verified tbody tr")].map((row) => [
            row.querySelector("th").firstChild.textContent,
            [...row.querySelectorAll("td")].map((cell) => cell.textContent)])"""
    )
    return verdict.inner_text(), {name: tuple(cells) for name, cells in rows}


@pytest.mark.parametrize("suffix", [FULL, REAL, REVOKED, RECEIPTS])
def test_an_honest_mirror_verifies(suffix: str, site: str, page: Any) -> None:
    """The records have events, revocations and receipts, and one has none."""
    with opened(page, f"{site}/pith/{suffix}"):
        verdict, checks = verified(page)
        assert verdict.startswith("The page agrees with the evidence")
        assert {outcome for _, outcome in checks.values()} <= {"agrees", "valid"}
        digest = page.locator("[data-copy='state digest']").inner_text()
        assert checks["State digest"] == (f"{digest}, here and on the page", "agrees")


def test_a_hostile_record_verifies(hostile: str, page: Any) -> None:
    """Its strings run no script; items that are not valid are so in the state, too."""
    with opened(page, hostile, 320):
        verdict, checks = verified(page)
        assert "items are not, and the state says the same" in verdict
        assert "differs" not in {outcome for _, outcome in checks.values()}
        assert page.locator("[data-verifier] :is(script, iframe, img, svg)").count() == 0
        for width in (320, 1200):
            page.set_viewport_size({"width": width, "height": 800})
            assert overflow(page) <= 0


def test_without_javascript_the_verify_button_is_hidden(
    site: str, page_without_scripts: Any
) -> None:
    """All else is shown."""
    page = page_without_scripts
    with opened(page, f"{site}/pith/{FULL}"):
        assert page.get_by_text(VERIFY).count() == 1
        assert not page.get_by_text(VERIFY).is_visible()


def test_signatures_are_verified_without_web_cryptography(site: str, page: Any) -> None:
    """A page over plain HTTP has none."""
    with opened(page, f"{site}/pith/{REVOKED}"):
        page.evaluate("Object.defineProperty(crypto, 'subtle', {value: undefined})")
        verdict, _ = verified(page)
        assert "17 are valid" in verdict


def test_a_missing_response_is_reported(site: str, page: Any) -> None:
    """The page shows no result of a check."""
    page.goto(f"{site}/pith/{FULL}")
    page.evaluate("document.querySelector('[data-verifier]').dataset.keys = '/nowhere'")
    assert verified(page) == ("Not verified: /nowhere: 404", {})


def test_an_invalid_key_set_is_reported(site: str, page: Any) -> None:
    """The report has the code; nothing else can be checked."""
    lies: dict[str, Lie] = {"/mirror/keys": lambda _same: b"[]"}
    with lying_mirror(site, lies) as lying, opened(page, f"{lying}/pith/{FULL}"):
        verdict, checks = verified(page)
        assert verdict == "This mirror contradicts itself: 1 of 1 checks failed: Key set."
        assert checks["Key set"][1] == "differs keys.shape"


def _in_events(change: Callable[[list[Any]], object]) -> Lie:
    """A lie about the events of a bundle."""

    def lie(text: bytes) -> bytes:
        bundle = json.loads(text)
        change(bundle["events"])
        return json.dumps(bundle, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"

    return lie


def _replaced(old: bytes, new: bytes) -> Lie:
    def lie(text: bytes) -> bytes:
        assert old in text
        return text.replace(old, new)

    return lie


def _without_revocations(events: list[Any]) -> None:
    kept = [event for event in events if event["event_type"] != "event_revoked"]
    assert len(kept) < len(events)
    events[:] = kept


def _with_another_signature(events: list[Any]) -> None:
    (one, other) = events[:2]
    one["signature"] = other["signature"]


PAGE, BUNDLE, STATE = (f"/pith/{REVOKED}{ending}" for ending in ("", "/bundle.json", "/state.json"))

LIES: dict[str, tuple[str, Lie, str, tuple[str, str]]] = {
    "state": (
        STATE, _replaced(b'"retired_events":[{', b'"retired_events":[],"x":[{'),
        "State as served", ("leaves out an event that is in the bundle", "differs"),
    ),
    "record": (
        BUNDLE, _replaced(b'"version":1}', b'"version":2}'),
        "Bundle", ("canonical_sha256 is not the hash", "differs record.digest"),
    ),
    "event": (
        BUNDLE, _in_events(lambda events: events[3]["payload"].update(reason="another")),
        "Event 4: event_revoked", ("claimed time", "not valid event.id"),
    ),
    "signature": (
        BUNDLE, _in_events(_with_another_signature),
        "Event 1: record_created", ("claimed time", "not valid event.signature"),
    ),
    "alias": (
        f"/pith/{FULL}", _replaced(b'data-copy="doi">10.', b'data-copy="doi">11.'),
        "Alias doi", ("on the page: 11.", "differs"),
    ),
    "alias in the bundle": (
        f"/pith/{RECEIPTS}/bundle.json",
        _replaced(b'"alias_kind":"arxiv"', b'"alias_kind":"arxix"'),
        "Part of the bundle", ("is not of its record", "differs bundle.alias"),
    ),
    "revocation left out of the bundle": (
        BUNDLE, _in_events(_without_revocations),
        "State as served", ("names an event that is not in the bundle", "differs"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_a_false_answer_is_detected(name: str, site: str, page: Any) -> None:
    """It may be in a file or on the page; the report names the check that fails."""
    path, lie, check, (words, outcome) = LIES[name]
    page_path = "/".join(path.split("/")[:3])
    with (
        lying_mirror(site, {path: lie}) as lying,
        opened(page, f"{lying}{page_path}"),
    ):
        verdict, checks = verified(page)
        assert verdict.startswith("This mirror contradicts itself")
        assert words in checks[check][0]
        assert checks[check][1] == outcome


def test_a_state_without_a_revocation_is_detected(site: str, page: Any) -> None:
    """The state is right for all other events, and the page shows its digest."""
    keys = parse_key_set(httpx.get(f"{site}/mirror/keys").content)
    bundle, state = (httpx.get(f"{site}{path}").content for path in (BUNDLE, STATE))
    less = verify_bundle(parse_bundle(_in_events(_without_revocations)(bundle)), keys)
    other = merge_bundles([less], keys)
    lies: dict[str, Lie] = {
        STATE: lambda _same: other.text,
        PAGE: _replaced(oracle.state_digest(oracle.parse(state)).encode(), other.digest.encode()),
    }
    with lying_mirror(site, lies) as lying, opened(page, f"{lying}{PAGE}"):
        verdict, checks = verified(page)
        assert verdict.startswith("This mirror contradicts itself: 2 of")
        assert checks["State digest"][1] == checks["State as served"][1] == "differs"
        assert "it shows an event that was revoked" in checks["State as served"][0]


AXE_RUN = "options => axe.run(options).then(said => said.violations)"

SCHEMES: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"runOnly": ["color-contrast", "link-in-text-block"]},
}
"""Schemes of colours, and axe's options for each: the dark scheme changes colours alone."""


def test_the_dark_scheme_changes_colours_alone() -> None:
    """Only the rules of axe about colours can find more in it than in the light scheme."""
    text = (ROOT / "mirror/web/static/style.css").read_text()
    (rules,) = re.findall(r"@media \(prefers-color-scheme: dark\) \{(.*?)\n\}", text, re.DOTALL)
    declared = re.sub(r"--\w+(?:-\w+)*: #[0-9a-f]{6};", "", rules)
    assert declared.split() == [":root", "{", "}"]


ALIKE = {"/find?q=zzzz", "/pith/BVEKBPBF", "/pith/JCCOAP2X", "/pith/NQGOSQWC"}
"""Pages with no kind of element of their own: axe finds the same on others."""
AXE_PATHS = [*(one for one in PATHS if one not in ALIKE), "hostile", "past", "verified"]


@pytest.mark.parametrize("path", AXE_PATHS)
def test_axe_finds_no_violation(path: str, site: str, hostile: str, past: str, page: Any) -> None:
    """No rule of WCAG 2.2 A and AA that a program can check is broken, in light or dark."""
    if not AXE.exists():
        pytest.skip(f"{AXE} is absent: scripts/test fetches it where npm works")
    others = {
        "hostile": hostile,
        "past": f"{past}/at/{SECONDS[1]}",
        "verified": f"{site}/pith/{REVOKED}",
    }
    url = others.get(path) or site + path
    found = []
    with opened(page, url):
        if path == "verified":
            verified(page)
        page.evaluate(AXE.read_text())
        for scheme, options in SCHEMES.items():
            page.emulate_media(color_scheme=scheme)
            violations = page.evaluate(AXE_RUN, {**options, "resultTypes": ["violations"]})
            found += [(scheme, one) for one in violations]
    said = [
        (scheme, one["id"], one["nodes"][0]["html"][:200], one["nodes"][0]["failureSummary"])
        for scheme, one in found
    ]
    assert said == [], json.dumps(said, indent=2)
