"""The same work in a store that is empty, and in ones that hold very many jobs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from benchmarks.harness.bench import Bench, Figures
from benchmarks.harness.checks import Wrong, check_count
from benchmarks.harness.figures import Result, Results
from benchmarks.harness.measures import BULK, DRAIN, ONE_BY_ONE
from benchmarks.harness.peer import Asked, Participant, PeerFailed

__all__ = ["EMPTY", "backlog", "fills"]

EMPTY: Final = "empty"


def fills(jobs: int) -> dict[str, dict[str, int]]:
    """Return what the stores hold, by name."""
    nothing = {"ready": 0, "scheduled": 0, "finished": 0}
    one_kind = {f"{jobs:,} {kind}": {**nothing, kind: jobs} for kind in nothing}
    return {EMPTY: nothing, **one_kind, f"{jobs:,} of each": dict.fromkeys(nothing, jobs)}


async def backlog(
    bench: Bench,
    who: Participant,
    stores: Mapping[str, Mapping[str, int]],
    repetitions: int,
    say: Callable[[str], None],
) -> Results:
    """Measure the participant in each of the stores, turn by turn."""
    urls = {name: await bench.store.fresh() for name in stores}
    for name, url in urls.items():
        say(f"filling: {name}")
        async with bench.process(who, url) as peer:
            await peer.ask("create")
            await peer.ask("fill", **stores[name])
    results = Results()
    for repetition in range(repetitions):
        for name, url in urls.items():
            found = await _turn(bench, who, url, name, repetition)
            results.runs.extend(found)
            for run in found:
                say(f"{repetition + 1}. {name}: {run.measure}: {run.failure or run.figures}")
    return results


async def _turn(
    bench: Bench, who: Participant, url: str, name: str, repetition: int
) -> list[Result]:
    load = os.getloadavg()[0]
    try:
        found = await _measured(bench, who, url, repetition)
    except (Wrong, PeerFailed) as error:
        return [Result(name, DRAIN, repetition, failure=str(error), load=load)]
    return [
        Result(name, measure, repetition, figures, load=load) for measure, figures in found.items()
    ]


async def _measured(
    bench: Bench, who: Participant, url: str, repetition: int
) -> dict[str, Figures]:
    """Enqueue as many jobs as are then run; with others waiting, those may be the ones that run."""
    plan = bench.plan
    jobs = plan.jobs + plan.singles
    async with bench.process(who, url) as producer:
        await producer.ask("open")
        before = await producer.ask("count")
        first = repetition * jobs
        bulk = await producer.ask("bulk", first=first, jobs=plan.jobs)
        singles = await producer.ask("one_by_one", first=first + plan.jobs, jobs=plan.singles)
        async with bench.process(who, url) as worker:
            await worker.ask("open")
            await worker.ask("work")
            await bench.ran([worker], jobs)
            await worker.ask("stop")
            report = await worker.ask("report")
        await _check(producer, before, enqueued=jobs, numbers=report["numbers"])
    # A worker runs on until it is told to stop, so only the first jobs are timed.
    times = report["times"][:jobs]
    return {
        BULK: {"jobs_per_second": plan.jobs / bulk["seconds"]},
        ONE_BY_ONE: {"jobs_per_second": plan.singles / singles["seconds"]},
        DRAIN: {"jobs_per_second": (jobs - 1) / (times[-1] - times[0])},
    }


async def _check(
    producer: Asked, before: Mapping[str, Any], *, enqueued: int, numbers: list[int]
) -> None:
    if len(set(numbers)) < len(numbers):
        raise Wrong(f"{len(numbers) - len(set(numbers)):,} jobs ran more than once")
    check_count(
        await producer.ask("count"),
        unfinished=before["unfinished"] + enqueued - len(numbers),
        finished=before["finished"] + len(numbers),
    )
