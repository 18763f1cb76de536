"""The choice between the native engine, the Rust module `mirror_native`, and Python.

The environment variable `MIRROR_NATIVE` chooses: `auto` uses the module where it is installed, `on`
fails where it is not, `off` does without. `native_engine` calls it.
"""

from __future__ import annotations

import importlib
import logging
import os
from functools import cache
from typing import Any

from mirror.core.rules import RULES
from mirror.errors import EngineError

__all__ = ["VARIABLE", "description", "is_used", "native_module", "require_python_allowed"]

_LOG = logging.getLogger(__name__)

VARIABLE = "MIRROR_NATIVE"
"""The environment variable."""


@cache
def native_module() -> Any:
    """Return the module, or None if it is switched off, not installed, or of another version.

    Raises:
        EngineError: `engine.setting` if the variable has another value, `engine.missing` if it
            asks for a module that is not there.
    """
    setting = os.environ.get(VARIABLE, "") or "auto"
    if setting not in {"off", "on", "auto"}:
        message = f"{VARIABLE} is {setting!r}"
        raise EngineError("engine.setting", message, hint="set it to off, on or auto")
    found = None if setting == "off" else _import()
    if found is None:
        require_python_allowed()
    return found


def require_python_allowed() -> None:
    """Check that Python may do the work; raises `engine.missing` as `native_module`."""
    if os.environ.get(VARIABLE) == "on":
        hint = f"install pith-mirror[native] of this version, or set {VARIABLE} to auto"
        message = "the native engine is not installed, or is of another version"
        raise EngineError("engine.missing", message, hint=hint)


def _import() -> Any:
    try:
        found = importlib.import_module("mirror_native")
    except ImportError:
        return None
    if found.RULES == RULES:
        return found
    _LOG.warning("the native engine is not used: its rules are %s, not %s", found.RULES, RULES)
    return None


def is_used() -> bool:
    """Whether the native engine works; raises as `native_module`."""
    return native_module() is not None


def description() -> str:
    """Return the name of the engine that works, for a person; raises as `native_module`."""
    found = native_module()
    return "Python" if found is None else f"native {found.VERSION}"
