"""Waiting workers are woken by commits of this process and of others, and by nothing else."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from stoker.driver import Complete, Extension, JobKey, NewJob, Settlement, Wake, Want
from stoker.errors import InvalidInput
from stoker_sqlite import SqliteDriver

Connect = Callable[[], Awaitable[SqliteDriver]]

LEASE = timedelta(seconds=30)
LONG = timedelta(seconds=30)
SHORT = timedelta(milliseconds=60)
"""Longer than a few looks at the file."""

OTHER = """
import asyncio, sys
from datetime import timedelta
from stoker.driver import *
from stoker_sqlite import SqliteDriver

async def main():
    driver = SqliteDriver(sys.argv[1])
    await driver.open()
    leases = []
    for number, line in enumerate(sys.stdin):
        match line.strip():
            case "enqueue":
                await driver.enqueue([NewJob(JobKey("q", f"other-{number}"), "a.b")])
            case "claim":
                want = [Want("q", 1)]
                leases += (await driver.claim(want, worker="o", lease=timedelta(30))).leases
            case "extend":
                await driver.extend([Extension(leases[-1].token)], lease=timedelta(30))
            case "settle":
                await driver.settle([Settlement(leases[-1].token, Complete())])
            case "cancel":
                await driver.cancel([leases[-1].token.key], reason="no")
        print("done", flush=True)
    await driver.close()

asyncio.run(main())
"""

Tell = Callable[[str], Awaitable[None]]


@asynccontextmanager
async def other_process(path: Path) -> AsyncIterator[Tell]:
    """Have another process do what it is told."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        OTHER,
        str(path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None

    async def tell(what: str) -> None:
        stdin.write(f"{what}\n".encode())
        async with asyncio.timeout(30):
            assert await stdout.readline() == b"done\n"

    yield tell
    stdin.close()
    async with asyncio.timeout(30):
        assert await process.wait() == 0


async def test_an_enqueue_of_another_process_wakes(driver: SqliteDriver, path: Path) -> None:
    async with other_process(path) as tell:
        assert await driver.wait(["q"], LONG) is Wake.WORK
        waiting = asyncio.create_task(driver.wait(["q"], LONG))
        await tell("enqueue")
        assert await waiting is Wake.WORK


async def test_a_hint_between_two_waits_ends_the_next_one(driver: SqliteDriver, path: Path) -> None:
    async with other_process(path) as tell:
        await driver.wait(["q"], LONG)
        await tell("enqueue")
        assert await driver.wait(["q"], LONG) is Wake.WORK
        assert await driver.wait(["q"], SHORT) is Wake.NOTHING


async def test_claims_extends_and_settlements_of_another_process_wake_nobody(
    driver: SqliteDriver, path: Path
) -> None:
    async with other_process(path) as tell:
        await tell("enqueue")
        await driver.wait(["q"], LONG)
        waiting = asyncio.create_task(driver.wait(["q"], LONG))
        for what in ("claim", "extend", "settle"):
            await tell(what)
        done, _ = await asyncio.wait({waiting}, timeout=SHORT.total_seconds())
        assert not done
        await tell("enqueue")
        assert await waiting is Wake.WORK


async def test_a_cancel_by_another_process_is_told_from_work(
    driver: SqliteDriver, path: Path
) -> None:
    async with other_process(path) as tell:
        await tell("enqueue")
        await tell("claim")
        await driver.wait(["q"], LONG)
        await tell("cancel")
        assert await driver.wait(["q"], LONG) is Wake.CANCEL


async def test_clients_of_one_process_wake_each_other_and_wait_apart(connect: Connect) -> None:
    one, other = await connect(), await connect()
    for driver in (one, other):
        await driver.wait(["q", "r"], LONG)
    waits = [
        asyncio.create_task(one.wait(["q"], LONG)),
        asyncio.create_task(other.wait(["r"], LONG)),
    ]
    await asyncio.sleep(0)
    await one.enqueue([NewJob(JobKey("q", "1"), "a.b")])
    assert await waits[0] is Wake.WORK
    assert not waits[1].done()
    await one.enqueue([NewJob(JobKey("r", "1"), "a.b")])
    assert await waits[1] is Wake.WORK
    # The hint for `q` was latched for the other client as well.
    assert await other.wait(["q"], LONG) is Wake.WORK


async def test_ones_own_claims_and_settlements_do_not_wake(driver: SqliteDriver) -> None:
    await driver.wait(["q"], LONG)
    await driver.enqueue([NewJob(JobKey("q", "1"), "a.b")])
    assert await driver.wait(["q"], LONG) is Wake.WORK
    claimed = await driver.claim([Want("q", 1)], worker="w", lease=LEASE)
    token = claimed.leases[0].token
    await driver.extend([Extension(token)], lease=LEASE)
    await driver.settle([Settlement(token, Complete())])
    assert await driver.wait(["q"], SHORT) is Wake.NOTHING


async def test_a_second_waiter_of_a_client_is_refused(driver: SqliteDriver) -> None:
    await driver.wait(["q"], LONG)
    waiting = asyncio.create_task(driver.wait(["q"], LONG))
    await asyncio.sleep(0)
    with pytest.raises(InvalidInput, match="one waiter"):
        await driver.wait(["q"], LONG)
    await driver.enqueue([NewJob(JobKey("q", "1"), "a.b")])
    assert await waiting is Wake.WORK


async def test_close_ends_a_wait_and_the_thread(path: Path) -> None:
    before = threading.active_count()
    driver = SqliteDriver(path)
    await driver.open()
    await driver.wait(["q"], LONG)
    waiting = asyncio.create_task(driver.wait(["q"], LONG))
    await asyncio.sleep(0.02)
    await driver.close()
    assert await waiting is Wake.NOTHING
    assert [thread for thread in threading.enumerate() if "watch" in thread.name] == []
    assert threading.active_count() <= before + 2  # aiosqlite's own may be on their way out


async def test_the_thread_goes_on_after_the_file_could_not_be_read(
    driver: SqliteDriver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert driver._client is not None
    bell = driver._client._bell
    read = type(bell)._read
    failures = iter([True])

    def failing(self: object, *arguments: object) -> None:
        if next(failures, False):
            import sqlite3

            raise sqlite3.OperationalError("disk I/O error")
        read(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(type(bell), "_read", failing)
    monkeypatch.setattr("stoker_sqlite._wake._RETRY_SECONDS", 0.001)
    await driver.wait(["q"], LONG)
    # Not through the driver, so only the thread can notice.
    waiting = asyncio.create_task(driver.wait(["q"], LONG))
    await asyncio.sleep(0)
    async with driver.transaction(lease=LEASE) as connection:
        await driver.enqueue_in(connection, [NewJob(JobKey("q", "1"), "a.b")])
    assert await waiting is Wake.WORK
    assert "disk I/O error" in caplog.text
