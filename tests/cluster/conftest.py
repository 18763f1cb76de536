"""A cluster on this machine, for all tests of a session: starting one takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from distributed import Client

from tests.cluster.dask_program import local_cluster


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    """Two processes as workers; no test may kill one."""
    with local_cluster(2) as client:
        yield client
