"""DER: values one after the other, and lengths that lie."""

from __future__ import annotations

import pytest

from mirror.engine.anchors.der import DerError, elements, only, write


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 70_000])
def test_a_written_value_is_read_again(size: int) -> None:
    """With a length of one byte or of several."""
    value = write(0x04, [bytes(size)])
    found = only(value)
    assert (0x04, size, value) == (found.tag, len(found.content), found.whole)
    assert [value, value] == [one.whole for one in elements(value * 2)]


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x30", b"\x30\x80\x00\x00", b"\x30\x01", b"\x30\x85\x00\x00\x00\x00\x00",
        b"\x1f\x01\x00", b"\x30\x82\x01", b"\x30\x84\xff\xff\xff\xff", b"\x30\x00\x30\x00",
    ],
)  # fmt: skip
def test_anything_else_is_refused(data: bytes) -> None:
    """Without reading beyond the end."""
    with pytest.raises(DerError):
        only(data)
