"""One made-up bundle for each number, the same on every machine, as a mirror composes it (B6)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import orjson

from benchmark import payloads, texts
from benchmark.layout import Counts
from benchmark.papers import Object, Paper, arxiv_id, canonical, make_paper
from benchmark.signers import AUTHORS, REGISTRY, Signer

_TARGETS: Final = {
    "graph_snapshot": "graph",
    "pith.integrity.v1": "integrity",
    "event_revoked": "event",
}
"""Targets of E4 that are not `record`."""


@dataclass(frozen=True)
class MadeBundle:
    """A bundle and what is in it."""

    suffix: str
    """The last part of its Pith Number."""
    text: bytes
    """One line of JSON with its LF."""
    counts: Counts
    update: bytes
    """The same with one later event alone, which is valid and not in `text` or `counts`."""


def make_bundle(number: int) -> MadeBundle:
    """Return the bundle of a number: two events, and ten more for each tenth number."""
    rng = Random(f"bundle {number}")  # noqa: S311 - made up, not secret
    log = _Log(make_paper(rng), rng)
    log.create()
    if number % 10 == 3:
        log.discuss()
    if number % 500 == 7:
        log.equivocate()
    if number % 500 == 107:
        log.forge_signature()
    if number % 1000 == 207:
        log.forge_id()
    text, counts = log.bundle_text(), log.counts
    return MadeBundle(log.paper.suffix, text, counts, log.update_text())


class _Log:
    """The events of one paper, each signed when it is added."""

    def __init__(self, paper: Paper, rng: Random) -> None:
        self.paper = paper
        self.counts = Counts()
        self._rng = rng
        self._seconds = rng.randrange(1_500_000)
        self._created_at = self._now()
        self._events: list[Object] = []

    def _now(self) -> str:
        """Return the next time of this log, in the weeks after 2026-05-18."""
        self._seconds += self._rng.randint(1, 40_000)
        hours, seconds = divmod(self._seconds, 3600)
        days, hours = divmod(hours, 24)
        month, day = divmod(days + 17, 31)
        clock = f"{hours:02}:{seconds // 60:02}:{seconds % 60:02}"
        return f"2026-{5 + month:02}-{day + 1:02}T{clock}Z"

    # What is said of a paper ----------------------------------------------------------------

    def create(self) -> None:
        """Add what the registry says of each record."""
        signed_at = f"{self._created_at[:-1]}.{self._rng.randint(100_000, 999_999)}Z"
        created = payloads.created(self.paper, REGISTRY, signed_at)
        self._add(REGISTRY, "record_created", created, self._created_at)
        self.counts += Counts(signatures=1)  # of the receipt
        self._add(REGISTRY, "graph_snapshot", payloads.snapshot(self.paper, self._rng))

    def discuss(self) -> None:
        """Add ten events of all other types, by the registry and by authors."""
        rng = self._rng
        author, reader = rng.sample(AUTHORS, k=2)
        citing = f"arxiv:{arxiv_id(rng)}"
        self._add(REGISTRY, "timestamp_anchored", payloads.timestamp(self.paper, rng))
        self._add(REGISTRY, "storage_attested", payloads.storage(self.paper))
        self._add(author, "author_claimed", payloads.author_claim(author))
        self._add(reader, "citation_signed", payloads.citation(reader, citing))
        withdrawn = payloads.citation(reader, citing, status="withdrawn")
        self._add(reader, "citation_signed", withdrawn)
        self._add(reader, "replication_recorded", payloads.replication(reader, rng))
        self._add(REGISTRY, "pith.integrity.v1", payloads.integrity(self.paper, rng))
        challenge = self._add(reader, "challenge_filed", payloads.challenge(reader, rng))
        self._add(rng.choice((reader, REGISTRY)), "event_revoked", payloads.revocation(challenge))
        self._add(REGISTRY, "reading_list.added.v1", {"list": texts.words(rng, 6)})

    def equivocate(self) -> None:
        """Add two events of one author that say different things at one time (M4)."""
        author, at = self._rng.choice(AUTHORS), self._now()
        for status in ("claimed", "withdrawn"):
            claim = payloads.author_claim(author, status)
            self._add(author, "author_claimed", {**claim, "method": "key"}, at)
        self.counts += Counts(equivocations=1)

    def forge_signature(self) -> None:
        """Add an event with a signature of something else."""
        event = self._sign(REGISTRY, "reading_list.added.v1", {"list": "forged"}, self._now())
        event["signature"]["signature_b64"] = REGISTRY.sign(b"something else")
        self._events.append(event)
        self.counts += Counts(events=1, invalid_events=1, signatures=1)

    def forge_id(self) -> None:
        """Add an event with an id that is not its own; its signature is not even looked at."""
        event = self._sign(REGISTRY, "reading_list.added.v1", {"list": "forged"}, self._now())
        event["event_id"] = f"sha256:{payloads.made_up_digest(self._rng)}"
        self._events.append(event)
        self.counts += Counts(events=1, invalid_events=1)

    def _add(self, signer: Signer, event_type: str, payload: Object, at: str | None = None) -> str:
        event = self._sign(signer, event_type, payload, at or self._now())
        self._events.append(event)
        self.counts += Counts(events=1, signatures=1)
        return str(event["event_id"])

    def _sign(self, signer: Signer, event_type: str, payload: Object, at: str) -> Object:
        event = {
            "event_type": event_type,
            "subject_pith_number": self.paper.pith_number,
            "target": _TARGETS.get(event_type, "record"),
            "payload": payload,
            "created_at": at,
            "signer": signer.signer_value,
        }
        digest = hashlib.sha256(canonical(event)).digest()  # E2
        signature = {"algorithm": "ed25519", "signature_b64": signer.sign(digest)}
        return {**event, "event_id": f"sha256:{digest.hex()}", "signature": signature}

    # The bundle -----------------------------------------------------------------------------

    def update_text(self) -> bytes:
        """Return the bundle of one more event: an author cites the paper."""
        self._events.clear()
        author = self._rng.choice(AUTHORS)
        citation = payloads.citation(author, f"arxiv:{arxiv_id(self._rng)}")
        self._add(author, "citation_signed", citation)
        return self._text([])

    def bundle_text(self) -> bytes:
        """Return the bundle as a mirror exports it (B6)."""
        return self._text(sorted(self._claims()))

    def _text(self, claims: list[bytes]) -> bytes:
        bundle = {
            "bundle_type": "pith_open_graph_bundle",
            "bundle_version": "1.0",
            "pith_number": self.paper.pith_number,
            "short_pith_number": f"pith:{self.paper.suffix[:8]}",
            "canonical_record": _spelled(self.paper.record),
            "canonical_sha256": self.paper.digest.hex(),
            "source": _spelled(self.paper.record["source"]),
            "source_aliases": [orjson.Fragment(claim) for claim in claims],
            "events": [orjson.Fragment(event) for event in self._events_in_order()],
        }
        return orjson.dumps(bundle) + b"\n"

    def _claims(self) -> list[bytes]:
        at = {"arxiv": self._created_at, "pith": self._now()}
        return [
            canonical(
                {
                    "alias_kind": kind,
                    "alias_value": value,
                    "created_at": at.get(kind[:4], self._created_at),
                }
            )
            for kind, value in self.paper.aliases.items()
        ]

    def _events_in_order(self) -> list[bytes]:
        """Return the events by time, then by digest: the times here compare as strings."""
        texts_by_place = [
            (event["created_at"], hashlib.sha256(text).digest(), text)
            for event in self._events
            for text in [canonical(event)]
        ]
        return [text for _, _, text in sorted(texts_by_place)]


def _spelled(value: Any) -> orjson.Fragment:
    return orjson.Fragment(canonical(value))
