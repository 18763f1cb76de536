"""Options for the limits on what is read (B4)."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

from mirror.archive import ReadLimits
from mirror.cli.options import Count

__all__ = ["SECONDS", "limits"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


class _Seconds(click.FloatRange):
    """A time in seconds, greater than 0; NaN is refused."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail("must be a number", param, ctx)
        return seconds


SECONDS = _Seconds(min=0, min_open=True)

_LIMITS = {
    "max-member": ("member_bytes", "Bytes of a bundle in an archive or folder."),
    "max-segment": ("segment_bytes", "Bytes of a segment of a packed bag, compressed."),
    "max-bundle": ("bundle_bytes", "Bytes of a bundle in a file of its own."),
    "max-line": ("line_bytes", "Bytes of a line of JSON Lines."),
    "max-header": ("header_bytes", "Bytes of an extended header of a tar."),
    "max-members": ("members", "Members of an archive, lines of a file, files of a folder."),
    "max-values": ("values", "JSON values in one bundle."),
    "max-events": ("events", "Events, receipts or aliases in one bundle."),
    "max-invalid": ("invalid", "Items of a list with an invalid shape, if most are invalid."),
    "max-record": ("record_bytes", "Bytes of a record."),
    "max-receipt": ("receipt_bytes", "Bytes of a receipt outside an event."),
    "keep-invalid": ("kept_invalid", "Unverified events, receipts and alias times of one record."),
    "max-depth": ("depth", "Nested arrays and objects in one bundle; 64 at most (V1)."),
    "max-ratio": ("ratio", "Expansion factor of compressed data."),
    "max-expanded": ("expanded_bytes", "Bytes of one source after decompression."),
    "max-seconds": ("bundle_s", "Seconds that verifying one bundle may take."),
}
"""Members of `ReadLimits` and help, by option."""


def _range_of(field: str) -> click.ParamType[Any]:
    """Return the type of a limit."""
    if field == "bundle_s":
        return SECONDS
    least = 0 if field in {"invalid", "kept_invalid"} else 1
    return Count(least, 64) if field == "depth" else Count(least)


def limits(command: _Command) -> _Command:
    """Give a command an option for each limit (B4), and pass it `limits`."""

    @functools.wraps(command)
    def with_limits(**parameters: Any) -> Any:
        chosen = {field: parameters.pop(field) for field, _ in _LIMITS.values()}
        return command(**parameters, limits=ReadLimits(**chosen))

    for name, (field, text) in reversed(_LIMITS.items()):
        default = getattr(ReadLimits(), field)
        option = click.option(
            f"--{name}",
            field,
            type=_range_of(field),
            default=default,
            show_default=True,
            envvar=f"MIRROR_{name.upper().replace('-', '_')}",
            help=f"Limit: {text}",
        )
        with_limits = option(with_limits)
    return cast("_Command", with_limits)
