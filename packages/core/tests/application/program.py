"""An application for tests with several processes; run as `program.py URL FOLDER COMMAND ...`.

Every run leaves a line in a file of its job: what one process does, the others can see.

Commands: `produce NUMBER JOB` schedules jobs, `trickle JOB` one by one until SIGTERM, and
`work [OPTION=SECONDS ...]` runs a worker until SIGTERM. With `turns=NUMBER` it kills itself: so
many turns of the event loop after its first job has begun, and so between any two steps.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any

from stoker import Fixed, Job, JobRun, Router, Stoker, WorkerOptions
from stoker.errors import DriverUnavailable

sys.path.insert(0, str(Path(__file__).parents[4]))

from packages.core.tests.application.stores import connect

url, folder = sys.argv[1], Path(sys.argv[2])
router = Router[Path]("jobs", attempts=1)


def note(job: JobRun, what: str) -> None:
    """Add a line to the file of a job."""
    with (job.context / job.id).open("a") as file:
        file.write(f"{what}\n")


class Doom:
    """The end of a process that kills itself."""

    def __init__(self) -> None:
        self.turns: float | None = None
        """How many turns it has left."""

    def begin(self) -> None:
        """Count from here, if it is to come at all."""
        if self.turns is not None:
            turns, self.turns = self.turns, None
            self._turn(turns)

    def _turn(self, left: float) -> None:
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        asyncio.get_running_loop().call_soon(self._turn, left - 1)


doom = Doom()


@router.job
async def quick(_: int, __: Path, job: JobRun) -> None:
    """Run."""
    note(job, "ran")


@router.job
async def patient(_: int, folder: Path, job: JobRun) -> None:
    """Run until the test says that it may end."""
    note(job, f"started {job.crashes}")
    while not (folder / "go").exists():  # noqa: ASYNC110  told by another process
        await asyncio.sleep(0.01)
    note(job, "ran")


@router.job
def stuck(_: int, folder: Path, job: JobRun) -> None:
    """Hold a thread until the test says that it may end."""
    import time

    note(job, f"started {job.crashes}")
    while not (folder / "go").exists():
        time.sleep(0.01)
    note(job, "ran")


@router.job(max_crashes=1_000)
async def steady(_: int, __: Path, job: JobRun) -> None:
    """Take some turns of the event loop, in the course of which anything may happen."""
    doom.begin()
    note(job, f"started {job.crashes}")
    for _turn in range(50):
        await asyncio.sleep(0)


# Jobs that write a row into a table of the user's. However often they are killed, they do not fail.
ledger = Router[Path]("ledger", attempts=1_000, backoff=Fixed(0), max_crashes=1_000)


async def write(connection: Any, job: JobRun) -> None:
    """Write one row for a job."""
    await connection.execute(f"insert into effects values ('{job.id}')")


async def hold(job: JobRun) -> None:
    """Stand still, until a run before this one was killed in this very place."""
    note(job, "holding")
    if job.crashes == 0:
        await asyncio.Event().wait()


@ledger.job
async def together(_: None, __: Path, job: JobRun) -> None:
    """Write with the completion of the job."""
    doom.begin()
    async with job.transaction() as connection:
        await write(connection, job)


@ledger.job
async def held_before_the_commit(_: None, __: Path, job: JobRun) -> None:
    """Be killed when the row is written and not committed."""
    async with job.transaction() as connection:
        await write(connection, job)
        await hold(job)


@ledger.job
async def held_after_the_commit(_: None, __: Path, job: JobRun) -> None:
    """Be killed when the row is committed, and the handler has not returned."""
    async with job.transaction() as connection:
        await write(connection, job)
    await hold(job)


@ledger.job
async def held_after_a_commit_of_its_own(_: None, __: Path, job: JobRun) -> None:
    """Be killed between the commit of the row and the settlement of the job."""
    async with connect(url) as connection:
        await write(connection, job)
    await hold(job)


app = Stoker(url, jobs=[router, ledger], context=folder)


async def produce(number: int, job: str) -> None:
    """Schedule so many jobs, and print their ids."""
    calls = (
        [ledger.jobs[job].call() for _ in range(number)]
        if job in ledger.jobs
        else [router.jobs[job].call(n) for n in range(number)]
    )
    async with app:
        for handle in await app.schedule_many(calls):
            print(handle.id)  # noqa: T201


async def trickle(job: str) -> None:
    """Schedule jobs until SIGTERM, and print the id of each when the store has acknowledged it."""
    stop = stopping()
    async with app:
        for number in count():
            if stop.is_set():
                return
            await insist(router.jobs[job], number, job_id=f"{job}-{number:06}")


async def insist(job: Job[Any, Any, Any, Any], number: int, *, job_id: str) -> None:
    """Schedule a job, again and again until the store has answered."""
    while True:
        try:
            await app.schedule(job, number, job_id=job_id)
        except DriverUnavailable:
            continue  # it has waited before it gave up
        print(job_id, flush=True)  # noqa: T201
        return


def stopping() -> asyncio.Event:
    """Return what SIGTERM sets, from now on."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    return stop


async def work(turns: float | None = None, **options: float) -> None:
    """Run a worker until SIGTERM, or until it kills itself."""
    doom.turns = turns
    stop = stopping()
    print("ready", flush=True)  # noqa: T201  from here on, SIGTERM stops it gracefully
    await app.run_worker(WorkerOptions(**options), stop=stop)  # type: ignore[arg-type]


if __name__ == "__main__":
    match sys.argv[3:]:
        case ["produce", number, job]:
            asyncio.run(produce(int(number), job))
        case ["trickle", job]:
            asyncio.run(trickle(job))
        case ["work", *options]:
            pairs = (option.split("=") for option in options)
            asyncio.run(work(**{name: float(number) for name, number in pairs}))
