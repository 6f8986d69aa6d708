"""Jobs in users' transactions, on connections that are set to whatever the user likes."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from stoker.driver import (
    Complete,
    EnqueueStatus,
    Fail,
    JobKey,
    NewJob,
    Settlement,
    SettleStatus,
    Unique,
    Wake,
    Want,
)
from stoker.errors import DriverUnavailable, InvalidInput, TransactionTooLong
from stoker.job import JobState
from stoker_sqlite import SqliteDriver

LEASE = timedelta(seconds=30)
SHORT = timedelta(milliseconds=150)
KEY = JobKey("q", "1")
JOB = NewJob(KEY, "a.b", b"{}", unique=Unique("only"), tags=("t",))

Change = Callable[[aiosqlite.Connection], object]


def dictionaries(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> dict[str, Any]:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}


def odd_rows(connection: aiosqlite.Connection) -> None:
    connection.row_factory = dictionaries  # type: ignore[assignment]


def odd_texts(connection: aiosqlite.Connection) -> None:
    connection.text_factory = bytes


def plain(connection: aiosqlite.Connection) -> None:
    """Leave the connection as it is."""


@asynccontextmanager
async def user(path: Path, **options: Any) -> AsyncIterator[aiosqlite.Connection]:
    """Open a connection with a table of the user's own."""
    async with aiosqlite.connect(path, **options) as connection:
        await connection.execute("create table if not exists letters (address text)")
        await connection.commit()
        yield connection


def letters(path: Path) -> int:
    with closing(sqlite3.connect(path)) as raw:
        return int(raw.execute("select count(*) from letters").fetchone()[0])


@pytest.mark.parametrize("isolation_level", [None, "", "DEFERRED", "EXCLUSIVE"])
@pytest.mark.parametrize("change", [plain, odd_rows, odd_texts])
async def test_a_connection_may_be_set_in_any_way(
    driver: SqliteDriver, path: Path, isolation_level: str | None, change: Change
) -> None:
    async with user(path, isolation_level=isolation_level) as connection:
        change(connection)
        factories = connection.row_factory, connection.text_factory, connection.isolation_level
        await connection.execute("begin")
        answers = await driver.enqueue_in(connection, [JOB, JOB])
        await connection.execute("insert into letters values ('a')")
        await connection.commit()
        assert [answer.status.value for answer in answers] == ["inserted", "duplicate_id"]
        claimed = await driver.claim([Want("q", 1)], worker="w", lease=LEASE)
        await connection.execute("begin")
        settled = await driver.settle_in(
            connection, Settlement(claimed.leases[0].token, Complete(b"1"))
        )
        await connection.commit()
        assert settled.status is SettleStatus.APPLIED
        assert factories == (
            connection.row_factory,
            connection.text_factory,
            connection.isolation_level,
        )
    assert await driver.states([KEY]) == [JobState.COMPLETED]


async def test_converters_of_declared_types_do_not_matter(
    driver: SqliteDriver, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TEXT", "INTEGER", "BLOB"):
        sqlite3.register_converter(name, lambda value: "spoiled")
    try:
        async with user(path, detect_types=sqlite3.PARSE_DECLTYPES) as connection:
            await connection.execute("begin")
            await driver.enqueue_in(connection, [JOB])
            other = NewJob(JobKey("q", "2"), "a.b", unique=Unique("only"))
            (conflict,) = await driver.enqueue_in(connection, [other])
            await connection.commit()
            assert conflict.existing == "1"
    finally:
        for name in ("TEXT", "INTEGER", "BLOB"):
            sqlite3.converters.pop(name)


async def test_rollback_leaves_nothing_and_commit_leaves_all(
    driver: SqliteDriver, path: Path
) -> None:
    async with user(path) as connection:
        for end, state in ((connection.rollback, None), (connection.commit, JobState.READY)):
            await connection.execute("begin")
            await connection.execute("insert into letters values ('a')")
            await driver.enqueue_in(connection, [JOB])
            assert await driver.states([KEY]) == [None]
            await end()
            assert await driver.states([KEY]) == [state]
    assert letters(path) == 1


async def test_an_applications_own_file_takes_its_rows_and_jobs_as_one(path: Path) -> None:
    async with user(path) as connection:
        await connection.execute("pragma user_version = 7")
        driver = SqliteDriver(path)
        await driver.open()
        for end, state in ((connection.rollback, None), (connection.commit, JobState.READY)):
            await connection.execute("begin immediate")
            await connection.execute("insert into letters values ('a')")
            await driver.enqueue_in(connection, [JOB])
            await end()
            assert await driver.states([KEY]) == [state]
            assert letters(path) == (state is not None)
        await driver.close()


async def test_an_error_inside_takes_back_only_its_own_statements(
    driver: SqliteDriver, path: Path
) -> None:
    async with user(path) as connection:
        await connection.execute(
            "create trigger no before insert on stoker_jobs when new.id = 'x' "
            "begin select raise(abort, 'no x'); end"
        )
        await connection.execute("begin")
        await connection.execute("insert into letters values ('a')")
        bad = [NewJob(JobKey("q", "0"), "a.b"), NewJob(JobKey("q", "x"), "a.b")]
        with pytest.raises(sqlite3.IntegrityError, match="no x"):
            await driver.enqueue_in(connection, bad)
        await driver.enqueue_in(connection, [JOB])
        await connection.commit()
    assert await driver.states([bad[0].key, KEY]) == [None, JobState.READY]
    assert letters(path) == 1


async def test_a_connection_to_another_file_is_refused_with_both_names(
    driver: SqliteDriver, path: Path, tmp_path: Path
) -> None:
    for other in (tmp_path / "other.db", Path(":memory:")):
        async with user(other) as connection:
            await connection.execute("begin")
            with pytest.raises(InvalidInput, match=r"jobs\.db"):
                await driver.enqueue_in(connection, [JOB])
            await connection.rollback()
            with pytest.raises(InvalidInput, match=r"jobs\.db"):
                async with driver.transaction(connection, lease=LEASE):
                    pass
            assert not connection.in_transaction


async def test_what_is_no_open_connection_is_refused(driver: SqliteDriver, path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw, pytest.raises(InvalidInput, match="aiosqlite"):
        await driver.enqueue_in(raw, [JOB])  # type: ignore[arg-type]
    async with user(path) as connection:
        pass
    with pytest.raises(InvalidInput, match="closed"):
        await driver.enqueue_in(connection, [JOB])


async def test_a_deferred_transaction_that_read_first_gets_sqlites_own_error(
    driver: SqliteDriver, path: Path
) -> None:
    async with user(path) as connection:
        await connection.execute("begin")
        await (await connection.execute("select * from letters")).fetchall()
        await driver.enqueue([NewJob(JobKey("q", "2"), "a.b")])
        with pytest.raises(sqlite3.OperationalError) as caught:
            await driver.enqueue_in(connection, [JOB])
        assert caught.value.sqlite_errorcode == sqlite3.SQLITE_BUSY_SNAPSHOT
        await connection.rollback()


async def test_a_deferred_transaction_that_settles_first_waits_for_another_writer(
    driver: SqliteDriver, path: Path
) -> None:
    await driver.enqueue([JOB])
    claimed = await driver.claim([Want("q", 1)], worker="w", lease=LEASE)
    item = Settlement(claimed.leases[0].token, Complete())
    async with user(path) as connection, user(path) as other:
        await other.execute("insert into letters values ('a')")
        await connection.execute("begin")
        settling = asyncio.create_task(driver.settle_in(connection, item))
        done, _ = await asyncio.wait({settling}, timeout=0.05)
        assert not done
        await other.commit()
        assert (await settling).status is SettleStatus.APPLIED
        await connection.commit()


async def test_only_a_complete_can_be_settled_inside(driver: SqliteDriver, path: Path) -> None:
    await driver.enqueue([JOB])
    claimed = await driver.claim([Want("q", 1)], worker="w", lease=LEASE)
    async with user(path) as connection:
        await connection.execute("begin")
        with pytest.raises(InvalidInput, match="Complete"):
            await driver.settle_in(connection, Settlement(claimed.leases[0].token, Fail(b"1")))
        await connection.rollback()


@pytest.mark.parametrize("given", [False, True])
async def test_a_block_commits_when_it_ends_well_and_else_rolls_back(
    driver: SqliteDriver, path: Path, given: bool
) -> None:
    async with user(path) as mine:
        connection = mine if given else None

        async def failing() -> None:
            async with driver.transaction(connection, lease=LEASE) as inside:
                await inside.execute("insert into letters values ('a')")
                await driver.enqueue_in(inside, [JOB])
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await failing()
        assert await driver.states([KEY]) == [None]
        async with driver.transaction(connection, lease=LEASE) as inside:
            await inside.execute("insert into letters values ('b')")
            await driver.enqueue_in(inside, [JOB])
        assert await driver.states([KEY]) == [JobState.READY]
        assert not mine.in_transaction
    assert letters(path) == 1


async def test_a_block_that_was_ended_inside_says_so(driver: SqliteDriver) -> None:
    with pytest.raises(InvalidInput, match="ended inside"):
        async with driver.transaction(lease=LEASE) as inside:
            await inside.commit()


async def sleeps(_: aiosqlite.Connection) -> None:
    await asyncio.Event().wait()


async def swallows(_: aiosqlite.Connection) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.sleep(0)


async def blocks_the_loop(_: aiosqlite.Connection) -> None:
    time.sleep(0.3)  # noqa: ASYNC251 - this is the mistake that is meant


async def is_busy_in_sqlite(connection: aiosqlite.Connection) -> None:
    await connection.execute_fetchall(
        "with recursive n (i) as (select 1 union all select i + 1 from n) select count(*) from n"
    )


async def goes_on_writing(connection: aiosqlite.Connection) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await connection.execute("insert into letters values ('too late')")


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize(
    "body", [sleeps, swallows, blocks_the_loop, is_busy_in_sqlite, goes_on_writing]
)
async def test_a_block_that_is_too_long_is_rolled_back_and_the_file_freed(
    driver: SqliteDriver,
    path: Path,
    given: bool,
    body: Callable[[aiosqlite.Connection], Awaitable[None]],
) -> None:
    async with user(path) as mine:

        async def too_long() -> None:
            async with driver.transaction(mine if given else None, lease=SHORT) as inside:
                await inside.execute("insert into letters values ('a')")
                await driver.enqueue_in(inside, [JOB])
                await body(inside)

        with pytest.raises(TransactionTooLong):
            await too_long()
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        assert await driver.states([KEY]) == [None]
        await driver.enqueue([JOB])
        # A connection that was given is as it was before.
        assert not mine.in_transaction
        await mine.execute("insert into letters values ('b')")
        await mine.commit()
    assert letters(path) == 1


async def test_a_stuck_body_frees_the_file_before_it_ends(driver: SqliteDriver) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        async with driver.transaction(lease=SHORT):
            inside.set()
            while not go_on.is_set():
                try:
                    await go_on.wait()
                except asyncio.CancelledError:
                    continue

    stuck = asyncio.create_task(stubborn())
    await inside.wait()
    assert (await driver.enqueue([JOB]))[0].status is EnqueueStatus.INSERTED
    assert not stuck.done()
    go_on.set()
    with pytest.raises(TransactionTooLong):
        await stuck


async def test_a_cancel_from_outside_rolls_back_and_is_not_lost(driver: SqliteDriver) -> None:
    inside = asyncio.Event()

    async def body() -> None:
        async with driver.transaction(lease=LEASE) as connection:
            await driver.enqueue_in(connection, [JOB])
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(body())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await driver.states([KEY]) == [None]


async def test_a_cancel_during_the_commit_is_raised_after_it(
    driver: SqliteDriver, path: Path
) -> None:
    task: asyncio.Task[None]

    async def body(mine: aiosqlite.Connection) -> None:
        async with driver.transaction(mine, lease=LEASE) as connection:
            await driver.enqueue_in(connection, [JOB])
            task.cancel()

    async with user(path) as mine:
        task = asyncio.create_task(body(mine))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not mine.in_transaction
    assert await driver.states([KEY]) == [JobState.READY]


async def test_a_second_block_waits_for_the_first_and_then_gives_up(
    driver: SqliteDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker_sqlite._block.BUSY_SECONDS", 0.05)
    async with driver.transaction(lease=LEASE):
        with pytest.raises(DriverUnavailable) as caught:
            async with driver.transaction(lease=LEASE):
                pass
    assert not caught.value.maybe_applied


async def test_close_rolls_back_a_block_that_does_not_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker_sqlite._client._GRACE_SECONDS", 0.05)
    driver = SqliteDriver(path)
    await driver.open()
    inside = asyncio.Event()

    async def body() -> None:
        async with driver.transaction(lease=LEASE) as connection:
            await driver.enqueue_in(connection, [JOB])
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(body())
    await inside.wait()
    await driver.close()
    with pytest.raises(DriverUnavailable, match="closed"):
        await task


async def test_a_commit_of_the_users_wakes_waiting_workers_and_a_rollback_does_not(
    driver: SqliteDriver, path: Path
) -> None:
    await driver.wait(["q"], timedelta(seconds=5))
    async with user(path) as connection:
        await connection.execute("begin")
        await driver.enqueue_in(connection, [JOB])
        await connection.rollback()
        assert await driver.wait(["q"], timedelta(milliseconds=50)) is Wake.NOTHING
        await connection.execute("begin")
        await driver.enqueue_in(connection, [JOB])
        waiting = asyncio.create_task(driver.wait(["q"], timedelta(seconds=30)))
        done, _ = await asyncio.wait({waiting}, timeout=0.05)
        assert not done
        await connection.commit()
        assert await waiting is Wake.WORK
