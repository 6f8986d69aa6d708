"""A process that is killed loses nothing that was acknowledged, and blocks nobody."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stoker.driver import JobKey, Want
from stoker.job import JobState
from stoker_sqlite import SqliteDriver

WORK = """
import asyncio, sys
from datetime import timedelta
from stoker.driver import *
from stoker_sqlite import SqliteDriver

async def main():
    driver = SqliteDriver(sys.argv[1])
    await driver.open()
    for number in range(1_000_000):
        await driver.enqueue([NewJob(JobKey("q", f"{number}"), "a.b")])
        print("enqueued", number, flush=True)
        if number % 2:
            want = [Want("q", 1)]
            claimed = await driver.claim(want, worker="w", lease=timedelta(seconds=1))
            for lease in claimed.leases:
                print("claimed", lease.token.key.id, flush=True)
                await driver.settle([Settlement(lease.token, Complete(b"1"))])
                print("settled", lease.token.key.id, flush=True)

asyncio.run(main())
"""

HOLD = """
import asyncio, sys
from datetime import timedelta
from stoker.driver import *
from stoker_sqlite import SqliteDriver

async def main():
    driver = SqliteDriver(sys.argv[1])
    await driver.open()
    async with driver.transaction(lease=timedelta(hours=1)) as connection:
        await driver.enqueue_in(connection, [NewJob(JobKey("q", "uncommitted"), "a.b")])
        print("holding", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


FORGET = """
import asyncio, sys
from datetime import timedelta
from stoker_sqlite import SqliteDriver

driver = SqliteDriver(sys.argv[1])

async def main():
    await driver.open()
    await driver.wait(["q"], timedelta(0))
    await driver.wait(["q"], timedelta(milliseconds=1))
    print("ending", flush=True)

asyncio.run(main())
"""


async def killed(program: str, path: Path, lines: int) -> list[list[str]]:
    """Run a program, kill it after it has printed some lines, and return all it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        whole = b"".join([await process.stdout.readline() for _ in range(lines)])
        process.kill()
        whole += await process.stdout.read()
        await process.wait()
    return [line.decode().split() for line in whole.splitlines(keepends=True) if line[-1:] == b"\n"]


async def test_what_was_acknowledged_is_there_after_a_kill(path: Path) -> None:
    for kill_after in (1, 50, 203):
        said = await killed(WORK, path.with_name(f"{kill_after}.db"), kill_after)
        driver = SqliteDriver(path.with_name(f"{kill_after}.db"))
        await driver.open()
        enqueued = [JobKey("q", line[1]) for line in said if line[0] == "enqueued"]
        settled = {line[1] for line in said if line[0] == "settled"}
        states = await driver.states(enqueued)
        assert len(enqueued) >= 1
        assert None not in states
        for key, state in zip(enqueued, states, strict=True):
            assert key.id not in settled or state is JobState.COMPLETED
        # What was claimed and not settled comes back.
        later = datetime.now(UTC) + timedelta(minutes=1)
        await driver.reap(["q"], limit=10, delay=timedelta(0), error=b"1", now=later)
        assert (await driver.stats(["q"], now=later))["q"].counts[JobState.RUNNING] == 0
        await driver.close()


async def test_a_program_that_forgets_to_close_ends_all_the_same(path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-c", FORGET, str(path), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        said, _ = await process.communicate()
    assert said == b"ending\n"
    assert process.returncode == 0


async def test_a_killed_process_takes_its_open_transaction_along(path: Path) -> None:
    await killed(HOLD, path, 1)
    driver = SqliteDriver(path)
    await driver.open()
    assert await driver.states([JobKey("q", "uncommitted")]) == [None]
    assert (await driver.claim([Want("q", 1)], worker="w", lease=timedelta(1))).leases == []
    await driver.close()
