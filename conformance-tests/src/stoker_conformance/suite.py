"""All cases against one harness, as pytest collects them.

The plugin collects this very file once per `--harness`; a test module may also hold a `Suite`
under any name at its top level.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
    without: Mapping[str, str] = field(default_factory=dict[str, str])
    """Cases that cannot be run here, by id, and why: on a server that others use, those that
    restart it. They are skipped, and the result is `partial` at best."""
