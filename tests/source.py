"""The modules of the package as tests read them: each is parsed once."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import mirror

__all__ = ["MODULES", "PACKAGE", "Source", "source_of"]

PACKAGE = Path(mirror.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


@dataclass
class Source:
    """The parts of a module; with each string the number of its line."""

    docstring: str | None
    imports: set[str] = field(default_factory=set)
    """Full names."""
    attributes: set[str] = field(default_factory=set)
    statements: list[tuple[int, str]] = field(default_factory=list)
    """Strings that stand alone: docstrings of everything, attributes too."""
    strings: list[tuple[int, str]] = field(default_factory=list)
    """All strings: docstrings, messages, help texts."""
    beginnings: list[str] = field(default_factory=list)
    """The constants with which f-strings begin."""

    def add(self, node: ast.AST) -> None:
        """Add a node of the tree."""
        match node:
            case ast.Attribute():
                self.attributes.add(node.attr)
            case ast.Constant(value=str() as text):
                self.strings.append((node.lineno, text))
            case ast.Expr(value=ast.Constant(value=str() as text)):
                self.statements.append((node.lineno, text))
            case ast.JoinedStr(values=[ast.Constant(value=str() as text), *_]):
                self.beginnings.append(text)
            case ast.Import():
                self.imports |= {alias.name for alias in node.names}
            case ast.ImportFrom():
                assert node.level == 0, "relative imports hide where they point"
                self.imports |= {f"{node.module}.{alias.name}" for alias in node.names}


@cache
def source_of(path: Path) -> Source:
    """Parse a module."""
    tree = ast.parse(path.read_text("utf-8"), filename=str(path))
    source = Source(ast.get_docstring(tree))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name | ast.Load):  # of which a tree has most
            source.add(node)
    return source
