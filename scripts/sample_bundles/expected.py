"""What a sample should give: its findings, its exit code and its states, by the oracle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sample_bundles.files import pretty
from sample_bundles.keys import KEYS_FILE, demo_keys
from tests import oracle
from tests.builders import Object

_WHERE: Final = {
    "bundle.type": "/bundle_type",
    "bundle.version": "/bundle_version",
    "record.digest": "/canonical_sha256",
    "record.number": "/pith_number",
}
"""The place of what refuses a bundle, where the rule names one (B2)."""


@dataclass(frozen=True)
class Sample:
    """A file of `bundles/` that holds one bundle or many."""

    path: str
    """Below `bundles/`."""
    content: bytes
    members: Mapping[str, bytes]
    """The bundles in it: by path below `data/` in a bag, or one, by the empty string."""
    needs_demo_keys: bool
    where: Mapping[str, str] = field(default_factory=dict)
    """Places, by code, that `_WHERE` cannot know."""

    @property
    def stem(self) -> str:
        """The path without its ending."""
        return self.path.rpartition(".")[0]


def files_of(sample: Sample) -> dict[str, bytes]:
    """Return a sample and the two files beside it that say what it should give."""
    keys = demo_keys() if sample.needs_demo_keys else oracle.builtin_keys()
    findings = [
        finding
        for name, data in sorted(sample.members.items())
        for finding in _findings(sample, name, data, keys)
    ]
    expected = {
        "exit_code": 1 if findings else 0,
        "findings": findings,
        "keys": KEYS_FILE if sample.needs_demo_keys else None,
    }
    states = oracle.merge_all([data for _, data in sorted(sample.members.items())], keys)
    return {
        sample.path: sample.content,
        f"{sample.stem}.expected.json": pretty(expected),
        f"{sample.stem}.states.jsonl": b"".join(map(oracle.state_text, states)),
    }


def _findings(sample: Sample, name: str, data: bytes, keys: list[Object]) -> list[Object]:
    """Return the findings of one bundle, each with its member's name if it is in a bag."""
    member = {"member": f"pith/data/{name}"} if name else {}
    try:
        bundle = oracle.read_bundle(data)
    except oracle.Refused as refused:
        return [{**_refusal(sample, refused.code), **member}]
    number = bundle["pith_number"]
    return [
        {"code": code, "pith_number": number, "where": where, **member}
        for where, code in oracle.findings(bundle, keys)
    ]


def _refusal(sample: Sample, code: str) -> Object:
    """Return the finding of a refused bundle; of text that is no JSON (V1) it names no place."""
    finding: Object = {"code": code, "pith_number": None}
    if not code.startswith("json."):
        finding["where"] = sample.where.get(code, _WHERE.get(code, ""))
    return finding
