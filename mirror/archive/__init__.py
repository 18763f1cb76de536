"""Containers of bundles as streams of members (rules C1 to C5).

A source is a file, a folder or standard input; its content tells its format. Reading it gives a
`Member` for each candidate bundle, and a `RefusedMember` for each one that could not be read.
Nothing is ever extracted to disk.
"""

from mirror.archive.bag_writer import bag_blocks, write_bag
from mirror.archive.contents import Extent, read_extent
from mirror.archive.folder import (
    FileTree,
    Listing,
    LocalFileTree,
    is_looked_at,
    list_folder,
    read_in_folder,
    read_member,
)
from mirror.archive.limits import ReadLimits
from mirror.archive.member import (
    BUNDLES,
    STATES,
    Bag,
    Member,
    MemberFilter,
    RefusedMember,
    check_name,
)
from mirror.archive.segment import write_segments
from mirror.archive.source import Source, is_plain_tar, nothing_in_it, open_file, open_source
from mirror.archive.standard_input import read_standard_input, standard_input
from mirror.archive.tar import locate_in_tar
from mirror.archive.temporary import naming_temporary_folder, temporary_error

__all__ = [
    "BUNDLES",
    "STATES",
    "Bag",
    "Extent",
    "FileTree",
    "Listing",
    "LocalFileTree",
    "Member",
    "MemberFilter",
    "ReadLimits",
    "RefusedMember",
    "Source",
    "bag_blocks",
    "check_name",
    "is_looked_at",
    "is_plain_tar",
    "list_folder",
    "locate_in_tar",
    "naming_temporary_folder",
    "nothing_in_it",
    "open_file",
    "open_source",
    "read_extent",
    "read_in_folder",
    "read_member",
    "read_standard_input",
    "standard_input",
    "temporary_error",
    "write_bag",
    "write_segments",
]
