"""Defects of times, and of how values cross the wire."""

from __future__ import annotations

from typing import Any, ClassVar

from postgres_saboteurs.base import Changed, ChangedStatements, Changes, saboteur
from stoker_postgres._asyncpg import Connection, Row
from stoker_postgres._sql import statement
from stoker_postgres._statements import OnConnection


class _Frozen(ChangedStatements):
    async def rows(self, name: str, *parameters: Any) -> list[Row]:
        text = statement(name, self._schema).replace("clock_timestamp()", "now()")
        return await self._connection.fetch(text, *parameters)


@saboteur("RT-01")
class TimeStandsStillInTransactions(Changed):
    """The time is `now()`, which is when the transaction began."""

    def statements(self, connection: Connection) -> OnConnection:
        return _Frozen(connection, self._schema, self.changes)


@saboteur("DLY-07")
class TimesHaveNoZone(Changed):
    """The beginning of 1970 is that of the session's time zone."""

    script: ClassVar[str] = """
        create or replace function stoker.instant(micros bigint) returns timestamptz
        language sql stable
        return (timestamp '1970-01-01 00:00:00' + micros * interval '1 microsecond')::timestamptz;
    """


@saboteur("DLY-05")
class TimesAreFloats(Changed):
    """Microseconds are counted in floating point, with the seconds in four bytes."""

    script: ClassVar[str] = """
        create or replace function stoker.micros(moment timestamptz) returns bigint
        language sql stable
        return (extract(epoch from moment)::real * 1000000)::bigint;
    """


@saboteur("TXN-10")
class UsersCodecsReadTheAnswer(Changed):
    """A completion answers with integers of four bytes, which a user may have as something else."""

    changes: ClassVar[Changes] = {
        "complete": (
            ("select n from removed", "select n::integer from removed"),
            ("select n from kept", "select n::integer from kept"),
        )
    }
