"""Statuses of captures: the meanings of an archive's answers."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["CaptureStatus"]


class CaptureStatus(StrEnum):
    """The meaning of an archive's answer on a capture."""

    PRESENT = "present"
    """The response is of that capture: its `Memento-Datetime` is the attested time."""
    UNDATED = "present_undated"
    """A response with a status of success, and without the time of a capture."""
    OTHER = "other_capture"
    """The response is of a capture of another time."""
    GONE = "gone"
    """404 or 410."""
    REFUSED = "refused"
    """Another 4xx status, which does not say whether the capture is there."""
    FAILED = "failed"
    """Another status, such as 503, or a response that cannot be read."""
    UNREACHABLE = "unreachable"
    """No response."""
    NOT_ALLOWED = "not_allowed"
    """The address, or one that it redirects to, may not be requested, or has a bad certificate."""
    NOT_ASKED = "not_asked"
    """The archive could not be reached several times in a row; never stored."""

    @property
    def is_response(self) -> bool:
        """Whether the archive answered."""
        return self not in {self.UNREACHABLE, self.NOT_ALLOWED, self.NOT_ASKED}
