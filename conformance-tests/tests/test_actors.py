"""Clients that can be killed and stopped, in their own process and in this one."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import errands
import pytest
from harnesses import MemoryHarness, SqliteHarness

from stoker.driver import JobState, Wakeup
from stoker.errors import DriverUnavailable, InvalidInput, Unsupported
from stoker_conformance import Bench, Harness, Level, Violation, run_case
from stoker_conformance.bench import LEASE, QUEUE
from stoker_conformance.catalog import case_by_id
from stoker_conformance.faults import (
    Actor,
    ActorDied,
    ActorKilled,
    LocalActor,
    ProcessActor,
    Stream,
)

LONG = timedelta(minutes=1)


async def bench_of(harness: Harness[Any]) -> Bench:
    bench = Bench(harness, await harness.namespace(), Level.FAST)
    await bench.prepare()
    return bench


@pytest.fixture(params=[MemoryHarness, SqliteHarness], ids=["local", "process"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    bench = await bench_of(request.param())
    yield bench
    await bench.close()


@pytest.fixture
async def processes() -> AsyncIterator[Bench]:
    bench = await bench_of(SqliteHarness())
    yield bench
    await bench.close()


async def collected(stream: Stream[int]) -> list[int]:
    return [item async for item in stream]


async def turns(number: int = 20) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


# Both kinds


async def test_the_scope_decides_where_an_actor_lives(bench: Bench) -> None:
    actor = await bench.actor()
    local = isinstance(actor, LocalActor)
    assert (await actor.run(errands.where) == os.getpid()) is local
    assert bench.remarks == (["in one process"] if local else [])


async def test_its_driver_is_a_client_of_the_store(bench: Bench) -> None:
    actor, other = await bench.actor(), await bench.driver()
    job = bench.job()
    await bench.put(actor.driver, job)
    lease = await bench.claim_one(other)
    assert lease.token.key == job.key
    assert actor.driver.info == other.info
    assert await bench.state(actor.driver, job.key) is JobState.RUNNING


async def test_errors_of_the_driver_are_its_own(bench: Bench) -> None:
    actor = await bench.actor()
    with pytest.raises(InvalidInput, match="worker ''"):
        await actor.driver.claim([], worker="", lease=LEASE)
    with pytest.raises(DriverUnavailable, match="the store is gone") as caught:
        await actor.run(errands.fail)
    assert caught.value.maybe_applied is True
    assert isinstance(caught.value.__cause__, ConnectionResetError)
    assert caught.value.__cause__.errno == 104


async def test_the_client_of_an_actor_is_not_cloned(bench: Bench) -> None:
    with pytest.raises(Unsupported):
        (await bench.actor()).driver.clone()


async def test_many_calls_are_in_flight_at_once(bench: Bench) -> None:
    actor = await bench.actor()
    driver = cast(Wakeup, actor.driver)
    await driver.wait([QUEUE], LONG)
    waiting = asyncio.ensure_future(driver.wait(["nothing comes here", QUEUE], LONG))
    await asyncio.gather(*(actor.driver.enqueue([bench.job(queue="p")]) for _ in range(50)))
    await actor.driver.enqueue([bench.job()])
    assert await waiting
    assert len(await bench.claim(actor.driver, 50, queue="p")) == 50


async def test_a_call_may_be_cancelled(bench: Bench) -> None:
    actor = await bench.actor()
    driver = cast(Wakeup, actor.driver)
    await driver.wait([QUEUE], LONG)
    waiting = asyncio.ensure_future(driver.wait([QUEUE], LONG))
    await turns()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await actor.driver.queues() == []
    # A client has one waiter at a time: the first one is gone, over there as well.
    await driver.wait([QUEUE], timedelta(milliseconds=1))


async def test_it_runs_functions_and_generators(bench: Bench) -> None:
    actor = await bench.actor()
    assert await actor.run(errands.add, 1, other=2) == 3
    assert await collected(actor.stream(errands.numbers, 1_000)) == list(range(1_000))


async def test_an_error_of_a_generator_follows_what_it_has_yielded(bench: Bench) -> None:
    stream = (await bench.actor()).stream(errands.numbers_and_trouble, 2)
    assert [await anext(stream), await anext(stream)] == [0, 1]
    for _ in range(2):
        with pytest.raises(DriverUnavailable):
            await anext(stream)


async def test_a_killed_actor_answers_nothing_any_more(bench: Bench) -> None:
    actor = await bench.actor()
    driver = cast(Wakeup, actor.driver)
    await driver.wait([QUEUE], LONG)
    waiting = asyncio.ensure_future(driver.wait([QUEUE], LONG))
    await turns()
    await actor.kill()
    await actor.kill()
    with pytest.raises(ActorKilled, match="during"):
        await waiting
    with pytest.raises(ActorKilled, match="before"):
        await actor.driver.queues()
    with pytest.raises(ActorKilled, match="before"):
        await actor.run(errands.where)
    assert await collected(actor.stream(errands.numbers, 3)) == []


async def test_what_a_killed_actor_had_yielded_arrives(bench: Bench) -> None:
    actor = await bench.actor()
    stream = actor.stream(errands.numbers_and_sleep, 100)
    first = await anext(stream)
    while first < 50:
        first = await anext(stream)
    await actor.kill()
    rest = await collected(stream)
    assert rest == list(range(51, 51 + len(rest)))


async def test_a_stopped_actor_answers_when_it_is_resumed(bench: Bench) -> None:
    actor, job = await bench.actor(), bench.job()
    await actor.stop()
    call = asyncio.ensure_future(actor.driver.enqueue([job], now=bench.now))
    stream = actor.stream(errands.numbers, 2)
    done, _ = await asyncio.wait([call], timeout=0.05)
    assert not done
    assert await bench.state(await bench.driver(), job.key) is None
    await actor.resume()
    await call
    assert await collected(stream) == [0, 1]


async def test_a_stopped_actor_can_be_killed(bench: Bench) -> None:
    actor = await bench.actor()
    await actor.stop()
    call = asyncio.ensure_future(actor.driver.queues())
    await turns()
    await actor.kill()
    with pytest.raises(ActorKilled):
        await call


# In this process


class CountingHarness(MemoryHarness):
    """Notes which of its clients were closed."""

    def __init__(self) -> None:
        self.closed = 0

    async def connect(self, namespace: str) -> Any:
        harness = self

        class Counting(type(await super().connect(namespace))):  # type: ignore[misc]
            async def close(self) -> None:
                harness.closed += 1
                await super().close()

        return Counting(f"memory://{namespace}")


async def test_a_dropped_client_is_closed_only_with_the_case() -> None:
    harness = CountingHarness()
    bench = await bench_of(harness)
    await (await bench.actor()).kill()
    await turns()
    assert harness.closed == 0
    await bench.close()
    assert harness.closed == 2  # the one that tells the info is the other


async def test_a_call_that_has_begun_is_answered_when_the_stop_is_over() -> None:
    bench = await bench_of(MemoryHarness())
    actor, other = await bench.actor(), await bench.driver()
    driver = cast(Wakeup, actor.driver)
    await driver.wait([QUEUE], LONG)
    call = asyncio.ensure_future(driver.wait([QUEUE], LONG))
    await turns()
    await actor.stop()
    await bench.put(other, bench.job())
    await turns()
    assert not call.done()
    await actor.resume()
    assert await call
    await bench.close()


# In a process of its own


def _is_there(actor: Actor) -> bool:
    assert isinstance(actor, ProcessActor)
    try:
        os.kill(actor.pid, 0)
    except ProcessLookupError:
        return False
    return True


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


async def test_nothing_is_left_of_a_process() -> None:
    before = open_files()
    bench = await bench_of(SqliteHarness())
    killed, stopped, running = await bench.actors(3)
    await killed.kill()
    assert [_is_there(actor) for actor in (killed, stopped, running)] == [False, True, True]
    await stopped.stop()
    await bench.close()
    assert not _is_there(stopped)
    assert not _is_there(running)
    assert open_files() == before


async def test_a_process_that_dies_says_why_at_once_and_at_the_end() -> None:
    bench = await bench_of(SqliteHarness())
    actor = await bench.actor()
    for errand in (errands.die, errands.where):
        with pytest.raises(ActorDied, match=r"with 3.*\n.*Segmentation fault, so to say"):
            await actor.run(cast(Any, errand))
    with pytest.raises(ActorDied):
        await collected(actor.stream(errands.numbers, 1))
    with pytest.raises(ActorDied, match="Segmentation fault"):
        await bench.close()


async def test_a_process_killed_by_somebody_else_has_died() -> None:
    bench = await bench_of(SqliteHarness())
    actor = await bench.process()
    os.kill(actor.pid, signal.SIGKILL)
    with pytest.raises(ActorDied, match=f"with -{int(signal.SIGKILL)}"):
        await asyncio.gather(*(actor.driver.queues() for _ in range(3)), waits_for(actor))
    with pytest.raises(ActorDied):
        await bench.close()


def waits_for(actor: Actor) -> Awaitable[Any]:
    return cast(Wakeup, actor.driver).wait([QUEUE], LONG)


async def test_a_client_that_cannot_be_opened_leaves_no_process() -> None:
    bench = await bench_of(errands.StillbornHarness())
    before = open_files()
    with pytest.raises(DriverUnavailable, match="no such host"):
        await bench.actor()
    assert open_files() == before
    await bench.close()


async def test_a_process_that_dies_before_it_is_open_says_why() -> None:
    bench = await bench_of(errands.DyingHarness())
    with pytest.raises(ActorDied, match="I would rather not"):
        await bench.actor()
    await bench.close()


async def test_a_harness_that_cannot_be_copied_is_told(processes: Bench) -> None:
    processes.harness.lock = lambda: None  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="lambda") as caught:
        await processes.actor()
    assert "it and its namespaces have to be picklable" in caught.value.__notes__[0]


async def test_a_value_that_cannot_be_copied_is_an_error_of_its_call(processes: Bench) -> None:
    actor = await processes.actor()
    with pytest.raises(TypeError, match=r"lambda.* cannot be pickled"):
        await actor.run(errands.answer_with_a_lambda)
    assert await actor.run(errands.add, 1) == 1


async def test_what_a_process_prints_disturbs_nothing(processes: Bench) -> None:
    actor = await processes.actor()
    assert await actor.run(errands.chat) == ""
    assert await actor.run(errands.add, 1) == 1


async def test_operations_with_a_connection_stay_inside(processes: Bench) -> None:
    actor = await processes.actor()
    with pytest.raises(AttributeError, match="let the actor run it"):
        _ = cast(Any, actor.driver).settle_in


async def test_a_system_without_signals_cannot_stop(
    processes: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = await processes.actor()
    monkeypatch.delattr(signal, "SIGSTOP")
    with pytest.raises(RuntimeError, match="no SIGSTOP"):
        await actor.stop()


async def test_a_process_ends_with_its_parent() -> None:
    command = [sys.executable, "-P", "-m", "stoker_conformance.faults._child"]
    process = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.close()
    try:
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        with suppress(ProcessLookupError):
            process.kill()


async def test_a_store_of_the_host_has_no_address() -> None:
    class Reachable(SqliteHarness):
        address = ("127.0.0.1", 6379)

    with pytest.raises(Violation, match="the address of a store whose scope is the host"):
        await run_case(case_by_id("SHP-10"), Reachable())
