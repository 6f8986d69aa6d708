"""The harnesses of the drivers in this repository: each is among the tests of its driver."""

import sys
from pathlib import Path

_PACKAGES = Path(__file__).parents[2] / "packages"
sys.path[:0] = [str(_PACKAGES / f"driver-{name}" / "tests") for name in ("memory", "sqlite")]

from memory_harness import MemoryHarness  # noqa: E402 - the path comes first
from sqlite_harness import SqliteHarness  # noqa: E402 - as above

__all__ = ["MemoryHarness", "SqliteHarness"]
