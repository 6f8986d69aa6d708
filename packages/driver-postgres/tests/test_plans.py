"""A backlog does not hurt: statements go by an index, whatever the table holds.

Pages are counted, not time. A plan is made once for a connection, and used for a queue that is
empty at one moment and full at the next: so it is looked at on a full store also where it was made
for an empty one, and where nothing was ever analysed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from backlog import CALLS, EACH, drain, fill, pages, pages_of, prepare
from tools.servers.postgres import PostgresServer

from stoker_postgres import PostgresDriver
from stoker_postgres._source import _SETTINGS
from stoker_postgres._sql import _FOLDER

NAMES = {file.name.removesuffix(".sql") for file in _FOLDER.iterdir() if file.is_file()}
SMALL = {
    *("hint", "pause", "queues", "resume", "worker_announce", "worker_list", "worker_withdraw"),
    *("definitions_put", "schedule_advance", "schedule_list", "schedule_lock", "schedule_put"),
    "schedule_remove",
}
"""What reads nothing, or tables as small as the number of queues, schedules or workers."""

DRAINED = EACH // 5
OWN, USERS = "the driver's connection", "a user's connection"
MOMENTS = {
    (OWN, "planned for an empty store"): 0,
    (OWN, "never analysed"): 0,
    (OWN, "analysed"): 0,
    # The head of each index is dead. A hundred entries are a page that is passed by.
    (OWN, "drained"): 3 * DRAINED // 100,
    (OWN, "vacuumed"): 0,
    (USERS, "never analysed"): 0,
    (USERS, "analysed"): 0,
}
"""On whose connection, in which state of the full store, and how many pages more it may take."""
Pages = dict[tuple[str, str, str], int]


async def measured(own: Any, users: Any) -> Pages:
    """Return what every statement touched, on whose connection and when."""
    found: Pages = {}

    async def run(raw: Any, whose: str, moment: str) -> None:
        found.update({(whose, moment, name): await pages(raw, name) for name in CALLS})

    await prepare(own)
    await run(own, OWN, "planned and run on an empty store")  # these plans stay
    await fill(own)
    await run(own, OWN, "planned for an empty store")
    for moment in ("never analysed", "analysed"):
        if moment == "analysed":
            await own.execute("analyze")
        for raw, whose in ((own, OWN), (users, USERS)):
            await prepare(raw)
            await run(raw, whose, moment)
    await drain(own, DRAINED)
    await run(own, OWN, "drained for the first look, which marks what is dead")
    await run(own, OWN, "drained")
    await own.execute("vacuum stoker.jobs, stoker.keys")
    await run(own, OWN, "vacuumed")
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store() -> AsyncIterator[tuple[Any, Pages]]:
    """A user's connection to a store with a backlog, and what was counted as it came to be."""
    # What autovacuum does would have the plans made anew.
    settings = {"shared_preload_libraries": "pg_stat_statements", "autovacuum": "off"}
    with PostgresServer(**settings) as server:
        driver = PostgresDriver(server.url)
        await driver.open()
        await driver.close()
        options = {"statement_cache_size": 0}  # as each statement is to be planned anew
        own = await asyncpg.connect(server.url, server_settings=_SETTINGS, **options)
        users = await asyncpg.connect(server.url, **options)
        await users.execute("create extension pg_stat_statements")
        try:
            yield users, await measured(own, users)
        finally:
            await own.close()
            await users.close()


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(("whose", "moment"), MOMENTS)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_backlog_costs_few_pages(
    store: tuple[Any, Pages], whose: str, moment: str, name: str
) -> None:
    _, found = store
    assert found[whose, moment, name] <= CALLS[name].most + MOMENTS[whose, moment]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_scan_would_be_noticed(store: tuple[Any, Pages]) -> None:
    users, _ = store
    scan = await pages_of(users, "select from stoker.jobs where worker = 'nobody'")
    assert scan > max(call.most for call in CALLS.values()) + max(MOMENTS.values())


def test_every_statement_is_looked_at() -> None:
    assert {*CALLS, *SMALL} == NAMES
