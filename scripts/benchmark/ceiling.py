"""How many signatures a library verifies in a second, doing nothing else.

    python -m benchmark.ceiling SIGNATURES BACKEND THREADS

Each signature is another one, of the corpus; a false one raises. Keys are parsed before the clock
starts. It prints how many were verified, and the seconds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Entry: TypeAlias = tuple[bytes, bytes, bytes]
"""Raw public key, digest, signature."""


def main(path: Path, backend: str, threads: int) -> None:
    """Verify every signature of a file once, and print how long it took."""
    entries = _entries(path.read_bytes())
    verify_all = {"cryptography": _cryptography, "pynacl": _pynacl}[backend](entries)
    shares = [entries[share::threads] for share in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(len, shares))  # starts the threads before the clock
        started = time.perf_counter()
        list(pool.map(verify_all, shares))
        seconds = time.perf_counter() - started
    print(json.dumps({"signatures": len(entries), "seconds": seconds}))


def _entries(data: bytes) -> list[Entry]:
    starts = range(0, len(data), 128)
    return [
        (data[at : at + 32], data[at + 32 : at + 64], data[at + 64 : at + 128]) for at in starts
    ]


def _cryptography(entries: Sequence[Entry]) -> Callable[[Sequence[Entry]], None]:
    keys = {key: Ed25519PublicKey.from_public_bytes(key) for key, _, _ in entries}

    def verify_all(share: Sequence[Entry]) -> None:
        for key, digest, signature in share:
            keys[key].verify(signature, digest)

    return verify_all


def _pynacl(_entries: Sequence[Entry]) -> Callable[[Sequence[Entry]], None]:
    from nacl.bindings import crypto_sign_open  # noqa: PLC0415 - it may not be installed

    def verify_all(share: Sequence[Entry]) -> None:
        for key, digest, signature in share:
            crypto_sign_open(signature + digest, key)

    return verify_all


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
