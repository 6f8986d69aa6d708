"""The pool of connections that the driver opens itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from stoker_postgres import _pool
from stoker_postgres._pool import OwnPool


class Opened:
    """A connection that notes what is done to it."""

    def __init__(self) -> None:
        self.is_gone = False
        self.goodbyes: list[str] = []

    def is_closed(self) -> bool:
        return self.is_gone

    async def close(self) -> None:
        self.goodbyes.append("close")

    def terminate(self) -> None:
        self.is_gone = True
        self.goodbyes.append("terminate")


class World:
    """A server that can be away, and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.opened: list[Opened] = []
        self.is_away = False

    async def connect(self) -> Any:
        if self.is_away:
            raise ConnectionRefusedError
        self.opened.append(Opened())
        return self.opened[-1]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(_pool, "_now", lambda: world.now)
    return world


@pytest.fixture
def pool(world: World) -> OwnPool:
    return OwnPool(world.connect, 2)


async def lent(pool: OwnPool) -> Any:
    """Return what the pool lends."""
    return await pool.acquire()


async def never_comes(pool: OwnPool) -> bool:
    """Ask for a connection, and give up at once."""
    try:
        await pool.acquire(timeout=0)
    except TimeoutError:
        return True
    return False


async def test_the_connection_that_came_back_last_is_lent_next(pool: OwnPool, world: World) -> None:
    first, second = await pool.acquire(), await pool.acquire()
    await pool.release(first)
    await pool.release(second)
    assert await pool.acquire() is second
    assert await pool.acquire() is first
    assert len(world.opened) == 2


async def test_no_more_are_lent_than_there_may_be(pool: OwnPool) -> None:
    first, _ = await pool.acquire(), await pool.acquire()
    assert await never_comes(pool)
    assert (pool.get_size(), pool.get_idle_size(), pool.get_max_size()) == (2, 0, 2)
    await pool.release(first)
    assert pool.get_idle_size() == 1
    assert await pool.acquire() is first


async def test_who_waits_gets_the_one_that_comes_back(pool: OwnPool) -> None:
    first, _ = await pool.acquire(), await pool.acquire()
    waiting = asyncio.create_task(pool.acquire(timeout=60))
    await asyncio.sleep(0)
    await pool.release(first)
    assert await waiting is first


async def test_a_broken_one_is_not_kept(pool: OwnPool, world: World) -> None:
    broken: Any = await pool.acquire()
    broken.is_gone = True
    await pool.release(broken)
    assert pool.get_size() == 0
    assert await lent(pool) is world.opened[1]


async def test_one_that_breaks_while_it_is_free_is_not_lent(pool: OwnPool, world: World) -> None:
    connection: Any = await pool.acquire()
    await pool.release(connection)
    connection.is_gone = True
    assert await lent(pool) is world.opened[1]


async def test_a_place_is_not_lost_when_the_server_is_away(pool: OwnPool, world: World) -> None:
    world.is_away = True
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            await pool.acquire()
    world.is_away = False
    await pool.acquire()
    await pool.acquire()


async def test_what_nobody_needs_for_long_is_ended(pool: OwnPool, world: World) -> None:
    first, second = await pool.acquire(), await pool.acquire()
    await pool.release(first)
    await pool.release(second)
    for _ in range(4):
        world.now += 100
        await pool.release(await pool.acquire())
    assert [one.goodbyes for one in world.opened] == [["terminate"], []]
    world.now += 301
    assert await lent(pool) is world.opened[2]
    assert world.opened[1].goodbyes == ["terminate"]


async def test_closing_waits_for_what_is_lent(pool: OwnPool, world: World) -> None:
    lent = await pool.acquire()
    await pool.release(await pool.acquire())
    closing = asyncio.create_task(pool.close())
    await asyncio.sleep(0)
    assert not closing.done()
    await pool.release(lent)
    await closing
    assert [one.goodbyes for one in world.opened] == [["close"], ["close"]]


@pytest.mark.parametrize("end", [OwnPool.terminate, OwnPool.close])
async def test_a_closed_pool_lends_nothing(pool: OwnPool, end: Callable[[OwnPool], Any]) -> None:
    ending = end(pool)
    if ending is not None:
        await ending
    assert pool.is_closing()
    with pytest.raises(asyncpg.InterfaceError):
        await pool.acquire()


async def test_a_pool_that_is_closed_meanwhile_ends_what_it_has_just_opened(
    pool: OwnPool, world: World
) -> None:
    real = world.connect

    async def connect() -> Any:
        pool.terminate()
        return await real()

    pool._connect = connect
    with pytest.raises(asyncpg.InterfaceError):
        await pool.acquire()
    assert world.opened[0].goodbyes == ["terminate"]


async def test_terminating_ends_what_is_lent_as_well(pool: OwnPool, world: World) -> None:
    await pool.acquire()
    await pool.release(await pool.acquire())
    pool.terminate()
    assert [one.goodbyes for one in world.opened] == [["terminate"], ["terminate"]]
