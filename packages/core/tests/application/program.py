"""An application for tests with several processes; run as `program.py URL FOLDER COMMAND ...`.

Every run leaves a line in a file of its job: what one process does, the others can see.

Commands: `produce NUMBER JOB` schedules jobs, `work [OPTION=SECONDS ...]` runs a worker until
SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from stoker import JobRun, Router, Stoker, WorkerOptions

url, folder = sys.argv[1], Path(sys.argv[2])
router = Router[Path]("jobs", attempts=1)


def note(job: JobRun, what: str) -> None:
    """Add a line to the file of a job."""
    with (job.context / job.id).open("a") as file:
        file.write(f"{what}\n")


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


app = Stoker(url, jobs=[router], context=folder)


async def produce(number: int, job: str) -> None:
    """Schedule so many jobs, and print their ids."""
    async with app:
        for handle in await app.schedule_many(router.jobs[job].call(n) for n in range(number)):
            print(handle.id)  # noqa: T201


async def work(**options: float) -> None:
    """Run a worker until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print("ready", flush=True)  # noqa: T201  from here on, SIGTERM stops it gracefully
    await app.run_worker(WorkerOptions(**options), stop=stop)  # type: ignore[arg-type]


if __name__ == "__main__":
    match sys.argv[3:]:
        case ["produce", number, job]:
            asyncio.run(produce(int(number), job))
        case ["work", *options]:
            pairs = (option.split("=") for option in options)
            asyncio.run(work(**{name: float(seconds) for name, seconds in pairs}))
