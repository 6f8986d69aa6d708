"""A backlog does not hurt: statements go by an index, whatever the table holds.

Pages are counted, not time. The tables were never analysed since they were filled: that is what a
queue looks like that was empty a moment ago.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from postgres_harness import BundledServer

from stoker_postgres import PostgresDriver
from stoker_postgres._source import _SETTINGS
from stoker_postgres._sql import _FOLDER, statement

EACH = 100_000
RUNNING = 200
NOW = int(datetime(2031, 3, 14, 12, tzinfo=UTC).timestamp()) * 1_000_000
HOUR = timedelta(hours=1) // timedelta(microseconds=1)

FILL = """
insert into stoker.jobs (
    queue, id, name, state, priority, place, run_at, enqueued_at, ready_at, expires_at, finished_at,
    keep_until, epoch, attempt, max_attempts, max_crashes, payload, payload_version, unique_key
)
select 'letters', state || lpad(n::text, 8, '0'), 'a.b', state, 4, n,
    moment + case when state = 'scheduled' then n * interval '1 second' else interval '0' end,
    moment, moment, case when state = 'running' then moment + interval '1 minute' end,
    case when state in ('completed', 'failed') then moment + n * interval '1 millisecond' end,
    case when state = 'failed' then moment + n * interval '1 second' end,
    n, 0, 1, 1, '{}', 1, case when state = 'ready' then 'key' || n end
from stoker.instant($3) as moment
cross join unnest($1::text[], $2::bigint[]) as s (state, jobs)
cross join generate_series(1, s.jobs) as n
"""

NAMES = sorted(
    file.name.removesuffix(".sql") for file in _FOLDER.iterdir() if file.name.endswith(".sql")
)
SMALL = {"hint", "queues", "resume", "schedule_list", "worker_announce", "worker_list"}
"""Read nothing, or tables that are as small as the number of queues, schedules or workers."""

IDS = [f"running{n:08}" for n in range(1, 101)]
QUEUES = ["letters"] * 100
EPOCHS = list(range(1, 101))
CALLS: dict[str, tuple[tuple[Any, ...], int]] = {
    # What is called, and how many pages it may touch: for a hundred jobs, or one look.
    "claim": ((NOW, ["letters", "empty"], [100, 100], "worker-1", HOUR), 2_000),
    "complete": ((NOW, QUEUES, IDS, EPOCHS, [None] * 100, None), 3_000),
    "extend": ((NOW, HOUR, QUEUES, IDS, EPOCHS, [None] * 100, [], []), 2_000),
    "promote": ((NOW + 100_000_000, ["letters"], 100, "none"), 2_000),
    "next_due": ((NOW, ["letters"]), 20),
    "reap": ((NOW + HOUR, ["letters"], 100, 0, b"{}", "none"), 1_000),
    "get": ((QUEUES, IDS), 600),
    "states": ((QUEUES, IDS), 600),
    "remove": ((QUEUES, IDS), 2_000),
    "stats": ((NOW, ["letters"], 1_000), 1_500),
    "purge": ((NOW + 10**6, "letters", 100, ["completed", "failed"], [0, 0], [None, 10]), 1_500),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def raw() -> AsyncIterator[Any]:
    """A connection with the settings of the driver's own, to a store with a backlog."""
    harness = BundledServer()
    await harness.setup()
    try:
        driver = PostgresDriver(harness.url)
        await driver.open()
        await driver.close()
        raw = await asyncpg.connect(harness.url, server_settings=_SETTINGS)
        try:
            states = ["ready", "scheduled", "completed", "failed", "running"]
            await raw.execute("alter table stoker.jobs set (autovacuum_enabled = off)")
            await raw.execute(FILL, states, [EACH] * 4 + [RUNNING], NOW)
            yield raw
        finally:
            await raw.close()
    finally:
        await harness.teardown()


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a node of a plan and all below it."""
    return [plan, *(node for part in plan.get("Plans", []) for node in nodes(part))]


def literal(value: object) -> str:
    """Return a value as SQL."""
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
            return f"'{{{','.join(literal(item).strip(chr(39)) for item in value)}}}'"
    raise AssertionError(value)


async def explain(raw: Any, name: str, parameters: Sequence[object], options: str) -> Any:
    """Return the plan that the driver's connections use: made once, whatever the values are."""
    await raw.execute(f"prepare explained as {statement(name)}")
    try:
        values = f"({', '.join(map(literal, parameters))})" if parameters else ""
        query = f"explain ({options}, format json) execute explained{values}"
        [[text]] = await raw.fetch(query)
    finally:
        await raw.execute("deallocate explained")
    return json.loads(text)[0]["Plan"]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", NAMES)
async def test_a_statement_scans_no_table(raw: Any, name: str) -> None:
    count = max((int(number) for number in re.findall(r"\$(\d+)", statement(name))), default=0)
    plan = await explain(raw, name, [None] * count, "costs off")
    scans = [node["Relation Name"] for node in nodes(plan) if node["Node Type"] == "Seq Scan"]
    assert name in SMALL or scans == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", CALLS)
async def test_a_backlog_costs_few_pages(raw: Any, name: str) -> None:
    parameters, most = CALLS[name]
    transaction = raw.transaction()
    await transaction.start()
    try:
        plan = await explain(raw, name, parameters, "analyze, buffers")
    finally:
        await transaction.rollback()
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] <= most


@pytest.mark.asyncio(loop_scope="module")
async def test_a_scan_would_be_noticed(raw: Any) -> None:
    query = "explain (format json) select * from stoker.jobs where worker = 'w'"
    [[text]] = await raw.fetch(query)
    assert [node["Node Type"] for node in nodes(json.loads(text)[0]["Plan"])] == ["Seq Scan"]
