"""TXN: commits of which nobody knows at first whether they happened."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any, Protocol, cast

from stoker.driver import (
    After,
    Capability,
    Complete,
    Driver,
    JobState,
    NewJob,
    Retry,
    Settlement,
    SettleStatus,
    Token,
    Transactional,
)
from stoker.errors import DriverUnavailable
from stoker_conformance.bench import ERROR, LEASE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import Inconclusive, Violation, expect, expect_that
from stoker_conformance.faults.insisting import insist
from stoker_conformance.faults.link import Link, Lost


class _TransactionDriver(Driver, Transactional[Any], Protocol):
    """A driver with this capability, for whatever connections it takes."""


@case(
    "TXN-07",
    clauses=("transaction.lost_reply", "settle.replay"),
    needs=(Capability.TRANSACTIONAL,),
    bound=60,
    fix="When the answer to a commit got lost, the end of the block raises DriverUnavailable with "
    "maybe_applied=True. A Retry of the same token then is APPLIED if nothing was committed, and "
    "STALE beside a completed record of its epoch if all was.",
)
async def a_lost_commit_can_be_cleared_up(c: Bench) -> None:
    """A commit that got lost happened whole or not at all, and a Retry tells which."""
    async with c.link() as link:
        driver, other = cast(_TransactionDriver, await link.driver()), await c.driver()
        for lost in Lost:
            for skip in range(c.exchanges):
                effect = c.job(queue="effects")
                await c.put(other, c.job(max_attempts=5))
                token = (await c.claim_one(other)).token
                await insist(driver.queues)  # the connection that was cut last is discarded
                was_lost, error = await _commit(c, link, driver, token, effect, lost, skip)
                if error is None:
                    states = await c.states(other, [token.key, effect.key])
                    done = [JobState.COMPLETED, JobState.READY]
                    expect("job and effect of a block that ended well", states, done)
                else:
                    await _expect_clear(c, driver, token, effect, error)
                if not was_lost:
                    break


async def _commit(
    c: Bench,
    link: Link,
    driver: _TransactionDriver,
    token: Token,
    effect: NewJob,
    lost: Lost,
    skip: int,
) -> tuple[bool, DriverUnavailable | None]:
    """Complete a job together with an effect, and lose something of the commit.

    Returns:
        Whether something was lost, and what the end of the block raised.
    """
    before = link.losses
    error: DriverUnavailable | None = None
    try:
        async with driver.transaction(lease=LEASE) as connection:
            await driver.enqueue_in(connection, [effect], now=c.now)
            item = Settlement(token, Complete())
            answer = await driver.settle_in(connection, item, now=c.now)
            expect("the answer of settle_in", answer.status, SettleStatus.APPLIED)
            link.lose(lost, "transaction", skip)
    except DriverUnavailable as failure:
        error = failure
    except Violation:
        raise
    except Exception as failure:
        what = f"the end of a block, the {lost.name.lower()} of its commit being lost"
        raise Violation(what, "DriverUnavailable", repr(failure)) from failure
    finally:
        link.heal()
    if skip == 0 and link.losses == before:
        raise Inconclusive("nothing of the commit passed through the proxy of the suite")
    return link.losses > before, error


async def _expect_clear(
    c: Bench, driver: Driver, token: Token, effect: NewJob, error: DriverUnavailable
) -> None:
    """Probe with a Retry, and expect that its answer tells what the commit has done."""
    probe = Retry(After(timedelta(minutes=5)), ERROR)
    answer = await insist(partial(c.settle, driver, token, probe))
    record = await c.record(driver, token.key)
    seen = (record.state, await c.state(driver, effect.key))
    expect("the epoch", record.epoch, token.epoch)
    if answer.status is SettleStatus.APPLIED:
        expect("job and effect, if the probe is applied", seen, (JobState.SCHEDULED, None))
    elif answer.status is SettleStatus.STALE:
        expect_that("what committed was maybe applied", error.maybe_applied, repr(error))
        done = (JobState.COMPLETED, JobState.READY)
        expect("job and effect, if the probe is stale", seen, done)
    else:
        raise Violation("the answer to the probe", "APPLIED or STALE", answer.status.name)
