"""One process of the verifier for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.verifier.program import Program, started


@pytest.fixture(scope="session")
def program() -> Iterator[Program]:
    """The conformance program; a skip where there is no Node 20."""
    with started() as running:
        yield running
