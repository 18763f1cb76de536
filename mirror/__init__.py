"""Hold a scholarly registry to its word.

`mirror` reads portable graph bundles of pith.science, verifies every hash and signature, merges
them deterministically, and keeps what it found in SQLite. Data flows one way:
archive -> bundle -> verify -> store -> merge -> state.

The command is `mirror`. As a library:

    import mirror

    with mirror.open_store("mirror.db") as store:
        print(store.state("1705.09786").value["valid_event_count"])

The names below are the library (`docs/python.md`); other modules may change in any version. They
are loaded when they are used first, so that the command starts quickly.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # that of `typing`, which takes longer to load than all of this
if TYPE_CHECKING:
    from mirror.api import (
        Cause,
        Comparison,
        Finding,
        FormatError,
        Key,
        KeySet,
        LookUpError,
        MirrorError,
        MirrorStore,
        Record,
        RecordState,
        RecordTitle,
        SourceError,
        StateRoot,
        StoreError,
        VerificationReport,
        compare_states,
        merge_sources,
        open_store,
        read_key_set,
        verify_sources,
    )

__version__ = "0.1.0"

__all__ = [
    "Cause",
    "Comparison",
    "Finding",
    "FormatError",
    "Key",
    "KeySet",
    "LookUpError",
    "MirrorError",
    "MirrorStore",
    "Record",
    "RecordState",
    "RecordTitle",
    "SourceError",
    "StateRoot",
    "StoreError",
    "VerificationReport",
    "compare_states",
    "merge_sources",
    "open_store",
    "read_key_set",
    "verify_sources",
]


def __getattr__(name: str) -> object:
    """Return a name of the library, which is loaded for it (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("mirror.api"), name)


def __dir__() -> list[str]:
    """Return the names of the library, for `help` and completion."""
    return sorted([*globals(), *__all__])
