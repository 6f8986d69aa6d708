"""Defects of the end of a lease."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from postgres_saboteurs.base import Changed, ChangedStatements, Changes, saboteur
from stoker_postgres._asyncpg import Connection, Row
from stoker_postgres._statements import OnConnection

_EPOCH: Final = "{row}.epoch = {lease}.epoch"
_RUNS: Final = "{row}.expires_at is not null"


def _guarded_by(guard: str) -> Changes:
    """Change what makes a token valid: where a row is found, and again where it is changed."""
    found, changed = (
        tuple(text.format(row=row, lease=lease) for text in (f"{_EPOCH} and {_RUNS}", guard))
        for row, lease in (("r", "i"), ("j", "f"))
    )
    return {
        "complete": ((found[0], found[1]), (changed[0], changed[1])),
        "settle": ((found[0], found[1]),),
        "extend": ((found[0], found[1]),),
    }


@saboteur("FNC-01", "FNC-02", "FNC-03", "TXN-06")
class TokensAreNotFenced(Changed):
    """Whoever has held a lease of a job may end the present one: the epoch is not compared."""

    changes: ClassVar[Changes] = _guarded_by(_RUNS)


@saboteur("FNC-04", "LSE-05")
class SettlesInAnyState(Changed):
    """A token is valid for as long as nobody has claimed the job again."""

    changes: ClassVar[Changes] = _guarded_by(_EPOCH)


@saboteur("RTY-01", "RTY-03")
class NullIsNotZero(Changed):
    """`not in` where the value may be null: what has no wish of its own is answered, and stays."""

    changes: ClassVar[Changes] = {
        "settle": (("e.keep is distinct from interval '0'", "e.keep not in (interval '0')"),)
    }


class _LooksFirst(ChangedStatements):
    """Looks before a settlement, which may wait, at what became of its leases."""

    _seen: ClassVar[dict[tuple[str, str, int], Row]] = {}

    async def rows(self, name: str, *parameters: Any) -> list[Row]:
        if name in ("complete", "settle"):
            columns = parameters[1:4] if name == "complete" else parameters[2:5]
            tokens = list(zip(*columns, strict=True))
            looked = await super().rows("classify", *columns)
            settled = await super().rows(name, *parameters)
            applied = {row[0] for row in settled}
            self._seen.update((tokens[row[0] - 1], row) for row in looked if row[0] not in applied)
            return settled
        if name != "classify":
            return await super().rows(name, *parameters)
        found = {row[0]: row for row in await super().rows(name, *parameters)}
        for number, token in enumerate(zip(*parameters, strict=True), 1):
            if token in self._seen and number in found:
                _, is_last, state, *ended = self._seen.pop(token)
                # What ran then does not run any more: otherwise it would have been settled.
                found[number] = (
                    number,
                    is_last,
                    "ready" if state == "running" else state,
                    *ended,
                )
        return list(found.values())


@saboteur("TXN-09")
class ClassifiesByTheFirstSnapshot(Changed):
    """What was not valid is told from what was there before the statement waited for the row."""

    def statements(self, connection: Connection) -> OnConnection:
        return _LooksFirst(connection, self._schema, self.changes)


@saboteur("TXN-09")
class ExtendWaitsForLocks(Changed):
    """A heartbeat waits for a row that a transaction holds."""

    changes: ClassVar[Changes] = {"extend": (("for update skip locked", "for update"),)}


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
