"""DUR: what was acknowledged outlives whoever asked for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta
from typing import Final

from stoker.driver import (
    After,
    Cancel,
    Complete,
    Driver,
    Fail,
    JobState,
    Outcome,
    Release,
    Retry,
    Settlement,
    SettleStatus,
    Snooze,
)
from stoker_conformance.bench import ERROR, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import expect

_LATER: Final = After(timedelta(minutes=5))
_OUTCOMES: Final[tuple[Outcome, ...]] = (
    Complete(),
    Fail(ERROR),
    Retry(_LATER, ERROR),
    Release(_LATER),
    Snooze(_LATER),
    Cancel("not wanted"),
)


@case(
    "DUR-01",
    clauses=("settle.durable",),
    bound=60,
    fix="Settle answered before its effect was in the store. Answer after the commit; what waits "
    "in a buffer of the client dies with it.",
)
async def acknowledged_settlements_survive_their_worker(c: Bench) -> None:
    """A settlement that was acknowledged is in the store after the SIGKILL of its worker."""
    witness = await c.driver()
    for _ in range(c.pick(fast=1, full=4, soak=20)):
        worker = await c.actor()
        jobs = c.jobs(300, max_attempts=5)
        await c.put(witness, *jobs)
        leases = await c.claim(worker.driver, len(jobs))
        items = [
            Settlement(lease.token, _OUTCOMES[place % len(_OUTCOMES)])
            for place, lease in enumerate(leases)
        ]
        acknowledged: list[JobState | None] = []
        async for state in worker.stream(_settle_one_by_one, items, c.now):
            acknowledged.append(state)
            if len(acknowledged) == 20:
                await worker.kill()

        done = items[: len(acknowledged)]
        states = await c.states(witness, [item.token.key for item in done])
        expect("the states of the jobs whose settlement was acknowledged", states, acknowledged)
        for item, state in zip(done, acknowledged, strict=True):
            again = await c.settle(witness, item.token, item.outcome, now=c.now)
            expect("the same settlement again", again.status, SettleStatus.ALREADY)
            expect("the state that it tells", again.state, state)
        await witness.remove([job.key for job in jobs])


async def _settle_one_by_one(
    driver: Driver, items: Sequence[Settlement], now: datetime
) -> AsyncGenerator[JobState | None, None]:
    """Settle tokens that are valid; yield the state that each is acknowledged to lead to."""
    for item in items:
        [answer] = await driver.settle([item], now=now)
        expect("the answer to a settlement", answer.status, SettleStatus.APPLIED)
        yield answer.state
