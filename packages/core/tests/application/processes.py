"""What tests with several processes share: the place where they meet, and how to start them."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from packages.core.tests.application.helpers import within
from packages.core.tests.application.stores import Store

from stoker import JobRecord, JobState, Router, Stoker

__all__ = ["Site", "ended"]

PROGRAM = Path(__file__).with_name("program.py")


class Site:
    """A store and a folder, and the processes that use them."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.folder = folder
        self.url = store.url
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
            async with within(10):
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

    async def end(self) -> None:
        """Kill what still runs."""
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def ended(worker: asyncio.subprocess.Process) -> int:
    """Wait until a process has ended, and return how."""
    async with within(10):
        return await worker.wait()
