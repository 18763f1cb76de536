"""Progress of a command on a terminal; a pipe gets none."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mirror.cli.output import drawn
from mirror.core.escaping import escape_terminal

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

__all__ = ["Progress", "show_progress"]

_REFRESH_S = 0.1
_LABEL_CHARACTERS = 40


class Progress:
    """A label, a count and its rate; with a total, also a bar and the time left."""

    def __init__(self, label: str, bars: Bars | None = None) -> None:
        """Start at 0.

        Args:
            label: The work.
            bars: Where to draw it; None for nowhere.
        """
        self._label = label
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._count = 0
        self._started = time.monotonic()
        self._drawn = 0.0

    def advance(self, count: int) -> None:
        """Add to the count, which is also how far the work is."""
        self._count += count
        self._draw(self._label, self._count, completed=self._count)

    def expect(self, total: int | None) -> None:
        """Set the count at which the work is done; None if it is not known."""
        self._draw(self._label, self._count, total=total)

    def count_read(self, name: str, position_bytes: int, size_bytes: int | None) -> None:
        """Add 1 to the count, and show how far a source is read."""
        self._count += 1
        if (now := time.monotonic()) - self._drawn >= _REFRESH_S:
            self._drawn = now
            label = escape_terminal(name)[-_LABEL_CHARACTERS:]
            place: Any = {"completed": position_bytes, "total": size_bytes}
            self._draw(self._label, self._count, description=label, **place)

    def show_stage(self, stage: str, done: int, total: int) -> None:
        """Show how many tasks of a stage are done, each stage on a line of its own."""
        self._draw(stage, done, completed=done, total=total, shown=f"{done:,}/{total:,}")

    def _draw(self, label: str, count: int, **fields: Any) -> None:
        if self._bars is None:
            return
        if label not in self._tasks:
            self._tasks[label] = self._bars.add_task(label, total=None, shown="0", rate=0.0)
        rate = count / (time.monotonic() - self._started)
        fields = {"shown": f"{count:,}", "rate": rate, **fields}
        self._bars.update(self._tasks[label], **fields)


@contextmanager
def show_progress(
    label: str = "", noun: str = "records", *, is_quiet: bool = False
) -> Iterator[Progress]:
    """Show progress on stderr, if that is a terminal; it is erased at the end.

    Args:
        label: The work, such as `checked`.
        noun: The things that are counted.
        is_quiet: Show nothing.
    """
    if is_quiet or sys.stderr is None or not sys.stderr.isatty():
        yield Progress(label)
        return
    # Late: in a pipe nothing is drawn, and rich is not loaded.
    from rich import console, progress  # noqa: PLC0415

    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TextColumn(
            f"{{task.fields[shown]}} {noun}, {{task.fields[rate]:,.0f}}/s", markup=False
        ),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console.Console(stderr=True), transient=True) as bars:
        drawn.append(bars)
        try:
            yield Progress(label, bars)
        finally:
            drawn.remove(bars)
