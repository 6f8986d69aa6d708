"""What all saboteurs share: the real driver, with a text of its SQL or a step of it changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar, TypeVar

import asyncpg
from postgres_harness import BundledServer

from stoker.driver import Driver
from stoker_postgres import PostgresDriver
from stoker_postgres._asyncpg import Connection, Row, as_connection
from stoker_postgres._sql import quoted, statement
from stoker_postgres._statements import OnConnection

__all__ = ["SABOTEURS", "Changed", "Changes", "SaboteurHarness", "saboteur"]

D = TypeVar("D", bound="type[Changed]")

Changes = Mapping[str, tuple[tuple[str, str], ...]]
"""By the name of a statement or function: what it says, and what it says in place of that."""

SABOTEURS: dict[type[Changed], tuple[str, ...]] = {}
"""The table: each saboteur, and the ids of the cases that must be red for it."""

_DEFINITIONS = """
select pg_get_functiondef(f.oid) from pg_proc as f
where f.pronamespace = $1::text::regnamespace and f.proname = $2::text
"""


def saboteur(*killers: str) -> Callable[[D], D]:
    """Enter a saboteur into the table, with the cases that must be red for it."""

    def enter(cls: D) -> D:
        SABOTEURS[cls] = killers
        return cls

    return enter


class ChangedStatements(OnConnection):
    """Statements on one connection, some of which say something else."""

    def __init__(self, connection: Connection, schema: str, changes: Changes) -> None:
        super().__init__(connection, schema)
        self._changes = changes

    async def rows(self, name: str, *parameters: Any) -> list[Row]:
        text = statement(name, self._schema)
        if name in self._changes:
            text = replaced(text, self._changes[name], f"{name}.sql", self._schema)
        return await self._connection.fetch(text, *parameters)


class Changed(PostgresDriver):
    """The driver; a subclass breaks one thing."""

    changes: ClassVar[Changes] = {}
    """Of statements."""
    functions: ClassVar[Changes] = {}
    """Of functions and triggers in the schema."""
    script: ClassVar[str] = ""
    """What is done to the schema besides."""

    async def open(self) -> None:
        await super().open()
        client = self._client
        assert client is not None

        async def rows(name: str, *parameters: Any) -> list[Row]:
            async with client.connection() as connection:
                return await self.statements(connection).rows(name, *parameters)

        @asynccontextmanager
        async def together() -> AsyncIterator[OnConnection]:
            async with client.connection() as connection, connection.transaction():
                yield self.statements(connection)

        client.rows = rows  # type: ignore[method-assign]
        client.together = together  # type: ignore[method-assign]

    def statements(self, connection: Connection) -> OnConnection:
        """Return what runs the statements on a connection."""
        return ChangedStatements(connection, self._schema, self.changes)

    async def _joined(self, connection: object) -> OnConnection:
        await super()._joined(connection)
        return self.statements(as_connection(connection))


class SaboteurHarness(BundledServer):
    """A server that is there already, and a driver that takes the place of the real one."""

    def __init__(self, server: BundledServer, driver: type[Changed]) -> None:
        super().__init__()
        self._server = server._server
        self._use(server.url)
        self.driver = driver

    async def connect(self, namespace: str) -> Driver:
        return self.driver(self.url, schema=namespace)

    async def namespace(self) -> str:
        namespace = await super().namespace()
        if self.driver.functions or self.driver.script:
            await self._sabotage(namespace)
        return namespace

    async def _sabotage(self, schema: str) -> None:
        driver = PostgresDriver(self.url, schema=schema)
        await driver.open()
        await driver.close()
        raw = await asyncpg.connect(self.url)
        try:
            for name, changes in self.driver.functions.items():
                rows = await raw.fetch(_DEFINITIONS, quoted(schema), name)
                for (text,) in rows:
                    await raw.execute(replaced(text, changes, name, schema))
                assert rows, f"there is no function {name}"
            if self.driver.script:
                await raw.execute(in_schema(self.driver.script, schema))
        finally:
            await raw.close()


def replaced(text: str, changes: tuple[tuple[str, str], ...], name: str, schema: str) -> str:
    """Return a text with its changes, each of which has to find what it is to change."""
    for change in changes:
        right, wrong = (in_schema(one, schema) for one in change)
        assert right in text, f"{name} does not say {right!r} any more"
        text = text.replace(right, wrong)
    return text


def in_schema(text: str, schema: str) -> str:
    """Return SQL for a schema."""
    return text.replace("stoker.", f"{quoted(schema)}.")
