"""What is measured: each measure takes a participant through one run in a fresh place.

Times are of `time.monotonic`, which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final, TypeAlias

from benchmarks.harness.bench import Bench, Figures
from benchmarks.harness.checks import check_count, check_runs
from benchmarks.harness.figures import percentile
from benchmarks.harness.peer import Participant

__all__ = ["BULK", "DELAY", "DRAIN", "DRAIN_TWO", "ONE_BY_ONE", "PICK_UP", "Measure", "measures_of"]

Measure: TypeAlias = Callable[[Bench, Participant], Awaitable[Figures]]

ONE_BY_ONE: Final = "one by one"
BULK: Final = "bulk"
DRAIN: Final = "drain"
DRAIN_TWO: Final = "drain, two workers"
PICK_UP: Final = "pick-up"
DELAY: Final = "delay"

_DELAY_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = (0.02, 0.06)
_MILLISECONDS: Final = 1_000
_MICROSECONDS: Final = 1_000_000


async def enqueue(bench: Bench, who: Participant, *, how: str, jobs: int) -> Figures:
    """How many jobs a second one producer stores, one by one or in bulk."""
    url = await bench.store.fresh()
    warm = bench.plan.warm
    jobs //= who.share
    async with bench.process(who, url) as producer:
        await producer.ask("create")
        await producer.ask(how, first=jobs, jobs=warm)
        seconds = (await producer.ask(how, first=0, jobs=jobs))["seconds"]
        check_count(await producer.ask("count"), unfinished=jobs + warm, finished=None)
    return {"jobs_per_second": jobs / seconds}


async def drain(bench: Bench, who: Participant, *, workers: int) -> Figures:
    """How many jobs a second workers finish of a queue that was filled before, and at what cost.

    The time is from the first run of a handler until the store says that nothing is unfinished.
    """
    jobs = bench.plan.jobs // who.share
    url = await bench.store.fresh()
    async with bench.process(who, url) as producer:
        await producer.ask("create")
        await producer.ask("bulk", first=0, jobs=jobs)
        check_count(await producer.ask("count"), unfinished=jobs, finished=None)
    before = await bench.store.work(url)
    async with bench.process(who, url) as watcher:
        await watcher.ask("open")
        async with AsyncExitStack() as stack:
            processes = [
                await stack.enter_async_context(bench.process(who, url)) for _ in range(workers)
            ]
            await asyncio.gather(*(worker.ask("open") for worker in processes))
            await asyncio.gather(*(worker.ask("work") for worker in processes))
            await bench.ran(processes, jobs)
            end = await bench.settled(watcher)
            await asyncio.gather(*(worker.ask("stop") for worker in processes))
            reports = await asyncio.gather(*(worker.ask("report") for worker in processes))
        check_runs([number for report in reports for number in report["numbers"]], range(jobs))
        finished = jobs if who.keeps else None
        check_count(await watcher.ask("count"), unfinished=0, finished=finished)
    after = await bench.store.work(url)
    times = [time for report in reports for time in report["times"]]
    return {
        "jobs_per_second": jobs / (end - min(times)),
        "runs_per_second": jobs / (max(times) - min(times)),
        "worker_cpu_us_per_job": sum(r["cpu"] for r in reports) / jobs * _MICROSECONDS,
        "worker_memory_mib": max(report["memory"] for report in reports) / 2**20,
        **{f"{name}_per_job": (after[name] - before[name]) / jobs for name in after},
    }


async def latency(bench: Bench, who: Participant, *, delay: float) -> Figures:
    """How long it takes from an enqueue, or from the end of a delay, to the run of the handler.

    One worker, idle at the beginning, in another process than the producer. The time begins when
    the producer begins to enqueue; the pauses between jobs are random.
    """
    url = await bench.store.fresh()
    plan = bench.plan
    async with bench.process(who, url) as producer:
        await producer.ask("create")
        async with bench.process(who, url) as worker:
            await worker.ask("open")
            await worker.ask("work")
            await asyncio.sleep(plan.calm)
            sent: dict[int, float] = {}
            for number in range(plan.probes):
                await asyncio.sleep(bench.random.uniform(*_PAUSE_SECONDS))
                sent[number] = (await producer.ask("send", number=number, delay=delay))["at"]
            await bench.ran([worker], plan.probes)
            await bench.settled(producer)
            await worker.ask("stop")
            report = await worker.ask("report")
        check_runs(report["numbers"], range(plan.probes))
        check_count(
            await producer.ask("count"), unfinished=0, finished=plan.probes if who.keeps else None
        )
    return _waits(report, sent, delay)


def _waits(report: Mapping[str, Any], sent: Mapping[int, float], delay: float) -> Figures:
    ran = dict(zip(report["numbers"], report["times"], strict=True))
    waits = sorted((ran[number] - at - delay) * _MILLISECONDS for number, at in sent.items())
    return {
        "p50_ms": percentile(waits, 50),
        "p95_ms": percentile(waits, 95),
        "least_ms": waits[0],
        "most_ms": waits[-1],
    }


def measures_of(bench: Bench) -> dict[str, Measure]:
    """Return all measures by name, in the order in which they are taken."""
    plan = bench.plan
    return {
        ONE_BY_ONE: partial(enqueue, how="one_by_one", jobs=plan.singles),
        BULK: partial(enqueue, how="bulk", jobs=plan.jobs),
        DRAIN: partial(drain, workers=1),
        DRAIN_TWO: partial(drain, workers=2),
        PICK_UP: partial(latency, delay=0.0),
        DELAY: partial(latency, delay=_DELAY_SECONDS),
    }
