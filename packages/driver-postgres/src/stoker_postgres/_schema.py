"""The schema of the driver: made, brought up to date, and checked."""

from __future__ import annotations

from typing import Final

from stoker.errors import IncompatibleStore
from stoker_postgres._asyncpg import Connection
from stoker_postgres._sql import migrations, quoted

__all__ = ["check", "migrate", "script"]

_OLDEST_SERVER: Final = 14

_LOCK: Final = "select pg_advisory_xact_lock(hashtextextended($1::text, 0))"
_EXISTS: Final = "select count(*) from pg_catalog.pg_namespace where nspname = $1::text"
_FOUND: Final = """\
select count(*) from pg_catalog.pg_tables
where schemaname = $1::text and tablename = 'migrations'"""
_TABLE: Final = """\
create table {schema}.migrations (
    version integer primary key,
    name text not null,
    applied_at timestamptz not null default clock_timestamp()
)"""
_APPLIED: Final = "insert into {schema}.migrations (version, name) values ({version}, '{name}')"


async def migrate(connection: Connection, schema: str) -> None:
    """Bring the schema to the newest version; of many that try at once, one does it.

    Raises:
        IncompatibleStore: the schema is not the driver's, or newer than this version of it.
    """
    if await _version(connection, schema) == _newest(schema):
        return
    async with connection.transaction(isolation="read_committed"):
        await connection.fetch(_LOCK, f"stoker-postgres {schema}")
        done = await _version(connection, schema)
        _refuse_newer(done, schema)
        if done is None and not (await connection.fetch(_EXISTS, schema))[0][0]:
            await connection.execute(f"create schema {quoted(schema)}")
        for step in _steps(done, schema):
            await connection.execute(step)


async def check(connection: Connection, schema: str) -> None:
    """Refuse a server or a schema that this version cannot use, saying what to do."""
    server = connection.get_server_version()[0]
    if server < _OLDEST_SERVER:
        raise IncompatibleStore(
            f"the server is PostgreSQL {server}: the driver needs {_OLDEST_SERVER} or later"
        )
    done = await _version(connection, schema)
    _refuse_newer(done, schema)
    if done is None or done < _newest(schema):
        found = "does not exist" if done is None else f"has version {done}"
        raise IncompatibleStore(
            f"the schema {schema!r} {found}, and this version of stoker-postgres needs version "
            f"{_newest(schema)}: open the driver once with migrate=True and a role that may create "
            "it, or apply the script that `stoker_postgres.PostgresDriver.migration_script` returns"
        )


def script(schema: str, done: int = 0) -> str:
    """Return the SQL that leads from version `done` of the schema to the newest."""
    create = [] if done else [f"create schema if not exists {quoted(schema)}"]
    return "\n\n".join(f"{step.rstrip().rstrip(';')};" for step in [*create, *_steps(done, schema)])


def _steps(done: int | None, schema: str) -> list[str]:
    named = {"schema": quoted(schema)}
    steps = [] if done else [_TABLE.format(**named)]
    for migration in migrations(schema):
        if migration.version > (done or 0):
            steps.append(migration.script)
            steps.append(_APPLIED.format(**named, version=migration.version, name=migration.name))
    return steps


async def _version(connection: Connection, schema: str) -> int | None:
    """Return the version of the schema; `None` when there is nothing of the driver's."""
    if not (await connection.fetch(_FOUND, schema))[0][0]:
        return None
    rows = await connection.fetch(
        f"select coalesce(max(version), 0)::bigint from {quoted(schema)}.migrations"
    )
    return int(rows[0][0])


def _refuse_newer(done: int | None, schema: str) -> None:
    if done is not None and done > _newest(schema):
        raise IncompatibleStore(
            f"the schema {schema!r} has version {done}, and this version of stoker-postgres knows "
            f"{_newest(schema)} at most: upgrade stoker-postgres here"
        )


def _newest(schema: str) -> int:
    return migrations(schema)[-1].version
