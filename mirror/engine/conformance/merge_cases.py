"""Bundles at the edges of the merge (M1 to M13), of the root, and of comparisons.

Each case is merged as it is, and with the same facts in another order and grouping: one state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mirror.core.events.types import EVENT_TYPES
from mirror.core.keys import parse_key_set
from mirror.engine.conformance.answers import merged
from mirror.engine.conformance.facts import Paper, record_value, sign, text_of
from mirror.engine.conformance.signers import Signers
from mirror.engine.conformance.signing import Draft, base64_text
from mirror.engine.conformance.task import ConformanceTask

__all__ = ["merge_cases", "orders"]

_T0 = "2026-01-01T00:00:00.9Z"
_T1, _T1_ZERO = "2026-01-01T00:00:01Z", "2026-01-01T00:00:01+00:00"
_T1_MICRO = "2026-01-01T00:00:01.000001Z"
_T2 = "2026-01-01T00:00:02Z"
_OLD = "1969-12-31T23:59:59.5Z"
_TYPES_WITH_SLOT = (
    "timestamp_anchored", "storage_attested", "author_claimed", "citation_signed",
    "replication_recorded", "pith.integrity.v1", "challenge_filed",
)  # fmt: skip


def orders(bundles: Sequence[bytes]) -> dict[str, tuple[bytes, ...]]:
    """Return the same bundles in other orders, and with repeats."""
    return {
        "as they are": tuple(bundles),
        "in reverse, the first one twice": (*reversed(bundles), *bundles[:1]),
    }


def merge_cases(signers: Signers) -> Iterator[ConformanceTask]:
    """Yield the cases, in the order of the rules."""
    for cases in (_order, _distinct, _revocations, _equivocations, _slots, _states, _aliases,
                  _receipts):  # fmt: skip
        paper = Paper(record_value(100))
        for case, rules, facts in cases(signers, paper):
            yield from _merge(case, rules, _split(paper, *facts), signers.file)
    yield from _roots(signers)
    yield from _comparisons(signers)


_Facts = tuple[Sequence[Any], Sequence[Any], Sequence[Any]]
"""Events, receipts and alias claims."""
_Case = tuple[str, str, _Facts]


def _split(paper: Paper, *facts: Sequence[Any]) -> list[bytes]:
    """Return the facts in two bundles: the even ones, and the odd ones with the first again."""
    even = [one[::2] for one in facts]
    odd = [[*one[1::2], *one[:1]] for one in facts]
    return [text_of(paper.bundle(*part)) for part in (even, odd)]


def _merge(
    case: str, rules: str, bundles: Sequence[bytes], keys: bytes | None
) -> Iterator[ConformanceTask]:
    for order, texts in orders(bundles).items():
        yield ConformanceTask(
            kind="merge",
            case=f"{case}; bundles {order}",
            rules=tuple(rules.split()),
            bundles=texts,
            keys=keys,
        )


# M1, M2, V5 -----------------------------------------------------------------------------------


def _order(signers: Signers, paper: Paper) -> Iterator[_Case]:
    times = [_T2, _T1_MICRO, _T1, _T1_ZERO, _T0, _OLD]
    events = [paper.event(signers.author, "note_x", created_at=time) for time in times]
    yield "times of one second, with and without a fraction", "V5 M2", (events, [], [])
    same = [paper.event(signers.author, "note_x", {"n": n}, _T1) for n in range(6)]
    yield "events of one instant", "M2", (same, [], [])


def _distinct(signers: Signers, paper: Paper) -> Iterator[_Case]:
    author = signers.author
    event = paper.event(author, "note_x")
    again = sign(event, author, again=True)
    broken = {**event, "signature": {"algorithm": "ed25519", "signature_b64": "AA=="}}
    other_order = dict(reversed(event.items()))
    facts = [event, again, broken, other_order, event, 1, 1.0, True, [], [], None]
    yield "one event with two signatures, and copies of it", "M1 M10", (facts, [], [])
    numbers = [paper.event(author, "note_x", {"n": n}) for n in (1, 1.0, True, "1")]
    yield "payloads that are almost equal", "M1 V2", (numbers, [], [])
    stranger = paper.event(signers.stranger, "note_x")
    wrong = [{**event, "payload": {}}, stranger, paper.event(author, "note_x", created_at="no")]
    yield "invalid events", "M1 M10", ([*wrong, *_ANY_VALUES], [], [])


_ANY_VALUES: tuple[Any, ...] = (None, 0, "", {}, {"created_at": _T1}, -0.0, [1.0])


# M3 -------------------------------------------------------------------------------------------


def _revocations(signers: Signers, paper: Paper) -> Iterator[_Case]:
    author, registry = signers.author, signers.registry
    event = paper.event(author, "author_claimed", created_at=_T1)
    for case, time in (("before", _OLD), ("after", _T2), ("at the instant of", _T1_ZERO)):
        facts = [event, paper.revocation(author, event, time)]
        yield f"a revocation dated {case} the event", "M3 M11", (facts, [], [])
    for key in (*signers.trusted, signers.stranger):
        facts = [event, paper.revocation(key, event, _T1)]
        yield f"a revocation by {key.name}, of the author's event", "M3", (facts, [], [])
    for key in signers.trusted:
        of = paper.event(key, "author_claimed", created_at=_T1)
        facts = [of, paper.revocation(signers.judge, of, _T1)]
        yield f"a revocation by a person with the right, of {key.name}", "M3", (facts, [], [])
    first = paper.revocation(author, event, _T2)
    facts = [event, first, paper.revocation(registry, first), paper.revocation(author, first)]
    yield "a revocation of a revocation", "M3", (facts, [], [])
    snapshot = paper.event(registry, "graph_snapshot", created_at=_T1)
    created = paper.event(registry, "record_created", created_at=_T1)
    facts = [snapshot, created, paper.revocation(registry, snapshot),
             paper.revocation(registry, created)]  # fmt: skip
    yield "revocations of a creation and a snapshot", "M3 M7 M8", (facts, [], [paper.claim()])
    several = [paper.revocation(key, event, time) for key, time in
               ((author, _T2), (registry, _OLD), (signers.author_next, _T1))]  # fmt: skip
    yield "several revocations of one event", "M3 M11", ([event, *several], [], [])
    other = Paper(record_value(101)).event(author, "author_claimed")
    absent = paper.event(author, "author_claimed", created_at=_OLD)
    facts = [event, paper.revocation(author, other), paper.revocation(author, absent), other]
    yield "revocations of what is not there", "M3", (facts, [], [])
    bad = {**paper.revocation(author, event), "signature": {}}
    yield "an invalid revocation", "M3 M10", ([event, bad], [], [])


# M4, M9 ---------------------------------------------------------------------------------------


def _equivocations(signers: Signers, paper: Paper) -> Iterator[_Case]:
    author, registry = signers.author, signers.registry
    for event_type in (*EVENT_TYPES, "note_x"):
        made = paper.payload(event_type, registry)
        payloads = [made, {**made, "more": 1}, {**made, "more": 1.0}]
        times = [_T1, _T1_ZERO, _T1]
        events = [
            paper.event(registry, event_type, payload, time)
            for payload, time in zip(payloads, times, strict=True)
        ]
        facts = [*events, paper.revocation(registry, events[0])]
        yield f"different {event_type} of one instant", "M4 M9", (facts, [], [])
    claim = paper.payload("author_claimed", author)
    for pair in ((1, 1.0), (1, True), ("1", 1), (0.0, -0.0), ("\u00e9", "e\u0301")):
        near = [paper.event(author, "author_claimed", {**claim, "n": n}, _T1) for n in pair]
        yield f"events that differ in {pair[0]!r} and {pair[1]!r}", "M4 V2", (near, [], [])
    apart = [
        paper.event(author, "author_claimed", claim, _T1),
        paper.event(author, "author_claimed", {**claim, "n": 1}, _T1_MICRO),
        paper.event(author, "author_claimed", {**claim, "claimant_id": "other"}, _T1),
        paper.event(signers.namesake, "author_claimed", {**claim, "n": 2}, _T1),
        paper.event(author, "author_claimed", claim, _T1, more=1),
    ]
    yield "events that do not contradict each other", "M4", (apart, [], [])
    several = [
        paper.event(author, "author_claimed", {**claim, "claimant_id": str(second), "n": n},
                    f"2026-01-01T00:00:0{second}Z")
        for second in range(6)
        for n in range(2)
    ]  # fmt: skip
    yield "several equivocations", "M4 M9", (several, [], [])
    both = [
        paper.event(author, "author_claimed", {**claim, "n": 1}, _T1),
        paper.event(signers.author_next, "author_claimed", {**claim, "n": 2}, _T1),
    ]
    yield "two keys of one authority contradict each other", "M4 M9", (both, [], [])


# M5, M11 --------------------------------------------------------------------------------------


def _slots(signers: Signers, paper: Paper) -> Iterator[_Case]:
    author = signers.author
    for event_type in (*_TYPES_WITH_SLOT, "graph_snapshot", "record_created", "note_x"):
        made = paper.payload(event_type, author)
        early, middle, late = (
            paper.event(author, event_type, {**made, "n": n}, time)
            for n, time in enumerate((_OLD, _T1, _T1_MICRO))
        )
        yield f"a slot of {event_type}", "M5 M11", ([late, early, middle], [], [])
        facts = [early, middle, late, paper.revocation(author, late)]
        yield f"a slot of {event_type}, the last event revoked", "M5 M3", (facts, [], [])
        withdrawn = {**made, "status": "withdrawn", "verdict_class": "rescinded"}
        end = paper.event(author, event_type, withdrawn, _T2)
        yield f"a slot of {event_type}, withdrawn", "M5 M11", ([early, end, middle], [], [])
        facts = [end, paper.event(author, event_type, made, "2026-01-02T00:00:00Z")]
        yield f"a slot of {event_type}, used again", "M5", (facts, [], [])
    optional = {"timestamp_anchored": "calendar", "citation_signed": "claim_id"}
    for event_type, name in optional.items():
        made = paper.payload(event_type, author)
        payloads = [made, {**made, name: ""}, {**made, name: "1"}]
        events = [paper.event(author, event_type, one, _T1) for one in payloads]
        facts = [*events, paper.event(author, event_type, {**made, name: ""}, _T2)]
        yield f"slots of {event_type} with and without {name}", "M5 E4", (facts, [], [])
    claim = paper.payload("author_claimed", author)
    by_all = [
        paper.event(key, "author_claimed", {**claim, "n": n}, time)
        for n, (key, time) in enumerate(
            ((author, _T1), (signers.author_next, _T2), (signers.namesake, _T2),
             (signers.registry, _T1), (signers.guest, _T1))
        )
    ]  # fmt: skip
    yield "one slot key of several authorities", "M5", (by_all, [], [])
    disputed = {**paper.payload("challenge_filed", author), "challenge_id": "author-1"}
    two_types = [
        paper.event(author, "author_claimed", claim, _T1),
        paper.event(author, "challenge_filed", disputed, _T2),
    ]
    yield "one slot key of two types", "M5 M4", (two_types, [], [])
    tie = [paper.event(author, "author_claimed", {**claim, "n": n}, _T1) for n in range(5)]
    yield "a slot with events of one instant", "M2 M4 M5", (tie, [], [])


# M6, M13 --------------------------------------------------------------------------------------


def _states(signers: Signers, paper: Paper) -> Iterator[_Case]:
    author, registry = signers.author, signers.registry
    every = [paper.event(registry, one) for one in (*EVENT_TYPES, "note_x", "a", "9._")]
    yield "an event of every type", "M6 M12 M13", (every, [], [paper.claim()])
    signer = {"more": [1.5], **dict(reversed(author.signer_value().items()))}
    payload = {"z": {"b": [{"d": 1e-7, "c": -0.0}], "a": 1e16}, "\U0001f600": 1,
    "\uff5e": "\u2028\x7f",
               "10": 1, "9": 2, "": None}  # fmt: skip
    odd = [paper.event(author, "note_x", payload, signer=signer, target="\U0001f600\n", more=1)]
    yield "members that are sorted, and others that are left out", "M6 M13 V2", (odd, [], [])
    yield "no facts", "M6 M12 M13", ([], [], [])


# M7 -------------------------------------------------------------------------------------------


def _aliases(signers: Signers, paper: Paper) -> Iterator[_Case]:
    times = [_T2, _T1_MICRO, _T1, _T1_ZERO, _OLD]
    claims = [paper.claim(kind, time) for kind, _ in paper.record.aliases for time in times]
    registry = signers.registry
    yield "claims without a creation", "M7 R4", ([], [], claims)
    yield "no claims and no creation", "M7 R4", ([], [], [])
    close = [paper.claim("arxiv", time) for time in (_T1_MICRO, _T1, _T2)]
    yield "claims of one second", "M7 V5", ([], [], close)
    spelled = [paper.claim("arxiv", _T1), paper.claim("arxiv", _T1_ZERO)]
    yield "two spellings of one time", "M7 V5", ([], [], spelled)
    for time in (_T1_MICRO, "2026-01-01T00:00:01.999999+00:00", _T2, _OLD, "2030-01-01T00:00:00Z"):
        created = paper.event(registry, "record_created", created_at=time)
        yield f"claims and a creation at {time}", "M7", ([created], [], claims)
        yield f"no claims and a creation at {time}", "M7", ([created], [], [])
    first, second = (
        paper.event(registry, "record_created", created_at=time) for time in (_T1, _T2)
    )
    facts = [first, second, paper.revocation(registry, first)]
    yield "the first creation is revoked", "M7 M3", (facts, [], claims)
    wrong = [paper.claim("arxiv", _OLD, value="other"), paper.claim("arxiv", "no"), 1]
    yield "claims that are not merged", "M7 B3", ([], [], [*wrong, paper.claim("arxiv", _T2)])


# M8 -------------------------------------------------------------------------------------------


def _receipts(signers: Signers, paper: Paper) -> Iterator[_Case]:
    author, registry = signers.author, signers.registry
    again = paper.receipt(author, signature_b64=base64_text(author.sign_again(paper.digest)))
    receipts = [
        paper.receipt(registry, _T2),
        paper.receipt(author, _T1),
        again,
        paper.receipt(author, _OLD, builder="x"),
        paper.receipt(signers.stranger),
        {**paper.receipt(author), "key_id": "a"},
        None,
    ]
    yield "receipts of several keys", "M8 S2", ([], receipts, [])
    signatures = {
        key: sorted(base64_text(key.sign_again(paper.digest, number)) for number in range(8))
        for key in (author, registry)
    }
    late_first = [
        paper.receipt(key, signature_b64=one)
        for key, one in ((author, signatures[author][-1]), (author, signatures[author][-2]),
                         (registry, signatures[registry][0]))
    ]  # fmt: skip
    yield "receipts whose order by signature differs", "M8", ([], late_first, [])
    faulty = [paper.receipt(signers.stranger), 1, {**paper.receipt(author), "signed_at": "no"}]
    yield "no receipt that passes", "M8 S2", ([], faulty, [])
    payload = paper.payload("record_created", registry)
    late = {**payload, "receipt": paper.receipt(author, _OLD, more=1)}
    created = [
        paper.event(registry, "record_created", payload, _T2),
        paper.event(author, "record_created", late, _T1),
    ]
    yield "receipts within two creations", "M8 M12", (created, receipts, [])
    facts = [*created, paper.revocation(registry, created[1])]
    yield "the first creation is revoked, and its receipt with it", "M8 M3", (facts, receipts, [])
    facts = [*facts, paper.revocation(registry, created[0])]
    yield "all creations are revoked", "M8 M3", (facts, receipts, [])


# The root of all states -----------------------------------------------------------------------


def _roots(signers: Signers) -> Iterator[ConformanceTask]:
    papers = [Paper(record_value(number)) for number in range(200, 240)]
    alike = _alike(papers[0])
    texts = [text_of(paper.bundle([paper.event(signers.author, "note_x")])) for paper in papers]
    for case, bundles in {
        "of one record": texts[:1],
        "of forty records": texts,
        "of forty records, in reverse": texts[::-1],
        "of records whose hashes begin alike": [
            texts[0],
            *(text_of(one.bundle()) for one in alike),
        ],
        "of one record, in several bundles": [texts[0], texts[0], text_of(papers[0].bundle())],
        "with refused bundles": [b"{}", texts[1], b"", texts[2]],
    }.items():
        rules = ("M12", "root")
        yield ConformanceTask(
            kind="root",
            case=f"a root {case}",
            rules=rules,
            bundles=tuple(bundles),
            keys=signers.file,
        )
    yield from _merge("several records", "M6 M12", texts[:3], signers.file)


def _alike(paper: Paper) -> list[Paper]:
    """Return two papers whose hashes begin with the same two digits as that of `paper`."""
    start = paper.record.canonical_sha256[:2]
    found: list[Paper] = []
    number = 1000
    while len(found) < 2:
        number += 1
        other = Paper(record_value(number))
        if other.record.canonical_sha256.startswith(start):
            found.append(other)
    return found


# Comparisons ----------------------------------------------------------------------------------


def _comparisons(signers: Signers) -> Iterator[ConformanceTask]:
    paper, author = Paper(record_value(300)), signers.author
    claim = paper.payload("author_claimed", author)
    withdrawn = {**paper.payload("citation_signed", author), "status": "withdrawn"}
    events = [
        paper.event(author, "author_claimed", {**claim, "n": n}, time)
        for n, time in enumerate((_T1, _T2))
    ]
    revoked = paper.event(author, "note_x", created_at=_T1)
    facts = [
        *events,
        revoked,
        paper.event(author, "note_y"),
        paper.event(author, "citation_signed", withdrawn, _T2),
        paper.revocation(author, revoked),
    ]

    def state(*shown: Draft, of: Paper = paper, **parts: Any) -> bytes:
        bundle = text_of(of.bundle(shown, **parts))
        [(_, _, found)] = merged([bundle], parse_key_set(signers.file))
        return found.text

    whole = state(*facts)
    cited = paper.event(author, "citation_signed", {**withdrawn, "status": "asserted"}, _T1)
    honest = {
        "the same": whole,
        "without the last word of a slot": state(events[0], *facts[2:]),
        "without a revocation": state(*facts[:-1]),
        "without a withdrawal": state(*facts[:4], cited, facts[5]),
        "without some events": state(facts[3]),
        "without all events": state(),
        "with another event": state(*facts, paper.event(author, "note_z")),
        "of another record": state(of=Paper(record_value(301))),
        "with other alias times": state(*facts, claims=[paper.claim()]),
    }
    wrong = {
        "with an event of other content": whole.replace(b'"n":1}', b'"n":2}', 1),
        "with another record": whole.replace(b'"cs.DL"', b'"cs.XX"'),
        "with a record of another shape": whole.replace(b'"cs.DL"', b'""'),
    }
    for case, there in (honest | wrong).items():
        yield _compare(f"a state {case}", whole, there)
    for case, here in honest.items():
        yield _compare(f"a state {case}, the other way", here, whole)


def _compare(case: str, here: bytes, there: bytes) -> ConformanceTask:
    rules = ("M6", "compare")
    return ConformanceTask(kind="compare", case=case, rules=rules, here=here, there=there)
