"""Defects that the contract allows, or does not speak of: tests of this driver look for them."""

from __future__ import annotations

from typing import Any, ClassVar

from postgres_saboteurs.base import Changed, ChangedStatements, Changes
from stoker_postgres._asyncpg import Connection, Row
from stoker_postgres._statements import OnConnection

__all__ = ["CompletionGivesAHint", "CompletionMayBeIdle"]


class _Hinting(ChangedStatements):
    async def rows(self, name: str, *parameters: Any) -> list[Row]:
        answer = await super().rows(name, *parameters)
        if name == "complete":
            hints = [f"W{queue}" for queue in dict.fromkeys(parameters[1])]
            await super().rows("hint", self.channel, hints)
        return answer


class CompletionGivesAHint(Changed):
    """Each completion wakes all workers, and its commit takes a lock of the whole database."""

    def statements(self, connection: Connection) -> OnConnection:
        return _Hinting(connection, self._schema, self.changes)


class CompletionMayBeIdle(Changed):
    """After the completion of its job a transaction may be idle, and hold the row, for ever."""

    changes: ClassVar[Changes] = {
        "complete": (
            ("then set_config('idle_in_transaction_session_timeout', $6, true)", "then $6"),
        )
    }
