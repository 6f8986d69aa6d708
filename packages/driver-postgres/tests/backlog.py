"""A store with a backlog, and every statement of the driver with parameters for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from stoker.driver import JobKey, NewJob, Unique
from stoker_postgres._enqueue import _columns, _lines
from stoker_postgres._sql import statement

__all__ = ["CALLS", "EACH", "Call", "drain", "fill", "pages", "pages_of", "prepare"]

EACH: Final = 100_000
"""How many jobs are ready, how many scheduled, completed and failed."""
_RUNNING: Final = 200
_MICROSECOND: Final = timedelta(microseconds=1)
_NOW: Final = int(datetime(2031, 3, 14, 12, tzinfo=UTC).timestamp()) * 1_000_000
_HOUR: Final = timedelta(hours=1) // _MICROSECOND

_FILL: Final = """
insert into stoker.jobs (
    queue, id, name, state, payload, payload_version, priority, place, run_at, enqueued_at,
    ready_at, expires_at, finished_at, keep_until, epoch, attempt, max_attempts, max_crashes,
    unique_key, unique_until
)
select 'letters', state || lpad(n::text, 8, '0'), 'a.b', state, '{}', 1, 4, n,
    moment + case when state = 'scheduled' then n * interval '1 second' else interval '0' end,
    moment, moment, case when state = 'running' then moment + interval '1 minute' end,
    case when state in ('completed', 'failed') then moment + n * interval '1 millisecond' end,
    case when state = 'failed' then moment + n * interval '1 second' end,
    n, 0, 1, 1, case when state = 'ready' then 'key' || n end,
    case when state = 'ready' then 'finish' end
from stoker.instant($3) as moment
cross join unnest($1::text[], $2::bigint[]) as s (state, jobs)
cross join generate_series(1, s.jobs) as n
"""
_KEYS: Final = """
insert into stoker.keys (queue, key, id, expires_at)
select 'letters', 'key' || n, 'ready' || lpad(n::text, 8, '0'),
    case when n > 1000 then stoker.instant($2) + n * interval '1 second' end
from generate_series(1, $1::bigint) as n
"""
_TOUCHED: Final = """
select sum(shared_blks_hit + shared_blks_read)::bigint from pg_stat_statements
where query not like '%pg_stat_statements%'
"""


class Call(NamedTuple):
    """A statement for a hundred jobs, or one look at the store."""

    parameters: tuple[object, ...]
    most: int
    """How many pages it may touch."""


def _ids(state: str) -> list[str]:
    return [f"{state}{n:08}" for n in range(1, 101)]


_HEAD: Final = (_NOW, "2s", "none", "Wletters")
_NEW: Final = [
    NewJob(JobKey("letters", f"new{n}"), "a.b", b"{}", nonce="nonce") for n in range(100)
]
_KEYED: Final = [replace(job, unique=Unique(f"key{n}")) for n, job in enumerate(_NEW)]
_QUEUES: Final = ["letters"] * 100
_RUNS: Final = (_QUEUES, _ids("running"), list(range(1, 101)))
_NULLS: Final = [None] * 100
_SEARCH: Final = ("letters", None, 1_000, 100, ["failed"], *[None] * 6)

CALLS: Final[Mapping[str, Call]] = {
    "enqueue": Call((*_HEAD, *_lines(_columns(_NEW))), 2_500),
    "enqueue_existing": Call((_QUEUES, _ids("ready")), 600),
    "enqueue_one": Call((*_HEAD, *_lines(_columns(_NEW[:1]))), 60),
    "enqueue_unique": Call((*_HEAD, *_columns(_KEYED)), 4_000),
    # The second queue has nothing, so that the claim comes short and looks for what is due.
    "claim": Call((_NOW, ["letters", "empty"], [100, 100], "worker-1", _HOUR), 2_000),
    "complete": Call((_NOW, *_RUNS, _NULLS, None), 3_000),
    "settle": Call(
        (_NOW, "none", *_RUNS, ["retry"] * 100, [0] * 100, *[_NULLS] * 5, [], []), 3_000
    ),
    "extend": Call((_NOW, _HOUR, *_RUNS, _NULLS, [], []), 2_000),
    "classify": Call(_RUNS, 600),
    "promote": Call((_NOW + 10 * EACH * 10**6, ["letters"], 100, "none"), 2_000),
    "reap": Call((_NOW + _HOUR, ["letters"], 100, 0, b"{}", "none"), 2_500),
    "get": Call((_QUEUES, _ids("running")), 600),
    "states": Call((_QUEUES, _ids("running")), 600),
    "search_up": Call(_SEARCH, 1_500),
    "search_down": Call(_SEARCH, 1_500),
    "stats": Call((_NOW, ["letters"], 1_000), 1_500),
    "cancel": Call((_NOW, _QUEUES, _ids("scheduled"), "why", "none"), 3_000),
    "retry": Call((_NOW, _QUEUES, _ids("failed"), "none", []), 4_000),
    "reschedule": Call((_NOW, _QUEUES, _ids("scheduled"), _HOUR, None, "none"), 3_000),
    "remove": Call((_QUEUES, _ids("running")), 2_000),
    "purge": Call(
        (_NOW + _HOUR, "letters", 100, ["completed", "failed"], [0, 0], [None, 10]), 1_500
    ),
    "purge_keys": Call((_NOW + _HOUR, "letters", 100), 1_000),
}
"""The statements that touch jobs and keys. The pages are a few for each index and each job."""


async def fill(raw: Any) -> None:
    """Store the backlog."""
    states = ["ready", "scheduled", "completed", "failed", "running"]
    await raw.execute(_FILL, states, [EACH] * 4 + [_RUNNING], _NOW)
    await raw.execute(_KEYS, EACH, _NOW)


async def drain(raw: Any, each: int) -> None:
    """Take so many off the head of each index, with the statements that take them."""
    late = _NOW + 10 * EACH * 10**6
    for _ in range(each // 1_000):
        rows = await raw.fetch(statement("claim"), _NOW, ["letters"], [1_000], "worker-1", _HOUR)
        tokens = zip(*((row[1], row[2], row[3]) for row in rows), strict=True)
        await raw.fetch(statement("complete"), _NOW, *map(list, tokens), [None] * 1_000, None)
        await raw.fetch(statement("promote"), late, ["letters"], 1_000, "none")
        policy = (["completed", "failed"], [0, 0], [None, None])
        await raw.fetch(statement("purge"), _NOW + _HOUR, "letters", 1_000, *policy)
        await raw.fetch(statement("purge_keys"), late, "letters", 1_000)


async def prepare(raw: Any) -> None:
    """Have every statement planned anew when it is explained next."""
    for (name,) in await raw.fetch(
        "select name from pg_prepared_statements where name like 'call\\_%'"
    ):
        await raw.execute(f"deallocate {name}")
    for name in CALLS:
        await raw.execute(f"prepare call_{name} as {statement(name)}")


async def pages(raw: Any, name: str) -> int:
    """Run a statement, undo what it did, and return how many pages it has touched."""
    values = ", ".join(_literal(value) for value in CALLS[name].parameters)
    return await pages_of(raw, f"execute call_{name} ({values})")


async def pages_of(raw: Any, query: str) -> int:
    """Run a query, undo what it did, and return how many pages it has touched.

    EXPLAIN does not count what an insert or an update does whose rows nobody reads.
    """
    await raw.execute("select pg_stat_statements_reset()")
    transaction = raw.transaction()
    await transaction.start()
    try:
        await raw.execute(query)
    finally:
        await transaction.rollback()
    return int(await raw.fetchval(_TOUCHED))


def _literal(value: object) -> str:
    """Return a value as SQL; of what type it is the statement says."""
    match value:
        case None:
            return "null"
        case int():
            return str(value)
        case str():
            return f"'{value}'"
        case bytes():
            return f"'\\x{value.hex()}'"
        case list():
            return f"'{{{','.join(_element(item) for item in value)}}}'"
    raise AssertionError(value)


def _element(value: object) -> str:
    match value:
        case None:
            return "null"
        case bytes():
            return f'"\\\\x{value.hex()}"'
        case str():
            return json.dumps(value)
    return str(value)
