"""What the application tests share: hooks that remember, workers for a while, bounded waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from packages.core.tests.application.faults import Faulty

from stoker import Job, JobRun, Router, Stoker, WorkerOptions

__all__ = ["PATIENCE", "SOON", "Call", "Told", "both", "eventually", "idle", "within", "working"]

PATIENCE = 20.0
"""Seconds after which a test gives up waiting for what should come at once."""

SOON = 3.0
"""Less than the five seconds after which a worker that missed a hint looks by itself."""

EVENTS = ("on_start", "on_progress", "on_success", "on_failure", "on_retry", "on_complete")


def within(seconds: float = PATIENCE) -> asyncio.Timeout:
    """Bound everything in a block."""
    return asyncio.timeout(seconds)


async def eventually(condition: Callable[[], Awaitable[Any]]) -> Any:
    """Ask again and again until the answer is true, and return it."""
    async with within():
        while not (answer := await condition()):  # noqa: ASYNC110  stores tell no event
            await asyncio.sleep(0.005)
        return answer


@asynccontextmanager
async def working(app: Stoker[Any], **options: Any) -> AsyncIterator[asyncio.Task[None]]:
    """Run a worker of an open app during a block, then stop it gracefully."""
    stop = asyncio.Event()
    task = asyncio.create_task(app.run_worker(WorkerOptions(**options), stop=stop))
    try:
        yield task
    finally:
        stop.set()
        async with within():
            await task


async def idle(driver: Faulty) -> None:
    """Wait until the worker on this driver knows of nothing to do, and sleeps."""

    async def sleeps() -> bool:
        names = [name for name, _ in driver.answers if name in ("claim", "wait")]
        waits = driver.calls["wait"] > names.count("wait") > 0
        return waits and names[-1] == "claim" and not driver.answered("claim")[-1].leases

    await eventually(sleeps)


def both(*events: str) -> list[str]:
    """Return what is told when these events happen: the job's hook first, then the router's."""
    return [f"{level}.{event}" for event in events for level in ("job", "router")]


@dataclass
class Call:
    """One call of a hook."""

    level: str
    event: str
    run: JobRun
    detail: Any = None


@dataclass
class Told:
    """Hooks at both levels that remember what they were told; the router's are `def`."""

    calls: list[Call] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def listen(self, router: Router[Any], job: Job[Any, Any, ..., Any]) -> None:
        """Register a hook for every event, at the router first: that must not change the order."""
        for event in EVENTS:
            getattr(router, event)(self._hook("router", event))
        for event in EVENTS:
            getattr(job, event)(self._async_hook("job", event))

    @property
    def names(self) -> list[str]:
        """What was told, in order."""
        return [f"{call.level}.{call.event}" for call in self.calls]

    def of(self, name: str) -> list[Call]:
        """Return the calls of one hook, for example `job.on_failure`."""
        return [call for call in self.calls if f"{call.level}.{call.event}" == name]

    async def until(self, name: str, times: int = 1) -> None:
        """Wait until a hook has been called so many times."""
        async with within():
            while len(self.of(name)) < times:
                self._news.clear()
                await self._news.wait()

    def _note(self, level: str, event: str, run: JobRun, detail: Any) -> None:
        self.calls.append(Call(level, event, run, detail))
        self._news.set()

    def _hook(self, level: str, event: str) -> Callable[..., None]:
        def hook(run: JobRun, detail: Any = None) -> None:
            self._note(level, event, run, detail)

        return hook

    def _async_hook(self, level: str, event: str) -> Callable[..., Awaitable[None]]:
        async def hook(run: JobRun, detail: Any = None) -> None:
            await asyncio.sleep(0)
            self._note(level, event, run, detail)

        return hook
