"""How the conformance suite gets a store, and clients of it; its processes import this too."""

from collections.abc import Sized
from itertools import count

from stoker.driver import Driver
from stoker_conformance import Harness
from stoker_memory import MemoryDriver
from stoker_memory._queue import Queue

_numbers = count(1)


class MemoryHarness(Harness[str]):
    """A namespace is a name."""

    async def namespace(self) -> str:
        return f"test-conformance-{next(_numbers)}"

    async def connect(self, namespace: str) -> Driver:
        return MemoryDriver(f"memory://{namespace}")

    async def footprint(self, namespace: str) -> int:
        store = MemoryDriver(f"memory://{namespace}")._store
        return sum(map(size, store.queues.values()))


def size(queue: Queue) -> int:
    """Count the entries of every structure that a job leaves a trace in."""
    keys = queue.keys
    structures: list[Sized] = [
        queue.jobs, queue.order._pages, queue.scheduled, *queue.ready, queue.running,
        *queue.finished.values(), *queue.aging.values(), keys._holds, keys._expiring,
    ]  # fmt: skip
    return sum(map(len, structures))
