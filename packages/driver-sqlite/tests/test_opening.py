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
from stoker.errors import DriverClosed, DriverUnavailable, IncompatibleStore, InvalidInput
from stoker_sqlite import SqliteDriver
from stoker_sqlite._schema import check_library
from stoker_sqlite._sql import migrations


def answer(path: Path, sql: str) -> object:
    """Return the one value that a statement answers."""
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute(sql).fetchone()[0]


def make(path: Path, script: str) -> None:
    """Let another application write to a file."""
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(script)


async def adopt(path: Path) -> None:
    """Let a driver open a file, and store a job in it."""
    driver = SqliteDriver(path)
    await driver.open()
    await driver.enqueue([NewJob(JobKey("q", "1"), "a.b")])
    await driver.close()


async def threads_are(count: int) -> None:
    """Wait until so many threads are alive: one that has done its work may be on its way out."""
    async with asyncio.timeout(5):
        while threading.active_count() != count:  # noqa: ASYNC110 - nothing tells when they end
            await asyncio.sleep(0.001)


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def protect(path: Path) -> None:
    path.chmod(0o444)


def read(path: Path) -> bytes:
    return path.read_bytes()


async def refusal(path: Path) -> str:
    """Return why the driver refuses a file; it must leave no thread behind."""
    before = threading.active_count()
    with pytest.raises(IncompatibleStore) as caught:
        await SqliteDriver(path).open()
    await threads_are(before)
    return str(caught.value)


HEADER = ("application_id", "user_version", "page_size", "encoding", "auto_vacuum")
VERSION = "select version from stoker_schema"
THEIRS = """
    pragma application_id = 42;
    pragma user_version = 7;
    create table letters (address text);
    create index letters_address on letters (address);
    create view addresses as select address from letters;
    insert into letters values ('a');
"""


async def test_a_new_file_says_which_version_it_has(driver: SqliteDriver, path: Path) -> None:
    assert answer(path, VERSION) == len(migrations())
    assert answer(path, "select count(*) from stoker_schema") == 1
    assert answer(path, "pragma journal_mode") == "wal"


async def test_an_empty_file_is_taken_for_a_new_one(path: Path) -> None:
    write(path, b"")
    await adopt(path)
    assert answer(path, VERSION) == len(migrations())


def seen_by_its_owner(path: Path) -> list[object]:
    """Return all of a file that is not the driver's."""
    with closing(sqlite3.connect(path)) as raw:
        return [
            *(raw.execute(f"pragma {name}").fetchone() for name in HEADER),
            *raw.execute("select * from sqlite_schema where tbl_name not like 'stoker%'"),
            *raw.execute("select rowid, address from letters"),
        ]


async def test_an_applications_file_is_adopted_and_else_left_as_it_was(path: Path) -> None:
    make(path, THEIRS)
    before = seen_by_its_owner(path)
    await adopt(path)
    assert answer(path, "select count(*) from stoker_jobs") == 1
    assert answer(path, "pragma journal_mode") == "wal"
    assert seen_by_its_owner(path) == before
    assert before[:2] == [(42,), (7,)]


async def test_an_adopted_file_may_be_versioned_by_its_owner_afterwards(path: Path) -> None:
    await adopt(path)
    make(path, THEIRS)
    driver = SqliteDriver(path)
    await driver.open()
    assert await driver.queues() == ["q"]
    await driver.close()
    assert answer(path, "pragma user_version") == 7


async def test_a_file_is_adopted_while_its_owner_is_connected(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(path, THEIRS)
    with closing(sqlite3.connect(path)) as owner:
        assert owner.execute("select count(*) from letters").fetchone() == (1,)
        with caplog.at_level("INFO", "stoker_sqlite"):
            await adopt(path)
        owner.execute("insert into letters values ('b')")
        owner.commit()
    assert answer(path, "select count(*) from letters") == 2
    assert "journal mode was delete" in caplog.text


async def test_a_file_whose_owner_holds_it_is_left_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker_sqlite._schema._OPEN_SECONDS", 0.02)
    make(path, THEIRS)
    with closing(sqlite3.connect(path, isolation_level=None)) as owner:
        owner.execute("begin immediate")
        with pytest.raises(DriverUnavailable, match="locked"):
            await SqliteDriver(path).open()
        owner.execute("rollback")
    assert answer(path, "select count(*) from sqlite_schema where name like 'stoker%'") == 0


async def test_a_failed_migration_leaves_none_of_the_tables(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(path, THEIRS)
    broken = (*migrations(), "create table stoker_more (x);\ncreate table letters (x);\n")
    monkeypatch.setattr("stoker_sqlite._schema.migrations", lambda: broken)
    with pytest.raises(DriverUnavailable, match="letters already exists"):
        await SqliteDriver(path).open()
    assert answer(path, "select count(*) from sqlite_schema where name like 'stoker%'") == 0


async def test_an_older_file_gets_what_it_lacks(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await adopt(path)
    more = (*migrations(), "create table stoker_more (x);\n")
    monkeypatch.setattr("stoker_sqlite._schema.migrations", lambda: more)
    for _ in range(2):
        driver = SqliteDriver(path)
        await driver.open()
        assert await driver.queues() == ["q"]
        await driver.close()
    assert answer(path, VERSION) == len(more)
    assert answer(path, "select count(*) from stoker_more") == 0


async def test_a_file_that_was_closed_is_opened_again_with_its_jobs(path: Path) -> None:
    for status in ("inserted", "duplicate_id"):
        driver = SqliteDriver(path)
        await driver.open()
        enqueued = await driver.enqueue([NewJob(JobKey("q", "1"), "a.b")])
        assert enqueued[0].status.value == status
        await driver.close()


async def test_a_newer_file_is_refused_with_both_versions(path: Path) -> None:
    await adopt(path)
    make(path, "update stoker_schema set version = 7")
    message = await refusal(path)
    assert "version 7" in message
    assert f"knows {len(migrations())}" in message
    assert "upgrade stoker-sqlite" in message


async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    letter = b"a letter, not a database. " * 100
    write(path, letter)
    assert "not an SQLite database" in await refusal(path)
    assert read(path) == letter


@pytest.mark.parametrize(
    "script",
    [
        "create table stoker_jobs (x)",
        "create view Stoker_Things as select 1",
        "create table stoker_schema (version text); insert into stoker_schema values ('one')",
        "create table stoker_schema (version integer)",
        "create table stoker_schema (version, name); insert into stoker_schema values (1, 'x')",
    ],
)
async def test_names_of_the_driver_that_somebody_else_has_used_are_refused(
    path: Path, script: str
) -> None:
    make(path, script)
    before = read(path)
    message = await refusal(path)
    assert "stoker_" in message.lower()
    assert "not this driver's" in message
    assert read(path) == before


async def test_a_name_that_only_looks_like_the_drivers_does_not_matter(path: Path) -> None:
    make(path, "create table stokers (x); create table my_stoker_jobs (x)")
    await adopt(path)
    assert answer(path, "select count(*) from stoker_jobs") == 1


async def test_a_file_in_utf_16_is_refused_and_left_alone(path: Path) -> None:
    make(path, "pragma encoding = 'UTF-16le'; create table letters (address text)")
    before = read(path)
    assert "UTF-16le" in await refusal(path)
    assert read(path) == before


async def test_a_missing_folder_and_a_folder_are_named(tmp_path: Path) -> None:
    assert "create it first" in await refusal(tmp_path / "nowhere" / "jobs.db")
    assert "is a folder" in await refusal(tmp_path)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a place nobody can write to")
async def test_a_place_without_write_permission_is_named() -> None:
    assert "write permission" in await refusal(Path("/proc/jobs.db"))


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is read-only for root"
)
async def test_a_file_of_the_driver_that_is_read_only_now_is_refused(path: Path) -> None:
    await adopt(path)
    protect(path)
    assert "write permission" in await refusal(path)


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


DONE, REFUSED = 0, 3


def in_a_fork(function: Callable[[], object]) -> int:
    """Run a function in a child of this process; return the child's exit code."""
    child = os.fork()
    if child == 0:
        try:
            function()
            os._exit(DONE)
        except DriverClosed as error:
            os._exit(REFUSED if "forked" in str(error) else 2)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
async def test_a_driver_that_was_open_before_a_fork_refuses_in_the_child(
    driver: SqliteDriver,
) -> None:
    assert in_a_fork(lambda: driver.transaction(lease=timedelta(seconds=3))) == REFUSED


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
async def test_a_file_that_was_open_at_a_fork_is_refused_in_the_child(
    driver: SqliteDriver,
) -> None:
    # SQLite would take the parent's locks for the child's own, and the log could be deleted
    # under the child's writes.
    assert in_a_fork(lambda: driver.clone().open().send(None)) == REFUSED


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_driver_that_was_closed_before_a_fork_is_opened_in_the_child(path: Path) -> None:
    asyncio.run(adopt(path))
    assert in_a_fork(lambda: asyncio.run(adopt(path))) == DONE


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
