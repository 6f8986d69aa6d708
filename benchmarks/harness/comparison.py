"""What the comparisons on different servers have in common."""

from __future__ import annotations

import sys
from typing import Final

from benchmarks.harness.measures import BULK, DELAY, DRAIN, DRAIN_TWO, ONE_BY_ONE, PICK_UP
from benchmarks.harness.report import Column

__all__ = ["ALL", "DRAINS", "THROUGHPUT", "python"]

ALL: Final = frozenset({ONE_BY_ONE, BULK, DRAIN, DRAIN_TWO, PICK_UP, DELAY})
DRAINS: Final = frozenset({DRAIN, DRAIN_TWO})

_RATE: Final = "jobs_per_second"

THROUGHPUT: Final = (
    Column("one by one /s", ONE_BY_ONE, _RATE),
    Column("bulk /s", BULK, _RATE),
    Column("drain /s", DRAIN, _RATE),
    Column("two workers /s", DRAIN_TWO, _RATE),
    Column("pick-up p50 ms", PICK_UP, "p50_ms", 1),
    Column("p95 ms", PICK_UP, "p95_ms", 1),
    Column("late by p50 ms", DELAY, "p50_ms", 1),
    Column("p95 ms", DELAY, "p95_ms", 1),
)


def python(module: str, *options: str) -> list[str]:
    """Return the command that runs a peer which is written in Python."""
    return [sys.executable, "-m", "benchmarks.peers", module, *options]
