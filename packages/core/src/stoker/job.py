"""What a job is called and which state it is in: the values that every layer shares."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

__all__ = [
    "DEFAULT_PRIORITY",
    "HIGHEST_PRIORITY",
    "LOWEST_PRIORITY",
    "PENDING_STATES",
    "TERMINAL_STATES",
    "JobKey",
    "JobState",
    "Token",
]

LOWEST_PRIORITY: Final = 0
"""Runs last."""
DEFAULT_PRIORITY: Final = 4
"""What a job has that nobody gave a priority."""
HIGHEST_PRIORITY: Final = 9
"""Runs first."""


class JobState(StrEnum):
    """The six states of a job.

    ::

        scheduled -> ready -> running -> completed | failed | cancelled
                       ^         |
                       +---------+   retry, release, snooze, reap: back to scheduled or ready

    `failed` and `cancelled` go back to `ready` by a manual retry only.
    """

    SCHEDULED = "scheduled"
    READY = "ready"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


PENDING_STATES = frozenset({JobState.SCHEDULED, JobState.READY})
"""States of a job that waits for a worker."""

TERMINAL_STATES = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})
"""States of a job that has ended."""


class JobKey(NamedTuple):
    """The identity of a job: its queue, and its id within that queue."""

    queue: str
    id: str


class Token(NamedTuple):
    """The right to settle one run of a job.

    `epoch` is greater than any issued before in the same queue, so a token of an earlier run of
    the same job never fits a later one.
    """

    key: JobKey
    epoch: int
