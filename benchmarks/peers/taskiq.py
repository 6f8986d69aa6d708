"""taskiq with its broker on Redis streams, the one that its documentation advises for reliability.

- `RedisStreamBroker` as it comes: a hundred messages a read, acknowledged when the job has run, and
  never deleted;
- no result backend: a no-op has no result to keep;
- delayed jobs are in a `ListRedisScheduleSource`. What looks for them is a process of its own with
  taskiq; here it runs beside the worker, with the shortest intervals that its command line takes,
  a second each;
- it has no bulk call: many jobs are many calls.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from benchmarks.peers.program import Counts, payload, serve
from redis.asyncio import Redis
from taskiq import TaskiqScheduler
from taskiq.cli.scheduler.run import SchedulerLoop
from taskiq.receiver import Receiver
from taskiq_redis import ListRedisScheduleSource, RedisStreamBroker

_SECOND = timedelta(seconds=1)


class Taskiq:
    """taskiq with taskiq-redis."""

    packages = ("taskiq", "taskiq-redis", "redis", "hiredis")

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._concurrency = arguments.concurrency
        self._ran: Callable[[int], None] = lambda _: None
        self._asking = Redis.from_url(arguments.url)
        self._broker = RedisStreamBroker(arguments.url)
        self._source = ListRedisScheduleSource(arguments.url)
        self._ended = asyncio.Event()
        self._running: list[asyncio.Task[None]] = []

        async def noop(number: int, text: str) -> None:
            self._ran(number)

        self._task = self._broker.task(task_name="noop")(noop)
        self.configuration = (
            f"RedisStreamBroker, max_async_tasks={self._concurrency}, ListRedisScheduleSource "
            "looked at every second"
        )

    async def create(self) -> None:
        """Opening has made the consumer group."""

    async def open(self) -> None:
        """Connect."""
        await self._broker.startup()
        await self._source.startup()

    async def enqueue(self, number: int, delay: float) -> None:
        """Store one job."""
        if delay:
            at = datetime.now(UTC) + timedelta(seconds=delay)
            await self._task.schedule_by_time(self._source, at, **payload(number))
        else:
            await self._task.kiq(**payload(number))

    async def enqueue_many(self, numbers: range) -> None:
        """Store many jobs, each in a call of its own."""
        for number in numbers:
            await self._task.kiq(**payload(number))

    async def count(self) -> Counts:
        """Count what the group has not acknowledged, and what is delayed."""
        (group,) = await self._asking.xinfo_groups(self._broker.queue_name)
        delayed = len(await self._source.get_schedules())
        return Counts(group["lag"] + group["pending"] + delayed, None)

    async def work(self, ran: Callable[[int], None]) -> None:
        """Start a worker, and what looks for delayed jobs."""
        self._ran = ran
        self._broker.is_worker_process = True
        receiver = Receiver(self._broker, max_async_tasks=self._concurrency, run_startup=False)
        scheduling = SchedulerLoop(TaskiqScheduler(self._broker, [self._source]))
        self._running = [
            asyncio.create_task(receiver.listen(self._ended)),
            asyncio.create_task(scheduling.run(update_interval=_SECOND, loop_interval=_SECOND)),
        ]

    async def stop(self) -> None:
        """Stop the worker."""
        if self._running:
            listening, scheduling = self._running
            scheduling.cancel()
            self._ended.set()
            await listening

    async def close(self) -> None:
        """Disconnect."""
        await self._source.shutdown()
        await self._broker.shutdown()
        await self._asking.aclose()


def main() -> None:
    """Run it."""
    serve(Taskiq)
