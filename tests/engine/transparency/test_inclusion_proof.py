"""Proofs: small files that lead from a record to a root, and to no other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias, cast

import pytest

from mirror.core.values import Object, Value, encode
from mirror.engine.findings import ReadRequest
from mirror.engine.ingest.merge import ingest
from mirror.engine.states.root import read_root, update_root
from mirror.engine.transparency.inclusion_proof import make_proof, parse_proof
from mirror.errors import CorruptStoreError, FormatError, StoreError
from mirror.store import Store, open_store
from tests import oracle
from tests.builders import Object as Said
from tests.builders import make_bundle, make_record, to_json
from tests.helpers import code_of, ids_in
from tests.synthetic import fill, make_leaves
from tests.web.conftest import run_mirror

RECORDS = [make_record(arxiv_id=f"2404.{number:05}") for number in range(40)]

DIGITS = "0123456789abcdef"


def merge(store: Store, folder: Path, records: list[Said]) -> None:
    """Merge a bundle of nothing but its record for each."""
    source = folder / "bundles.jsonl"
    source.write_bytes(b"\n".join(to_json(make_bundle(record)) for record in records))
    ingest(store, ReadRequest([str(source)], lambda _report: None))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store of 40 records."""
    with open_store(None) as store:
        merge(store, tmp_path_factory.mktemp("prove"), RECORDS)
        yield store


@pytest.fixture(scope="module")
def proof(store: Store) -> Object:
    """The proof of its first record."""
    return make_proof(store, 1)


def holds(proof: Object, root: str) -> bool:
    """Whether a proof, written and read, leads to a root."""
    return parse_proof(encode(proof)).leads_to(bytes.fromhex(root))


def holds_plainly(proof: Any, root: str) -> bool:
    """The same, as docs/tree.md describes it, with nothing but a hash."""
    name = proof["canonical_sha256"]
    digest = hashlib.sha256(
        b"\0" + bytes.fromhex(name) + bytes.fromhex(proof["core_digest"])
    ).hexdigest()
    for level in reversed(range(len(proof["path"]))):
        children = proof["path"][level]
        if children.get(name[level]) != digest:
            return False
        parts = [bytes.fromhex(children.get(digit, "0" * 64)) for digit in DIGITS]
        digest = hashlib.sha256(b"\1" + b"".join(parts)).hexdigest()
    return bool(digest == root)


def test_every_record_has_a_proof(store: Store) -> None:
    """Of its own number and core digest, to the root of the store."""
    root, keys = read_root(store).root, store.trust_log.key_set()
    values = [key.to_value() for key in keys]
    by_digest = {oracle.record_digest(record): record for record in RECORDS}
    for record_id in ids_in(store):
        proof = make_proof(store, record_id)
        record = by_digest.pop(cast("str", proof["canonical_sha256"]))
        assert oracle.core_digest([make_bundle(record)], values) == proof["core_digest"]
        assert oracle.pith_number_of(record) == proof["pith_number"]
        assert (root, keys.digest) == (proof["root"], proof["key_set_digest"])
        assert holds(proof, root)
        assert holds_plainly(proof, root)
    assert by_digest == {}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_records_have_short_proofs(tmp_path: Path, count: int) -> None:
    """Of one record, no step at all: its leaf is the root."""
    with open_store(None) as store:
        merge(store, tmp_path, RECORDS[:count])
        for record_id in ids_in(store):
            proof = make_proof(store, record_id)
            path = cast("list[Object]", proof["path"])
            assert (count > 1) == bool(path)
            assert all(len(step) > 1 or level + 1 < len(path) for level, step in enumerate(path))
            assert holds_plainly(proof, read_root(store).root)


def test_a_proof_among_20_000_records_is_small(tmp_path: Path) -> None:
    """Less than 20 kB, also as it is indented in a file."""
    with open_store(None) as store:
        merge(store, tmp_path, RECORDS[:1])
        fill(store, make_leaves(20_000))
        root = read_root(store)
        assert 20_001 == root.records
        proof = make_proof(store, 1)
        assert holds_plainly(proof, root.root)
        assert len(json.dumps(proof, indent=2)) < 20_000
        assert len(cast("list[Object]", proof["path"])) <= 8


def test_a_proof_leads_to_its_root_alone(store: Store, proof: Object, tmp_path: Path) -> None:
    """Not to that of a record more or less; a later root needs a later proof."""
    with open_store(None) as other:
        merge(other, tmp_path, RECORDS[:-1])
        fewer, later_proof = read_root(other).root, make_proof(other, 1)
    root = read_root(store).root
    assert (True, False) == (holds(proof, root), holds(proof, fewer))
    assert (False, True) == (holds(later_proof, root), holds(later_proof, fewer))
    assert not holds(proof, "0" * 64)


# What is changed -----------------------------------------------------------------------------


def _flip(text: str, place: int) -> str:
    return text[:place] + DIGITS[int(text[place], 16) ^ 1] + text[place + 1 :]


def test_no_digit_of_the_core_digest_can_be_changed(store: Store, proof: Object) -> None:
    """It is what is proved."""
    root = read_root(store).root
    for place in range(64):
        other = {**proof, "core_digest": _flip(cast("str", proof["core_digest"]), place)}
        assert not holds(other, root)


def test_no_digit_of_the_record_can_be_changed(store: Store, proof: Object) -> None:
    """Its number follows from the first 130 bits of it, so that it is refused, or fails."""
    root = read_root(store).root
    for place in range(64):
        other = {**proof, "canonical_sha256": _flip(cast("str", proof["canonical_sha256"]), place)}
        if place < 32:
            assert "proof.shape" == refusal(encode(other))
        elif place > 32:
            assert not holds(other, root)


Step: TypeAlias = dict[str, str]


def steps_of(proof: Object) -> list[Step]:
    """The children of every node above the leaf."""
    return cast("list[Step]", proof["path"])


def with_steps(proof: Object, steps: list[Step]) -> Object:
    """The same proof by another path."""
    assert proof["path"] != steps
    return {**proof, "path": cast("Value", steps)}


def _changed_steps(step: Step) -> Iterator[Step]:
    """Steps with a digit of a child changed, a child less, or one that stands elsewhere."""
    for digit, child in step.items():
        yield from ({**step, digit: _flip(child, place)} for place in (0, 31, 63))
        rest = {one: other for one, other in step.items() if one != digit}
        yield rest
        yield {**rest, DIGITS[DIGITS.index(digit) - 1]: child}


def test_no_digit_of_the_path_can_be_changed(store: Store, proof: Object) -> None:
    """Nor can a child or a node be left out, added or exchanged with another."""
    root, steps = read_root(store).root, steps_of(proof)
    for level, step in enumerate(steps):
        before, after = steps[:level], steps[level + 1 :]
        for other in _changed_steps(step):
            assert not holds(with_steps(proof, [*before, other, *after]), root)
        for others in ([], [step, step], [{}, step], [step, {}]):
            assert not holds(with_steps(proof, [*before, *others, *after]), root)
    assert not holds(with_steps(proof, steps[::-1]), root)


def test_an_empty_child_may_be_written_or_not(store: Store, proof: Object) -> None:
    """As the zeros that stand for it; but as nothing else."""
    root, steps = read_root(store).root, steps_of(proof)
    empty = next(digit for digit in DIGITS if digit not in steps[-1])
    for child in ("0" * 64, "0" * 63, "", None, 0, "A" * 64):
        step = cast("Step", {**steps[-1], empty: child})
        other = with_steps(proof, [*steps[:-1], step])
        if child == "0" * 64:
            assert holds(other, root)
        else:
            assert "proof.shape" == refusal(encode(other))


def refusal(data: bytes) -> str | None:
    """The code that a proof is refused with."""
    return code_of(lambda: parse_proof(data))


def test_a_proof_of_one_record_is_none_of_another(store: Store) -> None:
    """With the path of one, and the record, the core digest or both of another."""
    root = read_root(store).root
    proofs = [make_proof(store, record_id) for record_id in ids_in(store)]
    for one in proofs[:6]:
        for other in proofs:
            mixed = {**other, "path": one["path"]}
            assert (one["path"] == other["path"]) == holds(mixed, root)
            if one is not other:
                assert not holds({**one, "core_digest": "0" * 64}, root)


def test_members_that_cannot_be_verified_are_ignored(store: Store, proof: Object) -> None:
    """The year of a number, the keys and the merge version are its word, and its root another."""
    root = read_root(store).root
    number = cast("str", proof["pith_number"])
    changes: list[Object] = [
        {"pith_number": number.replace("2024", "1999")},
        {"key_set_digest": "1" * 64},
        {"merge_version": "another"},
        {"root": "1" * 64},
        {"more": [1]},
    ]
    for change in changes:
        assert holds({**proof, **change}, root)


NO_DIGESTS: list[Any] = ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, None, 7, ["0" * 64], {}]

WRONG: dict[str, list[Any]] = {
    "proof_type": ["", "pith_mirror_checkpoint", None, 1],
    "proof_version": ["1.1", "2.0", 1.0, 1, None],
    "pith_number": ["", "pith:2024", "pith:2024:" + "A" * 26, None, 1, []],
    "canonical_sha256": [*NO_DIGESTS, "0" * 64],
    "core_digest": NO_DIGESTS,
    "merge_version": [None, 1, [], {}],
    "key_set_digest": NO_DIGESTS,
    "root": NO_DIGESTS,
    "path": [None, {}, "", 1, [1], [None], [[]], [""], [{"g": "0" * 64}], [{"00": "0" * 64}],
             [{"A": "0" * 64}], [{"": "0" * 64}], *[[{"0": one}] for one in NO_DIGESTS]],
}  # fmt: skip


def test_every_member_is_checked(proof: Object) -> None:
    """No member can be added that is not tampered with here."""
    assert set(proof) == set(WRONG)


@pytest.mark.parametrize("name", WRONG)
def test_a_member_of_another_shape_is_refused(proof: Object, name: str) -> None:
    """Of another type or size, or not there at all."""
    for value in WRONG[name]:
        data = encode({**proof, name: value})
        assert "proof.shape" == refusal(data), value
    less = encode({one: value for one, value in proof.items() if one != name})
    assert "proof.shape" == refusal(less)


def test_another_form_of_the_pith_number_is_refused(proof: Object) -> None:
    """R3: capital letters, and four digits of ASCII."""
    number = cast("str", proof["pith_number"])
    for other in (number.lower(), number[5:], f"{number}\n", number.replace("2024", "20244"),
                  number.replace("2024", "\u0662\u0660\u0662\u0664")):  # fmt: skip
        data = encode({**proof, "pith_number": other})
        assert "proof.shape" == refusal(data)


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{}", b"{", b"\xff", b"[" * 100_000,
                                  b'{"proof_type":1,"proof_type":1}'])  # fmt: skip
def test_an_invalid_proof_is_refused(data: bytes) -> None:
    """Whatever it is."""
    with pytest.raises(FormatError):
        parse_proof(data)


def test_a_path_that_is_too_long_proves_nothing(store: Store, proof: Object) -> None:
    """However long."""
    root = read_root(store).root
    for length in (65, 50_000):
        assert not holds({**proof, "path": [{}] * length}, root)


# Stores that cannot prove --------------------------------------------------------------------


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Store]:
    """A store to be broken."""
    with open_store(None) as store:
        merge(store, tmp_path, RECORDS)
        store.connection.execute("PRAGMA foreign_keys = OFF")
        yield store


def test_a_tree_that_is_out_of_date_proves_nothing(broken: Store) -> None:
    """Its root would be of yesterday."""
    with broken.transaction():
        broken.state_tree.enqueue([1])
    with pytest.raises(StoreError, match="out of date"):
        make_proof(broken, 2)


@pytest.mark.parametrize("query", [
    "DELETE FROM state WHERE record_id = 1",
    "UPDATE state SET core_digest = zeroblob(32) WHERE record_id = 1",
    "UPDATE tree_node SET digest = zeroblob(32)",
    "UPDATE record SET value = x'00' WHERE id = 1",
    "DELETE FROM tree_node WHERE depth = 1",
])  # fmt: skip
def test_a_damaged_store_proves_nothing(broken: Store, query: str) -> None:
    """Nothing is written that would not hold."""
    assert broken.connection.execute(query).rowcount > 0
    with pytest.raises(CorruptStoreError) as caught:
        make_proof(broken, 1)
    assert "store.damaged" == caught.value.code
    assert "mirror check" in caught.value.hint


def test_a_state_that_is_not_in_the_tree_is_not_proved(broken: Store) -> None:
    """Though each row be in order."""
    conn = broken.connection
    conn.execute("DELETE FROM tree_node WHERE depth = 4")
    with broken.transaction():
        rows = conn.execute("SELECT * FROM state WHERE record_id IN (1, 2)").fetchall()
        one, other = (broken.states.columns(row[0]) for row in rows)
        assert one is not None
        assert other is not None
        broken.states.add([(1, other, rows[0][6])])
        conn.execute("DELETE FROM tree_queue")
    with pytest.raises(CorruptStoreError, match="the tree is not that of the states"):
        make_proof(broken, 1)


def test_a_store_verified_by_other_rules_has_no_root(
    tmp_path: Path,
) -> None:
    """Its states would go under the name of rules that they do not follow from."""
    path = tmp_path / "mirror.db"
    source = tmp_path / "bundle.json"
    source.write_bytes(to_json(make_bundle(make_record())))
    assert run_mirror("merge", source, "--db", path) == 0
    with open_store(path) as store:
        root = read_root(store)
        with store.transaction():
            store.connection.execute("UPDATE rules SET version = 'older'")
        with pytest.raises(StoreError, match=r"store\.behind"):
            read_root(store)
        update_root(store)
        assert read_root(store) == root
