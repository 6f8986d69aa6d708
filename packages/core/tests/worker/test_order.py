"""Which of its two calls a worker makes first, when both are to be made."""

import asyncio
from typing import Any

import pytest
from packages.core.tests.support import SpyDriver, soon, until

from stoker import Router, Stoker, WorkerOptions


class Ordered(SpyDriver):
    """Notes claims and settlements in one list."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []

    def _note(self, operation: str, argument: Any) -> None:
        super()._note(operation, argument)
        if operation in ("claim", "settle"):
            self.order.append(operation)


async def test_places_are_claimed_for_before_what_left_them_is_settled() -> None:
    router = Router[object]("r")

    @router.job
    async def job() -> None: ...

    driver = Ordered()
    app = Stoker(driver, jobs=[router])
    async with app:
        await app.schedule_many(job.call() for _ in range(6))
        stop = asyncio.Event()
        worker = asyncio.create_task(app.run_worker(WorkerOptions(concurrency=2), stop=stop))
        await until(lambda: driver.order.count("settle") == 3)
        stop.set()
        await soon(worker)
    assert driver.order[:7] == ["claim", "claim", "settle", "claim", "settle", "claim", "settle"]


async def test_while_jobs_run_the_claim_for_their_places_is_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    router = Router[object]("r")
    driver = Ordered()

    @router.job
    async def job() -> None:
        driver.order.append("run")

    monkeypatch.setattr("stoker.worker.pace.Pace.ending", lambda _: {"default": 2})
    app = Stoker(driver, jobs=[router])
    async with app:
        await app.schedule_many(job.call() for _ in range(6))
        stop = asyncio.Event()
        worker = asyncio.create_task(app.run_worker(WorkerOptions(concurrency=2), stop=stop))
        await until(lambda: driver.order.count("run") == 6)
        stop.set()
        await soon(worker)
    assert driver.order[:4] == ["claim", "claim", "run", "run"]
