"""Reads files, folders and archives as streams of candidate bundles (rules C1 to C5).

A source is a file, a folder or standard input. Its format is detected from its content. Reading it
yields a `Member` for each candidate bundle and a `RefusedMember` for each one that cannot be read.
Nothing is extracted to disk.
"""

from mirror.archive.bag_writer import bag_blocks, write_bag
from mirror.archive.contents import Extent, read_extent
from mirror.archive.folder import (
    FileTree,
    Listing,
    LocalFileTree,
    is_relevant_name,
    list_folder,
    read_file_in_folder,
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
    is_refusal,
    refuse_name,
)
from mirror.archive.segment import write_segments
from mirror.archive.source import (
    Source,
    empty_source,
    is_uncompressed_tar,
    open_file,
    open_source,
    unreadable,
)
from mirror.archive.standard_input import read_standard_input, standard_input
from mirror.archive.tar import locate_in_tar
from mirror.archive.temporary import translate_temporary_errors

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
    "empty_source",
    "is_refusal",
    "is_relevant_name",
    "is_uncompressed_tar",
    "list_folder",
    "locate_in_tar",
    "open_file",
    "open_source",
    "read_extent",
    "read_file_in_folder",
    "read_member",
    "read_standard_input",
    "refuse_name",
    "standard_input",
    "translate_temporary_errors",
    "unreadable",
    "write_bag",
    "write_segments",
]
