"""What an invariant found: a sentence, and the few operations that prove it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stoker.driver import JobKey
from stoker_conformance.history.events import Operation
from stoker_conformance.history.facts import History

__all__ = ["Check", "Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A place where the history breaks an invariant."""

    what: str
    """What is wrong, in one sentence without a full stop."""
    evidence: tuple[Operation, ...]
    """The operations that prove it, in the order in which they are to be read."""
    key: JobKey | None = None
    """The job it is about, if it is about one; the other items of the operations are not shown."""
    other: JobKey | None = None
    """A second job that it is about."""


Check = Callable[[History], Iterator[Finding]]
"""An invariant: yields where a history breaks it."""
