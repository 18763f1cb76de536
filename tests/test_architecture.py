"""The house: imports point down the list of the design, and modules stay small."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from tests.source import MODULES, PACKAGE, source_of

ORACLE = Path(__file__).resolve().parent / "oracle"

MAY_IMPORT = {
    "errors": set(),
    "core": {"errors"},
    "probe": {"core", "errors"},
    "archive": {"core", "errors"},
    "store": {"core", "errors"},
    "net": {"core", "errors"},
    "engine": {"store", "archive", "net", "probe", "core", "errors"},
    "web": {"engine", "store", "archive", "net", "core", "errors"},
    "api": {"engine", "store", "core", "errors"},
    "__init__": {"api"},
    "__main__": {"cli"},
    "cli": {"web", "engine", "store", "archive", "net", "probe", "core", "errors"},
}
"""What each folder may import beside itself."""

ENGINE_MAY_IMPORT: dict[str, set[str]] = {
    "states": set(),
    "ingest": {"states"},
    "export": {"states", "ingest"},
    "search": {"states"},
    "bibliography": {"states"},
    "harvest": {"states", "bibliography"},
    "anchors": {"states"},
    "storage": {"states"},
    "claims": {"anchors", "storage"},
    "transparency": {"states", "anchors"},
    "evidence": {"states", "anchors", "transparency"},
    "sync": {"ingest"},
    "compare": {"states", "ingest", "transparency", "sync"},
    "history": {"states", "compare"},
    "feeds": {"states", "bibliography", "compare", "history"},
    "tables": {"states"},
    "figures": {"states", "tables", "anchors", "storage"},
    "cluster": {"states", "ingest"},
    "conformance": {"states", "ingest"},
}
"""The folders of the engine: each may import the modules directly in `engine`, and only folders
above it in this list; the modules directly in `engine` import no folder."""

IMPURE = {
    "asyncio", "click", "datetime.now", "glob", "io", "multiprocessing", "os", "pathlib", "random",
    "secrets", "shutil", "socket", "sqlite3", "sqlite_utils", "subprocess", "sys", "tempfile",
    "threading", "time",
}  # fmt: skip
"""What the core must do without: files, sockets, clocks, databases, randomness, click."""

MAX_LINES = 500
"""A module that grows longer holds two things."""


def _folder(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _wrong_imports(path: Path) -> set[str]:
    folder = _folder(path)
    folders = {name.split(".")[1] for name in source_of(path).imports if name.startswith("mirror.")}
    return folders - {folder} - MAY_IMPORT[folder]


def test_imports_follow_the_order_of_the_folders() -> None:
    """No folder imports one that stands above it in the table."""
    assert {} == {str(path): wrong for path in MODULES if (wrong := _wrong_imports(path))}


@pytest.mark.parametrize("folder", [".", *ENGINE_MAY_IMPORT])
def test_imports_within_the_engine_make_no_cycle(folder: str) -> None:
    """Capabilities are in an order, and none imports one that comes after it."""
    folders = [*ENGINE_MAY_IMPORT]
    allowed = ENGINE_MAY_IMPORT.get(folder, set())
    assert allowed <= {*folders[: folders.index(folder) if allowed else 0]}
    names = {
        name
        for path in (PACKAGE / "engine" / folder).glob("*.py")
        for name in source_of(path).imports
    }
    imported = {name.split(".")[2] for name in names if name.startswith("mirror.engine.")}
    assert imported & {*folders} - {folder} <= allowed


def test_every_folder_of_the_engine_has_its_place() -> None:
    """A new one is written down in its order."""
    found = {path.parent.name for path in (PACKAGE / "engine").glob("*/__init__.py")}
    assert found == {*ENGINE_MAY_IMPORT}


def _impure(path: Path) -> set[str]:
    roots = {name.split(".")[0] for name in source_of(path).imports}
    return roots & IMPURE | source_of(path).attributes & {"now", "today", "utcnow", "environ"}


def test_core_is_pure() -> None:
    """The core and the probe touch no file, socket, clock, database or command line."""
    modules = [path for path in MODULES if _folder(path) in {"core", "probe"}]
    assert {"core", "probe"} == {_folder(path) for path in modules}
    assert {} == {str(path): found for path in modules if (found := _impure(path))}


def test_modules_stay_small() -> None:
    """A module can be read in one sitting, and says what it is for."""
    lines = {str(path): path.read_text().count("\n") for path in MODULES}
    assert {} == {path: count for path, count in lines.items() if count > MAX_LINES}
    assert [] == [path for path in MODULES if not source_of(path).docstring]


@pytest.mark.parametrize("path", sorted(ORACLE.glob("*.py")), ids=lambda path: path.name)
def test_the_oracle_imports_only_the_standard_library(path: Path) -> None:
    """The second implementation uses the standard library and itself, and nothing of the first."""
    nodes = [*ast.walk(ast.parse(path.read_text()))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    names |= {str(node.module) for node in froms if node.level == 0}
    assert {node.level for node in froms} <= {0, 1}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


def test_a_forbidden_import_is_found(tmp_path: Path) -> None:
    """The check itself: what it looks for, it finds."""
    module = tmp_path / "module.py"
    module.write_text("import os\nfrom mirror.store import Store\n")
    assert source_of(module).imports == {"os", "mirror.store.Store"}
