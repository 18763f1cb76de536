"""Sources of every kind, with the same bundles."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import zstandard

from mirror.archive import write_bag, write_segments
from mirror.core.msgpack_values import pack
from tests.archive.tar_builders import Files, plain_tar, write_files

Texts = Sequence[bytes]
"""Bundles as JSON, each on one line, or invalid text."""


def lines(texts: Texts) -> bytes:
    """JSON Lines."""
    return b"\n".join(texts)


def named_files(texts: Texts) -> dict[str, bytes]:
    """The texts as files in folders, in an order that is not that of their names."""
    return {f"pith/{7 * at % 10}/{at}/bundle.json": text for at, text in enumerate(texts)}


def bag(texts: Texts, info: Sequence[tuple[str, str]] = (), *, packed: bool = False) -> bytes:
    """A bag as `mirror export` writes it, plain or packed."""
    return bag_of(
        dict(write_segments(map(packed_text, texts))) if packed else named_files(texts), info
    )


def bag_of(files: Files, info: Sequence[tuple[str, str]] = ()) -> bytes:
    """A bag of any files below `data`."""
    out = io.BytesIO()
    write_bag(out, files.items, info)
    return out.getvalue()


def packed_text(text: bytes) -> bytes:
    """A bundle as MessagePack; for invalid JSON, a byte that MessagePack does not use."""
    try:
        return pack(json.loads(text))
    except ValueError:
        return b"\xc1"


def _file(content: Callable[[Texts], bytes], path: Path, texts: Texts) -> None:
    path.write_bytes(content(texts))


def _folder(path: Path, texts: Texts) -> None:
    path.mkdir()
    write_files(path, named_files(texts))


KINDS: dict[str, Callable[[Path, Texts], None]] = {
    "bundle.json": partial(_file, lambda texts: texts[0] if texts else b""),
    "JSON Lines": partial(_file, lines),
    "JSON Lines in gzip": partial(_file, lambda texts: gzip.compress(lines(texts), mtime=0)),
    "a bag in zstd": partial(_file, lambda texts: zstandard.compress(bag(texts))),
    "a bag": partial(_file, bag),
    "a packed bag": partial(_file, partial(bag, packed=True)),
    "a tar": partial(_file, lambda texts: plain_tar(named_files(texts))),
    "a folder": _folder,
}
"""Writers of bundles for each kind of source."""
