"""The outcome of bundles under a key set, by Python, by the oracle and by the verifier."""

from __future__ import annotations

from base64 import b64decode
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from mirror.core.bundle import VerifiedBundle, parse_bundle, verify_bundle
from mirror.core.keys import parse_key_set
from mirror.core.merge import merge_bundles
from mirror.core.transparency import merkle
from mirror.core.values import decode
from mirror.errors import FormatError
from tests import oracle
from tests.verifier.program import Program

__all__ = ["Outcome", "by_oracle", "by_python", "by_verifier"]

Verdicts = dict[str, list[str | None]] | str
"""The codes in a bundle, by list and position, or the code that refuses it."""


class Outcome(NamedTuple):
    """All that follows from bundles and keys."""

    verdicts: list[Verdicts]
    states: list[tuple[str, bytes, str, str]]
    """Pith Number, text, state digest and core digest of each, ascending."""
    root: str
    key_set_digest: str


def by_python(texts: Sequence[bytes], key_file: bytes) -> Outcome:
    """The outcome by `mirror.core`."""
    keys = parse_key_set(key_file)
    verdicts: list[Verdicts] = []
    by_record: dict[bytes, list[VerifiedBundle]] = defaultdict(list)
    for text in texts:
        try:
            bundle = verify_bundle(parse_bundle(text), keys)
        except FormatError as error:
            verdicts.append(_refusal(error.code))
            continue
        found = [(finding.where, finding.code) for finding in bundle.findings]
        verdicts.append(_by_position(decode(text), found))
        by_record[bundle.record.digest].append(bundle)
    states = [merge_bundles(bundles, keys) for bundles in by_record.values()]
    rows = [
        (str(one.value["pith_number"]), one.text, one.digest, one.core_digest) for one in states
    ]
    cores = [bytes.fromhex(core_digest) for *_, core_digest in rows]
    root = merkle.root(zip(by_record, cores, strict=True))
    return Outcome(verdicts, sorted(rows), root.hex(), keys.digest)


def by_oracle(texts: Sequence[bytes], key_file: bytes) -> Outcome:
    """The outcome by the oracle; it knows no tree, so the root is left empty."""
    keys = oracle.load_keys(key_file)
    verdicts: list[Verdicts] = []
    by_record: dict[str, list[Any]] = defaultdict(list)
    for text in texts:
        try:
            bundle = oracle.read_bundle(text)
        except oracle.Refused as error:
            verdicts.append(_refusal(error.code))
            continue
        verdicts.append(_by_position(bundle, oracle.findings(bundle, keys)))
        by_record[bundle["canonical_sha256"]].append(bundle)
    rows = []
    for bundles in by_record.values():
        state = oracle.merge(bundles, keys)
        digests = oracle.state_digest(state), oracle.core_digest(bundles, keys)
        rows.append((state["pith_number"], oracle.state_text(state), *digests))
    return Outcome(verdicts, sorted(rows), "", oracle.key_set_digest(keys))


def by_verifier(program: Program, texts: Sequence[bytes], key_file: bytes) -> Outcome:
    """The outcome by the program."""
    members: Any = {"bundles": list(texts), "keys": key_file}
    verdicts = [
        _refusal(one["code"]) if "code" in one else one
        for one in program.ask("verify", **members)["bundles"]
    ]
    states = [
        (one["pith_number"], b64decode(one["state"]), one["digest"], one["core_digest"])
        for one in program.ask("merge", **members)["states"]
    ]
    rooted = program.ask("root", **members)
    return Outcome(verdicts, states, rooted["root"], rooted["key_set_digest"])


def _refusal(code: str) -> str:
    """A code that refuses; those of V1 as one: of several faults in a text, any may be named."""
    return "json" if code.startswith("json.") else code


def _by_position(bundle: Any, findings: Sequence[tuple[str, str]]) -> Verdicts:
    codes: dict[str, str | None] = dict(findings)
    lists = {"aliases": "source_aliases", "receipts": "receipts", "events": "events"}
    of_bundle = [code for where, code in findings if where.count("/") == 1]
    return {
        "findings": [*sorted(of_bundle)],
        **{
            name: [codes.get(f"/{member}/{at}") for at, _ in enumerate(bundle.get(member, []))]
            for name, member in lists.items()
        },
    }
