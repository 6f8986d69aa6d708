"""What tests with several processes share: the place where they meet, and how to start them."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from packages.core.tests.application.helpers import eventually, within

from stoker import JobRecord, JobState, Router, Stoker
from stoker.job import TERMINAL_STATES

if TYPE_CHECKING:
    from stoker.driver import Presence

__all__ = ["Site", "Trickle", "ended"]

PROGRAM = Path(__file__).with_name("program.py")
BEGUN = "started "
"""How a line begins that a run leaves first; the number of expired leases before it follows."""


class Site:
    """A store and a folder, and the processes that use them."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        self.url = url
        self._processes: list[asyncio.subprocess.Process] = []

    async def start(self, *command: str) -> asyncio.subprocess.Process:
        """Start the program with a command; a worker is ready when this returns."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(PROGRAM),
            self.url,
            str(self.folder),
            *command,
            stdout=asyncio.subprocess.PIPE,
        )
        self._processes.append(process)
        if command[0] == "work" and process.stdout is not None:
            async with within():
                assert await process.stdout.readline() == b"ready\n"
        return process

    async def produce(self, number: int, job: str) -> list[str]:
        """Schedule jobs from a process of its own, and return their ids when it has ended."""
        process = await self.start("produce", str(number), job)
        output, _ = await process.communicate()
        assert process.returncode == 0
        return output.decode().split()

    def lines(self, job_id: str) -> list[str]:
        """Return what the runs of a job noted."""
        file = self.folder / job_id
        return file.read_text().splitlines() if file.exists() else []

    def go(self) -> None:
        """Let patient jobs end."""
        (self.folder / "go").touch()

    async def records(self, ids: list[str]) -> list[JobRecord]:
        """Return the records of jobs, which must exist."""
        async with Stoker(self.url, jobs=[Router("jobs")]) as app:
            records = [await app.get(job_id, queue="default") for job_id in ids]
        assert None not in records
        return [record for record in records if record is not None]

    async def all_completed(self, ids: list[str]) -> bool:
        """Return whether all jobs are completed."""
        return {record.state for record in await self.records(ids)} == {JobState.COMPLETED}

    async def announced(self, count: int) -> None:
        """Wait until so many workers have found the store."""
        async with Stoker(self.url, jobs=[Router("jobs")]) as app:

            async def are_there() -> bool:
                return len(await cast("Presence", app.driver).workers()) == count

            await eventually(are_there)

    async def trickle(self, job: str) -> Trickle:
        """Let a process schedule jobs, one after the other."""
        return Trickle(await self.start("trickle", job))

    async def until_over(
        self, workers: Iterable[asyncio.subprocess.Process], ids: list[str]
    ) -> None:
        """Wait until all workers have died, or all jobs are completed."""

        async def is_over() -> bool:
            died = all(worker.returncode is not None for worker in workers)
            return died or await self.all_completed(ids)

        await eventually(is_over)

    async def explained(self, ids: Iterable[str]) -> int:
        """Wait until jobs have ended, and return how many of their leases had expired.

        Each has to be completed, and to have been run again only because a lease had expired: no
        two runs began after the same number of expired leases, and the last of them completed it.
        """
        async with Stoker(self.url, jobs=[Router("jobs")]) as app:
            crashes = [await self._explained(app, job_id) for job_id in ids]
        return sum(crashes)

    async def _explained(self, app: Stoker[Any], job_id: str) -> int:
        async def terminal() -> JobRecord | None:
            found = await app.get(job_id, queue="default")
            assert found is not None, f"{job_id} is lost"
            return found if found.state in TERMINAL_STATES else None

        ended: JobRecord = await eventually(terminal)
        runs = [int(line.removeprefix(BEGUN)) for line in self.lines(job_id) if BEGUN in line]
        assert (ended.state, ended.attempt) == (JobState.COMPLETED, 1), job_id
        assert len(set(runs)) == len(runs), f"{job_id} ran twice with one lease: {runs}"
        assert max(runs) == ended.crashes, f"{job_id} ran {runs}, {ended.crashes} leases expired"
        return ended.crashes

    async def end(self) -> None:
        """Kill what still runs."""
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            await process.wait()


class Trickle:
    """A process that schedules jobs until it is told to stop; none is given up."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.acknowledged: list[str] = []
        """The ids of those that the store has acknowledged, as far as they were asked for."""

    async def until_more(self, count: int) -> None:
        """Wait until so many more jobs are acknowledged."""
        assert self._process.stdout is not None
        async with within():
            for _ in range(count):
                line = await self._process.stdout.readline()
                assert line, "the producer has ended"
                self.acknowledged.append(line.decode().strip())

    async def stop(self) -> list[str]:
        """Stop the process, and return the ids of all jobs."""
        self._process.send_signal(signal.SIGTERM)
        async with within():
            output, _ = await self._process.communicate()
        assert self._process.returncode == 0
        self.acknowledged += output.decode().split()
        return self.acknowledged


async def ended(worker: asyncio.subprocess.Process) -> int:
    """Wait until a process has ended, and return how."""
    async with within():
        return await worker.wait()
