"""Texts, verdicts, states and roots: the verifier, Python, native code and the oracle agree."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror.archive import ReadLimits
from mirror.core.keys import parse_key_set
from mirror.core.values import canonical, decode, hexdigest
from mirror.engine.native import native_module
from mirror.engine.native_engine import engine_for
from mirror.errors import FormatError
from tests import oracle
from tests.builders import Object, Signer, key_set_file, to_json
from tests.fuzz.mutations import MUTATIONS, TRUSTED, sources
from tests.helpers import BUNDLES
from tests.native.agreement import NOW
from tests.properties.strategies import (
    KEY_SETS,
    World,
    groupings,
    json_texts,
    mutated_texts,
    token_texts,
    worlds,
)
from tests.vectors.test_bundles import bundles_in
from tests.verifier.expected import by_oracle, by_python, by_verifier
from tests.verifier.program import Program

Signers = tuple[Signer, ...]

FEWER = settings(max_examples=settings().max_examples // 6)
"""For searches in which the oracle verifies many signatures, which is slow."""

# Texts ---------------------------------------------------------------------------------------


def assert_same_digest(program: Program, text: bytes) -> None:
    """V1 to V3: Python, oracle and verifier refuse a text, or read the same value in it."""
    answer = program.ask("digest", text=text)
    assert answer.get("code", "json.").startswith("json.")
    assert _digest(decode, canonical, text) == answer.get("digest")
    assert _digest(oracle.parse, oracle.canonical, text) == answer.get("digest")


def _digest(read: Callable[[bytes], Any], write: Callable[[Any], bytes], text: bytes) -> str | None:
    try:
        return hexdigest(write(read(text)))
    except (FormatError, oracle.Refused):
        return None


@given(json_texts() | mutated_texts() | token_texts() | st.binary(max_size=40))
def test_texts_are_read_alike(program: Program, text: bytes) -> None:
    """V1, V2: valid, nearly so, and not at all."""
    assert_same_digest(program, text)


_NUMBERS = r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?"


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False)),
    st.from_regex(_NUMBERS, fullmatch=True),
)
def test_numbers_are_read_and_spelled_alike(
    program: Program, floats: list[float], number: str
) -> None:
    """V1, V2: of any size, in any spelling."""
    assert_same_digest(program, f"{floats}".encode())
    assert_same_digest(program, f"[{number}]".encode())


# Bundles -------------------------------------------------------------------------------------


def assert_agreement(program: Program, texts: Sequence[bytes], signers: Signers) -> None:
    """B2, B3, S2, E3, K3, M1 to M13, and the root: what all say."""
    file = key_set_file(*signers)
    expected, found = by_python(texts, file), by_verifier(program, texts, file)
    assert expected == found
    assert by_oracle(texts, file) == found._replace(root="")
    for text in texts:
        _assert_native_agrees(program, text, file)


def _assert_native_agrees(program: Program, text: bytes, file: bytes) -> None:
    """What the native engine accepts, if it is installed, has the same digests."""
    keys, limits = parse_key_set(file), ReadLimits()
    engine = native_module() and engine_for(keys, limits.for_bundles(keys.profiles))
    found = engine.verify([(text, False)], NOW, encode=True)[0] if engine else None
    if found is not None:
        assert found.new_facts is not None
        assert found.new_facts.state is not None
        (state,) = by_verifier(program, [text], file).states
        columns = found.new_facts.state
        assert (columns.digest.hex(), columns.core_digest.hex()) == state[2:]


@FEWER
@given(worlds(), st.sampled_from(KEY_SETS))
def test_worlds_are_verified_and_merged_alike(
    program: Program, world: World, signers: Signers
) -> None:
    """One record, all types, revocations, contradictions and junk, under any key set."""
    assert_agreement(program, [to_json(world.bundle())], signers)


@FEWER
@given(st.data())
def test_groupings_are_merged_alike(program: Program, data: st.DataObject) -> None:
    """M1 to M13: several bundles at once, with repeats."""
    bundles = data.draw(groupings(data.draw(worlds())))
    assert_agreement(program, [*map(to_json, bundles)], KEY_SETS[0])


def hostile_texts(seed: int, count: int) -> list[bytes]:
    """Bundles of several records: odd before they were signed, or damaged as texts."""
    order = random.Random(seed)
    records = sources(order, 6)
    kinds, weights = zip(*MUTATIONS, strict=True)
    texts = []
    for _ in range(count):
        text = to_json(order.choice(records).bundle())
        (mutation,) = order.choices(kinds, weights)
        texts.append(mutation((text, False), order)[0])
    return texts


@pytest.mark.parametrize("seed", range(3))
def test_hostile_bundles_are_verified_alike(program: Program, seed: int) -> None:
    """B2, B3, S2, E1 to E4: odd values that were signed, and texts that were damaged."""
    assert_agreement(program, hostile_texts(seed, 40), TRUSTED)


# Key sets ------------------------------------------------------------------------------------

_VALUES: list[Any] = [None, "", 1, True, [], ["*"], {}, "ed25519", "2026-02-29T00:00:00Z"]

_KEY: Object = oracle.parse(key_set_file(Signer("alice")))["keys"][0]
_BUILT_IN = oracle.builtin_keys()[0]

KEY_FILES: list[Any] = [
    *({}, [], None, {"keys": {}}, {"keys": []}, {"keys": [], "profiles": []}),
    *({"keys": [_KEY, _KEY]}, {"keys": [_BUILT_IN]}, {"keys": [_KEY], "more": 1}),
    {"keys": [_KEY, {**_KEY, "valid_from": "2026-01-01T00:00:00Z"}]},
    {"keys": [{**_BUILT_IN, "may_revoke_others": False}]},
    *({"keys": [{**_KEY, name: value}]} for name in _KEY for value in _VALUES),
    *({"keys": [{one: _KEY[one] for one in _KEY if one != name}]} for name in _KEY),
    *(
        {"keys": [{**_KEY, "public_key_hex": bytes(encoding).hex()}]}
        for encoding in [*oracle.small_order_encodings(), b"\xff" * 32, b"\x02" + bytes(31)]
    ),
]


@pytest.mark.parametrize("file", KEY_FILES, ids=range(len(KEY_FILES)))
def test_key_set_files_are_read_alike(program: Program, file: Any) -> None:
    """K2, K3: the digest, or the code that refuses the file."""
    text = to_json(file)
    answer = program.ask("root", bundles=[], keys=text)
    answer.pop("root", None)
    in_oracle = _outcome(lambda: oracle.key_set_digest(oracle.load_keys(text)))
    assert in_oracle == answer
    assert _outcome(lambda: parse_key_set(text).digest) == answer


def _outcome(work: Callable[[], str]) -> Object:
    try:
        return {"key_set_digest": work()}
    except (FormatError, oracle.Refused) as error:
        return {"code": error.code}


def test_another_envelope_is_unsupported(program: Program) -> None:
    """A key set that trusts a profile gives no answer that would leave it out."""
    file = to_json({"keys": [], "profiles": [{"name": "other"}]})
    assert program.ask("root", bundles=[], keys=file) == {"unsupported": True}


# Samples -------------------------------------------------------------------------------------


def test_samples_are_answered_in_one_run(program: Program) -> None:
    """The bags of bundles/ together, under the demo keys."""
    texts = [to_json(one) for name in ("pith.tar", "demo.tar") for one in bundles_in(name)]
    file = (BUNDLES / "demo-keys.json").read_bytes()
    assert by_python(texts, file) == by_verifier(program, texts, file)
