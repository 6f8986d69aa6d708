"""The model of an inspector."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from stoker.driver import JobKey, JobQuery, JobRecord, JobState, QueueStats
from stoker_conformance.expect import expect, expect_that
from stoker_conformance.model.world import World

__all__ = ["check_queues", "check_stats", "search", "states"]


def states(world: World, names: Sequence[JobKey]) -> list[JobState | None]:
    """Return the states of jobs."""
    return [world.records[key].state if key in world.records else None for key in names]


def search(world: World, queue: str, query: JobQuery) -> list[str]:
    """Return the ids that a search finds, sorted; which order it uses is not specified."""
    return sorted(
        record.key.id
        for record in world.records.values()
        if record.key.queue == queue and _matches(record, query)
    )


def check_stats(world: World, queue: str, cap: int, now: datetime, seen: QueueStats) -> None:
    """Check what stats say of one queue."""
    counts = {state: len(world.in_state([queue], state)) for state in JobState}
    expected = {
        state: number if state is JobState.RUNNING else min(number, cap)
        for state, number in counts.items()
    }
    expect(f"the counts of {queue!r}", dict(seen.counts), expected)
    for state, number in counts.items():
        stopped = state in seen.at_least
        if number != cap or state is JobState.RUNNING:  # at the cap, either is true
            more = number > cap and state is not JobState.RUNNING
            expect(f"whether the count of {state} jobs stopped at the cap", stopped, more)
    since = [record.ready_at for record in world.in_state([queue], JobState.READY)]
    oldest = min((moment for moment in since if moment is not None), default=None)
    expect("oldest_ready", seen.oldest_ready, None if oldest is None else now - oldest)
    expect(f"whether {queue!r} is paused", seen.paused, queue in world.paused)


def check_queues(world: World, seen: Sequence[str]) -> None:
    """Check that every queue is listed that has to be; more may be."""
    needed = {key.queue for key in world.records} | {queue for queue, _ in world.schedules}
    missing = (needed | world.paused) - set(seen)
    expect_that("every queue with a job, a schedule or a pause is listed", not missing, missing)


def _matches(record: JobRecord, query: JobQuery) -> bool:
    return (
        (query.states is None or record.state in query.states)
        and (query.names is None or record.name in query.names)
        and (query.ids is None or record.key.id in query.ids)
        and query.tags <= set(record.tags)
        and query.metadata.items() <= record.metadata.items()
        and (query.enqueued_from is None or record.enqueued_at >= query.enqueued_from)
        and (query.enqueued_to is None or record.enqueued_at < query.enqueued_to)
    )
