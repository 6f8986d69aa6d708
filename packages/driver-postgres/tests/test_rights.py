"""A role needs the rights that the README lists, and no others; a missing one is named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from click.testing import CliRunner
from postgres_harness import grants_of_the_readme, renamed
from tools.servers.postgres import PostgresServer

from stoker.driver import JobKey, Migration, NewJob
from stoker.errors import IncompatibleStore
from stoker_cli import main
from stoker_postgres import PostgresDriver, _schema
from stoker_postgres._sql import migrations

JOB = NewJob(JobKey("q", "1"), "a.b")


class Role:
    """A role that may log in and nothing else, until it is given more."""

    def __init__(self, name: str, schema: str, server: str, raw: Any) -> None:
        self.name = name
        self._schema = schema
        self._raw = raw
        self.url = f"{server.replace('postgres@', f'{name}@')}?schema={schema}"

    async def run(self, script: str) -> None:
        """Let the owner of everything run a script that is written for `app` and `stoker`."""
        await self._raw.execute(renamed(script, self.name, self._schema))

    async def give(self) -> None:
        """Give it the rights that the README lists."""
        await self._raw.execute(grants_of_the_readme(self.name, self._schema))

    async def refusal(self) -> str:
        """Return what the driver says when it is not to be opened."""
        with pytest.raises(IncompatibleStore) as caught:
            await PostgresDriver.from_url(self.url).open()
        return str(caught.value)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresDriver]:
    driver = PostgresDriver.from_url(url)
    await driver.open()
    try:
        yield driver
    finally:
        await driver.close()


@pytest.fixture
async def role(server: PostgresServer, schema: str, raw: Any) -> AsyncIterator[Role]:
    """A role without any right."""
    role = Role(f"app_{schema}", schema, server.url, raw)
    await raw.execute(f"create role {role.name} login")
    yield role
    await raw.execute(f"drop schema if exists {schema} cascade")
    await raw.execute(f"drop owned by {role.name}; drop role {role.name}")


async def test_with_the_rights_of_the_readme_the_driver_opens(
    driver: PostgresDriver, role: Role
) -> None:
    await role.give()
    async with opened(role.url) as app:
        await app.enqueue([JOB])
        assert await app.pending_migrations() == await app.migrate() == []


async def test_with_the_rights_of_the_readme_a_later_version_opens_too(
    driver: PostgresDriver, role: Role, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await role.give()
    script = (
        f"create table {schema}.more (number bigint default 1); create sequence {schema}.numbers;"
        f"create function {schema}.one() returns int return 1"
    )
    more = (*migrations(schema), Migration(999, "0999_more", script))
    monkeypatch.setattr(_schema, "migrations", lambda _: more)
    await driver.migrate()
    async with opened(role.url) as app:
        await app.enqueue([JOB])


async def test_the_grants_that_a_refusal_tells_are_those_that_help(
    driver: PostgresDriver, role: Role, raw: Any
) -> None:
    text = await role.refusal()
    assert f"the role '{role.name}' lacks rights" in text
    await raw.execute(text.partition("gives them: ")[2])
    async with opened(role.url) as app:
        await app.enqueue([JOB])


@pytest.mark.parametrize(
    ("taken", "told"),
    [
        ("usage on schema stoker from app", "grant usage on schema {} to"),
        ("select on stoker.migrations from app", "grant select on table {}.migrations to"),
        ("update on stoker.jobs from app", "grant update on table {}.jobs to"),
        ("select on stoker.logs from app", "grant select on table {}.logs to"),
        ("insert, delete on stoker.keys from app", "grant insert, delete on table {}.keys to"),
        ("usage on sequence stoker.epochs from app", "grant usage on sequence {}.epochs to"),
        (
            "execute on function stoker.micros(interval) from app, public",
            "grant execute on function {}.micros(length interval) to",
        ),
    ],
)
async def test_a_right_that_is_missing_is_named_and_no_other(
    driver: PostgresDriver, role: Role, schema: str, taken: str, told: str
) -> None:
    await role.give()
    await role.run(f"revoke {taken}")
    text = await role.refusal()
    assert text.partition("gives them: ")[2] == f'{told.format(schema)} "{role.name}";'


async def test_a_right_that_is_taken_later_is_no_outage(driver: PostgresDriver, role: Role) -> None:
    await role.give()
    async with opened(role.url) as app:
        await role.run("revoke insert on stoker.jobs from app")
        with pytest.raises(IncompatibleStore, match="permission denied for table jobs"):
            await app.enqueue([JOB])


async def test_a_role_that_may_not_create_the_schema_is_told_the_right(role: Role) -> None:
    assert await role.refusal() == (
        f"the role '{role.name}' lacks the right to change the schema 'X': run `stoker migrate` as "
        f'a role that has it, or give it: grant create on database "postgres" to "{role.name}";'
    ).replace("'X'", f"'{role.url.rpartition('=')[2]}'")
    await role.run('grant create on database "postgres" to app')
    async with opened(role.url) as app:
        await app.enqueue([JOB])


async def test_a_role_that_may_not_fill_the_schema_is_told_the_right(role: Role) -> None:
    await role.run("create schema stoker")
    assert "give it: grant usage, create on schema" in await role.refusal()
    await role.run("grant usage, create on schema stoker to app")
    async with opened(role.url) as app:
        await app.enqueue([JOB])


async def test_a_role_that_does_not_own_the_tables_may_not_change_them(
    driver: PostgresDriver, role: Role
) -> None:
    await role.give()
    await role.run("delete from stoker.migrations")
    assert "its tables belong to postgres. Run `stoker migrate`" in await role.refusal()


async def test_the_command_names_the_missing_right(role: Role) -> None:
    result = await asyncio.to_thread(CliRunner().invoke, main, ["migrate", role.url])
    assert result.exit_code == 2
    assert "grant create on database" in result.stderr
