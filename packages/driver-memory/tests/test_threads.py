"""One store, several threads with an event loop each: nothing is lost and nothing doubled."""

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import TypeAlias

import pytest

from stoker.driver import (
    IMMEDIATELY,
    Complete,
    JobKey,
    JobState,
    KeepFor,
    Lease,
    NewJob,
    Release,
    Settlement,
    SettleStatus,
    Unique,
    Wake,
    Want,
)
from stoker_memory import MemoryDriver

QUEUE = "mails"
BOUND = 30.0
LEASE = timedelta(seconds=30)
PRODUCERS, CONSUMERS = 3, 3
BATCHES, BATCH = 40, 25
TOTAL = PRODUCERS * BATCHES * BATCH

Part: TypeAlias = Callable[[MemoryDriver], Awaitable[None]]


@pytest.fixture(autouse=True)
def _impatient_interpreter() -> Iterator[None]:
    """Let threads interrupt each other in the middle of an operation, not every 5 ms."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


async def in_threads(driver: MemoryDriver, parts: list[Part]) -> None:
    """Run every part in a thread and on a loop of its own, with a client of its own."""
    here = asyncio.get_running_loop()
    together = threading.Barrier(len(parts))
    ends: list[asyncio.Future[None]] = [here.create_future() for _ in parts]

    async def with_client(part: Part) -> None:
        client = driver.clone()
        await client.open()
        together.wait(BOUND)
        await part(client)
        await client.close()

    def on_a_loop(part: Part, end: "asyncio.Future[None]") -> None:
        try:
            # Debug mode: a loop complains when another thread touches it without waking it.
            asyncio.run(with_client(part), debug=True)
        except Exception as error:  # noqa: BLE001 (it is raised where the test waits)
            here.call_soon_threadsafe(end.set_exception, error)
        else:
            here.call_soon_threadsafe(end.set_result, None)

    for part, end in zip(parts, ends, strict=True):
        threading.Thread(target=on_a_loop, args=(part, end), daemon=True).start()
    async with asyncio.timeout(BOUND):
        await asyncio.gather(*ends)


async def test_every_job_of_racing_producers_is_completed_once_by_racing_consumers(
    driver: MemoryDriver,
) -> None:
    completed: list[str] = []
    epochs: list[int] = []

    def producer(number: int) -> Part:
        async def produce(client: MemoryDriver) -> None:
            for batch in range(BATCHES):
                ids = [f"{number}-{batch}-{place}" for place in range(BATCH)]
                await client.enqueue([NewJob(JobKey(QUEUE, one), "mails.send") for one in ids])

        return produce

    async def consume(client: MemoryDriver) -> None:
        while len(completed) < TOTAL:
            claimed = await client.claim([Want(QUEUE, 10)], worker="w", lease=LEASE)
            if not claimed.leases:
                await client.wait([QUEUE], timedelta(milliseconds=20))
            await settle_some(client, claimed.leases)

    async def settle_some(client: MemoryDriver, leases: list[Lease]) -> None:
        """Complete most, and give every third back when it is seen for the first time."""
        epochs.extend(lease.token.epoch for lease in leases)
        back = [lease.token.epoch % 3 == 0 and lease.parked_since is None for lease in leases]
        answers = await client.settle(
            [
                Settlement(lease.token, Release(IMMEDIATELY, parked=True) if again else Complete())
                for lease, again in zip(leases, back, strict=True)
            ]
        )
        assert all(answer.status is SettleStatus.APPLIED for answer in answers)
        completed.extend(
            lease.token.key.id for lease, again in zip(leases, back, strict=True) if not again
        )

    await in_threads(
        driver, [*[producer(number) for number in range(PRODUCERS)], *[consume] * CONSUMERS]
    )

    assert Counter(completed).most_common(1)[0][1] == 1
    assert len(completed) == TOTAL
    assert sorted(epochs) == list(range(1, len(epochs) + 1))
    stats = (await driver.stats([QUEUE]))[QUEUE]
    assert {state: count for state, count in stats.counts.items() if count} == {
        JobState.COMPLETED: TOTAL
    }


async def test_a_unique_key_is_given_once_to_racing_producers(driver: MemoryDriver) -> None:
    keys = [f"order-{number}" for number in range(200)]
    winners: list[str] = []

    def producer(number: int) -> Part:
        async def produce(client: MemoryDriver) -> None:
            for key in keys:
                job = NewJob(JobKey(QUEUE, f"{key}-{number}"), "mails.send", unique=Unique(key))
                [answer] = await client.enqueue([job])
                if answer.existing is None:
                    winners.append(key)

        return produce

    await in_threads(driver, [producer(number) for number in range(4)])

    assert sorted(winners) == sorted(keys)


async def test_jobs_that_are_not_kept_leave_nothing_behind(driver: MemoryDriver) -> None:
    not_kept = KeepFor(timedelta(0), timedelta(0), timedelta(0))

    async def work(client: MemoryDriver) -> None:
        for number in range(300):
            key = JobKey(QUEUE, f"{id(client)}-{number}")
            await client.enqueue([NewJob(key, "mails.send", keep=not_kept)])
            claimed = await client.claim([Want(QUEUE, 1)], worker="w", lease=LEASE)
            await client.settle([Settlement(one.token, Complete()) for one in claimed.leases])

    await in_threads(driver, [work] * 4)

    queue = driver._store.queues[QUEUE]
    assert not queue.jobs
    assert not any(queue.count(state) for state in JobState)
    assert not queue.order._pages


async def test_an_enqueue_in_one_thread_wakes_a_waiter_in_another(driver: MemoryDriver) -> None:
    asleep = asyncio.Event()
    here = asyncio.get_running_loop()
    woken: list[Wake] = []

    async def sleeper(client: MemoryDriver) -> None:
        await client.wait([QUEUE], timedelta(0))  # the first wait returns at once
        waiting = asyncio.ensure_future(client.wait([QUEUE], timedelta(seconds=20)))
        await asyncio.sleep(0)  # it sleeps now
        here.call_soon_threadsafe(asleep.set)
        woken.append(await waiting)

    async def waker() -> None:
        await asleep.wait()
        await driver.enqueue([NewJob(JobKey(QUEUE, "one"), "mails.send")])

    await asyncio.gather(in_threads(driver, [sleeper]), waker())

    assert woken == [Wake.WORK]
