"""The store as one transaction sees it: jobs, their places, and the ways between the places.

    ========== ==================== ==========================================================
    jobs       queue NUL id         all of a job but its payload, as JSON
    payloads   queue NUL id         the payload: written once, read by a claim or a `get`
    places     queue NUL place      many values, each a number and the id that has it
    meta       a word               the version of this layout; the last number given out
    ========== ==================== ==========================================================

A job has exactly one place: its state. The number orders it there, so that every question an
operation has ("which are due", "whose lease has expired", "which is next") is one for the first of
a place. LMDB sorts keys as bytes, and the values of one key as bytes as well. A paused queue has
one more place, `paused`.

Names hold no control characters, so NUL ends a queue and no queue is the beginning of another. Two
names of 255 bytes and the NUL are 511 bytes: the longest key that LMDB takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, takewhile
from typing import Final

import lmdb

from stoker.driver import JobKey, JobState
from stoker.driver.checks import check_text
from stoker.errors import InvalidInput
from stoker_lmdb._job import Job

TABLES: Final = ("jobs", "payloads", "places", "meta")

_SIGN: Final = 1 << 63
_PAUSED: Final = "paused"


class Store:
    """What an operation works on. It ends with its transaction, and has one time: `now`."""

    def __init__(
        self, txn: lmdb.Transaction[bytes], tables: Mapping[str, lmdb._Database], now: int
    ) -> None:
        self.now = now
        self._txn = txn
        self._tables = tables

    def get(self, key: JobKey) -> Job | None:
        """Return a job, without its payload; `None` if there is none."""
        data = self._txn.get(_key(*key), db=self._tables["jobs"])
        return None if data is None else Job.loads(key, data)

    def payload(self, job: Job) -> bytes:
        """Return the payload of a job."""
        return self._txn.get(_key(*job.key), b"", db=self._tables["payloads"])

    # The ways between the places. A job leaves its old one in the step that brings the new one.

    def add(self, job: Job, payload: bytes) -> None:
        """Store a new job."""
        self._txn.put(_key(*job.key), payload, db=self._tables["payloads"])
        self.pend(job, job.run_at)

    def pend(self, job: Job, run_at: int) -> None:
        """Let a job wait for its time; if that has come, it is ready, behind all that are."""
        job.run_at = run_at
        if run_at > self.now:
            self.move(job, JobState.SCHEDULED, run_at)
        else:
            job.ready_at = self.now
            self.move(job, JobState.READY, self.next_number())

    def end(self, job: Job, state: JobState) -> None:
        """Let a job end in `state`, or go at once if it is not to be kept."""
        age = job.keep.get(state)
        if age == 0:
            self.remove(job)
            job.state = state
        else:
            job.finished_at = self.now
            self.move(job, state, self.now + (age or 0))

    def remove(self, job: Job) -> None:
        """Delete a job, and all that belongs to it."""
        self._leave(job)
        for table in ("jobs", "payloads"):
            self._txn.delete(_key(*job.key), db=self._tables[table])

    def save(self, job: Job) -> None:
        """Store what was changed of a job that stays where it is."""
        self._txn.put(_key(*job.key), job.dumps(), db=self._tables["jobs"])

    def move(self, job: Job, state: JobState, number: int) -> None:
        """Bring a job to its new place, out of the old one."""
        self._leave(job)
        job.state, job.number = state, number
        spot = _sorted(number) + job.key.id.encode()
        self._txn.put(_key(job.key.queue, job.place), spot, db=self._tables["places"])
        self.save(job)

    def _leave(self, job: Job) -> None:
        # Of a new job, which has no place yet, this finds nothing to delete.
        spot = _sorted(job.number) + job.key.id.encode()
        self._txn.delete(_key(job.key.queue, job.place), spot, db=self._tables["places"])

    def next_number(self) -> int:
        """Return a number greater than all before: the place of a ready job, or an epoch."""
        number = int.from_bytes(self._txn.get(b"number", b"", db=self._tables["meta"])) + 1
        self._txn.put(b"number", number.to_bytes(8), db=self._tables["meta"])
        return number

    # Looks at a place

    def first(self, queue: str, place: str, limit: int, until: int | None = None) -> list[Job]:
        """Return the first jobs of a place, up to the number `until`, then in the order of ids."""
        with self._txn.cursor(self._tables["places"]) as cursor:
            spots = cursor.iternext_dup() if cursor.set_key(_key(queue, place)) else ()
            if until is not None:
                spots = takewhile(lambda spot: int.from_bytes(spot[:8]) - _SIGN <= until, spots)
            keys = [JobKey(queue, spot[8:].decode()) for spot in islice(spots, limit)]
        return [job for key in keys if (job := self.get(key))]

    def count(self, queue: str, place: str) -> int:
        """Return how many jobs are in a place."""
        with self._txn.cursor(self._tables["places"]) as cursor:
            return cursor.count() if cursor.set_key(_key(queue, place)) else 0

    # Looks at a queue

    def ids(self, queue: str, after: str | None, *, newest_first: bool) -> Iterator[str]:
        """Walk over the ids of a queue, in the order of their bytes, from behind `after` on."""
        prefix = _key(queue, "")
        start = prefix if after is None else _key(queue, after)
        with self._txn.cursor(self._tables["jobs"]) as cursor:
            if newest_first:
                beyond = prefix + b"\xff" if after is None else start  # no text has this byte
                found = cursor.prev() if cursor.set_range(beyond) else cursor.last()
            else:
                found = cursor.set_range(start) and (cursor.key() != start or cursor.next())
            while found and cursor.key().startswith(prefix):
                yield cursor.key()[len(prefix) :].decode()
                found = cursor.prev() if newest_first else cursor.next()

    def is_paused(self, queue: str) -> bool:
        """Whether a queue is paused."""
        return self.count(queue, _PAUSED) > 0

    def pause(self, queue: str, paused: bool) -> None:
        """Pause or resume a queue."""
        change = self._txn.put if paused else self._txn.delete
        change(_key(queue, _PAUSED), b"yes", db=self._tables["places"])

    def queues(self) -> list[str]:
        """Return every queue that has a job or is paused."""
        with self._txn.cursor(self._tables["places"]) as cursor:
            places = cursor.iternext_nodup(keys=True, values=False)
            return sorted({place.partition(b"\0")[0].decode() for place in places})

    def rows(self) -> int:
        """Return how many rows the store has in all, as LMDB counts them."""
        return sum(self._txn.stat(table)["entries"] for table in self._tables.values())


def _key(queue: str, name: str) -> bytes:
    """Return the key of something in a queue; what no enqueue would take is a key of nothing."""
    try:
        for text in (queue, name or queue):
            check_text("name", text)
    except InvalidInput:
        return b"\0"
    return f"{queue}\0{name}".encode()


def _sorted(number: int) -> bytes:
    """Return a number as bytes; negative ones (times before 1970) sort first."""
    return (number + _SIGN).to_bytes(8)
