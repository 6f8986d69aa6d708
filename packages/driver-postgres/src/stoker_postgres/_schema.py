"""The schema of the driver: made, brought up to date, and checked."""

from __future__ import annotations

import logging
from typing import Final, NamedTuple

from stoker.driver import Migration
from stoker.errors import IncompatibleStore
from stoker_postgres._asyncpg import Connection
from stoker_postgres._rights import refuse_without_right_to_change, refuse_without_rights
from stoker_postgres._sql import migrations, quoted

__all__ = ["check", "check_server", "migrate", "pending", "script"]

_log: Final = logging.getLogger(__name__)

_OLDEST_SERVER: Final = 14

_NO_HURRY: Final = 24 * 3600.0
"""Seconds that a migration, or waiting for somebody else's, may take: a table may be large."""

_LOCK: Final = "select pg_advisory_xact_lock(hashtextextended($1::text, 0))"
_FOUND: Final = """\
select count(n.oid), count(c.oid),
    count(*) filter (
        where has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
    )
from (values ($1::text)) as wanted (name)
left join pg_catalog.pg_namespace as n on n.nspname = wanted.name
left join pg_catalog.pg_class as c
    on c.relnamespace = n.oid and c.relname = 'migrations' and c.relkind = 'r'"""
_COMMIT: Final = "select current_setting('synchronous_commit')::text"
_VERSION: Final = "select coalesce(max(version), 0)::bigint from {schema}.migrations"
_TABLE: Final = """\
create table if not exists {schema}.migrations (
    version integer primary key,
    name text not null,
    applied_at timestamptz not null default clock_timestamp()
);"""
_APPLIED: Final = "insert into {schema}.migrations (version, name) values ({version}, '{name}');"


class _Found(NamedTuple):
    """What there is of a schema."""

    exists: bool
    version: int | None
    """`None` when there is nothing of the driver's in it."""


async def migrate(connection: Connection, schema: str) -> list[Migration]:
    """Bring the schema to the newest version, in one transaction, and return the steps.

    Of many that try at once one does it; the others wait, and have nothing left to do.

    Raises:
        IncompatibleStore: the server is too old, the schema is newer than this version of the
            driver, or the role lacks a right.
    """
    if not await pending(connection, schema):
        return []
    async with connection.transaction(isolation="read_committed"):
        await connection.execute("set local statement_timeout = 0")
        await connection.fetch(_LOCK, f"stoker-postgres {schema}", timeout=_NO_HURRY)
        found = await _look(connection, schema)
        steps = _steps(found, schema)
        if steps:
            await refuse_without_right_to_change(connection, schema, exists=found.exists)
        for step in steps:
            await connection.execute(step.script, timeout=_NO_HURRY)
        return steps


async def pending(connection: Connection, schema: str) -> list[Migration]:
    """Return the steps that the schema lacks; changes nothing.

    Raises:
        IncompatibleStore: as `migrate`, but for the right to change it.
    """
    check_server(connection)
    # In a transaction, as all here: a pooler keeps to one connection for no longer than that.
    async with connection.transaction(isolation="read_committed"):
        return _steps(await _look(connection, schema), schema)


async def check(connection: Connection, schema: str) -> None:
    """Refuse a server, a schema or a role that this version cannot use, saying what to do."""
    steps = await pending(connection, schema)
    if steps:
        before = steps[0].version - 1
        found = f"has version {before}" if before else "does not exist, or is empty"
        raise IncompatibleStore(
            f"the schema {schema!r} {found}, and this version of stoker-postgres needs version "
            f"{steps[-1].version}: run `stoker migrate` as a role that may change it, or apply "
            "the script that `stoker_postgres.PostgresDriver.migration_script` returns"
        )
    async with connection.transaction(isolation="read_committed"):
        await refuse_without_rights(connection, schema)
        if (await connection.fetch(_COMMIT))[0][0] == "off":
            _log.warning(
                "synchronous_commit is off for this role: a crash of the server may lose jobs that "
                "were acknowledged, and let leases that ended before it count again"
            )


def check_server(connection: Connection) -> None:
    """Refuse a server that is too old for the driver's statements."""
    server = connection.get_server_version()[0]
    if server < _OLDEST_SERVER:
        raise IncompatibleStore(
            f"the server is PostgreSQL {server}: the driver needs {_OLDEST_SERVER} or later"
        )


def script(schema: str, done: int = 0) -> str:
    """Return the SQL that leads from version `done` of the schema to the newest."""
    found = _Found(exists=True, version=done or None)
    create = [] if done else [_create(schema, "if not exists ")]
    return "\n\n".join([*create, *(step.script for step in _steps(found, schema))])


def _steps(found: _Found, schema: str) -> list[Migration]:
    """Return what is to be run, each with all that belongs to it."""
    named = {"schema": quoted(schema)}
    steps: list[Migration] = []
    for migration in migrations(schema):
        if migration.version <= (found.version or 0):
            continue
        parts = [] if found.exists or steps else [_create(schema)]
        if not found.version and not steps:
            parts.append(_TABLE.format(**named))
        parts.append(f"{migration.script.rstrip().rstrip(';')};")
        parts.append(
            _APPLIED.format(**named, version=migration.version, name=migration.name),
        )
        steps.append(Migration(migration.version, migration.name, "\n\n".join(parts)))
    return steps


def _create(schema: str, unless: str = "") -> str:
    return f"create schema {unless}{quoted(schema)};"


async def _look(connection: Connection, schema: str) -> _Found:
    """Return what there is, if this version of the driver knows it and the role may see it."""
    exists, is_ours, is_readable = (await connection.fetch(_FOUND, schema))[0]
    if not is_ours:
        return _Found(bool(exists), None)
    if not is_readable:
        await refuse_without_rights(connection, schema)
    rows = await connection.fetch(_VERSION.format(schema=quoted(schema)))
    version = int(rows[0][0])
    newest = migrations(schema)[-1].version
    if version > newest:
        raise IncompatibleStore(
            f"the schema {schema!r} has version {version}, and this version of stoker-postgres "
            f"knows {newest} at most: upgrade stoker-postgres here"
        )
    return _Found(True, version)
