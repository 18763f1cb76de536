"""A small harvester of OAI-PMH: `python -m benchmark.harvester URL PREFIX OUT`.

It prints the number of records, bytes and seconds, and the time from which the next increment must
ask, as JSON. OUT gets a digest of the metadata of each record, by identifier, as JSON; with
`--since TIME`, the records that changed since replace those in OUT. `--scythe` harvests with
oaipmh-scythe, which is not ours and takes its time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import time
from pathlib import Path
from typing import Any, Final

import httpx

_RECORD: Final = re.compile(
    r"<record><header><identifier>([^<]+)</identifier>.*?<metadata>(.*?)</metadata></record>",
    re.DOTALL,
)
_PLAIN: Final = {"Accept-Encoding": "identity"}
_TOKEN: Final = re.compile(r"<resumptionToken[^>]*>([^<]+)</resumptionToken>")
_DATE: Final = re.compile(r"<responseDate>([^<]+)</responseDate>")


def main() -> int:
    """Harvest a repository; return 1 if a list has a record twice."""
    arguments = _parse()
    started = time.perf_counter()
    harvest = _harvest_with_scythe if arguments.scythe else _harvest
    found, received, since = harvest(arguments.url, arguments.prefix, arguments.since)
    spent = time.perf_counter() - started
    records = dict(found)
    kept = json.loads(arguments.out.read_text()) if arguments.since else {}
    arguments.out.write_text(json.dumps(kept | records))
    result = {"records": len(found), "bytes": received, "seconds": spent, "since": since}
    print(json.dumps(result))
    return int(len(records) < len(found))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("prefix")
    parser.add_argument("out", type=Path)
    parser.add_argument("--since", default="")
    parser.add_argument("--scythe", action="store_true")
    return parser.parse_args()


def _harvest(url: str, prefix: str, since: str) -> tuple[list[tuple[str, str]], int, str]:
    """Return identifiers with digests of metadata, bytes, and the first `responseDate`."""
    arguments = {"verb": "ListRecords", "metadataPrefix": prefix}
    arguments |= {"from": since} if since else {}
    found: list[tuple[str, str]] = []
    received, dates = 0, []
    while arguments:
        body = httpx.get(f"{url}/oai", params=arguments, headers=_PLAIN, timeout=60).content
        received += len(body)
        page = body.decode()
        dates += _DATE.findall(page)
        found += [(name, _digest(metadata)) for name, metadata in _RECORD.findall(page)]
        token = _TOKEN.search(page)
        arguments = {"verb": "ListRecords", "resumptionToken": token[1]} if token else {}
    return found, received, dates[0]


def _harvest_with_scythe(
    url: str, prefix: str, since: str
) -> tuple[list[tuple[str, str]], int, str]:
    """Return the same; the date is that of an answer before, and the bytes are of the metadata."""
    from lxml import etree  # noqa: PLC0415 - the other way needs neither
    from oaipmh_scythe import Scythe  # noqa: PLC0415

    found, received = [], 0
    scythe: Any
    with Scythe(f"{url}/oai") as scythe:
        date = scythe.identify().xml.getparent()[0].text
        for record in scythe.list_records(from_=since or None, metadata_prefix=prefix):
            metadata = etree.tostring(record.xml[1][0], encoding="unicode")
            received += len(metadata)
            found.append((record.header.identifier, _digest(metadata)))
    return found, received, date


def _digest(metadata: str) -> str:
    return hashlib.sha256(metadata.encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
