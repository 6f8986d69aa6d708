"""Which servers and schemas the driver opens, and what it says of the others."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from tools.servers.postgres import PostgresServer

from stoker.driver import Capability, JobKey, JobState, NewJob
from stoker.errors import DriverUnavailable, IncompatibleStore, InvalidInput, Unsupported
from stoker_postgres import PostgresDriver
from stoker_postgres._sql import migrations, quoted

KEY = JobKey("q", "1")
JOB = NewJob(KEY, "a.b")


async def refusal(driver: PostgresDriver) -> str:
    with pytest.raises(IncompatibleStore) as caught:
        await driver.open()
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("mysql://host/db", "is not a URL of this driver"),
        ("postgresql://h/db?pool_size=many", "pool_size"),
        ("postgresql://h/db?pool_size=2", "3 to 1,000"),
        ("postgresql://h/db?pooler=maybe", "on or off"),
        ("postgresql://h/db?schema=public", "schema of its own"),
        ("postgresql://h/db?schema=pg_jobs", "schema of its own"),
        ("postgresql://h/db?schema=bob's", "printable text without"),
        ("postgresql://h/db?command_timeout=soon", "a number of seconds"),
        ("postgresql://h/db?command_timeout=0", "0.1 to 3,600"),
    ],
)
def test_a_wrong_url_is_refused(url: str, part: str) -> None:
    with pytest.raises(InvalidInput, match=part):
        PostgresDriver.from_url(url)


def test_a_password_is_never_shown() -> None:
    driver = PostgresDriver.from_url("postgresql://app:secret@host/db?schema=jobs")
    assert repr(driver) == "PostgresDriver('postgresql://app@host/db', schema='jobs')"


async def test_without_a_server_it_is_unavailable() -> None:
    driver = PostgresDriver("postgresql://postgres@127.0.0.1:1/postgres")
    with pytest.raises(DriverUnavailable) as caught:
        await driver.open()
    assert not caught.value.maybe_applied


@pytest.mark.parametrize(
    ("parameter", "part"),
    [("poolsize=20", '"poolsize"'), ("jit=perhaps", '"jit"'), ("sslmode=maybe", "sslmode")],
)
async def test_a_parameter_that_nobody_knows_is_named(
    server: PostgresServer, parameter: str, part: str
) -> None:
    driver = PostgresDriver.from_url(f"{server.url}?{parameter}")
    with pytest.raises(InvalidInput, match=part):
        await driver.open()


@pytest.mark.parametrize("url", ["localhost/db", "postgresql://localhost:many/db"])
async def test_what_asyncpg_cannot_read_is_a_wrong_url(url: str) -> None:
    with pytest.raises(InvalidInput, match="the URL of the server is wrong"):
        await PostgresDriver(url).open()


async def test_a_wrong_password_is_named(server: PostgresServer, raw: Any) -> None:
    await raw.execute("create role guarded login password 'right'")
    rules = server._data / "pg_hba.conf"
    rules.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
    await asyncio.to_thread(server.restart)
    url = server.url.replace("postgres@", "guarded:wrong@")
    text = await refusal(PostgresDriver(url))
    assert 'password authentication failed for user "guarded"' in text
    assert "check user, password and database" in text
    assert "wrong" not in text


async def test_a_server_that_is_too_old_is_refused(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker_postgres._schema._OLDEST_SERVER", 99)
    assert "the driver needs 99 or later" in await refusal(PostgresDriver(server.url))
    async with asyncpg.create_pool(server.url, min_size=1, max_size=3) as pool:
        assert "the driver needs 99 or later" in await refusal(PostgresDriver(pool))


async def test_an_unknown_database_is_named(server: PostgresServer) -> None:
    url = server.url.removesuffix("postgres") + "nowhere"
    assert '"nowhere"' in await refusal(PostgresDriver(url))


async def test_a_missing_schema_is_refused_when_it_must_not_be_made(
    server: PostgresServer, schema: str
) -> None:
    driver = PostgresDriver(server.url, schema=schema, migrate=False)
    assert f"the schema '{schema}' does not exist" in await refusal(driver)


async def test_a_newer_schema_is_refused(
    driver: PostgresDriver, server: PostgresServer, schema: str, raw: Any
) -> None:
    await raw.execute(f"insert into {schema}.migrations values (999, 'from the future')")
    text = await refusal(PostgresDriver(server.url, schema=schema))
    assert "has version 999" in text
    assert "upgrade stoker-postgres" in text


async def test_the_script_makes_what_open_makes(
    server: PostgresServer, schema: str, raw: Any
) -> None:
    async with raw.transaction():
        await raw.execute(PostgresDriver.migration_script(schema))
    driver = PostgresDriver(server.url, schema=schema, migrate=False)
    await driver.open()
    await driver.enqueue([JOB])
    await driver.close()
    versions = await raw.fetch(f"select version from {schema}.migrations")
    assert [row[0] for row in versions] == [step.version for step in migrations()]


async def test_a_schema_may_have_any_name(server: PostgresServer) -> None:
    driver = PostgresDriver(server.url, schema='My "jobs" stoker.x')
    await driver.open()
    await driver.enqueue([JOB])
    assert await driver.states([KEY]) == [JobState.READY]
    await driver.close()


async def test_a_dropped_schema_is_named(driver: PostgresDriver, schema: str, raw: Any) -> None:
    await raw.execute(f"drop schema {quoted(schema)} cascade")
    with pytest.raises(IncompatibleStore, match=schema):
        await driver.enqueue([JOB])


@pytest.mark.parametrize("setting", ["on", "off"])
async def test_a_role_whose_commits_may_be_lost_is_warned(
    server: PostgresServer, schema: str, caplog: pytest.LogCaptureFixture, setting: str
) -> None:
    driver = PostgresDriver(f"{server.url}?synchronous_commit={setting}", schema=schema)
    await driver.open()
    await driver.close()
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert ["synchronous_commit is off" in text for text in warnings] == [True] * (setting == "off")


async def test_a_pool_of_the_user_is_used_and_left_open(
    server: PostgresServer, schema: str
) -> None:
    async with asyncpg.create_pool(server.url, min_size=1, max_size=3) as pool:
        driver = PostgresDriver(pool, schema=schema)
        with pytest.raises(Unsupported):
            driver.clone()
        await driver.open()
        await driver.wait(["q"], timedelta(seconds=1))
        await driver.enqueue([JOB])
        await driver.close()
        assert await pool.fetchval("select 1") == 1
        assert pool.get_idle_size() == pool.get_size()


async def test_behind_a_pooler_nothing_is_kept_on_a_connection(
    server: PostgresServer, schema: str
) -> None:
    driver = PostgresDriver(server.url, schema=schema, pooler=True)
    assert Capability.WAKEUP not in driver.info.capabilities
    await driver.open()
    await driver.enqueue([JOB])
    assert await driver.states([KEY]) == [JobState.READY]
    await driver.close()


async def test_calls_under_way_end_before_close(driver: PostgresDriver) -> None:
    calls = [asyncio.create_task(driver.states([KEY])) for _ in range(30)]
    await asyncio.sleep(0)
    await driver.close()
    assert await asyncio.gather(*calls) == [[None]] * 30
