"""Questions about jobs and queues, each answered from one snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import chain, islice
from typing import Final

from stoker.driver import JobQuery, JobRecord, Page, QueueStats, to_micros
from stoker.job import JobKey, JobState
from stoker_lmdb._job import Job
from stoker_lmdb._layout import KEPT, name_bytes
from stoker_lmdb._store import Store

_STEP: Final = 1_000
"""How many jobs one page looks at, however few of them match."""


def get(store: Store, key: JobKey) -> JobRecord | None:
    """Return the record of a job."""
    job = store.get(key)
    return None if job is None else job.record(store.payload(job))


def state(store: Store, key: JobKey) -> JobState | None:
    """Return the state of a job, without reading its payload."""
    job = store.get(key)
    return None if job is None else job.state


def search(store: Store, queue: str, query: JobQuery, cursor: str | None) -> Page:
    """Return the jobs that match among the next ones, in the order of the bytes of their ids.

    The cursor is the id looked at last: a place in that order, whether or not it still exists.
    """
    records: list[JobRecord] = []
    for number, job_id in enumerate(_candidates(store, queue, query, cursor), start=1):
        job = store.get(JobKey(queue, job_id))
        if job is not None and _matches(job, query):
            records.append(job.record(store.payload(job)))
        if len(records) == query.limit or number == _STEP:
            return Page(records, job_id)
    return Page(records, None)


def stats(store: Store, queues: Sequence[str], cap: int) -> dict[str, QueueStats]:
    """Count the jobs of each queue; a place has no other rows than those to be counted."""
    return {queue: _stats_of(store, queue, cap) for queue in queues}


def _stats_of(store: Store, queue: str, cap: int) -> QueueStats:
    counts = {state: _count(store, queue, state, cap) for state in JobState}
    ready = next(store.spots(JobState.READY, queue), None)
    since = None if ready is None else store.at(ready.id, queue).ready_at
    return QueueStats(
        counts={state: count for state, (count, _) in counts.items()},
        at_least=frozenset(state for state, (_, more) in counts.items() if more),
        oldest_ready=None if since is None else timedelta(microseconds=max(0, store.now - since)),
        paused=store.is_paused(queue),
    )


def _candidates(store: Store, queue: str, query: JobQuery, after: str | None) -> Iterator[str]:
    """Walk over the ids that may match, from behind `after` on."""
    if query.ids is None:
        yield from store.ids(queue, after, newest_first=query.newest_first)
        return
    for job_id in sorted(query.ids, key=name_bytes, reverse=query.newest_first):
        if after is None or _is_behind(job_id, after, query):
            yield job_id


def _is_behind(job_id: str, after: str, query: JobQuery) -> bool:
    if query.newest_first:
        return name_bytes(job_id) < name_bytes(after)
    return name_bytes(job_id) > name_bytes(after)


def _matches(job: Job, query: JobQuery) -> bool:
    begin, end = query.enqueued_from, query.enqueued_to
    return (
        (query.states is None or job.state in query.states)
        and (query.names is None or job.name in query.names)
        and query.tags.issubset(job.tags)
        and query.metadata.items() <= job.metadata.items()
        and (begin is None or to_micros(begin) <= job.enqueued_at)
        and (end is None or job.enqueued_at < to_micros(end))
    )


def _count(store: Store, queue: str, state: JobState, cap: int) -> tuple[int, bool]:
    """Count the jobs in a state; also whether there are more than `cap`, where it stops."""
    rows = chain.from_iterable(
        store.spots(place, queue) for place in (state, KEPT.get(state)) if place
    )
    count = sum(1 for _ in (rows if state is JobState.RUNNING else islice(rows, cap + 1)))
    more = count > cap and state is not JobState.RUNNING
    return (cap, True) if more else (count, False)
