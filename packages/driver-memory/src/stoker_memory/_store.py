"""Everything that the clients of one store share."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from stoker.driver import Wake
from stoker.job import JobKey
from stoker_memory._hints import Hints
from stoker_memory._job import Job
from stoker_memory._presence import WorkerTable
from stoker_memory._queue import Queue
from stoker_memory._schedules import ScheduleTable

__all__ = ["Store", "named_store"]


class Store:
    """Queues, schedules, workers and waiters, and the one lock that guards them all.

    The lock is held for one operation at a time and never across an await, so whoever has to wait
    for it, on whatever loop, waits microseconds.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.queues: dict[str, Queue] = {}
        self.schedules = ScheduleTable()
        self.workers = WorkerTable()
        self.hints = Hints()

    def queue(self, name: str) -> Queue:
        """Return the queue of that name, which may be new."""
        queue = self.queues.get(name)
        if queue is None:
            queue = self.queues[name] = Queue(name)
        return queue

    def find(self, key: JobKey) -> tuple[Queue | None, Job | None]:
        """Return the queue and the job of a key, as far as they exist."""
        queue = self.queues.get(key.queue)
        return queue, None if queue is None else queue.jobs.get(key.id)

    def known(self, names: Iterable[str]) -> list[Queue]:
        """Return those of the queues that exist, each once."""
        found = [self.queues.get(name) for name in dict.fromkeys(names)]
        return [queue for queue in found if queue is not None]

    def hint_work(self, queue: Queue) -> None:
        """Let the waiters know that there may be work; a paused queue holds its jobs back."""
        if not queue.paused:
            self.hints.tell(queue.name, Wake.WORK)

    def hint_cancel(self, queue: Queue) -> None:
        """Let the waiters know that a run is to be cancelled."""
        self.hints.tell(queue.name, Wake.CANCEL)


_named: dict[str, Store] = {}
_named_lock = threading.Lock()


def named_store(name: str) -> Store:
    """Return the store that the process knows by this name; it lives as long as the process."""
    with _named_lock:
        return _named.setdefault(name, Store())
