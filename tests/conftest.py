"""What all tests share: how long hypothesis may search."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

PROPERTIES = Path(__file__).parent / "properties"

settings.register_profile(
    "short",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "long", settings.get_profile("short"), derandomize=False, max_examples=5000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))


@pytest.hookimpl(trylast=True)  # after hypothesis has marked its own
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure coverage by examples alone: under it, properties take more than twice as long."""
    for item in items:
        if item.get_closest_marker("hypothesis") or item.path.is_relative_to(PROPERTIES):
            item.add_marker(pytest.mark.no_cover)
