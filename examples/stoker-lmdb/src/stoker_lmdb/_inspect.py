"""Questions about jobs and queues, each answered from one snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from stoker.driver import JobKey, JobQuery, JobRecord, JobState, Page, QueueStats, to_micros
from stoker.driver.checks import check_keys, check_limit, check_query, check_text
from stoker_lmdb._client import Client, Now
from stoker_lmdb._job import Job
from stoker_lmdb._store import Store

_STEP: Final = 1_000
"""How many jobs one page looks at, however few of them match."""


class Inspecting(Client):
    """The role of `stoker.driver.Inspector`."""

    async def get(self, keys: Sequence[JobKey]) -> list[JobRecord | None]:
        check_keys(self.info, keys)

        def step(store: Store, key: JobKey) -> JobRecord | None:
            job = store.get(key)
            return None if job is None else job.record(store.payload(job))

        return await self._each(step, keys)

    async def states(self, keys: Sequence[JobKey]) -> list[JobState | None]:
        check_keys(self.info, keys)

        def step(store: Store, key: JobKey) -> JobState | None:
            job = store.get(key)
            return None if job is None else job.state

        return await self._each(step, keys)

    async def search(self, queue: str, query: JobQuery, cursor: str | None = None) -> Page:
        """Look at the next jobs in the order of the bytes of their ids.

        The cursor is the id looked at last: a place in that order, whether or not it still exists.
        """
        check_query(query)
        if cursor is not None:
            check_text("cursor", cursor)

        def look(store: Store) -> Page:
            records: list[JobRecord] = []
            ids = store.ids(queue, cursor, newest_first=query.newest_first)
            for number, job_id in enumerate(ids, start=1):
                job = store.get(JobKey(queue, job_id))
                if job is not None and _matches(job, query):
                    records.append(job.record(store.payload(job)))
                if len(records) == query.limit or number == _STEP:
                    return Page(records, job_id)
            return Page(records, None)

        return await self._transact(look)

    async def queues(self) -> list[str]:
        return await self._transact(Store.queues)

    async def stats(
        self, queues: Sequence[str], *, cap: int = 10_000, now: Now = None
    ) -> dict[str, QueueStats]:
        check_limit("cap", cap)

        def count(store: Store) -> dict[str, QueueStats]:
            return {queue: _stats_of(store, queue, cap) for queue in queues}

        return await self._transact(count, now)


def _stats_of(store: Store, queue: str, cap: int) -> QueueStats:
    counts = {
        state: store.count(queue, state) + store.count(queue, f"kept {state}") for state in JobState
    }
    over = frozenset(
        state for state, count in counts.items() if count > cap and state is not JobState.RUNNING
    )
    ages = [store.now - (job.ready_at or 0) for job in store.first(queue, JobState.READY, 1)]
    return QueueStats(
        counts=counts | dict.fromkeys(over, cap),
        at_least=over,
        oldest_ready=timedelta(microseconds=max(0, *ages)) if ages else None,
        paused=store.is_paused(queue),
    )


def _matches(job: Job, query: JobQuery) -> bool:
    begin, end = query.enqueued_from, query.enqueued_to
    return (
        (query.states is None or job.state in query.states)
        and (query.names is None or job.name in query.names)
        and (query.ids is None or job.key.id in query.ids)
        and query.tags.issubset(job.tags)
        and query.metadata.items() <= job.metadata.items()
        and (begin is None or to_micros(begin) <= job.enqueued_at)
        and (end is None or job.enqueued_at < to_micros(end))
    )
