"""Defects of the end of a lease."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from postgres_saboteurs.base import Changed, ChangedStatements, Changes, saboteur
from stoker_postgres._asyncpg import Connection, Row
from stoker_postgres._statements import OnConnection

_GUARD: Final = "j.epoch = i.epoch and j.expires_at is not null"


def _guarded_by(guard: str) -> Changes:
    return dict.fromkeys(("complete", "settle", "extend"), ((_GUARD, guard),))


@saboteur("FNC-01", "FNC-02", "FNC-03", "TXN-06")
class TokensAreNotFenced(Changed):
    """Whoever has held a lease of a job may end the present one: the epoch is not compared."""

    changes: ClassVar[Changes] = _guarded_by("j.expires_at is not null")


@saboteur("FNC-04", "LSE-05")
class SettlesInAnyState(Changed):
    """A token is valid for as long as nobody has claimed the job again."""

    changes: ClassVar[Changes] = _guarded_by("j.epoch = i.epoch")


@saboteur("FNC-07")
class ExpiryInvalidates(Changed):
    """A settlement compares the expiry with the time, though nobody has reaped."""

    changes: ClassVar[Changes] = _guarded_by(
        "j.epoch = i.epoch and j.expires_at > (select now from clock)"
    )


@saboteur("INS-09")
class NullIsNotZero(Changed):
    """`not in` where the column may be null: what has no wish of its own is never completed."""

    changes: ClassVar[Changes] = {
        "complete": (
            (
                "j.keep_completed is distinct from interval '0'",
                "j.keep_completed not in (interval '0')",
            ),
        )
    }


class _LooksFirst(ChangedStatements):
    """Looks before a settlement, which may wait, at what became of its leases."""

    _seen: ClassVar[dict[tuple[str, str, int], Row]] = {}

    async def rows(self, name: str, *parameters: Any) -> list[Row]:
        if name == "classify":
            asked = zip(*parameters, strict=True)
            found = enumerate((self._seen.get(token) for token in asked), 1)
            return [(n, *row[1:]) for n, row in found if row is not None]
        if name in ("complete", "settle", "extend"):
            columns = parameters[1:4] if name == "complete" else parameters[2:5]
            tokens = list(zip(*columns, strict=True))
            rows = await super().rows("classify", *columns)
            for token in tokens:
                self._seen.pop(token, None)
            self._seen.update((tokens[row[0] - 1], row) for row in rows)
        return await super().rows(name, *parameters)


@saboteur("TXN-09")
class ClassifiesByTheFirstSnapshot(Changed):
    """What was not valid is told from what was there before the statement waited for the row."""

    def statements(self, connection: Connection) -> OnConnection:
        return _LooksFirst(connection, self._schema, self.changes)


@saboteur("TXN-09")
class ExtendWaitsForLocks(Changed):
    """A heartbeat waits for a row that a transaction holds."""

    changes: ClassVar[Changes] = {"extend": (("for update of j skip locked", "for update of j"),)}


@saboteur("RTY-04")
class ErrorsGrow(Changed):
    """All errors of a job are kept."""

    changes: ClassVar[Changes] = {
        "settle": (("[greatest(1, coalesce(cardinality(j.errors), 0) - 8):]", ""),)
    }


@saboteur("UNQ-02")
class EndKeepsTheKey(Changed):
    """The trigger that frees a unique key at the end of its job is missing."""

    script: ClassVar[str] = "drop trigger key_freed_by_end on stoker.jobs"


@saboteur("ADM-03")
class RemovalKeepsLogs(Changed):
    """The trigger that deletes the log of a job with it is missing."""

    script: ClassVar[str] = "drop trigger logs_removed on stoker.jobs"


@saboteur("UNQ-04")
class RemovalKeepsTimedKeys(Changed):
    """A removal leaves keys that are held for a time to the trigger, which keeps them."""

    changes: ClassVar[Changes] = {"remove": (("k.expires_at is not null", "false"),)}
