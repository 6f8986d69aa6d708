"""The schema is brought up to date step by step, by one client at a time, or refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tools.servers.postgres import PostgresServer

from stoker.driver import Migrates, Migration
from stoker.errors import IncompatibleStore
from stoker_cli import main
from stoker_postgres import PostgresDriver, _schema
from stoker_postgres._sql import migrations

NEWEST = migrations()[-1].version
NAMES = [step.name for step in migrations()]

Later = Callable[[str], None]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """Go on to a later version of the driver, with one more migration."""

    def add(script: str) -> None:
        version = NEWEST + 1
        more = Migration(version, f"{version:04}_more", script)
        monkeypatch.setattr(_schema, "migrations", lambda schema: (*migrations(schema), more))

    return add


@pytest.fixture
def url(server: PostgresServer, schema: str) -> str:
    """The URL of a schema that does not exist yet."""
    return f"{server.url}?schema={schema}"


def stoker(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, list(arguments))


async def versions(raw: Any, schema: str) -> list[int]:
    """Return the migrations that were applied."""
    rows = await raw.fetch(f"select version from {schema}.migrations order by version")
    return [version for (version,) in rows]


async def test_the_steps_of_a_new_schema_are_all_migrations(url: str) -> None:
    driver = PostgresDriver.from_url(url)
    assert isinstance(driver, Migrates)
    assert [step.name for step in await driver.pending_migrations()] == NAMES
    assert [step.name for step in await driver.migrate()] == NAMES
    assert await driver.pending_migrations() == await driver.migrate() == []


async def test_looking_changes_nothing(url: str, schema: str, raw: Any) -> None:
    await PostgresDriver.from_url(url).pending_migrations()
    count = "select count(*) from pg_namespace where nspname = $1"
    assert await raw.fetchval(count, schema) == 0


async def test_only_what_is_missing_is_applied(
    driver: PostgresDriver, later: Later, schema: str, raw: Any
) -> None:
    later(f"create table {schema}.more (x text)")
    assert [step.version for step in await driver.migrate()] == [NEWEST + 1]
    assert await raw.fetch(f"select x from {schema}.more") == []
    assert await versions(raw, schema) == [*range(1, NEWEST + 2)]


async def test_a_schema_made_by_somebody_else_beforehand_is_filled(
    url: str, schema: str, raw: Any
) -> None:
    await raw.execute(f"create schema {schema}")
    assert [step.name for step in await PostgresDriver.from_url(url).migrate()] == NAMES


async def test_a_step_that_fails_leaves_nothing_of_any(
    later: Later, url: str, schema: str, raw: Any
) -> None:
    later(f"create table {schema}.more (x text); select 1 / 0")
    with pytest.raises(IncompatibleStore, match="division by zero"):
        await PostgresDriver.from_url(url).migrate()
    assert await raw.fetchval("select count(*) from pg_namespace where nspname = $1", schema) == 0


async def test_a_step_may_take_longer_than_a_statement_of_a_job(
    driver: PostgresDriver, later: Later, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker_postgres._source._GRACE_SECONDS", 0.1)
    later("select pg_sleep(0.5)")
    hasty = PostgresDriver.from_url(f"{url}&command_timeout=0.1")
    assert [step.version for step in await hasty.migrate()] == [NEWEST + 1]


async def test_of_many_that_migrate_at_once_one_does_it(url: str) -> None:
    answers = await asyncio.gather(*(PostgresDriver.from_url(url).migrate() for _ in range(6)))
    applied = [[step.name for step in steps] for steps in answers if steps]
    assert applied == [NAMES]


async def test_who_comes_second_waits_for_the_first_and_finds_it_done(
    url: str, schema: str, raw: Any
) -> None:
    second = PostgresDriver.from_url(url)
    async with raw.transaction():
        await raw.fetch(_schema._LOCK, f"stoker-postgres {schema}")
        opening = asyncio.create_task(second.open())
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        while not await raw.fetchval(waiting):
            assert not opening.done()
        await raw.execute(PostgresDriver.migration_script(schema))
    await opening
    await second.close()
    assert await versions(raw, schema) == [*range(1, NEWEST + 1)]


async def test_an_older_schema_is_refused_with_the_command_that_helps(
    driver: PostgresDriver, later: Later, url: str, schema: str
) -> None:
    later(f"create table {schema}.more (x text)")
    with pytest.raises(IncompatibleStore) as caught:
        await PostgresDriver.from_url(f"{url}&migrate=off").open()
    assert f"has version {NEWEST}, and this version of stoker-postgres" in str(caught.value)
    assert f"needs version {NEWEST + 1}: run `stoker migrate`" in str(caught.value)


async def test_the_script_of_a_dry_run_does_what_the_command_does(
    url: str, schema: str, raw: Any
) -> None:
    dry = await asyncio.to_thread(stoker, "migrate", url, "--dry-run")
    assert (dry.exit_code, dry.stderr) == (0, "".join(f"to be applied: {n}\n" for n in NAMES))
    async with raw.transaction():
        await raw.execute(dry.stdout)
    assert await versions(raw, schema) == [*range(1, NEWEST + 1)]
    again = await asyncio.to_thread(stoker, "migrate", url, "--dry-run")
    assert (again.exit_code, again.stdout, again.stderr) == (0, "", "the schema is up to date\n")


def test_the_command_tells_what_it_has_applied(url: str) -> None:
    first = stoker("migrate", f"{url}&migrate=off")
    assert (first.exit_code, first.stdout) == (0, "".join(f"applied {name}\n" for name in NAMES))
    second = stoker("migrate", url)
    assert (second.exit_code, second.stdout) == (0, "the schema is up to date\n")


async def test_the_command_refuses_a_newer_schema(
    driver: PostgresDriver, url: str, schema: str, raw: Any
) -> None:
    await raw.execute(f"insert into {schema}.migrations values (999, 'from the future')")
    for options in ([], ["--dry-run"]):
        result = await asyncio.to_thread(stoker, "migrate", url, *options)
        assert result.exit_code == 2
        assert "has version 999" in result.stderr
        assert "upgrade stoker-postgres" in result.stderr


def test_the_command_without_a_server_says_so() -> None:
    result = stoker("migrate", "postgresql://app:secret@127.0.0.1:1/app")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: postgresql://app:***@127.0.0.1:1/app: no connection")
