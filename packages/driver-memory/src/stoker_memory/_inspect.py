"""Questions: records, pages of records, and how full queues are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Final

from stoker.driver import JobKey, JobQuery, JobRecord, Page, QueueStats, to_micros
from stoker.errors import InvalidInput
from stoker.job import JobState
from stoker_memory._job import Job, record_of
from stoker_memory._queue import Queue
from stoker_memory._store import Store
from stoker_memory._times import span

__all__ = ["get", "next_due_in", "queues", "search", "states", "stats"]

_MOST_EXAMINED: Final = 1_000
"""How many jobs one search looks at before it hands back what it has."""


def get(store: Store, keys: Sequence[JobKey]) -> list[JobRecord | None]:
    """Return the record of each key, where there is one."""
    found = (store.find(key)[1] for key in keys)
    return [None if job is None else record_of(job) for job in found]


def states(store: Store, keys: Sequence[JobKey]) -> list[JobState | None]:
    """Return the state of each key, where there is a record."""
    found = (store.find(key)[1] for key in keys)
    return [None if job is None else job.state for job in found]


def search(store: Store, name: str, query: JobQuery, cursor: str | None) -> Page:
    """Return a page of the jobs that match, in the order of insertion or its reverse."""
    position = None if cursor is None else _position(cursor)
    queue = store.queues.get(name)
    if queue is None:
        return Page([], None)
    matches = _filter(query)
    records: list[JobRecord] = []
    last: int | None = None
    for examined, job in enumerate(_candidates(queue, query, position)):
        if len(records) == query.limit or examined == _MOST_EXAMINED:
            return Page(records, str(last))
        if matches(job):
            records.append(record_of(job))
        last = job.sequence
    return Page(records, None)


def queues(store: Store) -> list[str]:
    """Return the queues that hold a job, a schedule or a pause."""
    held = {queue.name for queue in store.queues.values() if queue.jobs or queue.paused}
    return sorted(held.union(store.schedules.queues()))


def stats(store: Store, names: Sequence[str], cap: int, now: int) -> dict[str, QueueStats]:
    """Count the jobs of each queue by state."""
    return {name: _stats(store.queues.get(name) or Queue(name), cap, now) for name in names}


def next_due_in(store: Store, names: Iterable[str], now: int) -> timedelta | None:
    """Return the time to the earliest scheduled job of some queues."""
    earliest: int | None = None
    for queue in store.known(names):
        due = queue.next_due()
        if due is not None and (earliest is None or due < earliest):
            earliest = due
    return None if earliest is None else span(earliest - now)


def _stats(queue: Queue, cap: int, now: int) -> QueueStats:
    sizes = {state: queue.count(state) for state in JobState}
    capped = {state for state, size in sizes.items() if size > cap} - {JobState.RUNNING}
    counts = {state: cap if state in capped else size for state, size in sizes.items()}
    oldest = queue.oldest_ready()
    age = None if oldest is None else span(now - oldest)
    return QueueStats(counts, frozenset(capped), age, queue.paused)


def _candidates(queue: Queue, query: JobQuery, position: int | None) -> Iterator[Job]:
    """Yield the jobs beyond `position` that are worth a look."""
    if query.ids is None:
        order = queue.order
        return order.before(position) if query.newest_first else order.after(position)
    named = [job for name in query.ids if (job := queue.jobs.get(name)) is not None]
    named.sort(key=lambda job: job.sequence, reverse=query.newest_first)
    if position is None:
        return iter(named)
    if query.newest_first:
        return (job for job in named if job.sequence < position)
    return (job for job in named if job.sequence > position)


def _filter(query: JobQuery) -> Callable[[Job], bool]:
    """Return whether a job satisfies every condition of the query; its id is seen to."""
    start = None if query.enqueued_from is None else to_micros(query.enqueued_from)
    end = None if query.enqueued_to is None else to_micros(query.enqueued_to)
    wanted = query.metadata.items()

    def matches(job: Job) -> bool:
        return (
            (query.states is None or job.state in query.states)
            and (query.names is None or job.new.name in query.names)
            and query.tags.issubset(job.tags)
            and wanted <= job.metadata.items()
            and (start is None or job.enqueued_at >= start)
            and (end is None or job.enqueued_at < end)
        )

    return matches


def _position(cursor: str) -> int:
    """Return the sequence number that a cursor holds."""
    if cursor.isascii() and cursor.isdigit() and len(cursor) < 20:
        return int(cursor)
    raise InvalidInput(f"{cursor[:80]!r} is not a cursor of this driver")
