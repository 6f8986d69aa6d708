"""What the programs of the peers have in common: each does what it is asked for, line by line.

A request is a line of JSON on standard input, its answer a line of JSON on standard output; the
README of this folder lists them. A peer in another language answers the same requests.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sys
import time
import traceback
from array import array
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol, TextIO, cast

__all__ = ["FILLED", "TEXT", "Counts", "Fillable", "Peer", "payload", "serve"]

FILLED: Final = 1_000_000_000
TEXT: Final = "a small payload"
_LONGEST_LINE: Final = 2**20
_KIBIBYTES: Final = sys.platform != "darwin"  # the unit of a process's peak memory


class Counts(NamedTuple):
    """What a store holds, asked of the store itself."""

    unfinished: int
    """Jobs that wait, are delayed, or run."""
    finished: int | None
    """Jobs that have ended well; `None` where nothing is kept of them."""


class Peer(Protocol):
    """A job queue, as the benchmark sees it. One process each, as producer or as worker."""

    @property
    def configuration(self) -> str:
        """How it is set up, in words for the report."""
        ...

    @property
    def packages(self) -> tuple[str, ...]:
        """The distributions whose versions belong into the report."""
        ...

    async def open(self) -> None:
        """Connect."""
        ...

    async def create(self) -> None:
        """Create the schema, connected to a store that is empty."""
        ...

    async def enqueue(self, number: int, delay: float) -> None:
        """Store one job, to be run after so many seconds."""
        ...

    async def enqueue_many(self, numbers: range) -> None:
        """Store many jobs in the fastest way that there is."""
        ...

    async def count(self) -> Counts:
        """Count the jobs in the store."""
        ...

    async def work(self, ran: Callable[[int], None]) -> None:
        """Start a worker whose handler calls `ran` with the number of its job, and does no more."""
        ...

    async def stop(self) -> None:
        """Stop the worker in its usual way, if there is one."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...


class Fillable(Protocol):
    """A peer whose store can be filled with many jobs, faster than by enqueuing them."""

    async def fill(self, ready: int, scheduled: int, finished: int) -> None:
        """Store jobs that wait, jobs of tomorrow, and the records of jobs that have ended.

        Their numbers begin at `FILLED`. What the server does in the background for a table that
        has been there for a while, this does as well.
        """
        ...


def payload(number: int) -> dict[str, Any]:
    """Return the payload of a job; every peer has the same."""
    return {"number": number, "text": TEXT}


class _Program:
    """Answers requests, and notes each run of a handler."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._numbers = array("q")
        self._times = array("d")
        self._cpu = 0.0
        self._is_open = False

    async def close(self) -> None:
        """Let the peer go."""
        if self._is_open:
            await self._peer.close()

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a request says."""
        action = getattr(self, f"_do_{request.pop('do')}")
        answer: dict[str, Any] = await action(**request)
        return answer

    def _ran(self, number: int) -> None:
        self._numbers.append(number)
        self._times.append(time.monotonic())

    async def _do_hello(self) -> dict[str, Any]:
        from importlib.metadata import version  # noqa: PLC0415 - no part of a worker's memory

        versions = {package: version(package) for package in self._peer.packages}
        return {"configuration": self._peer.configuration, "versions": versions}

    async def _do_create(self) -> dict[str, Any]:
        await self._do_open()
        await self._peer.create()
        return {}

    async def _do_open(self) -> dict[str, Any]:
        self._is_open = True
        await self._peer.open()
        return {}

    async def _do_one_by_one(self, first: int, jobs: int) -> dict[str, Any]:
        started = time.monotonic()
        for number in range(first, first + jobs):
            await self._peer.enqueue(number, 0.0)
        return {"seconds": time.monotonic() - started}

    async def _do_bulk(self, first: int, jobs: int) -> dict[str, Any]:
        started = time.monotonic()
        await self._peer.enqueue_many(range(first, first + jobs))
        return {"seconds": time.monotonic() - started}

    async def _do_send(self, number: int, delay: float) -> dict[str, Any]:
        at = time.monotonic()
        await self._peer.enqueue(number, delay)
        return {"at": at}

    async def _do_fill(self, **jobs: int) -> dict[str, Any]:
        await cast("Fillable", self._peer).fill(**jobs)
        return {}

    async def _do_count(self) -> dict[str, Any]:
        return (await self._peer.count())._asdict()

    async def _do_work(self) -> dict[str, Any]:
        self._cpu = time.process_time()
        await self._peer.work(self._ran)
        return {}

    async def _do_runs(self) -> dict[str, Any]:
        return {"runs": len(self._numbers)}

    async def _do_report(self) -> dict[str, Any]:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {
            "numbers": self._numbers.tolist(),
            "times": self._times.tolist(),
            "cpu": time.process_time() - self._cpu,
            "memory": peak * 1024 if _KIBIBYTES else peak,
        }

    async def _do_stop(self) -> dict[str, Any]:
        await self._peer.stop()
        return {}


async def _serve(peer: Peer, answers: TextIO) -> None:
    requests = asyncio.StreamReader(limit=_LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(requests), sys.stdin
    )
    program = _Program(peer)
    async for line in requests:
        try:
            answer = await program.answer(json.loads(line))
        except Exception:  # noqa: BLE001  the harness reports it, and the peer's run has failed
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    await program.close()


def serve(peer: Callable[[argparse.Namespace], Peer], *options: str) -> None:
    """Run the program of a peer: a worker or a producer, whichever it is asked to be.

    Args:
        peer: makes the peer out of the command line: `url`, `concurrency`, and its own options.
        options: the names of its own options; each is a flag.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    parser.add_argument("--uvloop", action="store_true")
    for option in options:
        parser.add_argument(f"--{option}", action="store_true")
    arguments = parser.parse_args()
    # What a library prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    factory = None
    if arguments.uvloop:
        import uvloop  # noqa: PLC0415  only where it is asked for

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(peer(arguments), answers))
