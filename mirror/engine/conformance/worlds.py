"""Worlds drawn at random: papers, and what honest and hostile people say about them.

A world follows from the seed of the run and its number, on every machine. Facts are put together
from a pool, so that slots, revocations and contradictions meet; some of it is damaged afterwards.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from mirror.core.events.types import EVENT_TYPES
from mirror.engine.conformance.answers import merged, read_keys
from mirror.engine.conformance.facts import Paper, key_file, record_value, sign, text_of
from mirror.engine.conformance.signers import Signers
from mirror.engine.conformance.signing import Draft, SigningKey, base64_text, odd_signatures
from mirror.engine.conformance.task import ConformanceTask

__all__ = ["LARGE_EVERY", "world_tasks"]

LARGE_EVERY = 25
"""One world in so many is large."""

_TIMES = (
    "2026-01-01T00:00:01Z", "2026-01-01T00:00:01+00:00", "2026-01-01T00:00:01.000001Z",
    "2026-01-01T00:00:02Z", "2026-01-01T00:00:02.5Z", "2026-01-01T00:00:01.9Z",
    "1969-12-31T23:59:59.5Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z",
)  # fmt: skip
_ODD_TIMES = (
    "",
    "no",
    "2026-02-29T00:00:00Z",
    "2026-01-01T00:00:01",
    1,
    None,
    "2026-01-01T24:00:00Z",
)
_TEXTS = (
    "", "a", "A", "\x00", "\x1f\x7f", '"', "\\", "/", "\u00e9", "e\u0301", "\u2028", "\ufffd",
    "\ufeff",
    "\U0001f600", "\uff5e", "10", "9", "__proto__", "withdrawn", "rescinded", "asserted", "*",
    "x" * 33,
    "sha256:" + "0" * 64, "pith:2024:" + "A" * 26, "null", "1.0",
)  # fmt: skip
_NUMBERS = (
    0, 1, -1, 2**31, 2**32, 2**53 - 1, 1 - 2**53, 0.0, -0.0, 1.0, 1e15, 9999999999999998.0, 1e16,
    1e21,
    1e22, 1e23, 1e-4, 9.999e-5, 1e-5, 1e-6, 1e-7, 5e-324, 1.7976931348623157e308, 0.1,
    123456789012345680.0,
    2.2250738585072014e-308, 1e100, 4503599627370496.5,
)  # fmt: skip
_TYPES = (*EVENT_TYPES, "author_claimed", "citation_signed", "event_revoked", "note_x")
_PIECES = (
    b'"', b"0", b"\\ud800", b"\\ude00", b"\x00", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b",",
    b":", b"{",
    b"}", b"[", b"]", b"9007199254740992", b"1e400", b"-0", b"NaN", b"\xef\xbb\xbf", b"01",
    b"\\x", b" ",
    b'"a":1,', b"1.0", b"1E0", b"true", b"\n", b"Z", b"=", b"\\u0041",
)  # fmt: skip


def world_tasks(signers: Signers, number: int) -> Iterator[ConformanceTask]:
    """Yield the tasks of one world: its bundles verified, merged in several ways, and compared."""
    world = _World(signers, number)
    keys, bundles = world.keys(), world.bundles()

    def task(kind: str, about: str, texts: Sequence[bytes]) -> ConformanceTask:
        case = f"world {number} of the seed {signers.seed}: {about}"
        return ConformanceTask(kind=kind, case=case, bundles=tuple(texts), keys=keys)

    yield task("verify", "verdicts", bundles)
    yield task("merge", "states", bundles)
    yield task("merge", "states, bundles in another order, with repeats", world.shuffled(bundles))
    yield task("root", "the root", bundles)
    damaged = [world.damaged(one) for one in bundles]
    yield task("verify", "verdicts on damaged bundles", damaged)
    yield task("merge", "states of damaged bundles", damaged)
    case = f"world {number} of the seed {signers.seed}"
    text = world.damaged(text_of(world.value()))
    yield ConformanceTask(kind="digest", case=f"{case}: the digest of a text", text=text)
    yield from _comparison(task("merge", "", bundles), task("merge", "", bundles[1:]), case)


def _comparison(
    whole: ConformanceTask, part: ConformanceTask, case: str
) -> Iterator[ConformanceTask]:
    """Yield the comparison of the first state with that of a part of the bundles."""
    states = [merged(one.bundles, read_keys(one)) for one in (whole, part)]
    if all(states):
        here, there = (found[0][2].text for found in states)
        yield ConformanceTask(kind="compare", case=f"{case}: two states", here=here, there=there)


class _World:
    """The draws of one world."""

    def __init__(self, signers: Signers, number: int) -> None:
        self._signers = signers
        self._draw = random.Random(f"{signers.seed}/{number}")
        self._is_large = number % LARGE_EVERY == LARGE_EVERY - 1
        count = 1 if self._is_large else self._draw.choice([1, 1, 1, 2, 3])
        self._papers = [self._paper(number * 10 + one) for one in range(count)]

    def keys(self) -> bytes | None:
        """Return the key set file: mostly all trusted keys, sometimes fewer."""
        chance = self._draw.random()
        if chance < 0.05:
            return None
        trusted = self._signers.trusted
        if chance < 0.25:
            trusted = tuple(key for key in trusted if self._draw.random() < 0.6)
        return key_file(*trusted)

    def bundles(self) -> list[bytes]:
        """Return one to four bundles of each paper, in any order."""
        found = [one for paper in self._papers for one in self._bundles_of(paper)]
        self._draw.shuffle(found)
        return found

    def shuffled(self, bundles: list[bytes]) -> list[bytes]:
        """Return the bundles in another order, some of them twice."""
        found = [*bundles, *(self._draw.choice(bundles) for _ in range(2))]
        self._draw.shuffle(found)
        return found

    def damaged(self, text: bytes) -> bytes:
        """Return a text with up to two places overwritten, left out, doubled or extended."""
        draw = self._draw
        for _ in range(draw.choice([0, 1, 1, 2])):
            start = draw.randrange(len(text) + 1)
            end = min(len(text), start + draw.choice([0, 1, 1, 2, 4]))
            piece = draw.choice([b"", text[start:end] * 2, draw.choice(_PIECES)])
            text = text[:start] + piece + text[end:]
        return text

    def value(self, depth: int = 0) -> Any:
        """Return any JSON value."""
        draw = self._draw
        chance = draw.random()
        if chance < 0.25:
            return draw.choice(_NUMBERS)
        if chance < 0.3:
            return draw.uniform(-1, 1) * 10.0 ** draw.randint(-30, 30)
        if chance < 0.55 or depth > 3:
            return draw.choice(_TEXTS)
        if chance < 0.65:
            return draw.choice([None, True, False, [], {}])
        size = draw.choice([1, 2, 3, 3])
        if chance < 0.8:
            return [self.value(depth + 1) for _ in range(size)]
        names = [draw.choice(_TEXTS) + draw.choice(["", "1", "\u00ff"]) for _ in range(size)]
        return {name: self.value(depth + 1) for name in names}

    # Facts ---------------------------------------------------------------------------------

    def _paper(self, number: int) -> Paper:
        draw = self._draw
        changes: list[Draft] = [
            {},
            {},
            {"license": draw.choice(_TEXTS), "primary_cat": draw.choice(_TEXTS) or "x"},
            {"submitted_at": draw.choice(_TIMES)},
            {"cross_cats_sorted": sorted({draw.choice(_TEXTS) for _ in range(3)})},
        ]
        value = record_value(number, **draw.choice(changes))
        kind = draw.choice(["arxiv", "arxiv", "arxiv", "doi", draw.choice(_TEXTS) or "x"])
        source: Draft = {
            "id": f"2699.{number:05}",
            "kind": kind,
            "version": draw.choice([1, 2, 11]),
        }
        return Paper({**value, "source": source})

    def _bundles_of(self, paper: Paper) -> Iterator[bytes]:
        draw = self._draw
        events = self._events(paper)
        receipts = [self._receipt(paper) for _ in range(draw.choice([0, 0, 1, 2, 4]))]
        claims = [self._claim(paper) for _ in range(draw.choice([0, 1, 2, 6]))]
        count = draw.choice([1, 2, 2, 3, 4])
        parts: list[list[list[Any]]] = [[[], [], []] for _ in range(count)]
        for index, facts in enumerate((events, receipts, claims)):
            for fact in facts:
                for number in sorted({draw.randrange(count), draw.randrange(count)}):
                    parts[number][index].append(fact)
        for part in parts:
            changes: Draft = {}
            if draw.random() < 0.1:
                changes = {draw.choice(["more", "source", "short_pith_number"]): self.value()}
            yield text_of(paper.bundle(*part, **changes))

    def _events(self, paper: Paper) -> list[Any]:
        draw = self._draw
        found: list[Any] = []
        for _ in range(300 if self._is_large else draw.randrange(14)):
            found.append(self._event(paper, found))
        while draw.random() < 0.15:
            found.append(self.value())
        return found

    def _event(self, paper: Paper, others: list[Any]) -> Draft:
        draw = self._draw
        signers = self._signers
        key = draw.choice([signers.author, signers.author, *signers.trusted])
        event_type = draw.choice(_TYPES)
        if key is signers.author_next and draw.random() < 0.9:
            event_type = draw.choice(key.event_types)
        made = draw.choice(others) if others else None
        if isinstance(made, dict) and draw.random() < 0.1:
            return self._copy(made, key)
        payload = self._payload(paper, event_type)
        if event_type == "event_revoked" and isinstance(made, dict) and "event_id" in made:
            payload = {"event_id": made["event_id"], "reason": draw.choice(_TEXTS)}
        time = draw.choice(_TIMES[:4] if draw.random() < 0.7 else _TIMES)
        event = paper.event(key, event_type, payload, time)
        return self._spoiled(event, key) if draw.random() < 0.12 else event

    def _payload(self, paper: Paper, event_type: str) -> Draft:
        draw = self._draw
        payload = paper.payload(event_type, draw.choice(self._signers.trusted))
        if draw.random() < 0.15:
            payload |= {"status": "withdrawn", "verdict_class": "rescinded"}
        for _ in range(draw.choice([0, 0, 0, 1, 2])):
            name = draw.choice([*payload, "status", "claim_id", "calendar", draw.choice(_TEXTS)])
            payload = {
                **payload,
                name: draw.choice(_TEXTS) if draw.random() < 0.6 else self.value(),
            }
        return payload

    def _copy(self, event: Draft, key: SigningKey) -> Draft:
        """Return a copy of an event: signed again, or with something changed in it."""
        draw = self._draw
        if "signer" not in event or draw.random() < 0.5:
            return {**event, draw.choice([*event]): self.value()}
        signer = event["signer"]
        is_own = isinstance(signer, dict) and signer.get("key_id") == key.key_id
        if is_own and draw.random() < 0.5:
            return sign(event, key, again=True)
        return dict(draw.sample(list(event.items()), len(event)))

    def _spoiled(self, event: Draft, key: SigningKey) -> Draft:
        """Return an event that may be invalid, signed after it was changed or before."""
        draw = self._draw
        chance = draw.random()
        if chance < 0.3:
            message = bytes.fromhex(str(event["event_id"])[7:])
            signature = draw.choice(list(odd_signatures(key, message).values()))
            signed = {"algorithm": "ed25519", "signature_b64": base64_text(signature)}
            return {**event, "signature": signed}
        name = draw.choice([*event, "more"])
        changed = self.value()
        if name == "created_at":
            changed = draw.choice(_ODD_TIMES)
        inner = event.get(name)
        if isinstance(inner, dict) and draw.random() < 0.7:
            changed = {**inner, draw.choice([*inner, "more"]): self.value()}
        event = {**event, name: changed}
        return event if chance < 0.5 else sign(event, key)

    def _receipt(self, paper: Paper) -> Any:
        draw = self._draw
        key = draw.choice([*self._signers.trusted, self._signers.stranger])
        found = paper.receipt(key, draw.choice(_TIMES))
        chance = draw.random()
        if chance < 0.1:
            return self.value()
        if chance < 0.3:
            return {**found, draw.choice([*found, "builder"]): self.value()}
        if chance < 0.45:
            odd = draw.choice(list(odd_signatures(key, paper.digest).values()))
            return {**found, "signature_b64": base64_text(odd)}
        return found

    def _claim(self, paper: Paper) -> Any:
        draw = self._draw
        kind, _ = draw.choice(paper.record.aliases)
        found = paper.claim(kind, draw.choice(_TIMES))
        chance = draw.random()
        if chance < 0.1:
            return self.value()
        if chance < 0.3:
            return {**found, draw.choice([*found, "more"]): self.value()}
        return {**found, "created_at": draw.choice(_ODD_TIMES)} if chance < 0.35 else found
