"""Waiting workers are woken by commits of this process and of others, and by nothing else.

All of it whether the kernel tells of writes to the file or not.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path

import pytest

from stoker.driver import Complete, Extension, JobKey, NewJob, Settlement, Wake, Want
from stoker.errors import InvalidInput
from stoker_sqlite import SqliteDriver, _notice
from stoker_sqlite._notice import Inotify, Polling

Connect = Callable[[], Awaitable[SqliteDriver]]

LEASE = timedelta(seconds=30)
LONG = timedelta(seconds=30)
SHORT = timedelta(milliseconds=60)
"""Longer than a few looks at the file."""

HOUR = 3_600_000

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


@pytest.fixture(params=["inotify", "polling"], autouse=True)
def mechanism(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have it with and without inotify."""

    def refuse(_: Path) -> int:
        raise OSError(errno.EMFILE, "too many instances")

    mechanism: str = request.param
    if mechanism == "polling":
        monkeypatch.setattr("stoker_sqlite._notice._watch_writes", refuse)
    elif sys.platform != "linux":
        pytest.skip("needs inotify")
    return mechanism


Settle = Callable[[SqliteDriver], Awaitable[None]]


@pytest.fixture
def settle_down(mechanism: str, monkeypatch: pytest.MonkeyPatch) -> Settle:
    """Let the thread of a driver that waits come to rest: only being told ends that."""
    may_rest, rests = threading.Event(), threading.Event()
    wait = Inotify.wait

    def wait_for_an_hour(notice: Inotify, changed: bool) -> None:
        if notice._pause == HOUR or (notice._pause >= 16 and may_rest.is_set()):
            notice._pause = HOUR
            rests.set()
        wait(notice, changed)
        rests.clear()

    monkeypatch.setattr(Inotify, "LAST_PAUSE", HOUR)
    monkeypatch.setattr(Inotify, "wait", wait_for_an_hour)

    async def settle_down(driver: SqliteDriver) -> None:
        assert driver._client is not None
        bell = driver._client._bell
        if mechanism == "polling":
            await until(lambda: isinstance(bell._notice, Polling))
            return
        may_rest.set()
        await until(rests.is_set)
        may_rest.clear()

    return settle_down


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)


async def commit_unheard(driver: SqliteDriver, queue: str) -> None:
    """Store a job in a transaction of the user's, of which only the file can tell the driver."""
    async with driver.transaction(lease=LEASE) as connection:
        await driver.enqueue_in(connection, [NewJob(JobKey(queue, os.urandom(8).hex()), "a.b")])


async def start_wait(driver: SqliteDriver, *queues: str) -> asyncio.Task[Wake]:
    """Begin to latch hints for some queues, and to wait for one."""
    await driver.wait(queues, LONG)
    waiting = asyncio.create_task(driver.wait(queues, LONG))
    await asyncio.sleep(0)
    return waiting


async def test_an_enqueue_of_another_process_wakes(
    driver: SqliteDriver, path: Path, settle_down: Settle
) -> None:
    async with other_process(path) as tell:
        assert await driver.wait(["q"], LONG) is Wake.WORK
        for _ in range(3):
            waiting = asyncio.create_task(driver.wait(["q"], LONG))
            await asyncio.sleep(0)
            await settle_down(driver)
            await tell("enqueue")
            assert await waiting is Wake.WORK


@pytest.mark.parametrize("mode", ["passive", "restart", "truncate"])
async def test_a_commit_wakes_after_a_checkpoint_that_began_the_log_anew(
    driver: SqliteDriver, path: Path, settle_down: Settle, mode: str
) -> None:
    waiting = await start_wait(driver, "q")
    for _ in range(2):
        await settle_down(driver)
        with closing(sqlite3.connect(path)) as raw:
            raw.execute(f"pragma wal_checkpoint({mode})")
        await settle_down(driver)
        await commit_unheard(driver, "q")
        assert await waiting is Wake.WORK
        waiting = asyncio.create_task(driver.wait(["q"], LONG))
        await asyncio.sleep(0)
    await driver.close()
    assert await waiting is Wake.NOTHING


async def test_a_commit_wakes_after_the_log_was_deleted_and_made_again(
    path: Path, settle_down: Settle
) -> None:
    log = path.with_name(f"{path.name}-wal")
    for _ in range(3):
        driver = SqliteDriver(path)
        await driver.open()
        waiting = await start_wait(driver, "q")
        await settle_down(driver)
        await commit_unheard(driver, "q")
        assert await waiting is Wake.WORK
        assert log.exists()
        await driver.close()
        assert not log.exists()


async def test_many_waiters_are_woken_each_for_its_queues(
    connect: Connect, settle_down: Settle
) -> None:
    drivers = [await connect() for _ in range(12)]
    waits = [
        await start_wait(driver, "q" if number % 2 else "r", f"own-{number}")
        for number, driver in enumerate(drivers)
    ]
    await settle_down(drivers[0])
    await commit_unheard(drivers[0], "q")
    assert await asyncio.gather(*waits[1::2]) == [Wake.WORK] * 6
    await settle_down(drivers[0])
    assert not any(wait.done() for wait in waits[::2])
    await commit_unheard(drivers[0], "r")
    assert await asyncio.gather(*waits[::2]) == [Wake.WORK] * 6


async def test_a_hint_given_while_nobody_waited_for_its_queue_is_not_missed(
    connect: Connect, settle_down: Settle
) -> None:
    one, other = await connect(), await connect()
    waiting = await start_wait(one, "q")
    await other.wait(["r"], LONG)
    await commit_unheard(other, "r")
    await commit_unheard(other, "q")
    assert await waiting is Wake.WORK
    # The thread has seen both commits now, and has read the hints of one queue.
    waiting = asyncio.create_task(one.wait(["q"], LONG))
    await asyncio.sleep(0)
    await settle_down(one)
    assert await other.wait(["r"], LONG) is Wake.WORK
    assert not waiting.done()
    await one.close()
    assert await waiting is Wake.NOTHING


async def test_that_the_kernel_does_not_tell_is_said_once(
    connect: Connect, mechanism: str, caplog: pytest.LogCaptureFixture, settle_down: Settle
) -> None:
    with caplog.at_level("INFO", "stoker_sqlite"):
        for _ in range(3):
            driver = await connect()
            waiting = await start_wait(driver, "q")
            await settle_down(driver)
            await commit_unheard(driver, "q")
            assert await waiting is Wake.WORK
    said = [record for record in caplog.records if record.levelname == "INFO"]
    assert ["too many instances" in record.message for record in said] == (
        [True] if mechanism == "polling" else []
    )


@pytest.mark.parametrize("mechanism", ["inotify"], indirect=True)
async def test_a_kernel_that_keeps_silent_is_found_out(
    driver: SqliteDriver,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch_writes = _notice._watch_writes
    silent = path.with_name("silent")
    silent.write_bytes(b"")
    monkeypatch.setattr(_notice, "_watch_writes", lambda _: watch_writes(silent))
    monkeypatch.setattr(Inotify, "LAST_PAUSE", 4)
    assert driver._client is not None
    bell = driver._client._bell
    with caplog.at_level("INFO", "stoker_sqlite"):
        waiting = await start_wait(driver, "q")
        await until(lambda: isinstance(bell._notice, Inotify) and bell._notice._pause == 4)
        await commit_unheard(driver, "q")
        assert await waiting is Wake.WORK
        waiting = asyncio.create_task(driver.wait(["q"], LONG))
        await until(lambda: isinstance(bell._notice, Polling))
        await commit_unheard(driver, "q")
        assert await waiting is Wake.WORK
    assert caplog.text.count("did not tell") == 1


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
async def test_close_leaves_no_descriptor_open(path: Path, settle_down: Settle) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    for _ in range(3):
        driver = SqliteDriver(path)
        await driver.open()
        waiting = await start_wait(driver, "q")
        await settle_down(driver)
        await driver.close()
        assert await waiting is Wake.NOTHING
    await until(lambda: descriptors() == before)


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
