"""What a case works with: clients, a time that stands still, jobs, and the usual steps.

The steps allow for everything that the contract allows. A claim, a promote or a reap may do less
than asked, as long as it does something, so they are repeated until there is nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from itertools import count
from typing import Any, Final

from stoker.driver import (
    At,
    Cancel,
    Complete,
    Driver,
    DriverInfo,
    EnqueueStatus,
    Extended,
    Extension,
    Fail,
    JobKey,
    JobRecord,
    JobState,
    Lease,
    NewJob,
    Outcome,
    Reaped,
    Scope,
    Settled,
    Settlement,
    SettleStatus,
    Token,
    Want,
    from_micros,
    resolve,
)
from stoker_conformance.expect import Violation, expect, expect_that
from stoker_conformance.faults.actors import Actor
from stoker_conformance.faults.link import Link, injected_link, network_link
from stoker_conformance.faults.local import LocalActor
from stoker_conformance.faults.process import ProcessActor
from stoker_conformance.harness import Harness, UserConnection

__all__ = ["ERROR", "LEASE", "NOON", "QUEUE", "Bench", "Level", "rounds"]

NOON: Final = datetime(2031, 3, 14, 12, tzinfo=UTC)
QUEUE: Final = "letters"
LEASE: Final = timedelta(minutes=1)
ERROR: Final = b'{"error": "it broke"}'


async def rounds(what: str, most: int = 1_000) -> AsyncIterator[int]:
    """Count the rounds of something that is repeated until nothing is left to do.

    It lets the loop turn in each of them, so that a driver that never suspends cannot keep a case
    beyond its bound, and ends the case when there is always more to do.
    """
    for number in range(most):
        yield number
        await asyncio.sleep(0)
    raise Violation(f"{what}, repeated until nothing is left", f"at most {most} rounds", "no end")


class Level(StrEnum):
    """How much a run tries: the same cases, with more repetitions where luck is involved."""

    FAST = "fast"
    """Under 30 seconds a driver."""
    FULL = "full"
    """Under three minutes a driver; what a certificate asks for."""
    SOAK = "soak"
    """For as long as one likes: many seeds, many processes, faults all the while."""


class Bench:
    """The one argument of every case."""

    now: Final = NOON
    """The time that cases pass; nothing else moves it, and no clock is read."""

    info: DriverInfo
    """What the driver says of itself."""

    def __init__(self, harness: Harness[Any], namespace: object, level: Level) -> None:
        self.harness = harness
        self.namespace = namespace
        self.level = level
        self.remarks: list[str] = []
        """What a report has to say of how the case was run, such as "in one process"."""
        self._actors: list[Actor] = []
        self._clients: list[Driver] = []
        self._namespaces: list[object] = [namespace]
        self._numbers = count(1)

    # Clients

    async def prepare(self) -> None:
        """Make a first client, and learn what the driver says of itself."""
        self.info = (await self.client()).info

    async def client(self, namespace: object = None) -> Driver:
        """Return a new client that is not open; it is closed when the case ends."""
        client = await self.harness.connect(namespace or self.namespace)
        self._clients.append(client)
        return client

    async def driver(self, namespace: object = None) -> Driver:
        """Return a new, open client; it is closed when the case ends."""
        client = await self.client(namespace)
        await client.open()
        return client

    async def drivers(self, number: int) -> list[Driver]:
        """Return so many new, open clients."""
        return [await self.driver() for _ in range(number)]

    async def actor(self) -> Actor:
        """Return a new, open client that can be killed and stopped; it ends with the case.

        It is a process of its own, except where no other process can reach the store.
        """
        if self.info.scope is not Scope.PROCESS:
            return await self.process()
        self.remark("in one process")
        self._actors.append(LocalActor(await self.driver()))
        return self._actors[-1]

    async def actors(self, number: int) -> list[Actor]:
        """Return so many new actors."""
        return await asyncio.gather(*(self.actor() for _ in range(number)))

    async def process(self) -> ProcessActor:
        """Return a new, open client in a process of its own, whatever the driver's scope."""
        actor = await ProcessActor.start(self.harness, self.namespace)
        self._actors.append(actor)
        return actor

    def link(self) -> AbstractAsyncContextManager[Link]:
        """Return a way to the store on which a case can lose things, for the length of a block.

        Below the scope of the network it is in front of the driver, without connections to cut.
        """
        if self.info.scope is Scope.NETWORK:
            return network_link(self.harness, self.namespace)
        self.remark("without a network: the failures are injected in front of the driver")
        return injected_link(self.harness, self.namespace)

    async def another_namespace(self) -> object:
        """Return one more namespace; it is discarded when the case ends."""
        namespace = await self.harness.namespace()
        self._namespaces.append(namespace)
        return namespace

    def connection(self) -> AbstractAsyncContextManager[UserConnection]:
        """Open a user's own connection to the store, for the length of a block."""
        return self.harness.connection(self.namespace)

    def unusual_connection(self) -> AbstractAsyncContextManager[UserConnection]:
        """Open a user's own connection with codecs and row factories of its own."""
        return self.harness.unusual_connection(self.namespace)

    def snapshot_connection(self) -> AbstractAsyncContextManager[UserConnection]:
        """Open a user's own connection whose transactions see the store as of their beginning."""
        return self.harness.snapshot_connection(self.namespace)

    async def footprint(self) -> int:
        """Return what the store holds, counted without the driver."""
        return await self.harness.footprint(self.namespace)

    async def close(self) -> None:
        """End every actor, close every client and discard every namespace.

        The first error is raised when all is done.
        """
        ends: list[Callable[[], Awaitable[None]]] = [
            *(actor.end for actor in self._actors),
            *(client.close for client in self._clients),
            *(partial(self.harness.discard, namespace) for namespace in self._namespaces),
        ]
        errors: list[Exception] = []
        for end in ends:
            try:
                await end()
            except Exception as error:  # noqa: BLE001 - the others have to be ended as well
                errors.append(error)
        if errors:
            raise errors[0]

    # Time and amounts

    def at(self, seconds: float) -> datetime:
        """Return the time so many seconds after `now`, to the microsecond."""
        return self.now + timedelta(microseconds=round(seconds * 1_000_000))

    @property
    def tick(self) -> timedelta:
        """The smallest step of time that the driver tells apart."""
        return self.info.time_precision

    def stored(self, moment: datetime) -> datetime:
        """Return `moment` as the driver stores it: rounded up to its declared precision."""
        return from_micros(resolve(At(moment), 0, self.tick // timedelta(microseconds=1)))

    def pick(self, *, fast: int, full: int, soak: int | None = None) -> int:
        """Return the number that suits the level; `soak` is as `full` unless given."""
        numbers = {Level.FAST: fast, Level.FULL: full, Level.SOAK: full if soak is None else soak}
        return numbers[self.level]

    @property
    def exchanges(self) -> int:
        """How many exchanges of an operation with the store a case cuts, if it has as many."""
        return self.pick(fast=4, full=16)

    def remark(self, text: str) -> None:
        """Have the report say something of how the case was run; once, however often it is said.

        It stands in certificates too, so it is the same in every run.
        """
        if text not in self.remarks:
            self.remarks.append(text)

    # Jobs

    def job(self, job_id: str | None = None, *, queue: str = QUEUE, **fields: Any) -> NewJob:
        """Return a job that nobody else has: an id and a nonce of its own unless given."""
        number = next(self._numbers)
        fields.setdefault("name", "post.deliver")
        fields.setdefault("payload", b'{"number": %d}' % number)
        fields.setdefault("nonce", f"nonce-{number}")
        return NewJob(key=JobKey(queue, job_id or f"job-{number:04}"), **fields)

    def jobs(self, number: int, **fields: Any) -> list[NewJob]:
        """Return so many jobs of the same kind."""
        return [self.job(**fields) for _ in range(number)]

    # Steps

    async def put(self, driver: Driver, *jobs: NewJob, now: datetime = NOON) -> None:
        """Enqueue jobs, all of which have to be inserted."""
        answers = await driver.enqueue(jobs, now=now)
        statuses = [answer.status for answer in answers]
        expect("the answers to an enqueue", statuses, [EnqueueStatus.INSERTED] * len(jobs))

    async def claim(
        self,
        driver: Driver,
        limit: int = 100,
        *,
        queue: str = QUEUE,
        now: datetime = NOON,
        lease: timedelta = LEASE,
        worker: str = "worker-1",
    ) -> list[Lease]:
        """Claim until `limit` jobs came, or no more do."""
        leases: list[Lease] = []
        async for _ in rounds("a claim", limit + 1):
            wants = [Want(queue, limit - len(leases))]
            claimed = await driver.claim(wants, worker=worker, lease=lease, now=now)
            surplus = len(claimed.leases) - wants[0].limit
            expect_that("a claim returns no more than its limit", surplus <= 0, claimed.leases)
            leases += claimed.leases
            if not claimed.leases or len(leases) == limit:
                break
        return leases

    async def claim_ids(
        self, driver: Driver, limit: int = 100, *, queue: str = QUEUE, now: datetime = NOON
    ) -> list[str]:
        """Claim, and return the ids that came, sorted."""
        leases = await self.claim(driver, limit, queue=queue, now=now)
        return sorted(lease.token.key.id for lease in leases)

    async def claim_one(
        self,
        driver: Driver,
        *,
        queue: str = QUEUE,
        now: datetime = NOON,
        lease: timedelta = LEASE,
        worker: str = "worker-1",
    ) -> Lease:
        """Claim one job, which has to be there."""
        leases = await self.claim(driver, 1, queue=queue, now=now, lease=lease, worker=worker)
        expect("the number of jobs that a claim of one returns", len(leases), 1)
        return leases[0]

    async def settle(
        self, driver: Driver, token: Token, outcome: Outcome, *, now: datetime = NOON
    ) -> Settled:
        """Settle one token."""
        answers = await driver.settle([Settlement(token, outcome)], now=now)
        expect("the number of answers to one settlement", len(answers), 1)
        return answers[0]

    async def finish(
        self, driver: Driver, token: Token, outcome: Outcome, *, now: datetime = NOON
    ) -> JobState | None:
        """Settle one token, which has to be valid; return the state that it led to."""
        answer = await self.settle(driver, token, outcome, now=now)
        expect(f"the answer to {type(outcome).__name__}", answer.status, SettleStatus.APPLIED)
        return answer.state

    async def extend(
        self, driver: Driver, token: Token, *, lease: timedelta = LEASE, now: datetime = NOON
    ) -> Extended:
        """Extend one token."""
        answers = await driver.extend([Extension(token)], lease=lease, now=now)
        expect("the number of answers to one extension", len(answers), 1)
        return answers[0]

    async def promote(
        self, driver: Driver, *, now: datetime, queues: Sequence[str] = (QUEUE,)
    ) -> int:
        """Promote until nothing more is due; return how many became ready."""
        total = 0
        async for _ in rounds("a promote"):
            moved = (await driver.promote(queues, limit=100, now=now)).count
            total += moved
            if moved == 0:
                break
        return total

    async def reap(
        self,
        driver: Driver,
        *,
        now: datetime,
        delay: timedelta = timedelta(0),
        queues: Sequence[str] = (QUEUE,),
    ) -> list[Reaped]:
        """Reap until no more leases are expired; return those that were."""
        total: list[Reaped] = []
        async for _ in rounds("a reap"):
            reaped = await driver.reap(queues, limit=100, delay=delay, error=ERROR, now=now)
            total += reaped
            if not reaped:
                break
        return total

    async def reap_one(
        self, driver: Driver, *, now: datetime, delay: timedelta = timedelta(0)
    ) -> Reaped:
        """Reap the one lease that has to be expired."""
        reaped = await self.reap(driver, now=now, delay=delay)
        expect("the number of leases reaped", len(reaped), 1)
        return reaped[0]

    async def record(self, driver: Driver, key: JobKey) -> JobRecord:
        """Return the record of a job, which has to be there."""
        [record] = await driver.get([key])
        if record is None:
            expect(f"the record of {key}", record, "a record")
            raise AssertionError
        return record

    async def states(self, driver: Driver, keys: Iterable[JobKey]) -> list[JobState | None]:
        """Return the state of each job, `None` where there is no record."""
        return await driver.states(list(keys))

    async def state(self, driver: Driver, key: JobKey) -> JobState | None:
        """Return the state of one job, `None` without a record."""
        return (await self.states(driver, [key]))[0]

    async def one_in_each_state(
        self, driver: Driver, *, queue: str = QUEUE, **fields: Any
    ) -> dict[JobState, JobKey]:
        """Bring a job into each of the six states, in a queue that has nothing to claim."""
        keys: dict[JobState, JobKey] = {}
        outcomes: dict[JobState, Outcome | None] = {
            JobState.COMPLETED: Complete(),
            JobState.FAILED: Fail(ERROR),
            JobState.CANCELLED: Cancel("not wanted"),
            JobState.RUNNING: None,
        }
        for state, outcome in outcomes.items():
            job = self.job(queue=queue, **fields)
            await self.put(driver, job)
            lease = await self.claim_one(driver, queue=queue)
            if outcome is not None:
                await self.finish(driver, lease.token, outcome)
            keys[state] = job.key
        ready = self.job(queue=queue, **fields)
        scheduled = self.job(queue=queue, run_at=At(self.at(3600)), **fields)
        await self.put(driver, ready, scheduled)
        return keys | {JobState.READY: ready.key, JobState.SCHEDULED: scheduled.key}
