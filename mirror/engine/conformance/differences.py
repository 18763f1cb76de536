"""The first difference between an expected answer and another one, with the rule concerned."""

from __future__ import annotations

from dataclasses import dataclass

from mirror.core.comparison.diff import ABSENT, Missing, differences, shown_value
from mirror.core.json_pointer import join_pointer
from mirror.core.rule_numbers import RULES_OF_CODES, RULES_OF_MEMBERS
from mirror.core.shape import list_member, object_member, objects_member, text_member
from mirror.core.values import Object, Value, canonical, decode, decode_base64, equal
from mirror.engine.conformance.task import ConformanceTask
from mirror.errors import FormatError

__all__ = ["AnswerDifference", "find_difference"]


@dataclass(frozen=True, slots=True)
class AnswerDifference:
    """Where two answers differ first."""

    rule: str
    """The rule that it is about, as far as the answers show it."""
    where: str
    """The place in words, with a JSON Pointer."""
    expected: str
    answered: str

    def to_value(self) -> Object:
        """Return it as a report has it."""
        return {
            "rule": self.rule,
            "where": self.where,
            "expected": self.expected,
            "answered": self.answered,
        }


def find_difference(
    task: ConformanceTask, expected: Object, answered: Object
) -> AnswerDifference | None:
    """Return the first difference of two answers to a task; None if they are alike.

    Members of the answer that the page does not name are ignored.
    """
    codes = expected.get("code"), answered.get("code")
    if any(code is not None for code in codes):
        return _of_codes("/code", *codes, "an answer") if not _are_alike(*codes) else None
    for name, value in expected.items():
        other = answered.get(name, ABSENT)
        if name in {"bundles", "states"} and isinstance(other, list):
            find = _of_verdicts if name == "bundles" else _of_states
            found = find(list_member(expected, name), other)
        else:
            found = None if _is_same(value, other) else _of_member(task, name, value, other)
        if found is not None:
            return found
    return None


def _is_same(value: Value, other: Value | Missing) -> bool:
    return not isinstance(other, Missing) and equal(value, other)


def _are_alike(code: Value, other: Value) -> bool:
    """Whether two codes are alike: where V1 permits several, any of them is right."""
    v1 = isinstance(code, str) and isinstance(other, str) and RULES_OF_CODES.get(other) == "V1"
    return code == other or (v1 and RULES_OF_CODES.get(str(code)) == "V1")


def _of_member(
    task: ConformanceTask, name: str, value: Value, other: Value | Missing
) -> AnswerDifference:
    rule = {"root": "root", "key_set_digest": "K3", "digest": "V2"}.get(name, "compare")
    if name == "bundles":
        rule = "B2"
    elif name == "states":
        rule = "M6"
    del task
    return AnswerDifference(rule, f"/{name}", shown_value(value), shown_value(other))


# Verdicts -------------------------------------------------------------------------------------


def _of_verdicts(expected: list[Value], answered: list[Value]) -> AnswerDifference | None:
    if len(expected) != len(answered):
        return _of_length("B2", "/bundles", len(expected), len(answered), "bundles")
    for index, (ours, theirs) in enumerate(zip(expected, answered, strict=True)):
        where = f"/bundles/{index}"
        if not isinstance(ours, dict) or not isinstance(theirs, dict):
            return AnswerDifference("B2", where, shown_value(ours), shown_value(theirs))
        codes = ours.get("code"), theirs.get("code")
        if any(code is not None for code in codes):
            if not _are_alike(*codes):
                return _of_codes(f"{where}/code", *codes, "a bundle")
            continue
        for name in ("findings", "aliases", "receipts", "events"):
            found = _of_codes_in(f"{where}/{name}", ours.get(name), theirs.get(name), name)
            if found is not None:
                return found
    return None


_THINGS = {"findings": "a bundle", "aliases": "an alias claim", "receipts": "a receipt"}


def _of_codes_in(where: str, ours: Value, theirs: Value, name: str) -> AnswerDifference | None:
    """Return the first difference of two lists of codes."""
    if not isinstance(ours, list) or not isinstance(theirs, list):
        return AnswerDifference("B2", where, shown_value(ours), shown_value(theirs))
    for index, (code, other) in enumerate(zip(ours, theirs, strict=False)):
        if code != other:
            return _of_codes(join_pointer(where, index), code, other, _THINGS.get(name, "an event"))
    if len(ours) != len(theirs):
        rule = "B3" if name in {"findings", "aliases"} else "E3"
        return _of_length(rule, where, len(ours), len(theirs), name)
    return None


def _of_codes(where: str, code: Value, other: Value, thing: str) -> AnswerDifference:
    """Return the difference of two codes: it is about the check that one of them did not make."""
    rules = [RULES_OF_CODES.get(str(one)) for one in (code, other)]
    rule = rules[0] or rules[1] or "B2"
    passed = "no code: it is accepted"
    return AnswerDifference(
        rule,
        f"{where}, the code of {thing}",
        passed if code is None else str(code),
        passed if other is None else shown_value(other).strip('"'),
    )


def _of_length(rule: str, where: str, ours: int, theirs: int, name: str) -> AnswerDifference:
    return AnswerDifference(rule, where, f"{ours} {name}", f"{theirs} {name}")


# States ---------------------------------------------------------------------------------------


def _of_states(expected: list[Value], answered: list[Value]) -> AnswerDifference | None:
    numbers = [_numbers(one) for one in (expected, answered)]
    if numbers[0] != numbers[1]:
        shown = [", ".join(one) or "none" for one in numbers]
        return AnswerDifference("B2", "/states, the Pith Numbers", *shown)
    for index, (ours, theirs) in enumerate(zip(expected, answered, strict=True)):
        if isinstance(ours, dict) and isinstance(theirs, dict):
            found = _of_state(f"/states/{index}", ours, theirs)
            if found is not None:
                return found
    return None


def _numbers(states: list[Value]) -> list[str]:
    return [text_member(one, "pith_number") if isinstance(one, dict) else "" for one in states]


def _of_state(where: str, expected: Object, answered: Object) -> AnswerDifference | None:
    ours, theirs = (_text(one) for one in (expected, answered))
    if ours != theirs:
        return _of_texts(f"{where}/state", ours, theirs)
    for name in ("digest", "core_digest"):
        if expected[name] != answered.get(name):
            values = str(expected[name]), shown_value(answered.get(name))
            return AnswerDifference("M12", f"{where}/{name}", *values)
    return None


def _text(state: Object) -> bytes | None:
    return decode_base64(text_member(state, "state"))


def _of_texts(where: str, ours: bytes | None, theirs: bytes | None) -> AnswerDifference:
    """Return the first difference of two texts of states."""
    try:
        here, there = decode(ours or b""), decode(theirs or b"")
    except FormatError as error:
        return AnswerDifference("M13", where, "the text of a state in base64", str(error))
    if not isinstance(here, dict) or not isinstance(there, dict):
        return AnswerDifference("M13", where, "an object", shown_value(there))
    if canonical(here) == canonical(there):
        return _of_spelling(where, ours or b"", theirs or b"")
    return _of_values(where, here, there)


def _of_spelling(where: str, ours: bytes, theirs: bytes) -> AnswerDifference:
    """Return where two texts of one value begin to differ: order of members, spaces, escapes."""
    pairs = enumerate(zip(ours, theirs, strict=False))
    start = next((at for at, (a, b) in pairs if a != b), min(len(ours), len(theirs)))
    shown = [repr(text[start : start + 40].decode("utf-8", "replace")) for text in (ours, theirs)]
    return AnswerDifference("M13", f"{where}, the same value, from byte {start} on", *shown)


def _of_values(where: str, here: Object, there: Object) -> AnswerDifference:
    """Return the difference that explains most: verdicts first, then what follows from them."""
    for find in (_of_invalid, _of_retired, _of_order):
        found = find(where, here, there)
        if found is not None:
            return found
    walked = differences(here, there)
    pointers = [one.pointer for one in walked.found]
    only = [*walked.only_here, *walked.only_upstream]
    if not pointers:
        return AnswerDifference("M6", f"{where}, members", *_members(only, walked.only_here))
    first = min(walked.found, key=lambda one: _precedence(one.pointer))
    rule = _rule_of(first.pointer)
    if rule == "M7" and not first.pointer.endswith("/created_at"):
        rule = "R4"
    elif rule == "M4" and pointers[0].startswith("/equivocations/"):
        rule = "M9"
    values = shown_value(first.here), shown_value(first.upstream)
    return AnswerDifference(rule, f"{where}, in it {first.place}", *values)


def _members(pointers: list[str], ours: list[str]) -> tuple[str, str]:
    name = pointers[0] if pointers else ""
    return (f"a member {name}", "none") if name in ours else (f"no member {name}", "one")


def _rule_of(pointer: str) -> str:
    return next(rule for start, rule in RULES_OF_MEMBERS.items() if pointer.startswith(start))


def _precedence(pointer: str) -> int:
    return next(index for index, start in enumerate(RULES_OF_MEMBERS) if pointer.startswith(start))


def _of_invalid(where: str, here: Object, there: Object) -> AnswerDifference | None:
    """Compare the codes of invalid events (M10)."""
    ours, theirs = (
        {
            text_member(one, "digest"): one.get("code")
            for one in objects_member(state, "invalid_events")
        }
        for state in (here, there)
    )
    for digest in sorted({*ours, *theirs}):
        code, other = ours.get(digest), theirs.get(digest)
        if code != other:
            place = f"{where}, in it /invalid_events, the event with the digest {digest}"
            return _of_codes(place, code, other, "an event")
    return None


def _of_retired(where: str, here: Object, there: Object) -> AnswerDifference | None:
    """Compare the reasons for which events are retired (M3, M5, M11)."""
    ours, theirs = (
        {text_member(one, "event_id"): one for one in objects_member(state, "retired_events")}
        for state in (here, there)
    )
    for event_id in sorted({*ours, *theirs}):
        entry, other = ours.get(event_id, {}), theirs.get(event_id, {})
        if not equal(entry, other):
            reasons = [text_member(one, "reason") or "in force" for one in (entry, other)]
            rule = "M3" if "revoked" in reasons else "M5"
            place = f"{where}, in it /retired_events, {event_id}"
            if reasons[0] == reasons[1]:
                shown = [f"{reasons[0]} by {shown_value(one.get('by'))}" for one in (entry, other)]
                return AnswerDifference(rule, place, *shown)
            return AnswerDifference(rule, place, *reasons)
    return None


def _of_order(where: str, here: Object, there: Object) -> AnswerDifference | None:
    """Compare the order of the lists of `current` (M2)."""
    theirs = object_member(there, "current")
    for name, entries in object_member(here, "current").items():
        ids = [_ids(entries), _ids(theirs.get(name))]
        if name != "source_aliases" and ids[0] != ids[1] and sorted(ids[0]) == sorted(ids[1]):
            shown = [_dated(one) for one in (entries, theirs.get(name))]
            return AnswerDifference("M2", f"{where}, in it /current/{name}", *shown)
    return None


def _dated(entries: Value) -> str:
    """Return the times of events in their order, each with the beginning of its id."""
    return ", then ".join(
        f"{text_member(one, 'created_at')} ({text_member(one, 'event_id')[7:15]})"
        for one in (entries if isinstance(entries, list) else [])
        if isinstance(one, dict)
    )


def _ids(entries: Value) -> list[str]:
    items = entries if isinstance(entries, list) else []
    return [text_member(one, "event_id") for one in items if isinstance(one, dict)]
