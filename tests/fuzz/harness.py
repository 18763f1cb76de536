"""Fuzz targets: one function for each entry point, which compares the fast code with the slow.

A target takes bytes. It raises where the program would crash, or where two implementations of the
same thing differ: the fast parser and the strict one, `mirror` and the oracle, one signature
library and the other.
"""

from __future__ import annotations

import atexit
import io
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from mirror.archive import Bag, ReadLimits, open_source
from mirror.core.block_header import parse_header, proven_hash
from mirror.core.bundle import parse_bundle, verify_bundle
from mirror.core.composed import compose
from mirror.core.events.event import EncodedEvent, InvalidEvent
from mirror.core.events.verdict import verify_event
from mirror.core.keys import parse_key_set
from mirror.core.merge import merge
from mirror.core.record import parse_record
from mirror.core.signature import backends, verify
from mirror.core.values import canonical, decode, decode_strictly, sha256, time_text
from mirror.engine.anchors.headers import HeaderChain, HeaderRange, add_headers, header_ranges
from mirror.engine.anchors.opentimestamps import check_proof
from mirror.engine.anchors.result import AnchorStatus
from mirror.engine.anchors.rfc3161 import check_token
from mirror.engine.anchors.timestamp_files import ProofError, write_file
from mirror.engine.transparency.stamping import parse_answer
from mirror.errors import FormatError, MirrorError
from mirror.store import Store, open_store
from tests import oracle
from tests.builders import (
    Signer,
    author_claim,
    key_set_file,
    make_bundle,
    make_event,
    make_receipt,
    make_record,
    to_json,
)
from tests.chains import chain, roots
from tests.engine.anchors.time_stamp_authority import NOW, TimeStampAuthority
from tests.proofs import MAGIC, SHA256, VERSION, in_block, path, promised, stamp, unknown

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"

SIGNER = Signer("fuzz")
RECORD = make_record()
EVENT = make_event(RECORD, SIGNER, "author_claimed", author_claim())
KEY_FILE = key_set_file(SIGNER)
KEYS = parse_key_set(KEY_FILE)
ORACLE_KEYS = oracle.load_keys(KEY_FILE)
PROOF_DIGEST = sha256(b"a record")
PROOF, (ROOT, _) = stamp(PROOF_DIGEST, (path(), in_block(2)), (path("1"), promised()))
HEADERS = chain([*roots(1), ROOT, *roots(1, 2)])
LIMITS = ReadLimits(member_bytes=1 << 20, bundle_bytes=1 << 20, line_bytes=1 << 20, members=1000)

TSA = TimeStampAuthority()
MESSAGE = canonical(RECORD)
MOST_CHARACTERS = 400
"""The longest reason of a check: text from the input is cut."""

ORACLE_BYTES = 20_000
"""Longer inputs are not given to the oracle, which is slow."""


def _accepts(work: Callable[[], object]) -> bool:
    """Whether `work` succeeds, or fails with the expected error."""
    try:
        work()
    except (FormatError, oracle.Refused):
        return False
    return True


def json(data: bytes) -> None:
    """V1, V2: the fast parser, the strict one and the oracle's accept the same texts and values."""
    accepted = _accepts(lambda: decode(data))
    assert accepted == _accepts(lambda: decode_strictly(data))
    if accepted:
        assert canonical(decode(data)) == canonical(decode_strictly(data))
        assert canonical(decode(canonical(decode(data)))) == canonical(decode(data))
    if len(data) <= ORACLE_BYTES:
        assert accepted == _accepts(lambda: oracle.parse(data))
        if accepted:
            assert canonical(decode(data)) == oracle.canonical(oracle.parse(data))


def bundle(data: bytes) -> None:
    """B1 to B6, M1 to M13: the same findings, state and composed bundle as the oracle."""
    if not _accepts(lambda: parse_bundle(data)):
        assert len(data) > ORACLE_BYTES or not _accepts(lambda: oracle.read_bundle(data))
        return
    found = verify_bundle(parse_bundle(data), KEYS)
    state = merge(found.record, found.receipts, found.alias_claims, found.events, KEYS)
    if len(data) > ORACLE_BYTES:
        return
    theirs = oracle.read_bundle(data)
    assert oracle.findings(theirs, ORACLE_KEYS) == [(one.where, one.code) for one in found.findings]
    assert oracle.state_text(oracle.merge([theirs], ORACLE_KEYS)) == state.text
    assert oracle.core_digest([theirs], ORACLE_KEYS) == state.core_digest
    receipts = {one.digest: one for one in found.receipts}.values()
    events = {one.digest: one for one in found.events}.values()
    composed = compose(found.record, set(found.alias_claims), receipts, events)
    assert oracle.compose([theirs]) == composed


def event(data: bytes) -> None:
    """E3: the same verdict as the oracle, for any value."""
    try:
        value = decode(data)
    except FormatError:
        return
    verdict = verify_event(EncodedEvent.of(value), parse_record(RECORD), KEYS)
    code = verdict.code if isinstance(verdict, InvalidEvent) else None
    if len(data) <= ORACLE_BYTES:
        assert oracle.verdict(value, RECORD, ORACLE_KEYS) == code


def keys(data: bytes) -> None:
    """K2, K3: the same key set file is refused, and the same digest given."""
    accepted = _accepts(lambda: parse_key_set(data))
    if len(data) <= ORACLE_BYTES:
        assert accepted == _accepts(lambda: oracle.load_keys(data))
        if accepted:
            assert oracle.key_set_digest(oracle.load_keys(data)) == parse_key_set(data).digest


def signature(data: bytes) -> None:
    """S1: every library and the oracle accept the same signatures."""
    key, signed, message = data[:32], data[32:96], data[96:]
    answers = {verify(key, message, signed, backend) for backend in backends().values()}
    assert answers == {oracle.verify(key, message, signed)}


def archive(data: bytes) -> None:
    """C1 to C5: only errors of `mirror` are raised, and nothing is written."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "source")
        path.write_bytes(data)
        try:
            with open_source(str(path), LIMITS) as source:
                for item in source.items():
                    if not isinstance(item, Bag):
                        item.name.encode()  # a name that can be printed
        except MirrorError:
            pass
        assert [one.name for one in Path(folder).iterdir()] == ["source"]


@cache
def _store() -> Store:
    """A store in memory; every input is undone."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(open_store(None))


def proof(data: bytes) -> None:
    """A proof of OpenTimestamps: one answer, the same each time; only a whole one has a time."""
    with _store().snapshot():
        _store().block_headers.add(list(enumerate(HEADERS, 1)))
        chain_of_ours = HeaderChain(_store())
        answer = check_proof(data, PROOF_DIGEST, chain_of_ours)
        assert answer == check_proof(data, PROOF_DIGEST, chain_of_ours)
    assert (answer.at is not None) == (answer.status == AnchorStatus.ANCHORED)


def headers(data: bytes) -> None:
    """A file of block headers, raw or not: whatever is accepted is linked and proves work."""
    for height in (None, 1):
        with _store().snapshot():
            if _accepts(lambda height=height: add_headers(_store(), io.BytesIO(data), height)):  # type: ignore[misc]
                assert all(map(_is_linked, header_ranges(_store())))


def _is_linked(found: HeaderRange) -> bool:
    held = _store().block_headers.between(found.first, found.last)
    hashes = [proven_hash(held[height]) for height in range(found.first, found.last + 1)]
    named = [
        parse_header(held[height]).previous for height in range(found.first + 1, found.last + 1)
    ]
    return None not in hashes and hashes[:-1] == named


def token(data: bytes) -> None:
    """RFC 3161: a result for any bytes, and no other time than the authority signed."""
    result = check_token(data, MESSAGE, [TSA.authority()])
    assert result.at in {None, time_text(NOW)}
    assert len(result.reason) < MOST_CHARACTERS


def answer(data: bytes) -> None:
    """An answer of a calendar: what is accepted can be stored, read again and checked."""
    try:
        written = write_file(parse_answer(data, PROOF_DIGEST))
    except (ProofError, NotImplementedError):
        return
    result = check_proof(written, PROOF_DIGEST, HeaderChain(_store()))
    assert result.status != AnchorStatus.MALFORMED


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (json, bundle, event, keys, signature, archive, proof, headers, token, answer)
}


def seeds(target: str) -> list[bytes]:
    """Seeds of a search: the sample bundles, and bundles of the builders."""
    whole = make_bundle(RECORD, [EVENT, 1.5, None], receipts=[make_receipt(RECORD, SIGNER)])
    samples = [path.read_bytes() for path in sorted((BUNDLES / "invalid").glob("*.json"))
               if not path.name.endswith(".expected.json")]  # fmt: skip
    digest = b"a message"
    signed = SIGNER.public_key + _raw_signature(digest) + digest
    return {
        "json": [to_json(whole), *samples],
        "bundle": [to_json(whole), *samples],
        "event": [to_json(EVENT)],
        "keys": [KEY_FILE, (BUNDLES / "demo-keys.json").read_bytes()],
        "signature": [signed, *(point + signed[32:] for point in oracle.small_order_encodings())],
        "proof": [PROOF, stamp(PROOF_DIGEST, (path("1"), promised()), (path(), unknown()))[0]],
        "headers": [b"".join(HEADERS), _archive_of_headers(), _lines_of_headers()],
        "answer": [PROOF[len(MAGIC + VERSION + SHA256 + PROOF_DIGEST) :]],
        "token": [TSA.token(MESSAGE), TSA.response(TSA.token(MESSAGE, algorithm="sha512"))],
        "archive": [(BUNDLES / "demo.tar").read_bytes()[:20_480], to_json(whole) + b"\n{}\n"],
    }[target]


def _archive_of_headers() -> bytes:
    return b"OTSH" + bytes([0, 0, 0, 1] * 3) + b"".join(HEADERS)


def _lines_of_headers() -> bytes:
    lines = [{"height": height, "header": one.hex()} for height, one in enumerate(HEADERS, 1)]
    return b"".join(to_json(one) + b"\n" for one in lines)


def _raw_signature(message: bytes) -> bytes:
    return oracle.sign(SIGNER.seed, message)
