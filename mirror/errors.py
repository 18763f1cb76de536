"""Every error that `mirror` raises on purpose, grouped by who is at fault.

A rejected event or receipt is no error: it is data, with a code, stored and shown. An exception
means that a piece of work could not be done at all. Foreign exceptions are converted at the edge
that meets them; wrong use by a caller stays `ValueError` or `TypeError`.
"""

from __future__ import annotations

__all__ = [
    "HTTP_STATUSES",
    "AmbiguousError",
    "CheckpointConflictError",
    "ClusterError",
    "CorruptStoreError",
    "EngineError",
    "FormatError",
    "KeySetChangedError",
    "LimitError",
    "ListenError",
    "LookUpError",
    "MirrorError",
    "OutputError",
    "QueryError",
    "QueryLimitError",
    "SchemaVersionError",
    "SourceError",
    "StoreBusyError",
    "StoreError",
    "UntrustedNoteError",
    "UpstreamError",
    "WorkerError",
    "http_status",
]


class MirrorError(Exception):
    """The root: something that a person can act on.

    Attributes:
        code: A stable, machine-readable name, such as `json.syntax`.
        message: What was wrong, as a sentence.
        where: The place in the input: a JSON Pointer, a line and column, or a path.
        hint: What to do about it, or the empty string.
    """

    def __init__(self, code: str, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f" at {self.where}" if self.where else ""
        return f"{self.code}{place}: {self.message}"


class FormatError(MirrorError):
    """The input is not what the protocol says it must be (V1, R1, B2, K2)."""


class LimitError(FormatError):
    """The input is larger than this mirror accepts (B4)."""


class SourceError(MirrorError):
    """A source could not be opened or read at all."""


class LookUpError(MirrorError):
    """An identifier names no record of the store, or several."""


class AmbiguousError(LookUpError):
    """An identifier names several records (`lookup.ambiguous`).

    Attributes:
        pith_numbers: The Pith Numbers of the records, or of the first of them.
    """

    def __init__(self, message: str, pith_numbers: list[str]) -> None:
        super().__init__("lookup.ambiguous", message)
        self.pith_numbers = pith_numbers


class OutputError(MirrorError):
    """A file that was asked for could not be written."""


class QueryError(MirrorError):
    """A statement of SQL is wrong, or would do more than read."""


class QueryLimitError(QueryError):
    """A statement of SQL took too long or made too large a value: its rows are incomplete."""


class StoreError(MirrorError):
    """This machine's store is at fault."""


class SchemaVersionError(StoreError):
    """The store was written by another version, or is not a store of `mirror`."""


class StoreBusyError(StoreError):
    """Another process holds the store's lock for too long."""


class CorruptStoreError(StoreError):
    """SQLite or a stored value is damaged."""


class KeySetChangedError(StoreError):
    """Another process changed the trusted keys while this one was working."""


class EngineError(MirrorError):
    """`MIRROR_NATIVE` asks for an engine that is not there."""


class ListenError(MirrorError):
    """The server cannot listen on the given address."""


class UpstreamError(MirrorError):
    """A server could not be reached or read, or its response is refused.

    Attributes:
        status: The HTTP status of the response; 0 without one, or where it does not matter.
    """

    status = 0


class UntrustedNoteError(MirrorError):
    """A signed note is well formed, but no trusted key signed it: nothing in it is believed."""


class CheckpointConflictError(MirrorError):
    """The checkpoint to sign contradicts one that this store signed before; nothing was signed."""


class ClusterError(MirrorError):
    """A cluster could not be reached, or is not fit for the work."""


class WorkerError(MirrorError):
    """A process of ours was killed from outside: the run was cut off."""


HTTP_STATUSES: dict[type[MirrorError], int] = {
    MirrorError: 500,
    FormatError: 400,
    LimitError: 400,
    LookUpError: 404,
    StoreError: 503,
}
"""HTTP status of a response that is the error; a page lists the records of `AmbiguousError`."""


def http_status(error: MirrorError) -> int:
    """Return the status of the nearest class of `error` in `HTTP_STATUSES`."""
    return next(HTTP_STATUSES[kind] for kind in type(error).__mro__ if kind in HTTP_STATUSES)
