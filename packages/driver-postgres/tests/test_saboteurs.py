"""Each defect of the driver is caught by the cases that its line in the table names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from postgres_harness import BundledServer
from postgres_saboteurs import SABOTEURS, Changed, SaboteurHarness
from postgres_saboteurs.unseen import CompletionGivesAHint, CompletionMayBeIdle

from stoker.driver import Complete, JobKey, NewJob, Settlement, Token, Want
from stoker.errors import DriverUnavailable
from stoker_conformance import Violation, run_case
from stoker_conformance.catalog import case_by_id
from stoker_postgres import PostgresDriver

KILLS = [(cls, case_id) for cls, killers in SABOTEURS.items() for case_id in killers]
KILLERS = sorted({case_id for _, case_id in KILLS})
BOUND = 8.0
"""Seconds after which a case that waits for a defect is stopped; it is red then."""
LEASE = timedelta(minutes=1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[BundledServer]:
    """One server for all of them."""
    server = BundledServer()
    await server.setup()
    await server._fetch("alter system set fsync = off")  # no case here has it crash
    await server._fetch("select pg_reload_conf()")
    yield server
    await server.teardown()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case_id", KILLERS)
async def test_the_driver_passes_the_killer(server: BundledServer, case_id: str) -> None:
    await run_case(case_by_id(case_id), SaboteurHarness(server, Changed))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("saboteur", "case_id"), KILLS, ids=[f"{cls.__name__}-{case_id}" for cls, case_id in KILLS]
)
async def test_its_killer_catches_the_saboteur(
    server: BundledServer, saboteur: type[Changed], case_id: str
) -> None:
    case = case_by_id(case_id)
    # A statement that the server does not understand is no such defect: IncompatibleStore passes.
    with pytest.raises((Violation, DriverUnavailable)):
        await run_case(
            replace(case, bound=min(case.bound, BOUND)), SaboteurHarness(server, saboteur)
        )


@asynccontextmanager
async def claimed(
    server: BundledServer, kind: type[Changed]
) -> AsyncIterator[tuple[PostgresDriver, Any, Token]]:
    """A driver, a connection of a user, and the token of a job that runs."""
    namespace = await server.namespace()
    driver, raw = kind(server.url, schema=namespace), await asyncpg.connect(server.url)
    await driver.open()
    try:
        await driver.enqueue([NewJob(JobKey("q", "1"), "a.b")])
        [lease] = (await driver.claim([Want("q", 1)], worker="w", lease=LEASE)).leases
        yield driver, raw, lease.token
    finally:
        await driver.close()
        await raw.close()
        await server.discard(namespace)


async def hints_of_a_completion(server: BundledServer, kind: type[Changed]) -> list[str]:
    """Complete a job, and return what a listener hears of it."""
    heard: list[str] = []
    is_over = asyncio.Event()

    def hear(_connection: object, _pid: int, _channel: str, text: str) -> None:
        if text == "over":
            is_over.set()
        else:
            heard.append(text)

    async with claimed(server, kind) as (driver, raw, token):
        channel = f"{driver._schema}.hints"
        await raw.add_listener(channel, hear)
        await driver.settle([Settlement(token, Complete())])
        await raw.execute("select pg_notify($1::text, 'over')", channel)  # comes after all others
        async with asyncio.timeout(BOUND):
            await is_over.wait()
        await raw.remove_listener(channel, hear)
    return heard


async def patience_after_a_completion(server: BundledServer, kind: type[Changed]) -> str:
    """Complete a job in a transaction, and return how long that may be idle from there on."""
    async with (
        claimed(server, kind) as (driver, raw, token),
        driver.transaction(raw, lease=LEASE),
    ):
        await driver.settle_in(raw, Settlement(token, Complete()))
        patience: str = await raw.fetchval("show idle_in_transaction_session_timeout")
    return patience


Look = Callable[[BundledServer, type[Changed]], Awaitable[object]]
UNSEEN: list[tuple[Look, object, type[Changed]]] = [
    (hints_of_a_completion, [], CompletionGivesAHint),
    (patience_after_a_completion, "5s", CompletionMayBeIdle),
]
"""What to look at, what it is to be, and a driver for which it is something else."""


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("look", "right", "saboteur"), UNSEEN)
async def test_what_the_suite_cannot_ask_for_is_right(
    server: BundledServer, look: Look, right: object, saboteur: type[Changed]
) -> None:
    assert await look(server, Changed) == right
    assert await look(server, saboteur) != right
