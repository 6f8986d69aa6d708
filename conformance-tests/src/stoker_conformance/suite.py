"""All cases against one harness, as pytest collects them.

The plugin collects this very file once per `--harness`; a test module may also hold a `Suite`
under any name at its top level.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stoker_conformance.bench import Level
from stoker_conformance.harness import Harness

__all__ = ["Suite"]


@dataclass(frozen=True, slots=True)
class Suite:
    """Put this into a test module, and pytest runs all cases there.

    conformance = Suite(MyHarness)
    """

    harness: Callable[[], Harness[Any]]
    """Makes the harness: the class itself, or a function without parameters."""
    level: Level | None = None
    """`None`: what the option `--level` says."""
