"""How many processors may be used: the machine's, less what the system keeps from this process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mirror.engine.processors import cgroup_processors, usable_processors

UNIFIED = {"proc/self/cgroup": "0::/user/job\n"}
SPLIT = {"proc/self/cgroup": "3:memory:/other\n2:cpu,cpuacct:/job\n1:name=systemd:/\n"}

GROUPS = {
    "of itself": (UNIFIED | {"sys/fs/cgroup/user/job/cpu.max": "150000 100000\n"}, 1.5),
    "of one above": (UNIFIED | {"sys/fs/cgroup/user/cpu.max": "50000 100000\n"}, 0.5),
    "of all": (UNIFIED | {"sys/fs/cgroup/cpu.max": "400000 100000\n"}, 4.0),
    "the least counts": (
        UNIFIED
        | {
            "sys/fs/cgroup/user/job/cpu.max": "300000 100000\n",
            "sys/fs/cgroup/user/cpu.max": "200000 100000\n",
        },
        2.0,
    ),
    "no limit": (UNIFIED | {"sys/fs/cgroup/user/job/cpu.max": "max 100000\n"}, None),
    "seen from within": (
        {"proc/self/cgroup": "0::/../..\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"},
        2.0,
    ),
    "version 1": (
        SPLIT
        | {
            "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "250000\n",
            "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
        },
        2.5,
    ),
    "version 1 without a limit": (
        SPLIT
        | {
            "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
        },
        None,
    ),
    "period 0": (UNIFIED | {"sys/fs/cgroup/user/job/cpu.max": "150000 0\n"}, None),
    "not understood": ({"proc/self/cgroup": "odd\n"}, None),
    "no groups": ({}, None),
}


@pytest.mark.parametrize("name", GROUPS)
def test_the_share_of_a_control_group_is_read(tmp_path: Path, name: str) -> None:
    """Of both versions, and of the groups above."""
    files, expected = GROUPS[name]
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert expected == cgroup_processors(tmp_path)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_the_affinity_of_the_process_counts() -> None:
    """As `taskset` and batch systems set it."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_processors() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert 1 <= usable_processors() <= len(before)
