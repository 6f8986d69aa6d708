"""Changes from outside of a worker."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from stoker.driver import Changed, ChangeStatus, JobKey, JobState, Keep, Retention, When, resolve
from stoker.driver.checks import check_cancel, check_keys, check_purge, check_text, check_when
from stoker.job import PENDING_STATES, TERMINAL_STATES
from stoker_lmdb._client import Client, Now
from stoker_lmdb._job import Job, micros
from stoker_lmdb._store import Store

Step: TypeAlias = Callable[[Store, Job], ChangeStatus]


class Administering(Client):
    """The role of `stoker.driver.Admin`."""

    async def cancel(
        self, keys: Sequence[JobKey], *, reason: str, now: Now = None
    ) -> list[Changed]:
        check_cancel(self.info, keys, reason)

        def step(store: Store, job: Job) -> ChangeStatus:
            if job.state is JobState.RUNNING:
                job.cancel_reason = reason if job.cancel_reason is None else job.cancel_reason
                store.save(job)
                return ChangeStatus.REQUESTED
            job.cancel_reason = reason
            store.end(job, JobState.CANCELLED)
            return ChangeStatus.DONE

        return await self._change(keys, {*PENDING_STATES, JobState.RUNNING}, step, now)

    async def retry(self, keys: Sequence[JobKey], *, now: Now = None) -> list[Changed]:
        check_keys(self.info, keys)

        def step(store: Store, job: Job) -> ChangeStatus:
            job.attempt = job.crashes = job.snoozes = 0
            job.cancel_reason = job.settled = job.parked_since = job.finished_at = None
            store.pend(job, store.now)
            return ChangeStatus.DONE

        return await self._change(keys, {JobState.FAILED, JobState.CANCELLED}, step, now)

    async def reschedule(
        self, keys: Sequence[JobKey], when: When, *, now: Now = None
    ) -> list[Changed]:
        check_keys(self.info, keys)
        check_when(when)

        def step(store: Store, job: Job) -> ChangeStatus:
            run_at = resolve(when, store.now)
            if job.state is JobState.READY and run_at <= store.now:
                job.run_at = run_at
                store.save(job)  # it keeps its place in the line
            else:
                store.pend(job, run_at)
            return ChangeStatus.DONE

        return await self._change(keys, PENDING_STATES, step, now)

    async def remove(self, keys: Sequence[JobKey]) -> list[Changed]:
        check_keys(self.info, keys)

        def step(store: Store, key: JobKey) -> Changed:
            job = store.get(key)
            if job is None:
                return Changed(ChangeStatus.GONE)
            store.remove(job)
            return Changed(ChangeStatus.DONE)

        return await self._each(step, keys)

    async def pause(self, queue: str, paused: bool) -> None:
        check_text("queue", queue)
        await self._transact(lambda store: store.pause(queue, paused))

    async def purge(self, queue: str, policy: Retention, *, limit: int, now: Now = None) -> int:
        check_purge(policy, limit)

        def delete(store: Store) -> int:
            left = limit
            for state in sorted(TERMINAL_STATES):
                keep: Keep = getattr(policy, state)
                left -= _drop(store, queue, f"kept {state}", left, store.now)
                if keep.max_age is not None:
                    left -= _drop(store, queue, state, left, store.now - micros(keep.max_age) - 1)
                if keep.newest is not None:
                    more = max(0, store.count(queue, state) - keep.newest)
                    left -= _drop(store, queue, state, min(left, more), None)
            return limit - left

        return await self._transact(delete, now)

    async def _change(
        self, keys: Sequence[JobKey], states: Collection[JobState], step: Step, now: Now
    ) -> list[Changed]:
        """Do a step for each job that is in one of the states."""

        def change(store: Store, key: JobKey) -> Changed:
            job = store.get(key)
            if job is None:
                return Changed(ChangeStatus.GONE)
            if job.state not in states:
                return Changed(ChangeStatus.NOT_APPLICABLE, job.state)
            status = step(store, job)
            return Changed(status, job.state)

        return await self._each(change, keys, now)


def _drop(store: Store, queue: str, place: str, limit: int, until: int | None) -> int:
    """Remove the first jobs of a place."""
    doomed = store.first(queue, place, limit, until)
    for job in doomed:
        store.remove(job)
    return len(doomed)
