"""A commit that fails by the user's own constraint has not happened, and says so."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import aiosqlite
import pytest

from stoker.driver import Complete, JobKey, NewJob, Settlement, Want
from stoker.job import JobState
from stoker_sqlite import SqliteDriver


async def test_a_deferred_constraint_fails_the_block_with_its_own_error(tmp_path: Path) -> None:
    driver = SqliteDriver(tmp_path / "jobs.db")
    await driver.open()
    try:
        key = JobKey("mail", "1")
        await driver.enqueue([NewJob(key, "mail.send")])
        minute = timedelta(minutes=1)
        (lease,) = (await driver.claim([Want("mail", 1)], worker="w", lease=minute)).leases
        async with aiosqlite.connect(tmp_path / "jobs.db") as connection:
            await connection.execute("pragma foreign_keys = on")
            await connection.execute("create table parent (id integer primary key)")
            await connection.execute(
                "create table child (id references parent deferrable initially deferred)"
            )

            async def block() -> None:
                async with driver.transaction(connection, lease=minute):
                    await connection.execute("insert into child values (7)")
                    await driver.settle_in(connection, Settlement(lease.token, Complete()))

            with pytest.raises(sqlite3.IntegrityError):
                await block()
            cursor = await connection.execute("select count(*) from child")
            assert await cursor.fetchone() == (0,)
        assert await driver.states([key]) == [JobState.RUNNING]
    finally:
        await driver.close()
