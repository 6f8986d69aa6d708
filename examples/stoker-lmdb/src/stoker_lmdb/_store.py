"""The store as one transaction sees it: jobs, their places, and the ways between the places."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import lmdb

from stoker.job import JobKey, JobState
from stoker_lmdb._environment import Environment
from stoker_lmdb._job import Job
from stoker_lmdb._layout import end_of, job_key, name_bytes, number_in, place_key, prefix_of


class Spot(NamedTuple):
    """A number in a place, and the id that has it."""

    number: int
    id: str


class Store:
    """What an operation works on. It ends with its transaction, and has one time: `now`."""

    def __init__(self, environment: Environment, txn: lmdb.Transaction[bytes], now: int) -> None:
        self.now = now
        self._txn = txn
        self._tables = environment.tables

    def get(self, key: JobKey) -> Job | None:
        """Return a job, without its payload; `None` if there is none."""
        data = self._txn.get(job_key(key), db=self._tables["jobs"])
        return None if data is None else Job.loads(key, data)

    def payload(self, job: Job) -> bytes:
        """Return the payload of a job."""
        return self._txn.get(job_key(job.key), b"", db=self._tables["payloads"])

    def at(self, job_id: str, queue: str) -> Job:
        """Return a job of which a place in `queue` has told."""
        key = JobKey(queue, job_id)
        return Job.loads(key, self._txn.get(job_key(key), b"", db=self._tables["jobs"]))

    # The ways between the places. A job leaves its old one in the step that brings the new one.

    def add(self, job: Job, payload: bytes, run_at: int) -> None:
        """Store a new job."""
        self._txn.put(job_key(job.key), payload, db=self._tables["payloads"])
        self.pend(job, run_at)

    def pend(self, job: Job, run_at: int) -> None:
        """Let a job wait for its time; if that has come, it is ready, behind all that are."""
        job.run_at = run_at
        if run_at > self.now:
            self._move(job, JobState.SCHEDULED, run_at)
        else:
            job.ready_at = self.now
            self._move(job, JobState.READY, self.next_number())

    def hold(self, job: Job, until: int) -> None:
        """Let a job run, under a lease that expires at `until`."""
        self._move(job, JobState.RUNNING, until)

    def end(self, job: Job, state: JobState) -> None:
        """Let a job end in `state`, or go at once if it is not to be kept."""
        age = job.keep.get(state)
        if age == 0:
            self.remove(job)
            job.state = state
        else:
            job.finished_at = self.now
            self._move(job, state, self.now + (age or 0))

    def remove(self, job: Job) -> None:
        """Delete a job, and all that belongs to it."""
        self._leave(job)
        for table in ("jobs", "payloads"):
            self._txn.delete(job_key(job.key), db=self._tables[table])

    def save(self, job: Job) -> None:
        """Store what was changed of a job that stays where it is."""
        self._txn.put(job_key(job.key), job.dumps(), db=self._tables["jobs"])

    def _move(self, job: Job, state: JobState, number: int) -> None:
        self._leave(job)
        job.state, job.number = state, number
        spot = place_key(job.key.queue, number)
        self._txn.put(spot, job.key.id.encode(), db=self._tables[job.place])
        self.save(job)

    def _leave(self, job: Job) -> None:
        # Of a new job, which has no place yet, this finds nothing to delete.
        spot = place_key(job.key.queue, job.number)
        self._txn.delete(spot, job.key.id.encode(), db=self._tables[job.place])

    def next_number(self) -> int:
        """Return a number greater than all before: the place of a ready job, or an epoch."""
        number = int.from_bytes(self._txn.get(b"number", b"", db=self._tables["meta"])) + 1
        self._txn.put(b"number", number.to_bytes(8), db=self._tables["meta"])
        return number

    # Walks over neighbours. A walk ends before anything is changed: take a list of it first.

    def spots(self, place: str, queue: str, *, newest_first: bool = False) -> Iterator[Spot]:
        """Walk over a place, in the order of its numbers and then of the ids."""
        for key, job_id in self._walk(place, queue, newest_first=newest_first):
            yield Spot(number_in(key), job_id.decode())

    def ids(self, queue: str, after: str | None, *, newest_first: bool) -> Iterator[str]:
        """Walk over the ids of a queue, in the order of their bytes, from behind `after` on."""
        prefix = prefix_of(queue)
        start = None if after is None else prefix + name_bytes(after)
        for key, _ in self._walk("jobs", queue, newest_first=newest_first, start=start):
            if key != start:
                yield key[len(prefix) :].decode()

    def _walk(
        self, table: str, queue: str, *, newest_first: bool, start: bytes | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        prefix = prefix_of(queue)
        with self._txn.cursor(self._tables[table]) as cursor:
            found = cursor.set_range(start or (end_of(queue) if newest_first else prefix))
            if newest_first and not (found and cursor.key() == start):
                found = cursor.prev() if found else cursor.last()
            while found and cursor.key().startswith(prefix):
                yield cursor.item()
                found = cursor.prev() if newest_first else cursor.next()

    # Queues

    def is_paused(self, queue: str) -> bool:
        """Whether a queue is paused."""
        return self._txn.get(name_bytes(queue), db=self._tables["paused"]) is not None

    def pause(self, queue: str, paused: bool) -> None:
        """Pause or resume a queue."""
        if paused:
            self._txn.put(name_bytes(queue), b"", db=self._tables["paused"])
        else:
            self._txn.delete(name_bytes(queue), db=self._tables["paused"])

    def queues(self) -> set[str]:
        """Return every queue that has a job or is paused, leaping over the jobs of each."""
        with self._txn.cursor(self._tables["paused"]) as cursor:
            queues = {key.decode() for key in cursor.iternext(values=False)}
        with self._txn.cursor(self._tables["jobs"]) as cursor:
            found = cursor.first()
            while found:
                queue = cursor.key().partition(b"\0")[0].decode()
                queues.add(queue)
                found = cursor.set_range(end_of(queue))
        return queues
