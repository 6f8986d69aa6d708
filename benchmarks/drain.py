"""How fast one worker drains a full queue, and what one job costs on its way.

    python benchmarks/drain.py memory:// --jobs 20000 --concurrency 100
    python benchmarks/drain.py sqlite:////tmp/drain.db --profile

It counts the calls of the driver as well as the time, since counts do not depend on the machine.
Times are of this machine and this moment: compare only what was measured side by side.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import time
from collections import Counter
from typing import Any, cast

from pydantic import BaseModel

from stoker import JobOptions, Router, Stoker, WorkerOptions
from stoker.driver import Driver
from stoker.registry import driver_for

router: Router[object] = Router("bench")


class Nothing(BaseModel):
    """A small payload."""

    number: int
    text: str = "a small payload"


@router.job
async def noop(payload: Nothing) -> None:
    """Do nothing."""


class Counting:
    """A driver that counts the calls, and the items, of each operation."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.calls: Counter[str] = Counter()
        self.settled = 0
        self.done = asyncio.Event()
        self.expected = 0

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._driver, name)
        if name not in {"claim", "settle", "extend", "enqueue", "promote", "reap", "wait"}:
            return operation

        async def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            answer = await operation(*args, **kwargs)
            if name == "settle":
                self.settled += len(answer)
                if self.settled >= self.expected:
                    self.done.set()
            return answer

        return counted


async def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Enqueue, then drain, and return what was counted."""
    driver = Counting(driver_for(arguments.url))
    defaults = JobOptions(keep_completed=arguments.keep)
    app = Stoker(cast("Driver", driver), jobs=[router], defaults=defaults)
    async with app:
        started = time.perf_counter()
        await app.schedule_many(noop.call(Nothing(number=n)) for n in range(arguments.jobs))
        enqueued = time.perf_counter()
        driver.expected = arguments.jobs
        stop = asyncio.Event()
        cpu = time.process_time()
        worker = asyncio.create_task(
            app.run_worker(WorkerOptions(concurrency=arguments.concurrency), stop=stop)
        )
        await driver.done.wait()
        drained = time.perf_counter()
        cpu = time.process_time() - cpu
        stop.set()
        await worker
    jobs = arguments.jobs
    return {
        "url": arguments.url.partition("://")[0],
        "jobs": jobs,
        "bulk_per_second": round(jobs / (enqueued - started)),
        "drain_per_second": round(jobs / (drained - enqueued)),
        "cpu_microseconds_per_job": round(cpu / jobs * 1e6, 1),
        "calls_per_job": {name: count / jobs for name, count in sorted(driver.calls.items())},
    }


def main() -> None:
    """Measure once and print the figures as JSON."""
    parser = argparse.ArgumentParser(description="How fast one worker drains a full queue.")
    parser.add_argument("url")
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--keep", action="store_true", help="keep completed jobs, the default")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--uvloop", action="store_true")
    arguments = parser.parse_args()
    factory = None
    if arguments.uvloop:
        import uvloop  # noqa: PLC0415  only where it is asked for

        factory = uvloop.new_event_loop
    profile = cProfile.Profile() if arguments.profile else None
    with asyncio.Runner(loop_factory=factory) as runner:
        if profile is not None:
            profile.enable()
        figures = runner.run(measure(arguments))
        if profile is not None:
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(35)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
