"""SHP: what a client does to the process and the event loop that it lives in."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, cast

from stoker.driver import (
    IMMEDIATELY,
    After,
    Capability,
    Complete,
    Driver,
    Extension,
    JobQuery,
    Retention,
    Settlement,
    Wakeup,
    Want,
)
from stoker_conformance.bench import ERROR, LEASE, QUEUE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import expect, expect_that
from stoker_conformance.stalls import stall_of

_LIVES: Final = 4
"""How many clients one after the other live and die in SHP-06. What the process keeps once for all
(a pool of threads, a resolver) does not grow with them; what each leaves behind does."""
_DESCRIPTORS: Final = Path("/proc/self/fd")

_LONGEST_STALL: Final = 0.05
_TRIES: Final = 5


@case(
    "SHP-06",
    clauses=("lifecycle.frees",),
    fix="`close` has to end the client's background tasks and threads and to await them, and to "
    "close its connections: not the garbage collector some time later.",
)
async def close_leaves_nothing_behind(c: Bench) -> None:
    """After close no task, thread or connection of the client is left."""
    await _live_and_die(c)  # what is made once for the process is there from now on
    gc.collect()
    threads, descriptors = set(threading.enumerate()), _descriptors()
    for _ in range(_LIVES):
        before = asyncio.all_tasks()
        await _live_and_die(c)
        for _ in range(10):
            await asyncio.sleep(0)
        left = [task.get_name() for task in asyncio.all_tasks() - before if not task.done()]
        expect("tasks left on the loop after close", left, [])

    def new_threads() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread not in threads]

    def new_descriptors() -> list[str]:
        now = _descriptors()
        more = len(now) - len(descriptors)
        return sorted(set(now.values()) - set(descriptors.values()))[:more] if more > 0 else []

    await _expect_few("threads left after close", new_threads)
    await _expect_few("sockets and files left open after close", new_descriptors)


@case(
    "SHP-07",
    clauses=("operation.loop",),
    fix="Something blocks the event loop: a call of a blocking client, a file, a long computation "
    "over a full batch. Use the client's asyncio side, or a thread, and cut large work up.",
)
async def no_operation_stalls_the_loop(c: Bench) -> None:
    """No operation holds the event loop up for more than 50 ms, not even with a full batch."""
    driver = await c.driver()
    least: dict[str, float] = {}
    for _ in range(_TRIES):
        for name, stall in (await _stalls(c, driver)).items():
            least[name] = min(stall, least.get(name, stall))
        if max(least.values()) <= _LONGEST_STALL:
            break
    slow = {name: f"{stall * 1e3:.0f} ms" for name, stall in least.items() if stall > 0.05}
    expect(f"stalls of more than 50 ms, the shortest of {_TRIES} tries each", slow, {})


async def _live_and_die(c: Bench) -> None:
    """Open a client, let it do a little of everything, and close it."""
    driver = await c.driver()
    await c.put(driver, *c.jobs(5))
    lease = await c.claim_one(driver)
    await c.finish(driver, lease.token, Complete())
    await asyncio.gather(*(driver.states([lease.token.key]) for _ in range(5)))
    if Capability.WAKEUP in c.info.capabilities:
        await cast(Wakeup, driver).wait([QUEUE], timedelta(milliseconds=1))
    await driver.close()


def _descriptors() -> dict[str, str]:
    """Return what each open descriptor of this process leads to; nothing where none can tell."""
    found: dict[str, str] = {}
    if _DESCRIPTORS.is_dir():
        for entry in _DESCRIPTORS.iterdir():
            try:
                found[entry.name] = f"{entry.name}: {entry.readlink()}"
            except FileNotFoundError:
                continue  # the descriptor of this very look
    return found


async def _expect_few(what: str, new: Callable[[], list[str]]) -> None:
    """Fail if there is something new for every life; what ends a moment later has ended."""
    for _ in range(100):
        if len(new()) < _LIVES:
            return
        await asyncio.sleep(0.01)
    expect(f"{what} of {_LIVES} clients", new(), [])


async def _stalls(c: Bench, driver: Driver) -> dict[str, float]:
    """Return how long each operation, given as much as it takes, held the loop up, in seconds."""
    stalls: dict[str, float] = {}

    async def run(name: str, operation: Awaitable[Any]) -> Any:
        answers: list[Any] = []

        async def answered() -> None:
            answers.append(await operation)

        stalls[name] = await stall_of(answered())
        return answers[0]

    most, now = c.info.max_batch, c.now
    jobs, later = c.jobs(most), c.jobs(most, run_at=After(timedelta(seconds=5)))
    keys = [job.key for job in jobs]
    large = c.job(payload=b"1" * c.info.max_payload, queue="large")
    await run("enqueue", driver.enqueue(jobs, now=now))
    await run("enqueue of delayed jobs", driver.enqueue(later, now=now))
    await run("enqueue of a large payload", driver.enqueue([large], now=now))
    want = [Want(QUEUE, most)]
    claimed = await run("claim", driver.claim(want, worker="worker-1", lease=LEASE, now=now))
    tokens = [lease.token for lease in claimed.leases]
    expect_that("a claim takes something", bool(tokens), claimed)
    half = len(tokens) // 2
    await run("extend", driver.extend([Extension(t) for t in tokens], lease=LEASE, now=now))
    finished = [Settlement(token, Complete()) for token in tokens[half:]]
    await run("settle", driver.settle(finished, now=now))
    await run("get", driver.get(keys))
    await run("get of a large payload", driver.get([large.key]))
    await run("states", driver.states(keys))
    await run("search", driver.search(QUEUE, JobQuery(limit=1_000)))
    await run("stats", driver.stats([QUEUE], now=now))
    late = c.at(86_400)
    reap = driver.reap([QUEUE], limit=most, delay=timedelta(0), error=ERROR, now=late)
    await run("reap", reap)
    await run("promote", driver.promote([QUEUE], limit=most, now=late))
    await run("reschedule", driver.reschedule(keys, IMMEDIATELY, now=late))
    await run("cancel", driver.cancel(keys, reason="no", now=late))
    await run("retry", driver.retry(keys, now=late))
    await run("purge", driver.purge(QUEUE, Retention(), limit=most, now=late))
    await run("remove", driver.remove([*keys[1:], large.key]))
    await driver.remove([job.key for job in later])
    return stalls
