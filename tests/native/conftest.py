"""The native engine is switched on in all of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mirror.engine.native import VARIABLE, native_module


@pytest.fixture(autouse=True)
def _native_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(VARIABLE, "on")
    native_module.cache_clear()
    yield
    native_module.cache_clear()
