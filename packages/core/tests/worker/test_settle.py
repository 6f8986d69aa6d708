"""Settlements in batches that grow by themselves."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from packages.core.tests.support import START, SpyDriver, away, soon, until

from stoker.driver import (
    Complete,
    Fail,
    JobKey,
    JobState,
    Lease,
    NewJob,
    Settled,
    Settlement,
    SettleStatus,
    Token,
    Want,
)
from stoker.errors import InvalidInput, Unsupported
from stoker.testing import ManualClock
from stoker.worker.link import Link
from stoker.worker.settle import Settler


class Gate(SpyDriver):
    """A store whose answers to settlements can be held back."""

    def __init__(self, **limits: Any) -> None:
        super().__init__(**limits)
        self.gate = asyncio.Event()
        self.gate.set()
        self.refuses: set[str] = set()

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        self._note("settle", list(items))
        await self.gate.wait()
        refused = [i for i in items if i.token.key.id in self.refuses]
        if any(not isinstance(item.outcome, Fail) for item in refused):
            raise InvalidInput("the store will not have it")
        return await super(SpyDriver, self).settle(items, now=now)


class Harness:
    """A settler on a store with claimed jobs."""

    def __init__(self, driver: Gate, settler: Settler) -> None:
        self.driver = driver
        self.settler = settler
        self.answers: dict[str, Settled] = {}
        self.refusals: dict[str, BaseException] = {}
        self.deaths: list[BaseException | None] = []

    async def claim(self, count: int) -> list[Lease]:
        for n in range(count):
            await self.driver.enqueue([NewJob(JobKey("q", f"{n:04}"), "r.job")], now=START)
        claimed = await self.driver.claim(
            [Want("q", count)], worker="w", lease=timedelta(minutes=1), now=START
        )
        return sorted(claimed.leases, key=lambda lease: lease.token.key.id)

    def put(self, lease: Lease, *, result: bytes | None = None) -> None:
        def answered(settled: Settled, refusal: BaseException | None) -> None:
            self.answers[lease.token.key.id] = settled
            if refusal is not None:
                self.refusals[lease.token.key.id] = refusal

        self.settler.put(Settlement(lease.token, Complete(result)), answered)

    @property
    def flushes(self) -> list[int]:
        return [len(items) for items in self.driver.calls.get("settle", [])]


async def begin(driver: Gate) -> Harness:
    await driver.open()
    harness = Harness(driver, Settler(Link(driver, Random(1)), ManualClock(START)))
    harness.settler.start(lambda _, error: harness.deaths.append(error))
    return harness


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    harness = await begin(Gate())
    yield harness
    await harness.settler.stop()


async def test_an_idle_settler_sends_at_once(harness: Harness) -> None:
    for lease in await harness.claim(3):
        harness.put(lease)
        await soon(harness.settler.settled())
    assert harness.flushes == [1, 1, 1]
    assert {answer.state for answer in harness.answers.values()} == {JobState.COMPLETED}


async def test_a_flush_takes_all_that_came_while_the_one_before_was_under_way(
    harness: Harness,
) -> None:
    first, *rest = await harness.claim(200)
    harness.driver.gate.clear()
    harness.put(first)
    for _ in range(5):
        await asyncio.sleep(0)
    for lease in rest:
        harness.put(lease)
    harness.driver.gate.set()
    await soon(harness.settler.settled())
    assert harness.flushes == [1, 199]
    assert len(harness.answers) == 200


async def test_a_flush_is_cut_into_what_the_store_takes() -> None:
    harness = await begin(Gate(max_batch=3, max_batch_bytes=100))
    leases = await harness.claim(8)
    for lease in leases[:5]:
        harness.put(lease)
    for lease in leases[5:]:
        harness.put(lease, result=b'"' + b"x" * 48 + b'"')
    await soon(harness.settler.settled())
    assert harness.flushes == [3, 3, 2]
    assert len(harness.answers) == 8
    await harness.settler.stop()


async def test_an_outage_is_waited_out_and_the_very_same_settlements_are_sent_again(
    harness: Harness,
) -> None:
    leases = await harness.claim(2)
    harness.driver.failures["settle"] = [away(), away(maybe_applied=True)]
    for lease in leases:
        harness.put(lease)
    await soon(harness.settler.settled())
    first, *again = harness.driver.calls["settle"]
    assert again == [first, first]
    assert {answer.status for answer in harness.answers.values()} == {SettleStatus.APPLIED}


async def test_an_item_that_the_store_refuses_fails_its_own_job_only(harness: Harness) -> None:
    leases = await harness.claim(3)
    harness.driver.refuses = {"0001"}
    for lease in leases:
        harness.put(lease)
    await soon(harness.settler.settled())
    assert {key: answer.state for key, answer in harness.answers.items()} == {
        "0000": JobState.COMPLETED,
        "0001": JobState.FAILED,
        "0002": JobState.COMPLETED,
    }
    (record,) = await harness.driver.get([JobKey("q", "0001")])
    assert record is not None
    assert b"the store will not have it" in record.errors[-1]
    assert harness.deaths == []


async def test_who_put_a_refused_outcome_is_told_the_refusal_and_nobody_else_is(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    leases = await harness.claim(3)
    harness.driver.refuses = {"0001"}
    for lease in leases:
        harness.put(lease)
    await soon(harness.settler.settled())
    assert list(harness.refusals) == ["0001"]
    assert isinstance(harness.refusals["0001"], InvalidInput)
    assert "the outcome of job 0001 was refused" in caplog.text


async def test_an_outage_while_a_refused_outcome_is_sent_again_is_waited_out(
    harness: Harness,
) -> None:
    (lease,) = await harness.claim(1)
    harness.driver.failures["settle"] = [InvalidInput("no"), away(maybe_applied=True)]
    harness.put(lease)
    await soon(harness.settler.settled())
    assert harness.flushes == [1, 1, 1]
    assert harness.answers["0000"].state is JobState.FAILED
    assert str(harness.refusals["0000"]) == "no"


@pytest.mark.parametrize("error", [Unsupported("no"), InvalidInput("no")])
async def test_a_refused_failure_is_a_defect_and_ends_the_settler(
    harness: Harness, error: Exception
) -> None:
    (lease,) = await harness.claim(1)
    harness.driver.raises_always["settle"] = error
    harness.put(lease)
    await until(lambda: harness.deaths)
    assert harness.deaths == [error]


async def test_a_lost_lease_is_logged_and_answered_as_such(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    stale = Settlement(Token(JobKey("q", "never"), 7), Complete())
    answers: list[Settled] = []
    harness.settler.put(stale, lambda settled, _: answers.append(settled))
    await soon(harness.settler.settled())
    assert [answer.status for answer in answers] == [SettleStatus.GONE]
    assert "job never: its lease was lost, so its outcome (complete) does not count: gone" in (
        caplog.text
    )


async def test_what_is_put_by_an_answer_is_settled_too(harness: Harness) -> None:
    first, second = await harness.claim(2)
    harness.settler.put(Settlement(first.token, Complete()), lambda *_: harness.put(second))
    await soon(harness.settler.settled())
    assert "0001" in harness.answers


async def test_with_nothing_put_everything_is_settled(harness: Harness) -> None:
    await soon(harness.settler.settled())
    assert harness.flushes == []
