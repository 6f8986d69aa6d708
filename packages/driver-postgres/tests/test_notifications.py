"""What is notified, counted: once a queue and transaction, and never for a settlement."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from tools.servers.postgres import PostgresServer

from stoker.driver import After, Complete, Fail, JobKey, NewJob, Release, Retry, Settlement, Want
from stoker_postgres import PostgresDriver

HOUR = timedelta(hours=1)
NOW, LATER = After(timedelta(0)), After(HOUR)
END = "the end"


class Heard:
    """What was notified on a channel since the last count."""

    def __init__(self, raw: Any, driver: PostgresDriver, channel: str) -> None:
        self._raw = raw
        self._driver = driver
        self._channel = channel
        self._texts: list[str] = []
        self._ended = asyncio.Event()

    def __call__(self, _connection: object, _pid: int, _channel: str, text: str) -> None:
        if text == END:
            self._ended.set()
        else:
            self._texts.append(text)

    async def count(self) -> Counter[str]:
        """Return how often each text came; notifications come in the order of their commits."""
        assert self._driver._client is not None
        await self._driver._client.hints.close()  # those that are owed
        self._ended.clear()
        await self._raw.execute("select pg_notify($1, $2)", self._channel, END)
        async with asyncio.timeout(10):
            await self._ended.wait()
        heard, self._texts = Counter(self._texts), []
        return heard


@pytest.fixture
async def heard(
    server: PostgresServer, driver: PostgresDriver, schema: str
) -> AsyncIterator[Heard]:
    raw = await asyncpg.connect(server.url)
    channel = f"{schema}.hints"
    heard = Heard(raw, driver, channel)
    await raw.add_listener(channel, heard)
    yield heard
    await raw.close()


def jobs(queue: str, prefix: str, delay: After = NOW) -> list[NewJob]:
    return [NewJob(JobKey(queue, f"{prefix}{n}"), "a.b", run_at=delay) for n in range(50)]


async def test_a_transaction_notifies_once_a_queue(
    driver: PostgresDriver, heard: Heard, raw: Any
) -> None:
    await driver.enqueue([*jobs("a", "1"), *jobs("b", "1")])
    assert await heard.count() == {"Wa": 1, "Wb": 1}
    async with raw.transaction():
        for number in range(5):
            await driver.enqueue_in(raw, jobs("a", f"in {number} "))
    assert await heard.count() == {"Wa": 1}
    keys = [job.key for job in jobs("a", "later")]
    await driver.enqueue(jobs("a", "later", LATER))
    assert await heard.count() == {"Wa": 1}
    await driver.reschedule(keys, NOW)
    assert await heard.count() == {"Wa": 1}


async def test_a_settlement_notifies_of_nothing_but_jobs_that_come_back(
    driver: PostgresDriver, heard: Heard, raw: Any
) -> None:
    await driver.enqueue(jobs("a", ""))
    await heard.count()
    leases = (await driver.claim([Want("a", 50)], worker="w", lease=HOUR)).leases
    tokens = [lease.token for lease in leases]
    assert await heard.count() == {}
    await driver.settle([Settlement(token, Complete()) for token in tokens[:20]])
    await driver.settle([Settlement(token, Fail(b"1")) for token in tokens[20:30]])
    async with raw.transaction():
        await driver.settle_in(raw, Settlement(tokens[30], Complete()))
    assert await heard.count() == {}
    await driver.settle(
        [Settlement(token, Retry(LATER, b"1")) for token in tokens[31:40]]
        + [Settlement(token, Release(NOW)) for token in tokens[40:]]
    )
    assert await heard.count() == {"Wa": 1}


async def test_a_burst_is_debounced(driver: PostgresDriver, heard: Heard) -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await asyncio.gather(*(driver.enqueue([job]) for job in jobs("a", "")))
    heard_of = await heard.count()
    moments = (loop.time() - begun) / 0.002
    assert set(heard_of) == {"Wa"}
    assert heard_of["Wa"] <= min(49, moments + 1)
