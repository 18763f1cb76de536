"""Every figure of the report, as one table, and the targets of some as another.

A figure is a quotient of samples and constants, taken in each round, from left to right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from functools import reduce
from itertools import product, repeat
from operator import truediv
from typing import Final

from benchmark.figures import Figure, Samples, Target, at_least, at_most
from benchmark.harvest import PREFIXES
from benchmark.session import Workshop

_FEW: Final = "peak memory, ≤ 100,000 records"
_MANY: Final = "peak memory, > 100,000 records"
_TO_CLICK: Final = "to the import of click"
_TO_PYNACL: Final = "to PyNaCl on two threads"
_TO_CRYPTOGRAPHY: Final = "to cryptography on two threads"
_TO_SCRIPT: Final = "to the straightforward script"
_OTHER_WAY: Final = "bundles left to Python"
_TO_BARE: Final = "to the bare application"
_TO_ONE_TABLE: Final = "to a plain script with one table"
_TO_READING: Final = "to reading and parsing"

TARGETS: Final = (
    ("start-up", f"mirror --version, {_TO_CLICK}", at_most(2)),
    ("start-up", f"mirror --help, {_TO_CLICK}", at_most(2)),
    ("start-up", f"mirror completion, {_TO_CLICK}", at_most(2.5)),
    ("start-up", f"mirror show, {_TO_CLICK}", at_most(4)),
    ("merge, packed, native", _TO_PYNACL, at_least(1)),
    ("merge, packed, native", _TO_CRYPTOGRAPHY, at_least(1.8)),
    ("merge, plain, native", _TO_PYNACL, at_least(0.8)),
    ("merge, *, native", _TO_SCRIPT, at_least(10)),
    ("merge, *, native", _OTHER_WAY, at_most(0.01)),
    ("merge, updates, native", "to merging the first time", at_least(0.5)),
    ("verify, native", _TO_PYNACL, at_least(1.2)),
    ("store", "of the packed bag", at_most(2.5)),
    ("upkeep, *", "same bag again, speed-up", at_least(10)),
    ("upkeep, native", f"check, {_TO_PYNACL}", at_least(1)),
    ("upkeep, native", "rebuild of states", at_least(100_000)),
    ("*, native", f"*{_FEW}", at_most(300)),
    ("*", f"*{_FEW}", at_most(400)),
    ("*", f"*{_MANY}", at_most(400)),
    ("tables, native", "events", at_least(50_000)),
    ("tables, native", _TO_ONE_TABLE, at_least(1)),
    ("tables, *", "update, to a new copy", at_most(0.2)),
    ("growth: show", "big store to small", at_most(2)),
    ("growth: status", "big store to small", at_most(2)),
    ("growth: one bundle", "big store to small", at_most(1.5)),
    ("comparing", f"folder of states, *, {_TO_READING}", at_least(0.5)),
    ("mirror over HTTP", f"states, at random, {_TO_BARE}", at_least(0.7)),
    ("mirror over HTTP", f"304, at random, {_TO_BARE}", at_least(0.85)),
    ("mirror over HTTP", "half load, 99th percentile to median", at_most(4)),
    ("mirror over HTTP", f"states, beside a merge, {_TO_BARE}", at_least(0.6)),
    ("cluster of this machine", "one worker, to the plain engine", at_least(0.7)),
    ("cluster of this machine", "two workers, to one", at_least(1.7)),
    ("growth: *, native", "ratio of rates", at_least(0.9)),
    ("growth: *, native", "ratio of peak memory", at_most(1.2)),
    ("growth: *", "ratio of rates", at_least(0.8)),
    ("growth: *", "ratio of peak memory", at_most(1.3)),
)
"""Patterns of group and figure, and the target; the first that fits is meant."""

_Row = tuple[str, str, str]
"""Name, unit and quotient of a figure."""


def _started(arguments: str) -> tuple[_Row, ...]:
    name = arguments.removeprefix("--")
    return (
        (f"mirror {arguments}", "s", f"start.{name}.seconds"),
        (f"mirror {arguments}, {_TO_CLICK}", "×", f"start.{name}.seconds / start.click.seconds"),
    )


def _verified(seconds: str, label: str = "") -> tuple[_Row, ...]:
    rate = f"signatures / {seconds}"
    return (
        (f"{label}signatures", "signatures/s", rate),
        (f"{label}{_TO_PYNACL}", "×", f"{rate} / ceiling.pynacl.2"),
        (f"{label}{_TO_CRYPTOGRAPHY}", "×", f"{rate} / ceiling.cryptography.2"),
    )


def _remaining(run: str) -> tuple[_Row, ...]:
    return (
        ("processors kept busy", "×", f"{run}.cpu_seconds / {run}.seconds"),
        ("{peak_memory}", "MiB", f"{run}.peak_mib"),
    )


def _grown(name: str, small: str) -> tuple[_Row, ...]:
    few, many = f"{name}.{small}.seconds", f"{name}.big.seconds"
    return (
        ("small store", "s", few),
        ("big store", "s", many),
        ("big store to small", "×", f"{many} / {few}"),
    )


def _enlarged(run: str) -> tuple[_Row, ...]:
    rates = f"merge.{run}.events_per_s / against.{run}.events_per_s"
    return (
        ("events, smaller corpus", "events/s", f"against.{run}.events_per_s"),
        ("ratio of rates", "×", rates),
        ("ratio of peak memory", "×", f"merge.{run}.peak_mib / against.{run}.peak_mib"),
    )


def _answered(label: str, server: str) -> tuple[_Row, ...]:
    load = f"serve.{server}.half"
    return (
        (label, "requests/s", f"{load}.per_s"),
        (f"{label}, median", "ms", f"{load}.p50_ms"),
        (f"{label}, 99th percentile to median", "×", f"{load}.p99_ms / {load}.p50_ms"),
    )


def _compared(name: str) -> tuple[_Row, ...]:
    label, rate = f"folder of states, {name.replace('_', ' ')}", f"compare.folder.{name}.per_s"
    return (
        (label, "records/s", rate),
        (f"{label}, {_TO_READING}", "×", f"{rate} / compare.read.per_s"),
    )


_STAGES: Final = ("reading", "parsing", "verifying", "merging", "packing", "writing")

_TABLE: Final[dict[str, tuple[_Row, ...]]] = {
    "start-up": (
        ("python -c 'import click'", "s", "start.click.seconds"),
        *_started("--version"),
        *_started("--help"),
        *_started("completion"),
        *_started("show"),
    ),
    "raw ceiling": tuple(
        (f"{library}, threads: {threads}", "signatures/s", f"ceiling.{library}.{threads}")
        for library in ("cryptography", "pynacl")
        for threads in (1, 2)
    ),
    "merge, {bag}, {engine}": (
        ("time", "s", "merge.{bag}.{engine}.seconds"),
        ("events", "events/s", "merge.{bag}.{engine}.events_per_s"),
        *_verified("merge.{bag}.{engine}.seconds"),
        (_TO_SCRIPT, "×", "straightforward.seconds / merge.{bag}.{engine}.seconds"),
        (_OTHER_WAY, "×", "merge.{bag}.{engine}.other_way"),
        *_remaining("merge.{bag}.{engine}"),
    ),
    "merge, updates, {main}": (
        ("time", "s", "merge.updates.{main}.seconds"),
        ("bundles, of one event each", "bundles/s", "merge.updates.{main}.events_per_s"),
        (
            "to merging the first time",
            "×",
            "merge.plain.{main}.seconds / merge.updates.{main}.seconds",
        ),
        *_remaining("merge.updates.{main}"),
    ),
    "verify, {engine}": (
        *_verified("verify.{engine}.seconds"),
        *_remaining("verify.{engine}"),
    ),
    "native code to pure Python": (
        ("merge of the {bag} bag", "×", "merge.{bag}.{pure}.seconds / merge.{bag}.native.seconds"),
        ("verify", "×", "verify.{pure}.seconds / verify.native.seconds"),
    ),
    "store": (
        ("bytes per event", "B", "merge.packed.{main}.store_bytes / events"),
        ("of the {bag} bag", "×", "merge.packed.{main}.store_bytes / {bag}_bytes"),
    ),
    "upkeep, {main}": (
        ("same bag again", "s", "again.seconds"),
        ("same bag again, speed-up", "×", "merge.packed.{main}.seconds / again.seconds"),
        *_verified("check.seconds", "check, "),
        ("check, {peak_memory}", "MiB", "check.peak_mib"),
        ("rebuild of states", "events/s", "events / rebuild.seconds"),
        ("rebuild of states, {peak_memory}", "MiB", "rebuild.peak_mib"),
    ),
    "stages of the {bag} bag": tuple(
        (stage, "events/s", f"events / stage.{{bag}}.{stage}.seconds") for stage in _STAGES
    ),
    "baselines": (
        ("the registry's own line", "records/s", "upstream_line.per_s"),
        (
            "merge of the plain bag to that",
            "×",
            "records / merge.plain.{main}.seconds / upstream_line.per_s",
        ),
        ("straightforward script", "signatures/s", "signatures / straightforward.seconds"),
        ("straightforward script, peak memory", "MiB", "straightforward.peak_mib"),
    ),
    "tables, {engine}": (
        ("time", "s", "tables.{engine}.seconds"),
        ("events", "events/s", "tables.{engine}.events_per_s"),
        (_TO_ONE_TABLE, "×", "tables.{engine}.events_per_s / one_table.events_per_s"),
        ("bytes per event", "B", "tables.{engine}.bytes_per_event"),
        *_remaining("tables.{engine}"),
    ),
    "tables, {main}": (
        ("update, for 1 % of new records", "s", "tables.update.seconds"),
        ("update, to a new copy", "×", "tables.update.seconds / tables.{main}.seconds"),
        ("update, {peak_memory}", "MiB", "tables.update.peak_mib"),
        ("the plain script", "events/s", "one_table.events_per_s"),
    ),
    "growth: show": _grown("show", "small"),
    "growth: status": _grown("status", "small"),
    "growth: one bundle": _grown("one_bundle", "medium"),
    "comparing": (
        ("two mirrors, through the tree", "s", "compare.tree.seconds"),
        ("two mirrors, state by state", "s", "compare.states.seconds"),
        ("that to the tree", "×", "compare.states.seconds / compare.tree.seconds"),
        ("tree, one changed", "µs each", "tree.one.seconds / microsecond"),
        ("tree, a thousand changed", "µs each", "tree.thousand.seconds / thousand / microsecond"),
        ("tree, all changed", "µs each", "tree.all.seconds / records / microsecond"),
        ("reading and parsing states", "records/s", "compare.read.per_s"),
        *_compared("first"),
        *_compared("again"),
        *_compared("no_history"),
    ),
    "mirror over HTTP": (
        ("bare application", "requests/s", "serve.bare.any.per_s"),
        ("states, each the first time", "requests/s", "serve.first.per_s"),
        ("states, at random", "requests/s", "serve.mirror.any.per_s"),
        (
            f"states, at random, {_TO_BARE}",
            "×",
            "serve.mirror.any.per_s / serve.bare.any.per_s",
        ),
        ("304, at random", "requests/s", "serve.mirror.held.per_s"),
        (f"304, at random, {_TO_BARE}", "×", "serve.mirror.held.per_s / serve.bare.any.per_s"),
        *_answered("half load", "mirror"),
        *_answered("bare application, half load", "bare"),
        ("bare application, beside a merge", "requests/s", "serve.bare.anymerge.per_s"),
        ("states, beside a merge", "requests/s", "serve.mirror.anymerge.per_s"),
        (
            f"states, beside a merge, {_TO_BARE}",
            "×",
            "serve.mirror.anymerge.per_s / serve.bare.anymerge.per_s",
        ),
    ),
    "OAI-PMH": (
        *(
            row
            for prefix in PREFIXES
            for row in (
                (prefix, "records/s", f"oai.{prefix}.per_s"),
                (f"{prefix}, bytes per record", "B", f"oai.{prefix}.bytes"),
                (f"{prefix}, server's {{peak_memory}}", "MiB", f"oai.{prefix}.peak_mib"),
            )
        ),
        ("pith_state, beside a merge", "records/s", "oai.beside.per_s"),
        ("pith_state, increment after it", "records", "oai.increment.records"),
    ),
    "cluster of this machine": (
        ("plain engine, one process", "events/s", "events / cluster.plain.seconds"),
        ("one worker", "events/s", "events / cluster.1.seconds"),
        ("one worker, to the plain engine", "×", "cluster.plain.seconds / cluster.1.seconds"),
        ("two workers", "events/s", "events / cluster.2.seconds"),
        ("two workers, to one", "×", "cluster.1.seconds / cluster.2.seconds"),
        ("shuffled", "B/event", "cluster.shuffled_bytes / events"),
        ("peak memory of a worker", "MiB", "cluster.1.peak_mib"),
    ),
    "growth: {bag}, {engine}": _enlarged("{bag}.{engine}"),
    "growth: updates, {main}": _enlarged("updates.{main}"),
}
"""The rows of each group, in the order of the report; for `{...}` see `_fields`."""


def figures(shop: Workshop) -> list[Figure]:
    """Return the figures of all that was measured, in the order of the report."""
    named = {**shop.samples, **_constants(shop)}
    return [
        Figure(group, name, unit, samples, target_of(group, name))
        for group, name, unit, quotient in rows(shop)
        if (samples := _quotient(quotient, named))
    ]


def _constants(shop: Workshop) -> dict[str, Iterable[float]]:
    corpus = shop.corpus
    constants = {
        "records": corpus.records,
        "events": corpus.counts.events,
        "signatures": corpus.counts.signatures,
        "plain_bytes": corpus.plain.stat().st_size,
        "packed_bytes": corpus.packed.stat().st_size,
        "thousand": 1000,
        "microsecond": 1e-6,
    }
    return {name: repeat(value) for name, value in constants.items()}


def rows(shop: Workshop) -> list[tuple[str, str, str, str]]:
    """Return group, name, unit and quotient of each figure, once for each bag and engine."""
    found = (
        (group.format(**fields), name.format(**fields), unit, quotient.format(**fields))
        for group, members in _TABLE.items()
        for fields in _fields(shop)
        for name, unit, quotient in members
    )
    return [*dict.fromkeys(found)]


def _fields(shop: Workshop) -> list[dict[str, str]]:
    """Return what stands for `{...}` in the table, for each bag and engine."""
    pure = [name for name in shop.engines if name != "native"]
    same = {
        "main": shop.main,
        "pure": pure[-1] if pure else "",
        "peak_memory": _FEW if shop.corpus.records <= 100_000 else _MANY,
    }
    return [
        {**same, "bag": bag, "engine": engine}
        for bag, engine in product(shop.corpus.bags, shop.engines)
    ]


def _quotient(text: str, named: Mapping[str, Iterable[float]]) -> Samples:
    """Return the quotient in each round; none, where something was not measured.

    A machine that was slow for a whole round was so for both sides, and the ratio stands.
    """
    sides = [named.get(name, ()) for name in text.split(" / ")]
    return [reduce(truediv, values) for values in zip(*sides, strict=False)]


def target_of(group: str, name: str) -> Target | None:
    """Return the target of a figure, if it has one."""
    fitting = (
        target
        for groups, names, target in TARGETS
        if fnmatch(group, groups) and fnmatch(name, names)
    )
    return next(fitting, None)
