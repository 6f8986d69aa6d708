"""Connections of psycopg and SQLAlchemy: what the suite cannot know of these libraries."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy
from libraries import LIBRARIES, Library
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from tools.servers.postgres import PostgresServer

from stoker import JobRecord, JobRun, JobState, Router, Stoker
from stoker.driver import (
    After,
    Complete,
    JobKey,
    KeepFor,
    NewJob,
    OnConflict,
    Settlement,
    Unique,
    Want,
)
from stoker.errors import DriverUnavailable, InvalidInput
from stoker_postgres import PostgresDriver

LEASE = timedelta(minutes=1)
NOW = datetime(2031, 3, 14, 12, tzinfo=UTC)
KEY = JobKey("q", "1")
JOB = NewJob(KEY, "a.b")
OWN_ERRORS = (psycopg.Error, sqlalchemy.exc.SQLAlchemyError)

each_library = pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES.keys())
each_dialect = pytest.mark.parametrize("dialect", ["asyncpg", "psycopg"])

HELD = [
    NewJob(JobKey("q", "held"), "a.b"),
    NewJob(JobKey("r", "held k"), "a.b", unique=Unique("k")),
    NewJob(JobKey("r", "held l"), "a.b", unique=Unique("l")),
    NewJob(JobKey("r", "held m"), "a.b", unique=Unique("m")),
]
PLAIN = [
    NewJob(JobKey("q", "new"), "a.b", b'{"a": [1, 2.50]}'),
    NewJob(JobKey("q", "held"), "a.b"),
    NewJob(JobKey("q", "later"), "a.b", run_at=After(timedelta(hours=1)), priority=9),
    NewJob(
        JobKey("s", "all of it"),
        "a.b",
        '"ü🦊"'.encode(),
        payload_version=7,
        max_attempts=3,
        max_crashes=0,
        expires=After(timedelta(days=1)),
        timeout=timedelta(seconds=1.5),
        keep=KeepFor(timedelta(0), None, timedelta(1)),
        tags=("grün", "rot"),
        metadata={"ü": "7"},
        headers={"trace": "%s $1"},
    ),
]
LATER = After(timedelta(hours=2))
KEYED = [
    NewJob(JobKey("r", "kept"), "a.b", unique=Unique("k")),
    NewJob(
        JobKey("r", "moved"),
        "a.b",
        run_at=LATER,
        unique=Unique("l", on_conflict=OnConflict.RESCHEDULE),
    ),
    NewJob(JobKey("r", "taken"), "a.b", unique=Unique("m", on_conflict=OnConflict.REPLACE)),
    NewJob(JobKey("r", "ü"), "a.b", unique=Unique("ü", LATER)),
]


class Base(DeclarativeBase):
    """The user's own tables."""


class Number(sqlalchemy.TypeDecorator[int]):
    """A column's type that looks at what it is given."""

    impl = sqlalchemy.Integer
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> int:
        """Return a value as it is sent."""
        if not isinstance(value, int):
            raise ValueError(f"{value} is no number")
        return value


class Order(Base):
    """One of them."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(Number, primary_key=True)


@asynccontextmanager
async def begun(library: Library, url: str) -> AsyncIterator[Any]:
    """A connection with an open transaction, which is committed at the end."""
    async with library.connect(url) as raw:
        transaction = await library.begin(raw)
        yield raw
        await library.commit(raw, transaction)


@pytest.fixture
async def orders(raw: Any) -> AsyncIterator[Callable[[], Awaitable[list[int]]]]:
    """A user's table, whose rows are compared at the commit only; answers what is in it."""
    await raw.execute("create table orders (id integer unique deferrable initially deferred)")

    async def committed() -> list[int]:
        return [row[0] for row in await raw.fetch("select id from orders order by id")]

    yield committed
    await raw.execute("drop table orders")


@asynccontextmanager
async def engine_of(url: str, dialect: str, **options: Any) -> AsyncIterator[AsyncEngine]:
    """An engine, disposed of at the end."""
    engine = create_async_engine(url.replace("postgresql", f"postgresql+{dialect}", 1), **options)
    try:
        yield engine
    finally:
        await engine.dispose()


async def claimed(driver: PostgresDriver) -> Settlement:
    """Store a job, and claim it; returns its completion."""
    await driver.enqueue([JOB])
    [lease] = (await driver.claim([Want("q", 1)], worker="w", lease=LEASE)).leases
    return Settlement(lease.token, Complete())


async def run_one(
    driver: PostgresDriver, handler: Callable[[JobRun], Awaitable[None]]
) -> JobRecord:
    """Run a job once, with this handler; returns what the store says of it afterwards."""
    router = Router[None]("jobs")

    @router.job
    async def job(payload: None, context: None, run: JobRun) -> None:
        await handler(run)

    async with Stoker(driver, jobs=[router], context=None) as app:
        handle = await app.schedule(job)
        await app.run_until_idle()
        record = await handle.record()
    assert record is not None
    return record


@each_library
@pytest.mark.parametrize("jobs", [PLAIN, PLAIN + KEYED], ids=["plain", "keyed"])
async def test_answers_and_records_are_those_of_an_enqueue(
    driver: PostgresDriver, server: PostgresServer, library: Library, jobs: list[NewJob]
) -> None:
    keys = list(dict.fromkeys(job.key for job in [*jobs, *HELD]))
    await driver.enqueue(HELD, now=NOW)
    answers = await driver.enqueue(jobs, now=NOW)
    records = await driver.get(keys)
    await driver.remove(keys)

    await driver.enqueue(HELD, now=NOW)
    async with begun(library, server.url) as raw:
        assert await driver.enqueue_in(raw, jobs, now=NOW) == answers
    assert await driver.get(keys) == records


@each_library
async def test_an_aborted_transaction_says_so_itself(
    driver: PostgresDriver, server: PostgresServer, library: Library
) -> None:
    async with library.connect(server.url) as raw:
        transaction = await library.begin(raw)
        with pytest.raises(OWN_ERRORS, match="division by zero"):
            await library.execute(raw, "select 1 / 0")
        with pytest.raises(OWN_ERRORS, match="current transaction is aborted"):
            await driver.enqueue_in(raw, [JOB])
        await library.rollback(raw, transaction)
    assert await driver.states([KEY]) == [None]


@each_library
async def test_without_a_transaction_it_is_said_how_to_begin_one(
    driver: PostgresDriver, server: PostgresServer, library: Library
) -> None:
    completion = await claimed(driver)
    advice = "no transaction is open on this connection: begin one first, with `async with"
    async with library.connect(server.url) as raw:
        with pytest.raises(InvalidInput, match=advice):
            await driver.enqueue_in(raw, [JOB])
        with pytest.raises(InvalidInput, match=advice):
            await driver.settle_in(raw, completion)


@each_library
async def test_a_wrong_job_is_refused_before_anything_is_stored(
    driver: PostgresDriver, server: PostgresServer, library: Library
) -> None:
    async with begun(library, server.url) as raw:
        with pytest.raises(InvalidInput, match="priority"):
            await driver.enqueue_in(raw, [JOB, NewJob(JobKey("q", "2"), "a.b", priority=10)])
        assert await library.execute(raw, "select 1") == [(1,)]
    assert await driver.states([KEY]) == [None]


@each_library
async def test_what_a_user_has_set_on_a_connection_stays(
    driver: PostgresDriver, server: PostgresServer, library: Library
) -> None:
    query = "select 'Text'::text, true, timestamptz '2031-03-14 12:00:00+00'"
    await driver.enqueue(HELD)
    async with library.connect(server.url, unusual=True) as raw:
        transaction = await library.begin(raw)
        before = await library.execute(raw, query)
        answers = await driver.enqueue_in(raw, KEYED)
        assert await library.execute(raw, query) == before
        await library.commit(raw, transaction)
    assert [answer.status.value for answer in answers] == [
        "unique_conflict",
        "rescheduled",
        "inserted",
        "inserted",
    ]


@each_library
async def test_effect_and_completion_are_committed_together(
    driver: PostgresDriver, server: PostgresServer, library: Library, orders: Any
) -> None:
    async def handler(run: JobRun) -> None:
        async with library.connect(server.url) as raw, run.transaction(raw) as given:
            assert given is raw
            await library.execute(raw, "insert into orders values (7)")

    assert (await run_one(driver, handler)).state is JobState.COMPLETED
    assert await orders() == [7]


async def fail_in_a_block(run: JobRun, raw: Any, library: Library) -> None:
    """Write something, and raise."""
    async with run.transaction(raw):
        await library.execute(raw, "insert into orders values (7)")
        raise ZeroDivisionError


@each_library
async def test_an_error_in_the_block_rolls_both_back(
    driver: PostgresDriver, server: PostgresServer, library: Library, orders: Any
) -> None:
    async def handler(run: JobRun) -> None:
        async with library.connect(server.url) as raw:
            with pytest.raises(ZeroDivisionError):
                await fail_in_a_block(run, raw, library)
            # The connection is the user's again, and as it was.
            assert await library.execute(raw, "select 1") == [(1,)]
            raise KeyError

    record = await run_one(driver, handler)
    assert record.state is JobState.FAILED
    assert b"KeyError" in record.errors[0]
    assert await orders() == []


@each_library
async def test_a_constraint_that_fails_at_the_commit_is_the_users_error(
    driver: PostgresDriver, server: PostgresServer, library: Library, orders: Any
) -> None:
    async def handler(run: JobRun) -> None:
        async with library.connect(server.url) as raw, run.transaction(raw):
            await library.execute(raw, "insert into orders values (7), (7)")

    record = await run_one(driver, handler)
    assert record.state is JobState.FAILED
    assert b"duplicate key" in record.errors[0]
    assert b"Error" in record.errors[0] or b"UniqueViolation" in record.errors[0]
    assert b"DriverUnavailable" not in record.errors[0]
    assert await orders() == []


@each_library
async def test_a_commit_inside_of_the_block_does_not_complete_the_job(
    driver: PostgresDriver, server: PostgresServer, library: Library, orders: Any
) -> None:
    async def handler(run: JobRun) -> None:
        async with library.connect(server.url) as raw, run.transaction(raw):
            await library.execute(raw, "insert into orders values (7)")
            await raw.commit()

    assert (await run_one(driver, handler)).state is JobState.FAILED


async def commit_and_go_on(driver: PostgresDriver, raw: Any, library: Library) -> None:
    """End the transaction of a block, and begin another one in it."""
    async with driver.transaction(raw, lease=LEASE):
        await raw.commit()
        await library.execute(raw, "insert into orders values (7)")


@pytest.mark.parametrize("name", [name for name in LIBRARIES if name.startswith("Async")])
async def test_what_follows_a_commit_inside_of_the_block_is_not_committed(
    driver: PostgresDriver, server: PostgresServer, name: str, orders: Any
) -> None:
    async with LIBRARIES[name].connect(server.url) as raw:
        with pytest.raises(InvalidInput, match="ended inside of its block"):
            await commit_and_go_on(driver, raw, LIBRARIES[name])
        assert not raw.in_transaction()
    assert await orders() == []


async def swallow_an_error(driver: PostgresDriver, raw: Any, library: Library) -> None:
    """Go on after an error in a block, as if the transaction were still alive."""
    async with driver.transaction(raw, lease=LEASE):
        await driver.enqueue_in(raw, [JOB])
        with pytest.raises(OWN_ERRORS):
            await library.execute(raw, "select 1 / 0")


@each_library
async def test_a_swallowed_error_is_no_commit(
    driver: PostgresDriver, server: PostgresServer, library: Library
) -> None:
    async with library.connect(server.url) as raw:
        with pytest.raises(DriverUnavailable, match="failed before its commit") as caught:
            await swallow_an_error(driver, raw, library)
    assert not caught.value.maybe_applied
    assert await driver.states([KEY]) == [None]


@each_library
async def test_a_block_is_read_committed_whatever_the_default_is(
    driver: PostgresDriver, server: PostgresServer, library: Library
) -> None:
    async with (
        library.connect(server.url, strict=True) as raw,
        driver.transaction(raw, lease=LEASE),
    ):
        [(level,)] = await library.execute(raw, "show transaction_isolation")
    assert level == "read committed"


@each_library
async def test_a_refused_block_leaves_the_users_transaction_alone(
    driver: PostgresDriver, server: PostgresServer, library: Library
) -> None:
    async with begun(library, server.url) as raw:
        await driver.enqueue_in(raw, [JOB])
        with pytest.raises(InvalidInput, match="in a transaction already"):
            await driver.transaction(raw, lease=LEASE).__aenter__()
    assert await driver.states([KEY]) == [JobState.READY]


async def lose_the_connection(driver: PostgresDriver, raw: Any, library: Library, dba: Any) -> None:
    """Have the server end a connection in the middle of a block."""
    async with driver.transaction(raw, lease=LEASE):
        await driver.enqueue_in(raw, [JOB])
        [(backend,)] = await library.execute(raw, "select pg_backend_pid()")
        await dba.fetchval("select pg_terminate_backend($1, 5000)", backend)


@each_library
async def test_a_connection_lost_before_the_commit_has_committed_nothing(
    driver: PostgresDriver, server: PostgresServer, library: Library, raw: Any
) -> None:
    async with library.connect(server.url) as connection:
        with pytest.raises(DriverUnavailable) as caught:
            await lose_the_connection(driver, connection, library, raw)
        assert not caught.value.maybe_applied
        assert await driver.states([KEY]) == [None]


@each_library
async def test_a_commit_without_an_answer_may_have_happened(
    driver: PostgresDriver, server: PostgresServer, library: Library, monkeypatch: Any
) -> None:
    async def cut_off() -> None:
        raise (
            psycopg.OperationalError("the link is dead")
            if isinstance(raw, psycopg.AsyncConnection)
            else DBAPIError("commit", {}, Exception("the link is dead"))
        )

    async with library.connect(server.url) as raw:
        block = driver.transaction(raw, lease=LEASE)
        await block.__aenter__()
        monkeypatch.setattr(block, "_commit", cut_off)
        with pytest.raises(DriverUnavailable, match="the link is dead") as caught:
            await block.__aexit__(None, None, None)
    assert caught.value.maybe_applied


# A session takes another connection for its next transaction.
@pytest.mark.parametrize("name", [name for name in LIBRARIES if "Session" not in name])
async def test_a_block_that_cannot_begin_leaves_nothing_open(
    driver: PostgresDriver, server: PostgresServer, name: str, raw: Any
) -> None:
    library = LIBRARIES[name]
    async with library.connect(server.url) as connection:
        transaction = await library.begin(connection)
        [(backend,)] = await library.execute(connection, "select pg_backend_pid()")
        await library.commit(connection, transaction)
        await raw.fetchval("select pg_terminate_backend($1, 5000)", backend)
        with pytest.raises(DriverUnavailable, match="no transaction could be begun") as caught:
            await driver.transaction(connection, lease=LEASE).__aenter__()
        assert not caught.value.maybe_applied
        assert isinstance(connection, psycopg.AsyncConnection) or not connection.in_transaction()


async def test_a_closed_connection_is_told(driver: PostgresDriver, server: PostgresServer) -> None:
    raw = await psycopg.AsyncConnection.connect(server.url)
    await raw.close()
    with pytest.raises(psycopg.OperationalError, match="closed"):
        await driver.enqueue_in(raw, [JOB])
    with pytest.raises(DriverUnavailable, match="closed") as caught:
        await driver.transaction(raw, lease=LEASE).__aenter__()
    assert not caught.value.maybe_applied


async def test_jobs_go_into_a_pipeline(driver: PostgresDriver, server: PostgresServer) -> None:
    async with (
        await psycopg.AsyncConnection.connect(server.url) as raw,
        raw.pipeline(),
    ):
        with pytest.raises(InvalidInput, match="no transaction is open"):
            await driver.enqueue_in(raw, [JOB])
        await raw.execute("select 1")
        await driver.enqueue_in(raw, [JOB])
        first = await raw.execute("select 2")
        await driver.enqueue_in(raw, [NewJob(JobKey("q", "2"), "a.b", unique=Unique("k"))])
        assert await first.fetchone() == (2,)
        await raw.commit()
    assert await driver.states([KEY, JobKey("q", "2")]) == [JobState.READY] * 2


async def test_a_pipeline_in_autocommit_mode_has_no_transaction(
    driver: PostgresDriver, server: PostgresServer
) -> None:
    async with (
        await psycopg.AsyncConnection.connect(server.url, autocommit=True) as raw,
        raw.pipeline(),
    ):
        await raw.execute("select 1")
        with pytest.raises(InvalidInput, match="no transaction is open"):
            await driver.enqueue_in(raw, [JOB])
    assert await driver.states([KEY]) == [None]


async def divide_in_a_pipeline(driver: PostgresDriver, raw: Any) -> None:
    """Store a job, and fail in the same transaction."""
    async with raw.pipeline(), raw.transaction():
        await driver.enqueue_in(raw, [JOB])
        await raw.execute("select 1 / 0")


async def test_an_error_in_a_pipeline_stores_nothing(
    driver: PostgresDriver, server: PostgresServer
) -> None:
    async with await psycopg.AsyncConnection.connect(server.url) as raw:
        with pytest.raises(psycopg.errors.DivisionByZero):
            await divide_in_a_pipeline(driver, raw)
    assert await driver.states([KEY]) == [None]


async def test_a_block_does_not_begin_in_a_pipeline(
    driver: PostgresDriver, server: PostgresServer
) -> None:
    async with await psycopg.AsyncConnection.connect(server.url) as raw, raw.pipeline():
        with pytest.raises(InvalidInput, match="pipeline mode"):
            await driver.transaction(raw, lease=LEASE).__aenter__()


@each_dialect
async def test_a_session_commits_its_objects_and_its_jobs(
    server: PostgresServer, schema: str, dialect: str, orders: Any
) -> None:
    router = Router[object]("shop")

    @router.job
    async def ship(order: int) -> None: ...

    app = Stoker(PostgresDriver(server.url, schema=schema), jobs=[router])
    async with app, engine_of(server.url, dialect) as engine:
        async with AsyncSession(engine) as session:
            session.add(Order(id=1))
            await app.schedule(ship, 1, connection=session)
            await session.rollback()
        async with AsyncSession(engine) as session:
            session.add(Order(id=2))
            handle = await app.schedule(ship, 2, connection=session, delay=5)
            assert await handle.status() is None
            await session.commit()
        async with AsyncSession(engine) as session, session.begin():
            third = await app.schedule(ship, 3, connection=session)
        async with engine.begin() as connection:
            fourth = await app.schedule(ship, 4, connection=connection)
        states = [await one.status() for one in (handle, third, fourth)]
        assert states == [JobState.SCHEDULED, JobState.READY, JobState.READY]
        assert len((await app.search()).records) == 3
    assert await orders() == [2]


@each_dialect
async def test_a_savepoint_takes_its_jobs_with_it(
    driver: PostgresDriver, server: PostgresServer, dialect: str
) -> None:
    async with engine_of(server.url, dialect) as engine, AsyncSession(engine) as session:
        await session.execute(sqlalchemy.text("select 1"))
        savepoint = await session.begin_nested()
        await driver.enqueue_in(session, [JOB])
        await savepoint.rollback()
        await driver.enqueue_in(session, [NewJob(JobKey("q", "2"), "a.b")])
        await session.commit()
    assert await driver.states([KEY, JobKey("q", "2")]) == [None, JobState.READY]


@each_dialect
async def test_a_session_is_flushed_before_its_block_commits(
    driver: PostgresDriver, server: PostgresServer, dialect: str, orders: Any
) -> None:
    async def handler(run: JobRun) -> None:
        async with (
            engine_of(server.url, dialect) as engine,
            AsyncSession(engine) as session,
            run.transaction(session),
        ):
            session.add(Order(id=7))

    assert (await run_one(driver, handler)).state is JobState.COMPLETED
    assert await orders() == [7]


@each_dialect
async def test_an_object_that_cannot_be_written_is_the_users_error(
    driver: PostgresDriver, server: PostgresServer, dialect: str, orders: Any
) -> None:
    async def handler(run: JobRun) -> None:
        async with (
            engine_of(server.url, dialect) as engine,
            AsyncSession(engine) as session,
            run.transaction(session),
        ):
            session.add(Order(id="seven"))

    record = await run_one(driver, handler)
    assert record.state is JobState.FAILED
    assert b"seven is no number" in record.errors[0]
    assert b"DriverUnavailable" not in record.errors[0]
    assert await orders() == []


@each_dialect
async def test_a_session_that_has_failed_says_so_itself(
    driver: PostgresDriver, server: PostgresServer, dialect: str
) -> None:
    async with engine_of(server.url, dialect) as engine, AsyncSession(engine) as session:
        session.add(Order(id=1))  # there is no such table here
        with pytest.raises(DBAPIError):
            await session.flush()
        with pytest.raises(PendingRollbackError):
            await driver.enqueue_in(session, [JOB])


@each_dialect
async def test_a_connection_in_autocommit_mode_is_refused(
    driver: PostgresDriver, server: PostgresServer, dialect: str
) -> None:
    async with (
        engine_of(server.url, dialect, isolation_level="AUTOCOMMIT") as engine,
        engine.connect() as connection,
    ):
        async with connection.begin():
            with pytest.raises(InvalidInput, match="autocommit mode"):
                await driver.enqueue_in(connection, [JOB])
        with pytest.raises(InvalidInput, match="autocommit mode"):
            await driver.transaction(connection, lease=LEASE).__aenter__()
        assert not connection.in_transaction()
    assert await driver.states([KEY]) == [None]


async def test_what_cannot_be_joined_is_named(
    driver: PostgresDriver, server: PostgresServer
) -> None:
    engine = sqlalchemy.create_engine(server.url.replace("postgresql", "postgresql+psycopg", 1))
    other = create_async_engine("sqlite+aiosqlite://")
    with psycopg.Connection.connect(server.url) as blocking, Session(engine) as session:
        wanted = {
            "AsyncConnection of SQLAlchemy is needed, not int": 7,
            "AsyncConnection of SQLAlchemy is needed, not Session": session,
            "AsyncConnection of SQLAlchemy is needed, not AsyncEngine": other,
            "psycopg.AsyncConnection is needed, not Connection": blocking,
        }
        for message, connection in wanted.items():
            with pytest.raises(InvalidInput, match=message):
                await driver.enqueue_in(connection, [JOB])
            with pytest.raises(InvalidInput, match=message):
                driver.transaction(connection, lease=LEASE)
    async with other.begin() as connection:
        with pytest.raises(InvalidInput, match=r"sqlite\+aiosqlite cannot be joined"):
            await driver.enqueue_in(connection, [JOB])
    await other.dispose()
    engine.dispose()


def test_no_library_is_imported_that_the_user_has_not() -> None:
    program = (
        "import sys, stoker_postgres._foreign as f\n"
        "try: f.block(None, object())\n"
        "except Exception as error: print(error)\n"
        "print({'psycopg', 'sqlalchemy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "set()"
