"""What the steps of a program ask for: few jobs, keys and lengths, so that they meet often.

No request depends on what a driver has answered, only on what Hypothesis chose: a driver is free
to answer the same question in two ways, and a program has to stay the same program all the same.
So times are chosen by their distance, and jobs and tokens by a number: the lower it is, the more
there is to be done with what it stands for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from hypothesis.strategies import (
    booleans,
    builds,
    integers,
    lists,
    none,
    sampled_from,
)

from stoker.driver import (
    Cancel,
    Complete,
    Fail,
    JobQuery,
    JobState,
    Keep,
    KeepFor,
    OnConflict,
    Outcome,
    Release,
    Retention,
    Retry,
    Snooze,
    Until,
    When,
)

__all__ = [
    "CLIENTS",
    "IDS",
    "JobRequest",
    "OutcomeRequest",
    "Time",
    "UniqueRequest",
    "clients",
    "delays",
    "fillers",
    "jobs",
    "key_lists",
    "lengths",
    "limits",
    "outcomes",
    "pauses",
    "policies",
    "queries",
    "queue_lists",
    "queues",
    "reports",
    "steps_of_time",
    "times",
    "tokens",
    "waits",
]

CLIENTS: Final = 2
IDS: Final = ("a", "b", "c", "d")
_ZERO, _TEN = timedelta(0), timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Time:
    """A time in a request, so far from the `now` of the operation."""

    seconds: int
    exact: bool = False
    """Given as a point in time, as one in the past always is."""


@dataclass(frozen=True, slots=True)
class UniqueRequest:
    """A unique key to ask for."""

    key: str
    until: Until | Time = Until.FINISH
    on_conflict: OnConflict = OnConflict.KEEP


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job to enqueue."""

    queue: int = 0
    id: int = 0
    nonce: str = ""
    run_at: Time = Time(0)
    priority: int = 4
    max_attempts: int = 1
    max_crashes: int = 5
    keep: KeepFor | None = None
    unique: UniqueRequest | None = None
    dressed: bool = False
    """Whether it has a value in every field, not only where it has to."""


@dataclass(frozen=True, slots=True)
class OutcomeRequest:
    """An outcome to settle with, once the time is known that it may have."""

    outcome: Callable[[When], Outcome]
    when: Time = Time(0)


@dataclass(frozen=True, slots=True)
class Report:
    """What a handler has to tell, for drivers that keep it."""

    progress: bytes | None = None
    logs: tuple[bytes, ...] = ()


clients: Final = integers(0, CLIENTS - 1)
queues: Final = sampled_from([0, 0, 0, 0, 1])
queue_lists: Final = sampled_from([(0,), (0,), (0, 1), (1,)])
limits: Final = integers(1, 3)
pauses: Final = sampled_from([False, False, False, True])
lengths: Final = sampled_from([_TEN, _TEN, 3 * _TEN])
delays: Final = sampled_from([_ZERO, _TEN])
waits: Final = sampled_from([_ZERO, _TEN, 3 * _TEN])
tokens: Final = lists(sampled_from([0, 0, 0, 1, 1, 2, 3]), min_size=1, max_size=2)
key_lists: Final = lists(sampled_from([0, 0, 0, 0, 1, 1, 2, 5]), min_size=1, max_size=2)
steps_of_time: Final = sampled_from(["tick", "almost ten", "ten", "minute"])
times: Final = sampled_from(
    [
        *[Time(0)] * 6,
        *(Time(10), Time(20)),
        *(Time(-10), Time(0, exact=True), Time(10, exact=True)),
    ]
)
reports: Final = builds(
    Report,
    sampled_from([None, b"0.1", b"0.9"]),
    sampled_from([(), (b'"one"',), (b'"one"', b'"two"')]),
)

_keeps: Final = sampled_from(
    [
        None,
        KeepFor(completed=_ZERO, failed=_ZERO, cancelled=_ZERO),
        KeepFor(completed=_TEN, failed=_TEN),
    ]
)
_uniques: Final = builds(
    UniqueRequest,
    sampled_from(["k", "k", "k", "l"]),
    sampled_from([Until.FINISH, Until.START, Time(10), Time(60, exact=True)]),
    sampled_from(list(OnConflict)),
)
jobs: Final = lists(
    builds(
        JobRequest,
        queue=queues,
        id=sampled_from([0, 0, 0, 1, 2, 3]),
        nonce=sampled_from(["", "n-1", "n-2"]),
        run_at=times,
        priority=sampled_from([4, 9, 0]),
        max_attempts=integers(1, 2),
        max_crashes=sampled_from([5, 0, 1]),
        keep=_keeps,
        unique=none() | _uniques,
        dressed=booleans(),
    ),
    min_size=1,
    max_size=3,
)

fillers: Final = sampled_from(
    [
        JobRequest(),
        JobRequest(max_attempts=2, unique=UniqueRequest("k")),
        JobRequest(max_attempts=2, unique=UniqueRequest("k", Until.START)),
        JobRequest(max_attempts=2, unique=UniqueRequest("k", Time(60))),
        JobRequest(unique=UniqueRequest("k", on_conflict=OnConflict.REPLACE)),
    ]
)
"""What is enqueued when there is nothing to claim."""

outcomes: Final = builds(
    OutcomeRequest,
    sampled_from(
        [
            lambda when: Complete(),
            lambda when: Complete(b'"result"'),
            lambda when: Retry(when, b'"error"'),
            lambda when: Fail(b'"failed"'),
            Release,
            lambda when: Release(when, parked=True),
            Snooze,
            lambda when: Cancel("by its worker"),
        ]
    ),
    times,
)

_keep_rules: Final = sampled_from([Keep(), Keep(newest=0), Keep(newest=1), Keep(max_age=_TEN)])
policies: Final = builds(Retention, _keep_rules, _keep_rules, _keep_rules)
queries: Final = builds(
    JobQuery,
    states=sampled_from(
        [
            None,
            frozenset({JobState.READY, JobState.SCHEDULED}),
            frozenset({JobState.RUNNING}),
            frozenset({JobState.COMPLETED, JobState.CANCELLED}),
        ]
    ),
    ids=sampled_from([None, frozenset(IDS[:2])]),
    tags=sampled_from([frozenset[str](), frozenset({"red"})]),
    newest_first=booleans(),
    limit=integers(1, 3),
)
