"""Detached time-stamp files of OpenTimestamps: read and written with its library, within limits.

The library's parser recurses and has no limit on operations, so it gets a bounded number of bytes
and of reads. It is loaded only when a file is read or written.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

__all__ = [
    "MAX_PROOF_BYTES",
    "MISSING_HINT",
    "ProofError",
    "read_file",
    "read_timestamp",
    "write_file",
]

MAX_PROOF_BYTES = 1 << 16
"""Bytes of a proof; one of several calendars has about 10,000."""
_MAX_READS = 8_000
"""Reads of the parser, which bounds the operations: each takes at least one."""

MISSING_HINT = "install the extra `timestamps`: pip install 'pith-mirror[timestamps]'"


class ProofError(ValueError):
    """The bytes are no proof, or exceed a limit."""


class _BoundedReader(io.BytesIO):
    """A proof of which a parser may read only so often."""

    _reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > _MAX_READS:
            raise ProofError("the proof has too many operations")
        return super().read(size)


def read_file(proof: bytes) -> Any:
    """Return the `DetachedTimestampFile` of a proof.

    Raises:
        ProofError: If it is malformed or exceeds a limit.
        ImportError: If the library is not installed.
        NotImplementedError: If a hash function is missing here.
    """
    from opentimestamps.core.timestamp import (  # noqa: PLC0415 - an extra, and slow to load
        DetachedTimestampFile,
    )

    return _read(proof, DetachedTimestampFile.deserialize)


def read_timestamp(data: bytes, message: bytes) -> Any:
    """Return the `Timestamp` of a message, such as a calendar sends; raises as `read_file`.

    Args:
        data: The tree of operations, alone.
        message: The bytes at its root.
    """
    from opentimestamps.core.timestamp import Timestamp  # noqa: PLC0415

    def read(context: Any) -> Any:
        found = Timestamp.deserialize(context, message)
        context.assert_eof()
        return found

    return _read(data, read)


def _read(data: bytes, read: Callable[[Any], Any]) -> Any:
    from opentimestamps.core.serialize import (  # noqa: PLC0415
        DeserializationError,
        StreamDeserializationContext,
    )

    if len(data) > MAX_PROOF_BYTES:
        raise ProofError(f"the proof has more than {MAX_PROOF_BYTES:,} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)  # of an operation
            return read(StreamDeserializationContext(_BoundedReader(data)))
    except (DeserializationError, RecursionError, ValueError) as error:
        if str(error).startswith("unsupported hash type"):
            raise NotImplementedError(f"this system has no such hash function: {error}") from error
        raise ProofError(f"not a proof of OpenTimestamps: {str(error)[:200]}") from error


def write_file(timestamp: Any) -> bytes:
    """Return the detached time-stamp file of a `Timestamp` of a SHA-256.

    Raises:
        ProofError: If it exceeds a limit, so that it could not be read again.
    """
    from opentimestamps.core.op import OpSHA256  # noqa: PLC0415
    from opentimestamps.core.serialize import BytesSerializationContext  # noqa: PLC0415
    from opentimestamps.core.timestamp import DetachedTimestampFile  # noqa: PLC0415

    context = BytesSerializationContext()
    DetachedTimestampFile(OpSHA256(), timestamp).serialize(context)
    data = bytes(context.getbytes())
    read_file(data)
    return data
