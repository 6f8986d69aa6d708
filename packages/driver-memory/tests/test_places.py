"""After any operations the structures of a queue agree with each other and with its jobs."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from stoker.driver import (
    After,
    Cancel,
    Complete,
    Extension,
    Fail,
    JobKey,
    JobState,
    Keep,
    KeepFor,
    NewJob,
    OnConflict,
    Outcome,
    Release,
    Retention,
    Retry,
    Settlement,
    Snooze,
    Token,
    Unique,
    Until,
    Want,
)
from stoker.job import PENDING_STATES, TERMINAL_STATES
from stoker_memory import MemoryDriver
from stoker_memory._heap import Heap
from stoker_memory._job import Job
from stoker_memory._queue import Queue

QUEUE = "mails"
START = datetime(2026, 1, 1, tzinfo=UTC)
ERROR = b'"oops"'
STEPS = 400


def seconds(random: Random, most: int = 8) -> timedelta:
    return timedelta(seconds=random.randrange(most))


class Walk:
    """Random operations on one queue, at a time that goes on."""

    def __init__(self, driver: MemoryDriver, seed: int) -> None:
        self.driver = driver
        self.random = Random(seed)
        self.now = START
        self.tokens: list[Token] = []

    async def step(self) -> None:
        self.now += seconds(self.random, 3)
        move = self.random.choice(
            [self.enqueue, self.enqueue, self.claim, self.claim, self.settle, self.settle,
             self.extend, self.upkeep, self.change, self.purge, self.pause]
        )  # fmt: skip
        await move()

    def keys(self) -> list[JobKey]:
        return [JobKey(QUEUE, str(number)) for number in self.random.sample(range(60), 3)]

    def job(self, key: JobKey) -> NewJob:
        random = self.random
        ages = [random.choice([None, None, timedelta(0), seconds(random)]) for _ in range(3)]
        untils: list[Until | After] = [Until.FINISH, Until.START, After(seconds(random))]
        until = random.choice(untils)
        unique = Unique(f"key-{random.randrange(6)}", until, random.choice(list(OnConflict)))
        return NewJob(
            key,
            "mails.send",
            run_at=After(seconds(random)),
            priority=random.randrange(10),
            max_attempts=random.randrange(1, 4),
            max_crashes=random.randrange(3),
            keep=random.choice([None, KeepFor(*ages)]),
            unique=random.choice([None, unique]),
        )

    async def enqueue(self) -> None:
        await self.driver.enqueue([self.job(key) for key in self.keys()], now=self.now)

    async def claim(self) -> None:
        claimed = await self.driver.claim(
            [Want(QUEUE, 3)], worker="w", lease=timedelta(seconds=5), now=self.now
        )
        self.tokens += [lease.token for lease in claimed.leases]

    async def settle(self) -> None:
        when = After(seconds(self.random))
        outcomes: list[Outcome] = [
            Complete(), Retry(when, ERROR), Fail(ERROR), Release(when), Release(when, parked=True),
            Snooze(when), Cancel("no more"),
        ]  # fmt: skip
        recent = self.tokens[-8:]
        tokens = self.random.sample(recent, min(3, len(recent)))
        items = [Settlement(token, self.random.choice(outcomes)) for token in tokens]
        await self.driver.settle(items, now=self.now)

    async def extend(self) -> None:
        tokens = self.random.sample(self.tokens, min(2, len(self.tokens)))
        lease = timedelta(seconds=1) + seconds(self.random)
        await self.driver.extend([Extension(token) for token in tokens], lease=lease, now=self.now)

    async def upkeep(self) -> None:
        await self.driver.promote([QUEUE], limit=4, now=self.now)
        delay = seconds(self.random)
        await self.driver.reap([QUEUE], limit=4, delay=delay, error=ERROR, now=self.now)

    async def change(self) -> None:
        keys = self.keys()
        when = After(seconds(self.random))
        await self.driver.cancel(keys[:2], reason="no more", now=self.now)
        await self.driver.retry(keys[1:], now=self.now)
        await self.driver.reschedule(self.keys(), when, now=self.now)
        await self.driver.remove(self.keys()[:1])

    async def purge(self) -> None:
        policy = Retention(Keep(newest=2), Keep(max_age=timedelta(seconds=9)), Keep())
        await self.driver.purge(QUEUE, policy, limit=self.random.randrange(1, 4), now=self.now)

    async def pause(self) -> None:
        await self.driver.pause(QUEUE, self.random.random() < 0.2)


def check(queue: Queue) -> None:
    """Compare every structure of the queue with the jobs themselves."""
    by_state = {
        state: [job for job in queue.jobs.values() if job.state is state] for state in JobState
    }
    for state, jobs in by_state.items():
        assert queue.count(state) == len(jobs)
    assert set(queue.running) == set(by_state[JobState.RUNNING])
    for priority, ready in enumerate(queue.ready):
        assert set(ready) == {job for job in by_state[JobState.READY] if job.priority == priority}
        assert [job.ready_at for job in ready] == sorted(job.ready_at or 0 for job in ready)
    check_heap(queue.scheduled, by_state[JobState.SCHEDULED])
    for state in TERMINAL_STATES:
        plain = [job for job in by_state[state] if job in queue.finished[state]._items]
        check_heap(queue.finished[state], plain)
        check_heap(queue.aging[state], [job for job in by_state[state] if job not in plain])
    in_order = list(queue.order.after(None))
    assert in_order == sorted(queue.jobs.values(), key=lambda job: job.sequence)
    assert in_order == list(queue.order.before(None))[::-1]
    check_keys(queue)
    for job in queue.jobs.values():
        assert 0 <= job.attempt <= job.new.max_attempts
        assert job.state is not JobState.RUNNING or job.attempt >= 1
        assert (job.finished_at is not None) == (job.state in TERMINAL_STATES)


def check_heap(heap: Heap[Job], jobs: list[Job]) -> None:
    assert set(heap._items) == set(jobs)
    for slot, job in enumerate(heap._items):
        assert job.slot == slot
        assert heap._items[(slot - 1) // 2].rank <= job.rank or slot == 0


def check_keys(queue: Queue) -> None:
    holds = queue.keys._holds
    for key, hold in holds.items():
        assert hold.key == key
        job = hold.job
        if job is None:
            assert hold.until is not None
            continue
        assert job.hold is hold
        assert queue.jobs[job.id] is job
        if hold.at_start:
            assert job.state in PENDING_STATES
        elif hold.until is None:
            assert job.state not in TERMINAL_STATES
    assert {hold.key for hold in queue.keys._expiring._items} == {
        key for key, hold in holds.items() if hold.until is not None
    }
    holders = [job for job in queue.jobs.values() if job.hold is not None]
    assert len(holders) == sum(hold.job is not None for hold in holds.values())
    for job in queue.jobs.values():
        lasting = job.new.unique is not None and job.new.unique.until is Until.FINISH
        if lasting and job.state not in TERMINAL_STATES:
            assert job.hold is not None, "a key until FINISH was lost on the way"


@pytest.mark.parametrize("seed", range(12))
async def test_every_job_is_in_the_place_that_its_state_names(
    driver: MemoryDriver, seed: int
) -> None:
    walk = Walk(driver, seed)
    seen: set[JobState] = set()
    for _ in range(STEPS):
        await walk.step()
        queue = driver._store.queue(QUEUE)
        check(queue)
        seen |= {job.state for job in queue.jobs.values()}

    # A walk that went nowhere would prove nothing.
    assert seen == set(JobState)
    epochs = [token.epoch for token in walk.tokens]
    assert epochs == list(range(1, len(epochs) + 1))
    assert len(epochs) > STEPS / 10
