"""Options for the limits on what is read (B4)."""

from __future__ import annotations

import math
from typing import Any

import click

from mirror.archive import ReadLimits
from mirror.cli.options import Count, grouped, setting

__all__ = ["SECONDS", "limits"]


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
    "max-depth": ("depth", "Nested arrays and objects in one bundle; 64 at most."),
    "max-ratio": ("ratio", "Expansion factor of compressed data."),
    "max-expanded": ("expanded_bytes", "Bytes of one source after decompression."),
    "max-seconds": ("bundle_s", "Seconds that verifying one bundle may take."),
}
"""Members of `ReadLimits` and help, by option."""


def _type_of(field: str) -> click.ParamType[Any]:
    """Return the type of a limit."""
    if field == "bundle_s":
        return SECONDS
    least = 0 if field in {"invalid", "kept_invalid"} else 1
    return Count(least, 64) if field == "depth" else Count(least)


_DEFAULTS = ReadLimits()

limits = grouped(
    "limits",
    ReadLimits,
    (
        setting(
            f"--{name}",
            field,
            type=_type_of(field),
            default=getattr(_DEFAULTS, field),
            show_default=True,
            show_envvar=False,
            help=f"Limit: {text}",
        )
        for name, (field, text) in _LIMITS.items()
    ),
)
"""Gives a command an option for each limit (B4), and passes it `limits`."""
