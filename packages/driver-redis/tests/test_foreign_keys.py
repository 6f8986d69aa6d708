"""A key of another type where the driver keeps its own: refused, and nothing is half-stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from tools.servers.valkey import ValkeyServer

from stoker.driver import (
    After,
    At,
    Complete,
    Extension,
    Fail,
    JobKey,
    JobQuery,
    Keep,
    NewJob,
    OnConflict,
    Outcome,
    Release,
    Retention,
    Settlement,
    Token,
    Unique,
    Until,
    Want,
)
from stoker.errors import IncompatibleStore
from stoker_redis import RedisDriver
from stoker_redis._keys import Keys, names_key, worker_keys

QUEUE = "letters"
NOW = datetime(2031, 3, 14, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
MINUTE = timedelta(minutes=1)

Operation = Callable[[RedisDriver], Awaitable[Any]]


def key(id_: str) -> JobKey:
    return JobKey(QUEUE, id_)


def new(id_: str, **options: Any) -> NewJob:
    return NewJob(key(id_), "mails.send", **options)


async def fill(driver: RedisDriver) -> list[Token]:
    """Leave jobs in every state, and something under every key; return what runs."""
    ends = [new(f"end{n}", max_attempts=1) for n in range(3)]
    await driver.enqueue(ends, now=NOW)
    leases = (await driver.claim([Want(QUEUE, 3)], worker="w", lease=MINUTE, now=NOW)).leases
    outcomes: list[Outcome] = [Complete(b"1"), Fail(b"2"), Fail(b"3")]
    settlements = [
        Settlement(lease.token, outcome, progress=b"4", logs=[b"5"])
        for lease, outcome in zip(leases, outcomes, strict=True)
    ]
    await driver.settle(settlements, now=NOW)
    await driver.enqueue([new("run1"), new("run2")], now=NOW)
    running = (await driver.claim([Want(QUEUE, 2)], worker="w", lease=MINUTE, now=NOW)).leases
    await driver.enqueue(
        [
            new("ready", unique=Unique("k1")),
            new("other", priority=7, unique=Unique("k2", until=Until.START)),
            new("timed", unique=Unique("k3", until=At(NOW + MINUTE))),
            new("later", run_at=After(MINUTE), unique=Unique("k4")),
        ],
        now=NOW,
    )
    await driver.cancel([key("other")], reason="no", now=NOW)
    await driver.put_schedule(QUEUE, "daily", b"{}", At(NOW), now=NOW)
    await driver.announce("w", [QUEUE], MINUTE, b"{}", now=NOW)
    return [lease.token for lease in running]


def operations(tokens: Sequence[Token], version: int) -> dict[str, Operation]:
    """Return everything that can be asked, so that it would change something of the above."""
    first, second = tokens
    replacing = Unique("k1", on_conflict=OnConflict.REPLACE)
    return {
        "enqueue": lambda d: d.enqueue([new("a"), new("b", run_at=After(MINUTE))], now=NOW),
        "enqueue_unique": lambda d: d.enqueue(
            [new("a", unique=replacing), new("b", unique=Unique("k9", until=After(MINUTE)))],
            now=LATER,
        ),
        "claim": lambda d: d.claim([Want(QUEUE, 9)], worker="w", lease=MINUTE, now=NOW),
        "extend": lambda d: d.extend([Extension(first, b"1", [b"2"])], lease=2 * MINUTE, now=NOW),
        "settle": lambda d: d.settle(
            [
                Settlement(first, Complete(b"1")),
                Settlement(second, Release(After(MINUTE)), progress=b"2"),
            ],
            now=NOW,
        ),
        "promote": lambda d: d.promote([QUEUE], limit=9, now=LATER),
        "reap": lambda d: d.reap([QUEUE], limit=9, delay=timedelta(0), error=b"lost", now=LATER),
        "get": lambda d: d.get([key("end0"), key("ready")]),
        "states": lambda d: d.states([key("end0")]),
        "search": lambda d: d.search(QUEUE, JobQuery(names=frozenset({"mails.send"}))),
        "queues": lambda d: d.queues(),
        "stats": lambda d: d.stats([QUEUE], now=LATER),
        "cancel": lambda d: d.cancel([key("ready"), key("run1")], reason="no", now=NOW),
        "retry": lambda d: d.retry([key("end1"), key("other")], now=NOW),
        "reschedule": lambda d: d.reschedule(
            [key("ready"), key("later")], After(2 * MINUTE), now=NOW
        ),
        "remove": lambda d: d.remove([key("end0"), key("run1"), key("later"), key("ready")]),
        "pause": lambda d: d.pause(QUEUE, True),
        "resume": lambda d: d.pause(QUEUE, False),
        "purge": lambda d: d.purge(
            QUEUE, Retention(completed=Keep(newest=0), failed=Keep(newest=0)), limit=9, now=LATER
        ),
        "put_schedule": lambda d: d.put_schedule(QUEUE, "daily", b"[]", At(NOW), now=NOW),
        "fire_schedule": lambda d: d.fire_schedule(
            QUEUE, "daily", version, LATER, [new("tick")], now=NOW
        ),
        "list_schedules": lambda d: d.list_schedules([QUEUE], now=NOW),
        "remove_schedule": lambda d: d.remove_schedule(QUEUE, "daily"),
        "announce": lambda d: d.announce("v", [QUEUE], MINUTE, b"{}", now=LATER),
        "withdraw": lambda d: d.withdraw("w"),
        "workers": lambda d: d.workers(now=NOW),
    }


class Copies:
    """Puts a store back to what it was, and tells whether it changed."""

    def __init__(self, raw: Any, prefix: str) -> None:
        self._raw = raw
        self._keys = [*Keys(prefix, QUEUE).all(), *worker_keys(prefix), names_key(prefix)]
        self._saved: list[bytes | None] = []

    @property
    def keys(self) -> list[bytes]:
        return self._keys

    async def save(self) -> None:
        self._saved = await self.dump()

    async def dump(self) -> list[bytes | None]:
        pipe = self._raw.pipeline(transaction=False)
        for name in self._keys:
            pipe.dump(name)
        found: list[bytes | None] = await pipe.execute()
        return found

    async def restore(self, foreign: bytes) -> None:
        pipe = self._raw.pipeline(transaction=False)
        pipe.delete(*self._keys)
        for name, content in zip(self._keys, self._saved, strict=True):
            if content is not None:
                pipe.restore(name, 0, content)
        pipe.delete(foreign)
        pipe.set(foreign, "not ours")
        await pipe.execute()


async def refusal(answer: Awaitable[Any]) -> str | None:
    """Return why an operation was refused, if it was."""
    try:
        await answer
    except IncompatibleStore as error:
        return str(error)
    return None


NAMES = tuple(operations([Token(key("run1"), 1), Token(key("run2"), 2)], 1))
CHANGES = set(NAMES) - {"get", "states", "search", "queues", "stats", "list_schedules", "workers"}


@pytest.mark.parametrize("name", NAMES)
async def test_an_operation_meets_a_foreign_key_before_it_has_written_anything(
    driver: RedisDriver, server: ValkeyServer, prefix: str, name: str
) -> None:
    tokens = await fill(driver)
    [schedule] = (await driver.list_schedules([QUEUE], now=NOW)).schedules
    operation = operations(tokens, schedule.version)[name]
    async with Redis(port=server.port) as raw:
        copies = Copies(raw, prefix)
        await copies.save()
        refusals = 0
        for foreign in copies.keys:
            await copies.restore(foreign)
            before = await copies.dump()
            error = await refusal(operation(driver))
            if error is not None:
                refusals += 1
                assert "type" in error
                assert await copies.dump() == before, f"half-stored before {foreign.decode()}"
    assert refusals, "no key of this operation was looked at"


@pytest.mark.parametrize("name", sorted(CHANGES))
async def test_an_operation_changes_something_where_no_key_is_foreign(
    driver: RedisDriver, server: ValkeyServer, prefix: str, name: str
) -> None:
    tokens = await fill(driver)
    if name == "resume":
        await driver.pause(QUEUE, True)
    [schedule] = (await driver.list_schedules([QUEUE], now=NOW)).schedules
    async with Redis(port=server.port) as raw:
        copies = Copies(raw, prefix)
        before = await copies.dump()
        await operations(tokens, schedule.version)[name](driver)
        assert await copies.dump() != before


@pytest.mark.parametrize("name", ["claim", "promote", "reap", "purge", "stats"])
async def test_a_queue_that_has_lost_its_records_is_refused_with_the_reason(
    driver: RedisDriver, server: ValkeyServer, prefix: str, name: str
) -> None:
    tokens = await fill(driver)
    async with Redis(port=server.port) as raw:
        copies = Copies(raw, prefix)
        await raw.delete(*Keys(prefix, QUEUE).of(("runs",)))
        before = await copies.dump()
        with pytest.raises(IncompatibleStore, match="evicted or deleted"):
            await operations(tokens, 1)[name](driver)
        assert await copies.dump() == before
