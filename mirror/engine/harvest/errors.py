"""Errors of a harvester's request, by the codes of OAI-PMH."""

from __future__ import annotations

from mirror.errors import FormatError

__all__ = ["HarvestError"]


class HarvestError(FormatError):
    """A condition that OAI-PMH has a code for (section 3.6), such as `badArgument`.

    The code is that of OAI-PMH and not one of this mirror: it is only sent to harvesters.
    """
