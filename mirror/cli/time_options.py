"""Options that name a point in time, and the note that says which kind of time an answer is of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from mirror.cli import options
from mirror.cli.output import say
from mirror.core.point_in_time import PointInTime, parse_point_in_time
from mirror.core.rules import RULES
from mirror.core.values import time_text
from mirror.errors import FormatError
from mirror.store import Store, StoreVersion

__all__ = ["PointInTimeType", "at", "claimed_until", "note_claimed", "version_at"]


class PointInTimeType(click.ParamType[PointInTime]):
    """A time in UTC, or a date, which means its end."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> PointInTime:
        """Return the point in time."""
        if isinstance(value, PointInTime):
            return value
        try:
            return parse_point_in_time(value)
        except FormatError as error:
            message = f"{error.message}; {error.hint}"
            if param is not None and not param.metavar:  # an argument without a name of its own
                raise click.UsageError(message, ctx) from error
            self.fail(message, param, ctx)


at = options.shared(
    "--at",
    type=PointInTimeType(),
    metavar="TIME",
    help="Known time: only what this mirror had stored by TIME, under the keys trusted then.",
)
claimed_until = options.shared(
    "--claimed-until",
    type=PointInTimeType(),
    metavar="TIME",
    help="Claimed time: only what its signers date no later than TIME.",
)


def version_at(store: Store, time: PointInTime) -> StoreVersion:
    """Return the version that a store had at a time, and print which time an answer is of.

    Raises:
        CorruptStoreError: `store.damaged`
    """
    version = store.version_at(time.text)
    say(f"known here by {time.words}, under the keys trusted then")
    if time.text > time_text(datetime.now(UTC), microseconds=True):
        say("this time has not come yet: more may be stored by then")
    if version.rules not in {"", RULES}:
        say(
            f"the rules of that time were {version.rules}; this answer uses those of today, {RULES}"
        )
    return version


def note_claimed(time: PointInTime) -> None:
    """Print that an answer is of the times that signers claim."""
    say(f"claimed to be no later than {time.words}: the words of the signers, not verified")
