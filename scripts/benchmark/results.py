"""Every figure of the report, from the samples of a session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmark.figures import Figure, Samples, Target, at_least, at_most, per_second, ratio
from benchmark.measures import MEDIUM, SMALL
from benchmark.session import Workshop

_PEAK_MIB: Final = 400

_OF_CEILING: Final = {
    ("packed", "cryptography"): 0.80,
    ("packed", "pynacl"): 0.70,
    ("plain", "cryptography"): 0.70,
    ("plain", "pynacl"): 0.55,
}
_STARTS: Final = (
    ("version", "mirror --version", 2),
    ("help", "mirror --help", 2),
    ("show", "mirror show", 4),
)
"""Samples, command, and how many times as long as an import of click it may take."""
_OF_STRAIGHTFORWARD: Final = {"cryptography": 2.0, "pynacl": 3.5}


def figures(shop: Workshop) -> list[Figure]:
    """Return the figures of all that was measured, in the order of the report."""
    return [figure for figure in _Results(shop).all() if figure.samples]


class _Results:
    """Figures by group; one without samples was not measured."""

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self._counts = shop.corpus.counts
        self._last = f"{'packed' if shop.packed else 'plain'}.{shop.backends[-1]}"
        """The merge whose store the other measures went on with."""

    def _of(self, name: str) -> Samples:
        return self._shop.samples.get(name, [])

    def all(self) -> Iterator[Figure]:
        yield from self._starting()
        yield from self._ceilings()
        for kind in ("packed", "plain"):
            for backend in self._shop.backends:
                yield from self._merge(kind, backend)
        yield from self._size()
        yield from self._upkeep()
        for kind in ("packed", "plain"):
            yield from self._stages(kind)
        yield from self._baselines()
        yield from self._growth()
        yield from self._comparing()
        yield from self._serving()
        yield from self._clustering()
        for kind in ("packed", "plain"):
            for backend in self._shop.backends:
                yield from self._against(kind, backend)

    # Start-up -------------------------------------------------------------------------------

    def _starting(self) -> Iterator[Figure]:
        click = self._of("start.click.seconds")
        yield Figure("start-up", "python -c 'import click'", "s", click)
        for name, command, bound in _STARTS:
            seconds = self._of(f"start.{name}.seconds")
            yield Figure("start-up", command, "s", seconds)
            yield Figure(
                "start-up", "to the import of click", "×", ratio(seconds, click), at_most(bound)
            )

    # Ceilings and the whole way -------------------------------------------------------------

    def _ceilings(self) -> Iterator[Figure]:
        for backend in self._shop.backends:
            for threads in (1, 2):
                name = f"{backend}, threads: {threads}"
                samples = self._of(f"ceiling.{backend}.{threads}")
                yield Figure("raw ceiling", name, "signatures/s", samples)

    def _merge(self, kind: str, backend: str) -> Iterator[Figure]:
        group, name = f"merge, {kind}, {backend}", f"merge.{kind}.{backend}"
        seconds = self._of(f"{name}.seconds")
        rate = per_second(self._counts.signatures, seconds)
        of_ceiling = ratio(rate, self._of(f"ceiling.{backend}.2"))
        target = at_least(_OF_CEILING[kind, backend])
        yield Figure(group, "time", "s", seconds)
        yield Figure(group, "signatures", "signatures/s", rate)
        yield Figure(group, "events", "events/s", per_second(self._counts.events, seconds))
        yield Figure(group, "of the two-thread ceiling", "×", of_ceiling, target)
        busy = ratio(self._of(f"{name}.cpu_seconds"), seconds)
        yield Figure(group, "processors kept busy", "×", busy)
        peak = self._of(f"{name}.peak_mib")
        yield Figure(group, "peak memory", "MiB", peak, at_most(_PEAK_MIB))
        yield self._of_straightforward(group, kind, backend, seconds)

    def _of_straightforward(self, group: str, kind: str, backend: str, seconds: Samples) -> Figure:
        """Return how much faster than the script; it reads the plain bag, so that is compared."""
        times = ratio(self._of("straightforward.seconds"), seconds)
        target = at_least(_OF_STRAIGHTFORWARD[backend]) if kind == "plain" else None
        return Figure(group, "to the straightforward script", "×", times, target)

    def _size(self) -> Iterator[Figure]:
        stores = self._of(f"merge.{self._last}.store_bytes")
        events = [size / self._counts.events for size in stores]
        yield Figure("store", "bytes per event", "B", events)
        plain = self._shop.corpus.plain.stat().st_size
        yield Figure("store", "of the plain bag", "×", [size / plain for size in stores])
        if self._shop.packed is not None:
            packed = self._shop.packed.stat().st_size
            times = [size / packed for size in stores]
            yield Figure("store", "of the packed bag", "×", times, at_most(3))

    # Upkeep and stages ----------------------------------------------------------------------

    def _upkeep(self) -> Iterator[Figure]:
        group = "upkeep"
        again = self._of("again.seconds")
        yield Figure(group, "same bag again", "s", again)
        times = ratio(self._of(f"merge.{self._last}.seconds"), again)
        yield Figure(group, "same bag again, speed-up", "×", times, at_least(10))
        verify = self._of("verify.seconds")
        rate = per_second(self._counts.signatures, verify)
        yield Figure(group, "verify", "signatures/s", rate)
        rebuilt = per_second(self._counts.events, self._of("rebuild.seconds"))
        yield Figure(group, "rebuild of states", "events/s", rebuilt, at_least(100_000))

    def _stages(self, kind: str) -> Iterator[Figure]:
        """Yield the rate of whatever stages there are, in the order they were timed."""
        for name in self._shop.samples:
            if name.startswith(f"stage.{kind}."):
                rate = per_second(self._counts.events, self._of(name))
                yield Figure(f"stages of the {kind} bag", name.split(".")[2], "events/s", rate)

    # Baselines and growth -------------------------------------------------------------------

    def _baselines(self) -> Iterator[Figure]:
        group = "baselines"
        line = self._of("upstream_line.per_s")
        yield Figure(group, "the registry's own line", "records/s", line)
        name = f"merge.plain.{self._shop.backends[-1]}.seconds"
        records = per_second(self._shop.corpus.records, self._of(name))
        yield Figure(group, "merge of the plain bag to that", "×", ratio(records, line))
        seconds = self._of("straightforward.seconds")
        rate = per_second(self._counts.signatures, seconds)
        yield Figure(group, "straightforward script", "signatures/s", rate)
        peak = self._of("straightforward.peak_mib")
        yield Figure(group, "straightforward, peak memory", "MiB", peak)

    def _growth(self) -> Iterator[Figure]:
        for command in ("show", "status"):
            yield from self._grown(command, "small", SMALL, at_most(2))
        yield from self._grown("one_bundle", "medium", MEDIUM, at_most(1.5))

    def _grown(self, name: str, small: str, records: int, target: Target) -> Iterator[Figure]:
        """Yield how long something takes with a small store and a big one, and the ratio."""
        group = f"growth: {name.replace('_', ' ')}"
        few, many = (self._of(f"{name}.{size}.seconds") for size in (small, "big"))
        smaller = min(records, self._shop.corpus.records)
        yield Figure(group, f"store of {smaller:,} records", "s", few)
        yield Figure(group, f"store of {self._shop.corpus.records:,} records", "s", many)
        yield Figure(group, "ratio", "×", ratio(many, few), target)

    def _comparing(self) -> Iterator[Figure]:
        group = "comparing"
        tree, states = self._of("compare.tree.seconds"), self._of("compare.states.seconds")
        yield Figure(group, "two mirrors, through the tree", "s", tree)
        yield Figure(group, "two mirrors, state by state", "s", states)
        yield Figure(group, "that to the tree", "×", ratio(states, tree))
        for name, number in (("one", 1), ("thousand", 1000), ("all", self._shop.corpus.records)):
            each = [1e6 * one / number for one in self._of(f"tree.{name}.seconds")]
            yield Figure(group, f"tree, {number:,} changed", "µs each", each)
        read = self._of("compare.read.per_s")
        yield Figure(group, "reading and parsing states", "records/s", read)
        for name in ("first", "again", "no_history"):
            compared = self._of(f"compare.folder.{name}.per_s")
            label = f"folder of states, {name.replace('_', ' ')}"
            yield Figure(group, label, "records/s", compared)
            yield Figure(group, "to reading and parsing", "×", ratio(compared, read), at_least(0.5))

    def _clustering(self) -> Iterator[Figure]:
        group, events = "cluster of this machine", self._counts.events
        plain = per_second(events, self._of("cluster.plain.seconds"))
        one, two = (per_second(events, self._of(f"cluster.{n}.seconds")) for n in (1, 2))
        yield Figure(group, "plain engine, one process", "events/s", plain)
        yield Figure(group, "one worker", "events/s", one)
        yield Figure(group, "to the plain engine", "×", ratio(one, plain), at_least(0.7))
        yield Figure(group, "two workers", "events/s", two)
        yield Figure(group, "to one worker", "×", ratio(two, one), at_least(1.7))
        shuffled = [size / events for size in self._of("cluster.shuffled_bytes")]
        yield Figure(group, "shuffled", "B/event", shuffled)
        yield Figure(group, "peak memory of a worker", "MiB", self._of("cluster.1.peak_mib"))

    def _serving(self) -> Iterator[Figure]:
        group = "mirror over HTTP"
        bare, beside = self._of("serve.bare.any.per_s"), self._of("serve.bare.anymerge.per_s")
        states, held = self._of("serve.mirror.any.per_s"), self._of("serve.mirror.held.per_s")
        merging = self._of("serve.mirror.anymerge.per_s")
        yield Figure(group, "bare application", "requests/s", bare)
        yield Figure(
            group, "states, each the first time", "requests/s", self._of("serve.first.per_s")
        )
        yield Figure(group, "states, at random", "requests/s", states)
        yield Figure(group, "to the bare application", "×", ratio(states, bare), at_least(0.6))
        yield Figure(group, "304, at random", "requests/s", held)
        yield Figure(group, "to the bare application", "×", ratio(held, bare), at_least(0.8))
        median, slowest = self._of("serve.half.p50_ms"), self._of("serve.half.p99_ms")
        yield Figure(group, "half load", "requests/s", self._of("serve.half.per_s"))
        yield Figure(group, "half load, median", "ms", median)
        yield Figure(group, "half load, p99 to that", "×", ratio(slowest, median), at_most(5))
        yield Figure(group, "bare, beside a merge", "requests/s", beside)
        yield Figure(group, "states, beside a merge", "requests/s", merging)
        yield Figure(group, "to the bare application", "×", ratio(merging, beside), at_least(0.5))

    def _against(self, kind: str, backend: str) -> Iterator[Figure]:
        """Yield how a big bag compares with a small one."""
        if self._shop.against is None:
            return
        small = self._shop.against
        group = f"growth: {kind}, {backend}"
        name = f"{kind}.{backend}"
        few = per_second(small.counts.events, self._of(f"against.{name}.seconds"))
        many = per_second(self._counts.events, self._of(f"merge.{name}.seconds"))
        yield Figure(group, f"events, {small.records:,} records", "events/s", few)
        yield Figure(group, f"events, {self._shop.corpus.records:,} records", "events/s", many)
        yield Figure(group, "ratio of rates", "×", ratio(many, few), at_least(0.8))
        peaks = [self._of(f"{run}.{name}.peak_mib") for run in ("merge", "against")]
        yield Figure(group, "ratio of peak memory", "×", ratio(*peaks), at_most(1.3))
