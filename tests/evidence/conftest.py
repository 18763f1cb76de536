"""The evidence of a record that has everything."""

from __future__ import annotations

import pytest

from tests.builders import Object
from tests.evidence.samples import make_sample_store, sample_evidence


@pytest.fixture(scope="package")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Object:
    """The document; a test that changes it copies it first."""
    return sample_evidence(make_sample_store(tmp_path_factory.mktemp("evidence")))
