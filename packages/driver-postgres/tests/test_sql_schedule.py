"""Scheduling from SQL: the function answers, stores and refuses as the application does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from postgres_harness import URL_OF_NAMED_SERVER

from stoker import JobRecord, JobState, OnConflict, Router, Stoker, Unique, Until
from stoker.driver import Definition, JobKey, Wake
from stoker_postgres import PostgresDriver
from stoker_postgres._sql import migrations, quoted

SERVERS = ["bundled", *(["named"] if URL_OF_NAMED_SERVER in os.environ else [])]
TOMORROW = datetime(2199, 3, 4, 5, 6, 7, 89, tzinfo=UTC)
Schedule = Callable[..., Awaitable[Any]]

_numbers = count(1)

router = Router[object]("emails", tags=["mail"])
ran: list[Any] = []


@router.job
async def plain(payload: Any) -> None:
    ran.append(payload)


@router.job(
    queue="letters",
    priority=7,
    attempts=3,
    max_crashes=2,
    timeout=timedelta(minutes=5),
    expires=60,
    keep_completed=False,
    keep_failed=timedelta(days=1),
    metadata={"team": "a"},
)
async def rich(payload: Any) -> None: ...


@router.job(expires=TOMORROW)
async def fixed(payload: Any) -> None: ...


@router.job(unique=Unique(lambda p: str(p["user"]), on_conflict=OnConflict.REPLACE))
async def by_user(payload: Any) -> None: ...


@router.job(unique=Unique("only", until=Until.START))
async def alone(payload: Any) -> None: ...


@router.job(unique=Unique("k" * 300, until=timedelta(hours=1)))
async def long(payload: Any) -> None: ...


@router.job
async def strict(number: int) -> None: ...


@pytest.fixture(params=SERVERS)
def url(request: pytest.FixtureRequest) -> str:
    """The newest PostgreSQL, and the one that an environment variable names."""
    if request.param == "named":
        return os.environ[URL_OF_NAMED_SERVER]
    server_url: str = request.getfixturevalue("server").url
    return server_url


@pytest.fixture
async def raw(url: str) -> AsyncIterator[Any]:
    """A user's connection."""
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@pytest.fixture
async def schema(url: str) -> AsyncIterator[str]:
    """The name of a schema that is dropped in the end."""
    name = f"stoker_sql_{os.getpid()}_{next(_numbers)}"
    yield name
    connection = await asyncpg.connect(url)
    await connection.execute(f"drop schema if exists {name} cascade")
    await connection.close()


@pytest.fixture
async def app(url: str, schema: str) -> AsyncIterator[Stoker[object]]:
    """An application whose jobs the store knows."""
    async with Stoker(PostgresDriver(url, schema=schema), jobs=[router]) as app:
        await app.store_definitions()
        yield app


@pytest.fixture
def schedule(raw: Any, schema: str) -> Schedule:
    """Call the function, with arguments as they are written in SQL."""

    async def call(name: str, payload: str = "null", /, **arguments: str) -> Any:
        more = "".join(f", {key} => {value}" for key, value in arguments.items())
        return await raw.fetchval(f"select {schema}.schedule('{name}', '{payload}'::json{more})")

    return call


async def found(app: Stoker[object], queue: str, job_id: str) -> JobRecord:
    [record] = await app.driver.get([JobKey(queue, job_id)])
    assert record is not None
    return record


async def holders(raw: Any, schema: str) -> list[tuple[Any, ...]]:
    """Every unique key, and for how long it is held."""
    rows = await raw.fetch(
        f"select k.queue, k.key, k.expires_at - j.enqueued_at, j.unique_until"
        f" from {schema}.keys as k join {schema}.jobs as j using (queue, id) order by 1, 2"
    )
    return [tuple(row) for row in rows]


def shape(record: JobRecord) -> JobRecord:
    """A record whose times are counted from when it was stored, and that has no id."""
    start = record.enqueued_at

    def since(moment: datetime | None) -> datetime | None:
        # A fixed point in time is the same for everybody; all others are near the start.
        near = moment is not None and abs(moment - start) < timedelta(days=7)
        return datetime.min.replace(tzinfo=UTC) + (moment - start) if near and moment else moment

    due = since(record.run_at)
    assert due is not None
    return replace(
        record,
        key=JobKey(record.key.queue, ""),
        enqueued_at=start.min.replace(tzinfo=UTC),
        run_at=due,
        ready_at=since(record.ready_at),
        expires=since(record.expires),
    )


# What is given in Python and in SQL; and the payload, as both write it.
CALLS: dict[str, tuple[Any, dict[str, Any], dict[str, str]]] = {
    "plain": (plain, {}, {}),
    "all of a definition": (rich, {}, {}),
    "a fixed expiry": (fixed, {}, {}),
    "a delay": (rich, {"delay": 5}, {"delay": "'5 s'"}),
    "a time": (rich, {"at": TOMORROW}, {"at": f"'{TOMORROW.isoformat()}'"}),
    "a past time": (
        plain,
        {"at": datetime(1999, 1, 1, tzinfo=UTC)},
        {"at": "'1999-01-01 00:00:00+00'"},
    ),
    "an expiry of a past time": (
        rich,
        {"at": datetime(1999, 1, 1, tzinfo=UTC)},
        {"at": "'1999-01-01 00:00:00+00'"},
    ),
    "the beginning of time": (
        rich,
        {"at": datetime.min.replace(tzinfo=UTC)},
        {"at": "'-infinity'"},
    ),
    "another queue": (rich, {"queue": "other"}, {"queue": "'other'"}),
    "options of the run": (
        rich,
        {"priority": 9, "attempts": 8, "max_crashes": 7, "timeout": 6},
        {"priority": "9", "attempts": "8", "max_crashes": "7", "timeout": "'6 s'"},
    ),
    "an expiry": (fixed, {"expires": 30, "delay": 5}, {"expires": "'30 s'", "delay": "'5 s'"}),
    "an expiry of a time": (
        rich,
        {"expires": 30, "at": TOMORROW},
        {"expires": "'30 s'", "at": f"'{TOMORROW.isoformat()}'"},
    ),
    "an expiry at": (rich, {"expires": TOMORROW}, {"expires_at": f"'{TOMORROW.isoformat()}'"}),
    "retention": (
        rich,
        {"keep_completed": 1, "keep_failed": 2, "keep_cancelled": False},
        {"keep_completed": "'1 s'", "keep_failed": "'2 s'", "keep_cancelled": "'0'"},
    ),
    "words to search by": (
        rich,
        {"tags": ["b", "ä", "a"], "metadata": {"t": "7", "ü": '"'}},
        {"tags": "'{b,ä,a,b}'", "metadata": """'{"t": "7", "ü": "\\""}'"""},
    ),
    "a unique job": (alone, {}, {}),
    "a long key": (long, {}, {}),
    "a key out of the payload": (by_user, {}, {"unique_key": "'7'"}),
    "a key of the call": (
        plain,
        {"unique": Unique("x" * 260, until=60)},
        {"unique_key": "repeat('x', 260)", "unique_for": "'60 s'"},
    ),
    "another rule": (
        long,
        {"unique": Unique("k" * 300, until=Until.START, on_conflict=OnConflict.RESCHEDULE)},
        {"unique_until": "'start'", "on_conflict": "'reschedule'"},
    ),
}


@pytest.mark.parametrize("call", CALLS)
async def test_sql_stores_what_python_stores(
    app: Stoker[object], schedule: Schedule, raw: Any, schema: str, call: str
) -> None:
    job, options, arguments = CALLS[call]
    handle = await app.schedule(job, {"user": 7}, **options)
    by_python = await found(app, handle.queue, handle.id)
    keys = await holders(raw, schema)
    await app.remove(handle.id, queue=handle.queue)

    job_id = await schedule(f"emails.{job.name}", '{"user":7}', **arguments)
    assert shape(await found(app, handle.queue, job_id)) == shape(by_python)
    assert await holders(raw, schema) == keys


async def test_a_worker_runs_what_sql_has_scheduled(
    app: Stoker[object], schedule: Schedule
) -> None:
    ran.clear()
    job_id = await schedule("emails.plain", '{"to": "Ada",  "n": [1.50, null]}')
    assert (await found(app, "default", job_id)).payload == b'{"to": "Ada",  "n": [1.50, null]}'
    await app.run_until_idle()
    assert ran == [{"to": "Ada", "n": [1.5, None]}]


async def test_without_a_payload_it_is_null(app: Stoker[object], raw: Any, schema: str) -> None:
    for arguments in ("'emails.plain'", "'emails.plain', null"):
        job_id = await raw.fetchval(f"select {schema}.schedule({arguments})")
        assert (await found(app, "default", job_id)).payload == b"null"


async def test_a_payload_that_does_not_validate_is_parked(
    app: Stoker[object], schedule: Schedule
) -> None:
    job_id = await schedule("emails.strict", '"seven"')
    await app.run_until_idle()
    record = await found(app, "default", job_id)
    assert record.state is JobState.SCHEDULED
    assert record.parked_since is not None
    assert record.attempt == 0


async def test_a_rollback_leaves_nothing_and_a_commit_wakes_once(
    app: Stoker[object], schedule: Schedule, raw: Any, url: str, schema: str
) -> None:
    listener = await asyncpg.connect(url)
    heard: asyncio.Queue[str] = asyncio.Queue()
    await listener.add_listener(f"{schema}.hints", lambda *told: heard.put_nowait(told[3]))
    try:
        transaction = raw.transaction()
        await transaction.start()
        await schedule("emails.plain")
        await transaction.rollback()
        assert await app.queues() == []

        async with raw.transaction():
            await raw.execute(
                f"select {schema}.schedule(name) from generate_series(1, 100),"
                " unnest('{emails.plain,emails.rich}'::text[]) as name"
            )
        await raw.execute(f"notify \"{schema}.hints\", 'the end'")
        async with asyncio.timeout(10):
            told = [await heard.get() for _ in range(3)]
    finally:
        await listener.close()
    assert told == ["Wdefault", "Wletters", "the end"]
    stats = await app.stats()
    assert stats["letters"].counts[JobState.READY] == 100


async def test_an_idle_worker_is_woken(app: Stoker[object], schedule: Schedule) -> None:
    driver = app.driver
    assert isinstance(driver, PostgresDriver)
    long_enough = timedelta(seconds=60)
    await driver.wait(["default"], long_enough)
    # Whoever begins to listen is told that there may be work: that is not the hint to wait for.
    while await driver.wait(["default"], timedelta(milliseconds=300)) is not Wake.NOTHING:
        pass
    waiting = asyncio.create_task(driver.wait(["default"], long_enough))
    await schedule("emails.plain")
    async with asyncio.timeout(20):
        assert await waiting is Wake.WORK


async def test_an_id_is_stored_once(app: Stoker[object], schedule: Schedule) -> None:
    assert await schedule("emails.plain", "1", job_id="'order-7'") == "order-7"
    assert await schedule("emails.plain", "2", job_id="'order-7'", priority="9") == "order-7"
    record = await found(app, "default", "order-7")
    assert (record.payload, record.priority) == (b"1", 4)


async def test_the_answer_is_the_id_of_the_job_that_is_there(
    app: Stoker[object], schedule: Schedule, raw: Any, schema: str
) -> None:
    first = await schedule("emails.alone")
    assert await schedule("emails.alone") == first
    moved = await schedule("emails.alone", delay="'1 hour'", on_conflict="'reschedule'")
    assert moved == first
    assert (await found(app, "default", first)).state is JobState.SCHEDULED
    second = await schedule("emails.alone", on_conflict="'replace'")
    assert second != first
    assert (await found(app, "default", first)).state is JobState.CANCELLED

    gone = await schedule("emails.long")
    await app.remove(gone)
    assert await holders(raw, schema) == [("default", "emails.alone:only", None, "start")]
    await schedule("emails.long", job_id="'a'", keep_completed="'0'")
    await app.run_until_idle()
    assert await schedule("emails.long") is None


async def test_an_id_is_a_uuid_of_its_moment_and_ids_rise(
    app: Stoker[object], raw: Any, schema: str
) -> None:
    await raw.execute(f"select {schema}.schedule('emails.plain') from generate_series(1, 500)")
    page = await app.search(limit=1_000)
    numbers = [UUID(record.key.id) for record in page.records]
    assert {(number.version, number.variant) for number in numbers} == {
        (7, "specified in RFC 4122")
    }
    for record, number in zip(page.records, numbers, strict=True):
        moment = int(record.enqueued_at.timestamp() * 1_000)
        assert 0 <= (number.int >> 80) - moment < 60_000
    places = await raw.fetch(f"select id from {schema}.jobs order by place")
    moments = [UUID(row[0]).int >> 64 for row in places]
    assert moments == sorted(moments)
    assert len(set(numbers)) == 500


async def test_an_unknown_name_is_refused_with_what_to_do(
    app: Stoker[object], schedule: Schedule, raw: Any
) -> None:
    with pytest.raises(asyncpg.UndefinedObjectError) as caught:
        await schedule("emails.plian", '{"user": 7}')
    assert caught.value.as_dict()["message"] == "no worker has stored a job 'emails.plian'"
    assert "emails.by_user, emails.fixed, emails.long, emails.plain" in caught.value.detail
    assert "queue => 'default'" in caught.value.hint
    assert await app.queues() == []


async def test_a_name_that_nobody_has_stored_needs_a_queue(
    app: Stoker[object], schedule: Schedule
) -> None:
    job_id = await schedule("other.job", "1", queue="'default'")
    record = await found(app, "default", job_id)
    of_python = await app.schedule(plain, 1, tags=[])
    expected = replace(await found(app, "default", of_python.id), name="other.job")
    assert shape(record) == shape(expected)


WRONG = {
    "two times": ({"delay": "'1 s'", "at": "now()"}, "both delay and at"),
    "negative delay": ({"delay": "'-1 s'"}, "delay '-00:00:01'"),
    "endless delay": ({"delay": "'200 years'"}, "delay '200 years'"),
    "far away": ({"at": "'infinity'"}, "at 'infinity' is too far away"),
    "far expiry": ({"expires_at": "'2300-01-01'"}, "expires_at"),
    "negative expiry": ({"expires": "'-1 s'"}, "expires"),
    "priority": ({"priority": "10"}, "priority 10"),
    "attempts": ({"attempts": "0"}, "attempts 0"),
    "crashes": ({"max_crashes": "-1"}, "max_crashes -1"),
    "timeout": ({"timeout": "'0'"}, "a timeout of nothing"),
    "retention": ({"keep_failed": "'-1 s'"}, "keep_failed"),
    "empty queue": ({"queue": "''"}, "queue ''"),
    "queue with a prefix": ({"queue": "'tenant:default'"}, "with a colon"),
    "prefix with a colon": ({"queue": "'q'", "prefix": "'tenant:'"}, "with a colon"),
    "long queue": ({"queue": "repeat('ä', 128)"}, "queue 'ää"),
    "id": ({"job_id": r"E'a\tb'"}, "job_id"),
    "id with an old control character": ({"job_id": r"U&'a\0085'"}, "job_id"),
    "empty key": ({"unique_key": "''"}, "the unique key of 'emails.plain' is missing"),
    "a rule without a key": ({"on_conflict": "'keep'"}, "'emails.plain' has no unique key"),
    "rule": ({"unique_key": "'k'", "unique_until": "'end'"}, "unique_until or on_conflict"),
    "conflict": ({"unique_key": "'k'", "on_conflict": "'ignore'"}, "unique_until or on_conflict"),
    "time of a key": ({"unique_key": "'k'", "unique_for": "'0'"}, "unique_for"),
    "two rules": (
        {"unique_key": "'k'", "unique_for": "'1 s'", "unique_until": "'start'"},
        "unique_for",
    ),
    "tag": ({"tags": "array['']"}, "tag ''"),
    "null tag": ({"tags": "array[null, 'a']"}, "these tags"),
    "tags": ({"tags": "array(select n::text from generate_series(1, 101) as n)"}, "these tags"),
    "metadata": ({"metadata": "'[]'"}, "metadata is no JSON object"),
    "metadata number": ({"metadata": """'{"a": 7}'"""}, "metadata 'a' is 7"),
    "metadata key": ({"metadata": """'{"": "7"}'"""}, "metadata key ''"),
    "metadata length": (
        {"metadata": "json_build_object('a', repeat('x', 4097))"},
        "metadata 'a' is",
    ),
    "metadata entries": (
        {"metadata": "(select json_object_agg(n, n::text) from generate_series(1, 101) as n)"},
        "number of metadata entries 101",
    ),
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_argument_is_refused_and_nothing_is_stored(
    app: Stoker[object], schedule: Schedule, raw: Any, schema: str, case: str
) -> None:
    arguments, message = WRONG[case]
    with pytest.raises(asyncpg.InvalidParameterValueError) as caught:
        await schedule("emails.plain", **arguments)
    assert message in caught.value.as_dict()["message"]
    assert caught.value.hint
    assert await app.queues() == []
    assert await raw.fetchval(f"select count(*) from {schema}.keys") == 0


async def test_a_payload_that_is_too_large_is_refused(
    app: Stoker[object], raw: Any, schema: str
) -> None:
    query = f"select {schema}.schedule('emails.plain', to_json(repeat('x', $1::integer)))"
    await raw.fetchval(query, 1_048_574)
    with pytest.raises(asyncpg.ProgramLimitExceededError, match="1048577 bytes"):
        await raw.fetchval(query, 1_048_575)


async def test_a_key_that_only_python_can_make_has_to_be_given(
    app: Stoker[object], schedule: Schedule
) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError, match="unique key of"):
        await schedule("emails.by_user", '{"user": 7}')
    handle = await app.schedule(by_user, {"user": 7})
    assert await schedule("emails.by_user", '{"user": 7}', unique_key="'7'") != handle.id
    assert await handle.status() is JobState.CANCELLED


@pytest.mark.parametrize("name", ["a.b", f"{'n' * 100}.{'j' * 100}", f"{'ü' * 50}.{'ö' * 50}"])
@pytest.mark.parametrize("length", [1, 54, 55, 251, 252, 300])
async def test_a_key_is_made_as_python_makes_it(
    app: Stoker[object], raw: Any, schema: str, name: str, length: int
) -> None:
    made = await raw.fetchval(f"select {schema}.unique_key($1, $2)", name, "k" * length)
    assert made == Unique("k" * length).of(name, None, b"").key


async def test_applications_with_a_prefix_are_kept_apart(
    app: Stoker[object], schedule: Schedule, url: str, schema: str
) -> None:
    others = Router[object]("emails")

    @others.job(priority=1)
    async def plain(payload: Any) -> None: ...

    driver = PostgresDriver(url, schema=schema)
    async with Stoker(driver, jobs=[others], prefix="tenant") as other:
        await other.store_definitions()
        job_id = await schedule("emails.plain", prefix="'tenant'")
        assert (await found(other, "tenant:default", job_id)).priority == 1
        with pytest.raises(asyncpg.UndefinedObjectError, match="no worker"):
            await schedule("emails.rich", prefix="'tenant'")
    job_id = await schedule("emails.plain")
    assert (await found(app, "default", job_id)).priority == 4


async def test_a_definition_is_replaced_by_another_one_only(
    app: Stoker[object], raw: Any, schema: str
) -> None:
    query = f"select name, ctid::text, priority from {schema}.definitions order by name"
    before = await raw.fetch(query)
    await app.store_definitions()
    assert await raw.fetch(query) == before
    driver = app.driver
    assert isinstance(driver, PostgresDriver)
    await driver.put_definitions("", [Definition("emails.plain", "default", priority=2)])
    changed = [row for row in await raw.fetch(query) if row not in before]
    assert [(row[0], row[2]) for row in changed] == [("emails.plain", 2)]


async def test_many_workers_may_start_at_once(app: Stoker[object], url: str, schema: str) -> None:
    driver = app.driver
    assert isinstance(driver, PostgresDriver)
    names = [f"a.job{number}" for number in range(200)]

    async def put(turn: int) -> None:
        order = names if turn % 2 else names[::-1]
        await driver.put_definitions("", [Definition(name, "q", turn % 10) for name in order])

    await asyncio.gather(*(put(turn) for turn in range(30)))


async def test_a_role_may_be_allowed_to_schedule_and_nothing_else(
    app: Stoker[object], raw: Any, schema: str
) -> None:
    await raw.execute(f"create role {schema}_web; grant usage on schema {schema} to {schema}_web")
    try:
        await raw.execute(f"set role {schema}_web")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await raw.fetchval(f"select {schema}.schedule('emails.plain')")
        await raw.execute(
            f"reset role; grant execute on function {schema}.schedule to {schema}_web;"
            f"set role {schema}_web"
        )
        job_id = await raw.fetchval(f"select {schema}.schedule('emails.plain')")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await raw.fetch(f"select * from {schema}.jobs")
        assert (await found(app, "default", job_id)).state is JobState.READY
    finally:
        await raw.execute(f"reset role; drop owned by {schema}_web; drop role {schema}_web")


async def test_the_search_path_of_the_caller_does_not_matter(
    app: Stoker[object], raw: Any, schema: str
) -> None:
    await raw.execute(
        f"create function {schema}.pg_notify(text, text) returns void language plpgsql"
        " as $$ begin raise 'caught' using errcode = '22012'; end $$"
    )
    await raw.execute(f"set search_path = {schema}, pg_catalog")
    with pytest.raises(asyncpg.DivisionByZeroError, match="caught"):
        await raw.execute("select pg_notify('a', 'b')")
    job_id = await raw.fetchval(f"select {schema}.schedule('emails.plain')")
    assert (await found(app, "default", job_id)).state is JobState.READY


async def test_a_schema_of_version_1_is_brought_up_to_date(url: str, schema: str, raw: Any) -> None:
    script = PostgresDriver.migration_script(schema)
    first, _, _ = script.partition("-- Version 2")
    assert first != script
    await raw.execute(first)
    driver = PostgresDriver(url, schema=schema)
    await driver.open()
    await driver.put_definitions("", [Definition("a.b", "q")])
    job_id = await raw.fetchval(f"select {schema}.schedule('a.b')")
    assert await driver.states([JobKey("q", job_id)]) == [JobState.READY]
    await driver.close()
    rows = await raw.fetch(f"select version from {schema}.migrations order by version")
    assert [row[0] for row in rows] == [step.version for step in migrations()]


async def test_the_schema_may_have_any_name(url: str, raw: Any) -> None:
    name = f'My "jobs" stoker.x {os.getpid()}'
    driver = PostgresDriver(url, schema=name)
    await driver.open()
    try:
        await driver.put_definitions("", [Definition("a.b", "q")])
        job_id = await raw.fetchval(f"select {quoted(name)}.schedule('a.b')")
        assert await driver.states([JobKey("q", job_id)]) == [JobState.READY]
        assert await raw.fetchval(f"select {quoted(name)}.channel()") == f"{name}.hints"
    finally:
        await driver.close()
        await raw.execute(f"drop schema {quoted(name)} cascade")
