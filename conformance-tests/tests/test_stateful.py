"""Programs on driver and model: what is wrong is told in a program that is short and complete."""

import asyncio
import re
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from saboteurs import harness_of
from saboteurs.leases import ReapForgetsTheCancel

from stoker.driver import (
    Claimed,
    Driver,
    JobKey,
    NewJob,
    OnConflict,
    Promoted,
    Unique,
    Want,
)
from stoker.errors import DriverUnavailable
from stoker_conformance import Level, Violation, run_case
from stoker_conformance.bench import NOON, Bench
from stoker_conformance.catalog import case_by_id
from stoker_conformance.model import World, producing
from stoker_conformance.stateful import bridge
from stoker_conformance.stateful.bridge import Bridge, Stopped
from stoker_conformance.stateful.decided import is_decided
from stoker_conformance.stateful.exploring import explore
from stoker_conformance.stateful.reducing import Step, reduced
from stoker_conformance.stateful.requests import JobRequest, UniqueRequest
from stoker_memory import MemoryDriver


async def told_of(driver: type[Driver]) -> Violation:
    """Return what an exploration has to say of a driver that is not right."""
    harness = harness_of(driver)
    c = Bench(harness, await harness.namespace(), Level.FAST)
    await c.prepare()
    try:
        with pytest.raises(Violation) as caught:
            await explore(c, programs=30, steps=50)
        return caught.value
    finally:
        await c.close()


# What is told


async def test_the_program_is_as_short_as_a_case_written_by_hand() -> None:
    told = await told_of(ReapForgetsTheCancel)
    assert told.what == "where the reap of 'a' leads"
    assert (told.expected, told.seen.partition("\n")[0]) == ("CANCELLED", "READY")
    called = re.findall(r"^ +\d+ .*(?:first|second)\.(\w+)\(", told.seen, re.MULTILINE)
    assert called == ["enqueue", "claim", "cancel", "reap"]
    assert "It fails each time it is run." in told.seen


async def test_each_step_is_told_with_its_time_its_arguments_and_its_answer() -> None:
    told = await told_of(ReapForgetsTheCancel)
    asked, answer = told.seen.split("\n     4  ")[1].splitlines()[:2]
    assert re.fullmatch(r"t\+\d+s: \w+\.reap\(queues=\['\d+-letters'\], limit=.*\)", asked)
    assert re.fullmatch(r" +-> \[\d+-letters/a#1 until t\+\d+s now READY\]", answer)


async def test_an_exploration_is_the_same_each_time() -> None:
    first, second = await told_of(ReapForgetsTheCancel), await told_of(ReapForgetsTheCancel)
    assert str(first) == str(second)


class Fails(MemoryDriver):
    """Cannot promote."""

    async def promote(
        self, queues: Sequence[str], *, limit: int, now: datetime | None = None
    ) -> Promoted:
        raise DriverUnavailable("no way", maybe_applied=False)


async def test_an_operation_that_fails_is_told_with_its_error() -> None:
    told = await told_of(Fails)
    assert told.what == "the answer to promote"
    assert told.seen.startswith("DriverUnavailable: no way")
    assert told.seen.count("promote(") == 1


class FailsOnce(MemoryDriver):
    """Cannot promote for the first time."""

    failed = False

    async def promote(
        self, queues: Sequence[str], *, limit: int, now: datetime | None = None
    ) -> Promoted:
        if not FailsOnce.failed:
            FailsOnce.failed = True
            raise DriverUnavailable("not yet", maybe_applied=False)
        return await super().promote(queues, limit=limit, now=now)


async def test_what_happens_only_once_is_told_all_the_same() -> None:
    told = await told_of(FailsOnce)
    assert told.what == "the answer to promote"
    assert "It does not fail each time it is run." in told.seen


# What must not go on


class Hangs(MemoryDriver):
    """Does not come back from a claim."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        await asyncio.Event().wait()
        raise AssertionError("it never comes to this")


async def test_an_operation_that_does_not_return_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "_LONGEST", 0.05)
    told = await told_of(Hangs)
    assert told.seen.startswith("no answer by then")
    assert re.search(r"\.claim\(.*\)$", told.seen.partition("\n\nIt ")[0])


async def test_a_case_that_is_given_up_leaves_no_thread_at_work() -> None:
    with pytest.raises(Violation, match="an end within"):
        await run_case(replace(case_by_id("HIS-03"), bound=0.2), harness_of(Hangs))
    await asyncio.get_running_loop().shutdown_default_executor()  # waits for the thread
    assert [thread for thread in threading.enumerate() if thread.name.startswith("asyncio")] == []


async def test_a_bridge_hands_answers_and_errors_over() -> None:
    async def half(number: int) -> int:
        if number % 2:
            raise ValueError(f"{number} is odd")
        return number // 2

    over = Bridge()
    assert await over.run(lambda: over.call(half(84))) == 42
    over = Bridge()
    with pytest.raises(ValueError, match="7 is odd"):
        await over.run(lambda: over.call(half(7)))


async def test_a_bridge_that_nobody_waits_for_ends_its_thread() -> None:
    over, ended = Bridge(), threading.Event()

    async def forever() -> None:
        await asyncio.Event().wait()

    def work() -> None:
        try:
            over.call(forever())
        except Stopped:
            ended.set()

    running = asyncio.create_task(over.run(work))
    await asyncio.sleep(0)
    running.cancel()
    assert await asyncio.to_thread(ended.wait, 10)
    with pytest.raises(Stopped):
        over.call(forever())


# How a program becomes short


def test_steps_that_are_not_needed_are_left_out() -> None:
    steps: list[Step] = [(f"step-{number}", {}) for number in range(40)]

    def fails(some: Sequence[Step]) -> bool:
        names = [name for name, _ in some]
        return "step-7" in names and "step-31" in names

    assert [name for name, _ in reduced(steps, fails)] == ["step-7", "step-31"]


def test_requests_become_as_plain_as_they_can() -> None:
    unique = UniqueRequest("k", on_conflict=OnConflict.REPLACE)
    jobs = [
        JobRequest(id=2, priority=9),
        JobRequest(id=1, nonce="n-1", dressed=True, unique=unique),
    ]

    def fails(some: Sequence[Step]) -> bool:
        return any(job.unique is not None for _, given in some for job in given["jobs"])

    [(_, given)] = reduced([("enqueue", {"client": 1, "jobs": jobs})], fails)
    assert given["jobs"] == [JobRequest(unique=UniqueRequest("k"))]


def test_making_it_short_comes_to_an_end() -> None:
    runs = 0

    def fails(some: Sequence[Step]) -> bool:
        nonlocal runs
        runs += 1
        return runs % 2 == 0

    reduced([(f"step-{number}", {}) for number in range(5_000)], fails)
    assert runs <= 500


# What is not asked, because the contract does not decide it


def job(job_id: str, key: str | None = None, nonce: str = "", **fields: Any) -> NewJob:
    unique = None if key is None else Unique(key, **fields)
    return NewJob(JobKey("q", job_id), "a.b", unique=unique, nonce=nonce)


@pytest.mark.parametrize(
    ("batch", "last", "decided"),
    [
        ([job("a")], job("b"), True),
        ([job("a")], job("a"), True),
        ([job("a", nonce="1")], job("a", nonce="2"), False),
        ([job("a", "free")], job("a"), False),
        ([job("a", "free")], job("b", "free"), True),
        ([job("a", "held")], job("b", "held"), False),
        ([job("a", "held")], job("holder"), False),
        ([job("holder")], job("a", "held"), False),
        ([job("holder", "free")], job("a", "free"), False),
    ],
)
def test_batches_that_the_contract_decides(
    batch: list[NewJob], last: NewJob, decided: bool
) -> None:
    world = World()
    producing.enqueue(world, [job("holder", "held")], NOON)
    assert is_decided(world, last, batch, NOON) is decided
