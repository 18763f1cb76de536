"""The zstd dictionary ("raw content") of the store, so that short texts compress well.

It is part of the store's format: what was compressed with it cannot be read without it. So the
file never changes; another dictionary needs another migration. It was made once, from parts that
nearly every bundle and state has: payload members of each event type, an empty state outline in
JSON, a record, its alias times, and a `graph_snapshot` and a `record_created` event as
MessagePack. The most common parts come last, where zstd's references to them are shortest.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["DICTIONARY"]

# Not by importlib.resources, which takes a tenth of the time that `mirror show` does.
DICTIONARY = Path(__file__).with_name("zstd_dictionary.bin").read_bytes()
