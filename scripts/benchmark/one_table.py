"""A plain script that writes one table of all events: what `mirror tables` is compared with.

    python -m benchmark.one_table DB OUT

It reads what `mirror show --all --bundle` prints, line by line, with the fastest parser, and writes
a row for each event: no verdict, no status, no other table, no index. It prints the number of rows.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from benchmark.process import mirror

_CREATE = """
    CREATE TABLE event (
        pith_number TEXT, event_id TEXT, event_type TEXT, signer_id TEXT, key_id TEXT,
        created_at TEXT, payload TEXT
    )
"""


def main(db: Path, out: Path) -> int:
    """Write the table; return the number of its rows."""
    command = mirror("show", "--all", "--bundle", "--db", db)
    with (
        closing(sqlite3.connect(out)) as conn,
        subprocess.Popen(command, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None  # noqa: S101
        conn.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_CREATE}")
        rows = conn.executemany(
            "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", _rows(process.stdout)
        )
        conn.commit()
        return rows.rowcount


def _rows(lines: Iterable[bytes]) -> Iterator[tuple[Any, ...]]:
    for line in lines:
        bundle = orjson.loads(line)
        for event in bundle["events"]:
            signer = event["signer"]
            yield (
                bundle["pith_number"],
                event["event_id"],
                event["event_type"],
                signer["signer_id"],
                signer["key_id"],
                event["created_at"],
                orjson.dumps(event["payload"]).decode(),
            )


if __name__ == "__main__":
    print(json.dumps({"events": main(Path(sys.argv[1]), Path(sys.argv[2]))}))
