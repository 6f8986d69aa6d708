"""What a job costs the server: commands and round trips, counted; and nothing that stays behind."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from tools.servers.valkey import ValkeyServer

from stoker.driver import (
    After,
    Complete,
    Extension,
    JobKey,
    JobQuery,
    Keep,
    KeepFor,
    Lease,
    NewJob,
    Retention,
    Retry,
    Settlement,
    Unique,
    Want,
)
from stoker_redis import RedisDriver
from stoker_redis._keys import Keys
from stoker_redis._limits import MOST_BYTES, MOST_JOBS

QUEUE = "letters"
MINUTE = timedelta(minutes=1)
NOT_KEPT = KeepFor(timedelta(0), timedelta(0), timedelta(0))
PASSING = int(os.environ.get("STOKER_TEST_BASELINE_JOBS", "100000"))
"""How many jobs pass through a queue whose memory is compared; see CONTRIBUTING.md."""
TALK = {"evalsha", "script|load", "hello", "client|setinfo", "info", "config|resetstat"}
"""Commands that a client sends: their scripts' own are what a job costs."""


def new(id_: str, **options: Any) -> NewJob:
    return NewJob(JobKey(QUEUE, id_), "mails.send", b'{"to": "ada"}', **options)


def jobs(first: int, count: int, **options: Any) -> list[NewJob]:
    return [new(f"{number:08}", **options) for number in range(first, first + count)]


async def claim(driver: RedisDriver, limit: int) -> list[Lease]:
    wants = [Want(QUEUE, limit)]
    return (await driver.claim(wants, worker="worker-1", lease=MINUTE)).leases


class Counted:
    """What the server was asked for."""

    scripts = 0
    commands = 0


@asynccontextmanager
async def counted(raw: Any) -> AsyncIterator[Counted]:
    """Count the scripts that are run, and the commands in them."""
    found = Counted()
    await raw.config_resetstat()
    yield found
    stats = await raw.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): line["calls"] for name, line in stats.items()}
    found.scripts = calls["evalsha"]
    found.commands = sum(count for name, count in calls.items() if name not in TALK)


@pytest.fixture
async def raw(server: ValkeyServer) -> AsyncIterator[Any]:
    async with Redis(port=server.port) as client:
        yield client


async def test_a_batch_costs_one_command_a_job_and_few_besides(
    driver: RedisDriver, raw: Any
) -> None:
    for id_ in ("first", "second"):  # the name of a queue is noted once a connection
        await driver.enqueue([new(id_)])
    await driver.settle([Settlement(lease.token, Complete()) for lease in await claim(driver, 2)])
    async with counted(raw) as enqueued:
        await driver.enqueue(jobs(0, 1_000, keep=NOT_KEPT))
    async with counted(raw) as claimed:
        leases = await claim(driver, 100)
    async with counted(raw) as extended:
        await driver.extend([Extension(lease.token) for lease in leases], lease=MINUTE)
    async with counted(raw) as settled:
        await driver.settle([Settlement(lease.token, Complete()) for lease in leases])
    assert [len(leases), enqueued.scripts, claimed.scripts, settled.scripts] == [100, 1, 1, 1]
    assert enqueued.commands <= 1_000 + 11  # an entry of a stream each, and what a batch costs
    assert claimed.commands <= 11
    assert extended.commands <= 5
    assert settled.commands <= 11


async def test_an_empty_claim_looks_at_no_priority_that_was_never_used(
    driver: RedisDriver, raw: Any
) -> None:
    async with counted(raw) as unknown:
        await claim(driver, 100)
    await driver.enqueue([new("a"), new("b", priority=9)])
    await claim(driver, 2)
    async with counted(raw) as empty:
        await claim(driver, 100)
    assert unknown.commands <= 3
    assert empty.commands <= 6


async def test_a_batch_that_comes_back_costs_one_command_a_job(
    driver: RedisDriver, raw: Any
) -> None:
    await driver.enqueue(jobs(0, 100, max_attempts=2))
    leases = await claim(driver, 100)
    async with counted(raw) as settled:
        await driver.settle(
            [Settlement(lease.token, Retry(After(MINUTE), b"{}")) for lease in leases]
        )
    assert settled.commands <= 14


@pytest.mark.timeout(120 + PASSING // 200)
async def test_the_memory_of_many_jobs_is_given_back(driver: RedisDriver, raw: Any) -> None:
    async def pass_through(first: int) -> None:
        options = {
            "unique": Unique("key", until=After(timedelta(microseconds=1))),
            "run_at": After(timedelta(microseconds=1)),
        }
        await driver.enqueue([new(f"{first}"), new(f"timed-{first}", **options)])
        await driver.enqueue(jobs(first, 1_000, keep=NOT_KEPT))
        await driver.enqueue(jobs(first + 1_000, 1_000, priority=first % 10, max_attempts=1))
        await driver.promote([QUEUE], limit=10)
        while leases := await claim(driver, 500):
            progress = [Extension(lease.token, b"1", [b"2", b"3"]) for lease in leases]
            await driver.extend(progress, lease=MINUTE)
            await driver.settle(
                [
                    Settlement(lease.token, Retry(After(MINUTE), b"4"), b"5", [b"6"])
                    if lease.priority != 4
                    else Settlement(lease.token, Complete(b"7"), b"8", [b"9"])
                    for lease in leases
                ]
            )
        none = Keep(newest=0)
        await driver.purge(QUEUE, Retention(none, none, none), limit=100_000)

    for priority in range(10):
        await pass_through(100_000 + priority)
    before, keys, used = await sizes(raw, driver), await raw.dbsize(), await memory(raw)
    for number in range(PASSING // 2_000):
        await pass_through(200_000 + 10_000 * number + number % 10)
    after = await sizes(raw, driver)
    print(f"{PASSING} jobs: {keys} keys, then {await raw.dbsize()}")  # noqa: T201
    print(f"the queue's entries and bytes: {before}, then {after}")  # noqa: T201
    print(f"bytes of the server: {used}, then {await memory(raw)}")  # noqa: T201
    assert await raw.dbsize() == keys
    assert set(after) == set(before)
    assert {name for name, (entries, _) in after.items() if entries} <= {"meta", "work"}
    for name, (_, taken) in after.items():
        assert taken <= before[name][1] + 512, f"{name} has grown"


async def test_of_hints_a_few_are_kept(driver: RedisDriver, raw: Any) -> None:
    for number in range(1_000):
        await driver.enqueue([new(f"{number}")])
    assert 1 <= await raw.xlen(Keys(driver._prefix, QUEUE).work) <= 200


async def memory(raw: Any) -> int:
    """Return how many bytes the server uses, the connections and buffers of others included."""
    return int((await raw.info("memory"))["used_memory"])


async def sizes(raw: Any, driver: RedisDriver) -> dict[str, tuple[int, int]]:
    """Return the entries and the bytes of each key of the queue."""
    count = {b"hash": raw.hlen, b"stream": raw.xlen, b"zset": raw.zcard}
    found: dict[str, tuple[int, int]] = {}
    for key in Keys(driver._prefix, QUEUE).all():
        kind = await raw.type(key)
        if kind != b"none":
            name = key.decode().rpartition("}:")[2]
            found[name] = (await count[kind](key), await raw.memory_usage(key))
    return found


async def test_a_script_does_a_bounded_number_of_jobs(driver: RedisDriver, raw: Any) -> None:
    for first in range(0, 3_000, 1_000):
        await driver.enqueue(jobs(first, 1_000, run_at=After(timedelta(microseconds=1))))
    async with counted(raw) as promoted:
        assert (await driver.promote([QUEUE], limit=3_000)).count == MOST_JOBS
    assert promoted.scripts == 1
    await driver.promote([QUEUE], limit=3_000)
    assert len(await claim(driver, 2_000)) == MOST_JOBS


async def enqueue_large_ones(driver: RedisDriver, size: int) -> None:
    for number in range(0, 40, 10):
        batch = [
            NewJob(JobKey(QUEUE, f"{n:04}"), f"mails.send{n}", b"1" * size)
            for n in range(number, number + 10)
        ]
        await driver.enqueue(batch)


async def test_a_search_reads_a_bounded_number_of_bytes(driver: RedisDriver, raw: Any) -> None:
    await enqueue_large_ones(driver, 1_000_000)
    query = JobQuery(names=frozenset({"mails.send3", "mails.send38"}))
    pages = [await driver.search(QUEUE, query)]
    while cursor := pages[-1].cursor:
        pages.append(await driver.search(QUEUE, query, cursor))
    found = [record.key.id for page in pages for record in page.records]
    assert found == ["0003", "0038"]
    assert len(pages) > 2


async def test_many_large_records_are_read_in_steps(driver: RedisDriver, raw: Any) -> None:
    await enqueue_large_ones(driver, 1_000_000)
    keys = [JobKey(QUEUE, f"{number:04}") for number in (99, *range(40), 98)]
    async with counted(raw) as reading:
        records = await driver.get(keys)
    ids = [None if record is None else record.key.id for record in records]
    assert ids == [None, *(f"{number:04}" for number in range(40)), None]
    assert 3 <= reading.scripts <= 5


async def test_a_script_answers_a_bounded_number_of_bytes(driver: RedisDriver) -> None:
    size = 1_000_000
    await enqueue_large_ones(driver, size)
    taken = await claim(driver, 100)
    assert 1 <= len(taken) <= MOST_BYTES // size
    found = await everything(driver, taken)
    assert found == 40


async def everything(driver: RedisDriver, taken: Sequence[Lease]) -> int:
    """Return how many jobs are claimed in all."""
    count = len(taken)
    while leases := await claim(driver, 100):
        count += len(leases)
    return count
