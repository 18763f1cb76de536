"""The result, as a table for people or as one JSON object."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmark.figures import Figure
from benchmark.layout import Corpus
from benchmark.session import Workshop


def to_json(shop: Workshop, runs: int, machine: dict[str, Any], figures: list[Figure]) -> str:
    """Return everything as one JSON object."""
    value = {
        "machine": machine,
        "runs": runs,
        "corpus": _corpus_value(shop.corpus),
        "against": None if shop.against is None else _corpus_value(shop.against),
        "engines": shop.engines,
        "figures": [figure.to_value() for figure in figures],
        "samples": shop.samples,
        "skipped": shop.skipped,
    }
    return json.dumps(value, indent=1, ensure_ascii=False)


def _corpus_value(corpus: Corpus) -> dict[str, Any]:
    sizes = {f"{kind}_bytes": bag.stat().st_size for kind, bag in corpus.bags.items()}
    return {"records": corpus.records, **asdict(corpus.counts), **sizes}


def print_report(shop: Workshop, runs: int, machine: dict[str, Any], figures: list[Figure]) -> None:
    """Print everything for people."""
    console = Console(width=None if Console().is_terminal else 120, highlight=False)
    console.print(_facts_table(shop, runs, machine))
    console.print(_figures_table(figures))
    for line in shop.skipped:
        console.print(f"skipped: {line}", markup=False)
    with_target = [figure for figure in figures if figure.target is not None]
    reached = sum(bool(figure.is_reached) for figure in with_target)
    console.print(f"{reached} of {len(with_target)} targets are reached")


def _facts_table(shop: Workshop, runs: int, machine: dict[str, Any]) -> Table:
    table = Table(show_header=False, box=None)
    engines = {f"engine {name}": line for name, line in shop.engines.items()}
    facts = {**machine, **engines, **_corpus_value(shop.corpus), "runs": runs}
    for name, value in facts.items():
        text = f"{value:,}" if isinstance(value, int) else str(value)
        table.add_row(name.replace("_", " "), text)
    return table


def _figures_table(figures: list[Figure]) -> Table:
    table = Table()
    for heading in ("", "median", "lowest", "highest", "", "target", ""):
        table.add_column(heading, justify="left" if heading == "" else "right")
    for group, members in groupby(figures, key=lambda figure: figure.group):
        table.add_section()
        table.add_row(f"[bold]{group}[/bold]")
        for figure in members:
            table.add_row(*_cells(figure))
    return table


def _cells(figure: Figure) -> list[str]:
    values = (figure.value, min(figure.samples), max(figure.samples))
    cells = [f"  {figure.name}", *(_number(value) for value in values), figure.unit]
    if figure.target is None:
        return cells
    verdict = "[green]reached[/green]" if figure.is_reached else "[red]not reached[/red]"
    return [*cells, f"{figure.target.side} {figure.target.bound:,g}", verdict]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" if value < 1 else f"{value:.2f}"
