"""Which of its two calls a worker makes first, when both are to be made."""

import asyncio
from typing import Any

import pytest
from packages.core.tests.support import SpyDriver, soon, until

from stoker import Router, Stoker, WorkerOptions


class Ordered(SpyDriver):
    """Notes claims, settlements and, told by the job, runs in one list."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []

    def _note(self, operation: str, argument: Any) -> None:
        super()._note(operation, argument)
        if operation in ("claim", "settle"):
            self.order.append(operation)


async def run_six(driver: Ordered, *, until_there_are: int, of: str) -> list[str]:
    """Run six jobs, two at a time, until something has happened so often; return what did."""
    router = Router[object]("r")

    @router.job
    async def job() -> None:
        driver.order.append("run")

    app = Stoker(driver, jobs=[router])
    async with app:
        await app.schedule_many(job.call() for _ in range(6))
        stop = asyncio.Event()
        worker = asyncio.create_task(app.run_worker(WorkerOptions(concurrency=2), stop=stop))
        await until(lambda: driver.order.count(of) == until_there_are)
        stop.set()
        await soon(worker)
    return driver.order


async def test_places_are_claimed_for_before_what_left_them_is_settled() -> None:
    order = [
        what for what in await run_six(Ordered(), until_there_are=3, of="settle") if what != "run"
    ]
    assert order[:7] == ["claim", "claim", "settle", "claim", "settle", "claim", "settle"]


async def test_while_jobs_run_the_claim_for_their_places_is_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stoker.worker.pace.Pace.ending", lambda _: {"default": 2})
    order = await run_six(Ordered(), until_there_are=6, of="run")
    assert order[:4] == ["claim", "claim", "run", "run"]
