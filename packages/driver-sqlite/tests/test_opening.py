"""Which files the driver opens, and what it says of the others."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from stoker.driver import Durability, JobKey, NewJob
from stoker.errors import DriverClosed, IncompatibleStore, InvalidInput
from stoker_sqlite import SqliteDriver
from stoker_sqlite._schema import APPLICATION_ID, check_library


def pragma(path: Path, name: str) -> object:
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute(f"pragma {name}").fetchone()[0]


async def threads_are(count: int) -> None:
    """Wait until so many threads are alive: one that has done its work may be on its way out."""
    async with asyncio.timeout(5):
        while threading.active_count() != count:  # noqa: ASYNC110 - nothing tells when they end
            await asyncio.sleep(0.001)


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def read(path: Path) -> bytes:
    return path.read_bytes()


async def refusal(path: Path) -> str:
    """Return why the driver refuses a file; it must leave no thread behind."""
    before = threading.active_count()
    with pytest.raises(IncompatibleStore) as caught:
        await SqliteDriver(path).open()
    await threads_are(before)
    return str(caught.value)


async def test_a_new_file_says_what_it_is(driver: SqliteDriver, path: Path) -> None:
    assert pragma(path, "application_id") == APPLICATION_ID
    assert pragma(path, "user_version") == 1
    assert pragma(path, "journal_mode") == "wal"


async def test_an_empty_file_is_taken_for_a_new_one(path: Path) -> None:
    write(path, b"")
    driver = SqliteDriver(path)
    await driver.open()
    await driver.close()
    assert pragma(path, "application_id") == APPLICATION_ID


async def test_a_file_that_was_closed_is_opened_again_with_its_jobs(path: Path) -> None:
    for answer in ("inserted", "duplicate_id"):
        driver = SqliteDriver(path)
        await driver.open()
        enqueued = await driver.enqueue([NewJob(JobKey("q", "1"), "a.b")])
        assert enqueued[0].status.value == answer
        await driver.close()


async def test_a_newer_file_is_refused_with_both_versions(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(f"pragma application_id = {APPLICATION_ID}")
        raw.execute("pragma user_version = 7")
    message = await refusal(path)
    assert "version 7" in message
    assert "upgrade" in message


async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    letter = b"a letter, not a database. " * 100
    write(path, letter)
    assert "not an SQLite database" in await refusal(path)
    assert read(path) == letter


@pytest.mark.parametrize("application", [0, 42])
async def test_a_database_of_another_application_is_refused_and_left_alone(
    path: Path, application: int
) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("create table theirs (x)")
        raw.execute(f"pragma application_id = {application}")
    before = read(path)
    assert "another application" in await refusal(path)
    assert read(path) == before


async def test_a_missing_folder_and_a_folder_are_named(tmp_path: Path) -> None:
    assert "create it first" in await refusal(tmp_path / "nowhere" / "jobs.db")
    assert "is a folder" in await refusal(tmp_path)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a place nobody can write to")
async def test_a_place_without_write_permission_is_named() -> None:
    assert "write permission" in await refusal(Path("/proc/jobs.db"))


def test_an_old_sqlite_library_is_refused_with_its_version() -> None:
    with pytest.raises(IncompatibleStore, match=r"SQLite 3\.36\.0; at least 3\.37"):
        check_library((3, 36, 0))
    check_library((3, 37, 0))


async def test_many_clients_may_open_a_new_file_at_the_same_time(path: Path) -> None:
    drivers = [SqliteDriver(path) for _ in range(8)]
    await asyncio.gather(*(driver.open() for driver in drivers))
    await drivers[0].enqueue([NewJob(JobKey("q", "1"), "a.b")])
    assert await drivers[7].queues() == ["q"]
    await asyncio.gather(*(driver.close() for driver in drivers))


OPEN = """
import asyncio, sys
from stoker.driver import JobKey, NewJob
from stoker_sqlite import SqliteDriver

async def main():
    sys.stdin.readline()
    driver = SqliteDriver(sys.argv[1])
    await driver.open()
    await driver.enqueue([NewJob(JobKey("q", sys.argv[2]), "a.b")])
    await driver.close()

asyncio.run(main())
"""


def test_processes_that_race_to_open_a_new_file_all_succeed(path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(path), str(number)], stdin=subprocess.PIPE, text=True
        )
        for number in range(3)
    ]
    for process in processes:
        process.communicate("go\n", timeout=60)
    assert [process.returncode for process in processes] == [0, 0, 0]
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("select count(*) from stoker_jobs").fetchone() == (3,)


async def test_close_leaves_no_thread_and_no_log_behind(path: Path) -> None:
    before = threading.active_count()
    driver = SqliteDriver(path)
    await driver.open()
    await driver.enqueue([NewJob(JobKey("q", "1"), "a.b")])
    await driver.close()
    await threads_are(before)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def in_a_fork(function: Callable[[], object]) -> int:
    """Run a function in a child of this process; return its exit code: 0 if it is refused."""
    child = os.fork()
    if child == 0:
        try:
            function()
        except DriverClosed as error:
            os._exit(0 if "forked" in str(error) else 2)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
async def test_a_driver_that_was_open_before_a_fork_refuses_in_the_child(
    driver: SqliteDriver,
) -> None:
    assert in_a_fork(lambda: driver.transaction(lease=timedelta(seconds=3))) == 0


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_three_slashes_are_relative_and_four_are_absolute(elsewhere: Path) -> None:
    there = str(elsewhere / "jobs.db")
    assert there in repr(SqliteDriver.from_url("sqlite:///jobs.db"))
    assert there in repr(SqliteDriver.from_url(f"sqlite:///{there}"))
    assert "a b#c.db" in repr(SqliteDriver.from_url("sqlite:///a%20b%23c.db"))


def test_synchronous_decides_how_durable_a_write_is() -> None:
    assert SqliteDriver.from_url("sqlite:///jobs.db").info.durability is Durability.DURABLE
    for level, durability in (("full", Durability.DURABLE), ("normal", Durability.BUFFERED)):
        driver = SqliteDriver.from_url(f"sqlite:///jobs.db?synchronous={level}")
        assert driver.info.durability is durability
        assert driver.clone().info == driver.info


async def test_synchronous_reaches_the_connection_that_writes(path: Path) -> None:
    for level, number in (("full", 2), ("normal", 1)):
        driver = SqliteDriver.from_url(f"sqlite:///{path}?synchronous={level}")
        await driver.open()
        assert driver._client is not None
        rows = await driver._client.writer.run(
            lambda tx: tx.cursor.execute("pragma synchronous").fetchall()
        )
        assert rows == [(number,)]
        await driver.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:///jobs.db?journal=wal", "known: synchronous"),
        ("sqlite:///jobs.db?synchronous=off", "full, normal"),
        ("sqlite://jobs.db", "slashes"),
        ("sqlite:///", "not a file"),
        ("sqlite:///:memory:", "memory://"),
        ("sqlite:///file:jobs.db", "not a file"),
        ("sqlite:///jobs#1.db", "%23"),
        ("postgres:///jobs.db", "not a URL of this driver"),
    ],
)
def test_a_wrong_url_is_refused_with_what_is_right(url: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        SqliteDriver.from_url(url)


def test_a_store_in_memory_and_an_unknown_option_are_refused() -> None:
    with pytest.raises(InvalidInput, match="memory://"):
        SqliteDriver(":memory:")
    with pytest.raises(InvalidInput, match="full, normal"):
        SqliteDriver("jobs.db", synchronous="off")  # type: ignore[arg-type]
