"""Containers of bundles as streams of members (rules C1 to C5).

A source is a file, a folder or standard input; what it is, is known by its content. Whatever it
is, reading it gives `Member`s, one for each thing that should be a bundle, and `Refused`s, one for
each thing that could not be read. Nothing is ever extracted to disk.
"""

from mirror.archive.bag import write_bag
from mirror.archive.limits import Limits
from mirror.archive.member import BUNDLES, STATES, Bag, Member, Refused, Wanted, shown
from mirror.archive.segment import write_segments
from mirror.archive.source import Source, open_source

__all__ = [
    "BUNDLES",
    "STATES",
    "Bag",
    "Limits",
    "Member",
    "Refused",
    "Source",
    "Wanted",
    "open_source",
    "shown",
    "write_bag",
    "write_segments",
]
