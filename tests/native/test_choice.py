"""Which engine works: the environment variable, and modules of other versions."""

from __future__ import annotations

import logging
import sys
import types

import pytest

from mirror.core.bundle import BundleLimits
from mirror.core.keys import KeySet
from mirror.core.rules import RULES
from mirror.engine import native
from mirror.engine.native import VARIABLE, description, is_used, native_module
from mirror.engine.native_engine import engine_for
from mirror.errors import EngineError

mirror_native = pytest.importorskip(
    "mirror_native", reason="the native engine is not built: scripts/setup does it"
)


@pytest.mark.parametrize(
    ("setting", "expected"), [("on", True), ("auto", True), ("", True), ("off", False)]
)
def test_the_variable_chooses(
    setting: str,
    expected: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`auto` takes the native engine where it is installed."""
    monkeypatch.setenv(VARIABLE, setting)
    assert is_used() == expected
    assert description() == (f"native {mirror_native.VERSION}" if expected else "Python")
    assert (engine_for(KeySet()) is not None) == expected


@pytest.mark.parametrize("setting", ["On", "1", "yes", " on"])
def test_another_word_is_refused(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word that means nothing must not mean the default."""
    monkeypatch.setenv(VARIABLE, setting)
    with pytest.raises(EngineError) as error:
        native_module()
    assert error.value.code == "engine.setting"


def test_other_rules_are_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once; and whoever asked for the native engine gets an error."""
    old = types.ModuleType("mirror_native")
    old.RULES, old.VERSION = f"{RULES}-old", "0.0.1"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mirror_native", old)
    monkeypatch.setenv(VARIABLE, "auto")
    with caplog.at_level(logging.WARNING, native.__name__):
        assert [is_used(), is_used(), engine_for(KeySet())] == [False, False, None]
    assert len(caplog.messages) == 1
    monkeypatch.setenv(VARIABLE, "on")
    native_module.cache_clear()
    with pytest.raises(EngineError) as error:
        native_module()
    assert error.value.code == "engine.missing"


def test_it_follows_the_rules_of_this_version() -> None:
    """Both sides name the same version of verdicts and merge."""
    assert mirror_native.RULES == RULES


def test_settings_that_it_cannot_read(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A limit below zero: Python does the work, unless nobody wants that."""
    limits = BundleLimits(items=-1)
    with pytest.raises(EngineError) as error:
        engine_for(KeySet(), limits)
    assert error.value.code == "engine.missing"
    monkeypatch.setenv(VARIABLE, "auto")
    with caplog.at_level(logging.WARNING):
        assert [engine_for(KeySet(), limits) for _ in range(2)] == [None, None]
    assert len(caplog.messages) == 1


def test_limits_beyond_every_integer_of_json_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are limits in Python, and canonical JSON cannot hold them (V1)."""
    monkeypatch.setenv(VARIABLE, "on")
    beyond = 1 << 60
    limits = BundleLimits(items=beyond, depth=beyond, record_bytes=beyond, receipt_bytes=beyond)
    assert engine_for(KeySet(), limits) is not None
