"""Block headers from files: three forms, and every fault refuses the whole file."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror.core.block_header import block_hash, display_hash
from mirror.engine.anchors.headers import HeaderChain, add_headers, header_ranges
from mirror.engine.states.check import CheckScope, check, check_and_repair
from mirror.errors import CorruptStoreError, FormatError
from mirror.store import Store, open_store
from mirror.store.recover import recover
from tests.chains import EASIEST, FIRST_TIME, chain, header, roots

CHAIN = chain(roots(10))
FIRST = 100


@pytest.fixture
def store() -> Iterator[Store]:
    with open_store(None) as opened:
        yield opened


def _add(store: Store, data: bytes, height: int | None = None) -> tuple[int, int]:
    """Add a file; return the numbers of new and known headers."""
    with store.transaction():
        added = add_headers(store, io.BytesIO(data), height)
    return added.new, added.known


def _refused(store: Store, data: bytes, height: int | None = None) -> FormatError:
    """Add a file that is refused, which stores nothing."""
    before = store.connection.execute("SELECT * FROM block_header").fetchall()
    with pytest.raises(FormatError) as refused:
        _add(store, data, height)
    assert store.connection.execute("SELECT * FROM block_header").fetchall() == before
    assert refused.value.hint
    return refused.value


def _json_lines(headers: list[bytes], first: int = FIRST) -> bytes:
    lines = [{"height": height, "header": one.hex()} for height, one in enumerate(headers, first)]
    return b"".join(json.dumps(one).encode() + b"\n" for one in lines)


def _archive(headers: list[bytes], order: str = "big", version: int = 1) -> bytes:
    numbers = [n.to_bytes(4, order) for n in (version, 9, FIRST)]  # type: ignore[arg-type]
    return b"".join([b"OTSH", *numbers, *headers])


FORMS = {
    "raw": (b"".join(CHAIN), FIRST),
    "JSON Lines": (_json_lines(CHAIN), None),
    "JSON Lines without a last newline": (_json_lines(CHAIN)[:-1], None),
    "JSON with other spaces": (_json_lines(CHAIN).replace(b'{"', b'  {\t "'), None),
    "archive": (_archive(CHAIN), None),
    "archive, least byte first": (_archive(CHAIN, "little"), None),
}


@pytest.mark.parametrize("form", FORMS)
def test_three_forms_give_the_same_headers(store: Store, form: str) -> None:
    assert _add(store, *FORMS[form]) == (10, 0)
    assert store.block_headers.between(0, 1000) == dict(enumerate(CHAIN, FIRST))
    assert _add(store, *FORMS[form]) == (0, 10)


def test_headers_in_any_order_and_in_parts(store: Store) -> None:
    """Lines from last to first, then the rest around them, overlapping."""
    lines = _json_lines(CHAIN[4:7], FIRST + 4).splitlines(keepends=True)
    assert _add(store, b"".join(reversed(lines))) == (3, 0)
    assert _add(store, b"".join(CHAIN[:6]), FIRST) == (4, 2)
    assert _add(store, b"".join(CHAIN[5:]), FIRST + 5) == (3, 2)
    assert [(one.first, one.last) for one in header_ranges(store)] == [(FIRST, FIRST + 9)]


def test_many_headers_are_read_in_several_parts(store: Store) -> None:
    """More than are stored at once; a fault in a later part takes the first one back, too."""
    many = chain(roots(5000))
    assert _refused(store, b"".join([*many[:-1], CHAIN[0]]), 0).code == "headers.link"
    assert _add(store, b"".join(many), 0) == (5000, 0)
    assert _add(store, _json_lines(many, 0)) == (0, 5000)


OTHER = chain(roots(10, start=50))
NO_WORK = next(
    made
    for nonce in range(100)
    if int.from_bytes(block_hash(made := CHAIN[5][:76] + nonce.to_bytes(4, "little")), "little")
    >> 255
)
CONFLICT = "headers.conflict"
_IMPOSSIBLE = CHAIN[5][:72] + (0x04923456).to_bytes(4, "little") + CHAIN[5][76:]


@pytest.mark.parametrize(
    ("data", "height", "code", "where"),
    [
        (b"", 1, "headers.shape", ""),
        (b"", None, "headers.shape", ""),
        (CHAIN[0], None, "headers.height", ""),
        (CHAIN[0], 2**32, "headers.height", f"height {2**32}"),
        (b"".join(CHAIN[:2]), 2**32 - 1, "headers.height", f"height {2**32}"),
        (_json_lines(CHAIN), FIRST, "headers.height", ""),
        (_archive(CHAIN), FIRST, "headers.height", ""),
        (CHAIN[0] + CHAIN[1][:79], 7, "headers.shape", "height 8"),
        (_archive(CHAIN, version=2), None, "headers.shape", ""),
        (b"OTSH\0\0\0\1", None, "headers.shape", ""),
        (_archive([]), None, "headers.shape", ""),
        (_json_lines(CHAIN) + b"\n\n", None, "headers.shape", ""),
        (b'{"height": 1}\n', None, "headers.shape", ""),
        (_json_lines(CHAIN, -1), None, "headers.shape", ""),
        (_json_lines(CHAIN).replace(b"100", b"100.0"), None, "headers.shape", ""),
        (b'{"height": 1, "header": "zz"}', None, "headers.shape", ""),
        (b'{"a": ' + b"[" * 900, None, "headers.shape", ""),
        (b'{"' + b"a" * 5000, None, "headers.shape", ""),
        (b"".join([*CHAIN[:5], NO_WORK, *CHAIN[6:]]), FIRST, "headers.work", "height 105"),
        (_json_lines([*CHAIN[:5], _IMPOSSIBLE]), None, "headers.work", "height 105"),
        (b"".join([*CHAIN[:5], OTHER[5]]), FIRST, "headers.link", "height 105"),
        (b"".join([CHAIN[0], CHAIN[2]]), FIRST, "headers.link", "height 101"),
        (_json_lines(CHAIN[:1], 5) + _json_lines(OTHER[:1], 5), None, CONFLICT, "height 5"),
    ],
)  # fmt: skip
def test_a_fault_refuses_the_whole_file(
    store: Store, data: bytes, height: int | None, code: str, where: str
) -> None:
    """It has a code, says where it is and what to do."""
    refused = _refused(store, data, height)
    assert (refused.code, refused.where) == (code, where)


def test_a_forged_header_is_refused_beside_stored_ones(store: Store) -> None:
    """Before, after, in place of and between stored headers: each has its own code."""
    _add(store, b"".join(CHAIN[3:6]), 3)
    _add(store, CHAIN[8], 8)
    after_others = header(block_hash(OTHER[1]), roots(1)[0], FIRST_TIME)
    assert _refused(store, after_others, 2).code == "headers.link"
    assert "next height" in _refused(store, OTHER[2], 2).message
    assert _refused(store, OTHER[6], 6).code == "headers.link"
    conflict = _refused(store, header(block_hash(CHAIN[3]), bytes(32), FIRST_TIME), 4)
    assert (conflict.code, conflict.where) == ("headers.conflict", "height 4")
    assert display_hash(block_hash(CHAIN[4])) in conflict.message
    between = chain(roots(2), block_hash(CHAIN[5]))
    assert (_refused(store, b"".join(between), 6).where) == "height 7"
    assert _add(store, b"".join(CHAIN[6:8]), 6) == (2, 0)


def test_the_status_of_the_header_chain(store: Store) -> None:
    """The least difficulty and all work, of each range; no chain is known in advance."""
    harder = (EASIEST & 0x00FFFFFF) | 0x1F000000
    first = chain(roots(3))
    second = chain(roots(2, 3), block_hash(first[-1]), FIRST_TIME + 1800, harder)
    _add(store, b"".join([*first, *second]), 0)
    _add(store, CHAIN[0], 9)
    low, high = header_ranges(store)
    assert (low.first, low.last, high.first, high.last) == (0, 4, 9, 9)
    assert (low.work, low.least_work, high.work) == (3 * 2 + 2 * 512, 2, 2)
    assert low.first_hash == display_hash(block_hash(first[0]))
    assert (low.first_time, low.last_time) == ("2026-05-28T20:26:40Z", "2026-05-28T21:06:40Z")
    assert low.words.startswith("least difficulty 4.657e-10, about 2 hashes for a block: such a")
    assert low.to_value()["work"] == "1030"


def test_the_work_on_a_block_counts_linked_headers_only(store: Store) -> None:
    harder = (EASIEST & 0x00FFFFFF) | 0x1F000000
    first = chain(roots(3))
    second = chain(roots(2, 3), block_hash(first[-1]), FIRST_TIME + 1800, harder)
    _add(store, b"".join([*first, *second]), 0)
    _add(store, CHAIN[0], 6)
    held = HeaderChain(store)
    found = [held.after(height) for height in (0, 1, 2, 3, 4, 6)]
    assert found == [(4, 1028), (3, 1026), (2, 1024), (1, 512), (0, 0), (0, 0)]
    assert (held.header(4), held.header(5), held.header(2**64)) == (second[-1], None, None)


def test_other_data_is_refused_by_its_beginning(store: Store) -> None:
    """No more than the beginning is read."""
    for begin, unit, height in (
        (b"", b"junk", 5),
        (b"", b"\0", 5),
        (b'{"', b"a", None),
        (b'{"', b"\n", None),
        (_archive([]), b"\xff", None),
    ):
        stream = io.BytesIO(begin + unit * ((16 << 20) // len(unit)))
        with pytest.raises(FormatError), store.transaction():
            add_headers(store, stream, height)
        assert stream.tell() < 1 << 20


def test_a_damaged_header_is_named_and_never_used(tmp_path: Path) -> None:
    """It goes to the quarantine, and can be added again."""
    path = tmp_path / "mirror.db"
    with open_store(path) as store:
        _add(store, b"".join(CHAIN), FIRST)
        store.connection.execute("UPDATE block_header SET header = ? WHERE id = 103", (OTHER[3],))
        with pytest.raises(CorruptStoreError):
            HeaderChain(store).header(103)
    (damage,) = check(path, CheckScope(), lambda _damage: None).damages
    assert (damage.table, damage.row_id) == ("block_header", 103)
    assert check_and_repair(path, CheckScope(), lambda _damage: None).is_repaired
    with open_store(path) as store:
        assert [(one.first, one.last) for one in header_ranges(store)] == [(100, 102), (104, 109)]
        assert _add(store, b"".join(CHAIN), FIRST) == (1, 9)


def test_the_first_block_is_salvaged_with_the_others(tmp_path: Path) -> None:
    """Its height is 0, and so is the id of its row."""
    path = tmp_path / "mirror.db"
    with open_store(path) as store:
        _add(store, b"".join(CHAIN), 0)
    recover(path, tmp_path / "aside.db")
    with open_store(path) as store:
        assert [(one.first, one.last) for one in header_ranges(store)] == [(0, 9)]
