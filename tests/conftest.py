"""Settings of all tests: how long hypothesis may search, which tests measure coverage."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

from mirror.engine.native import VARIABLE, native_module
from tests.browser import new_page
from tests.net.authority import Authority
from tests.program import installed_program

CORE = Path(__file__).parent / "core"

# Clusters of a session wait for most of it. What Dask measures of itself meanwhile, dozens of times
# a second, would take a tenth of a core for each of its processes.
os.environ.update(
    DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL="60s",
    DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL="1s",
    DASK_DISTRIBUTED__WORKER__MEMORY__MONITOR_INTERVAL="500ms",
    DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED="False",
)

settings.register_profile(
    "short",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=30,  # always the same ones; `scripts/test --thorough` tries 150
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("short"), max_examples=150)
settings.register_profile(
    "long", settings.get_profile("short"), derandomize=False, max_examples=5000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files of the core that have nothing but examples where no example is to run."""
    is_left_out = (
        config.option.markexpr == "not examples"
        and collection_path.suffix == ".py"
        and collection_path.is_relative_to(CORE)
        and b"hypothesis" not in collection_path.read_bytes()
    )
    return is_left_out or None  # None: others decide


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the examples of the core, by which coverage is measured."""
    for item in items:
        is_search = is_hypothesis_test(getattr(item, "obj", None))
        if item.path.is_relative_to(CORE) and not is_search:
            item.add_marker(pytest.mark.examples)


def pytest_collection_finish() -> None:
    """Leave the tests themselves, half a million objects, out of every collection of garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _one_certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust one authority: each client loads those of the system, longer than most tests take."""
    authority = Authority(tmp_path_factory.mktemp("trusted"), "nobody")
    with pytest.MonkeyPatch.context() as changes:
        changes.setenv("SSL_CERT_FILE", str(authority.file))
        yield


@pytest.fixture(scope="session")
def program() -> Iterator[Path]:
    """The path of a command `mirror` that needs no time to start."""
    with installed_program() as path:
        yield path


@pytest.fixture
def python_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let Python do all the work, in processes: the native engine uses threads."""
    monkeypatch.setenv(VARIABLE, "off")
    native_module.cache_clear()
    yield
    native_module.cache_clear()


CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven through Playwright, for all tests of a file."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is absent: apt-get install chromium")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def page(browser: Any) -> Any:
    """A page for all tests of a file: a new one takes a second, another address a tenth of it."""
    return new_page(browser)


@pytest.fixture(scope="module")
def page_without_scripts(browser: Any) -> Any:
    """A page for all tests of a file, in which JavaScript is off."""
    return new_page(browser, java_script_enabled=False)
