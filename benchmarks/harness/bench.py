"""What every measure needs: a place in the store, and processes of a participant."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from benchmarks.harness.checks import Wrong
from benchmarks.harness.peer import Asked, Participant, running

__all__ = ["Bench", "Figures", "Plan", "Store"]

Figures: TypeAlias = dict[str, float]
"""What a measure found, by name; the names say the units."""

_LOOK_SECONDS: Final = 0.02
_ASK_SECONDS: Final = 0.005


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    jobs: int = 20_000
    """Jobs of a drain, and of a bulk enqueue."""
    singles: int = 5_000
    """Jobs that are enqueued one by one."""
    probes: int = 100
    """Jobs whose way to an idle worker is timed."""
    warm: int = 100
    """Jobs that are enqueued before the clock starts, so that statements are prepared."""
    concurrency: int = 100
    calm: float = 1.5
    """Seconds after which a worker that found nothing is idle."""
    patience: float = 60.0
    """Seconds without any progress after which jobs are lost."""
    uvloop: bool = True


class Store(Protocol):
    """The server that all participants use."""

    async def fresh(self) -> str:
        """Create an empty place and return its URL."""
        ...

    async def work(self, url: str) -> Mapping[str, float]:
        """Return counters of what the server has done in that place; they only ever rise."""
        ...


class Bench:
    """Starts what a measure asks for, and waits for what it waits for."""

    def __init__(self, store: Store, plan: Plan, seed: int = 0) -> None:
        self.store = store
        self.plan = plan
        self.random = random.Random(seed)

    @asynccontextmanager
    async def process(self, who: Participant, url: str) -> AsyncIterator[Asked]:
        """Run a process of a participant for the time of a block."""
        command = [*who.program, "--url", url, "--concurrency", str(self.plan.concurrency)]
        async with running(who.name, command + ["--uvloop"] * self.plan.uvloop) as peer:
            yield peer

    async def ran(self, workers: Sequence[Asked], jobs: int) -> None:
        """Wait until the handlers of all workers have run so many times.

        Raises:
            Wrong: there is no progress any more.
        """
        runs, moved_at = 0, time.monotonic()
        while runs < jobs:
            answers = await asyncio.gather(*(worker.ask("runs") for worker in workers))
            now_runs = sum(answer["runs"] for answer in answers)
            if now_runs > runs:
                runs, moved_at = now_runs, time.monotonic()
            elif time.monotonic() - moved_at > self.plan.patience:
                raise Wrong(f"only {runs:,} of {jobs:,} jobs ran")
            await asyncio.sleep(_LOOK_SECONDS)

    async def settled(self, watcher: Asked) -> float:
        """Wait until the store says that no job is unfinished; return when it did.

        Raises:
            Wrong: it never does.
        """
        give_up_at = time.monotonic() + self.plan.patience
        while True:
            counts = await watcher.ask("count")
            now = time.monotonic()
            if counts["unfinished"] == 0:
                return now
            if now > give_up_at:
                raise Wrong(f"{counts['unfinished']:,} jobs ran and never became finished")
            await asyncio.sleep(_ASK_SECONDS)
