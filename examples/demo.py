"""The demonstration: index a folder of real documents, in two processes, and check the outcome.

    python examples/demo.py [FOLDER] [--url URL]

This process schedules: one job a file, one with a delay, one that fails twice before it succeeds,
and a report at the end. Another process, `stoker worker`, runs them. They share nothing but a
SQLite file in a temporary folder, or whatever `--url` names; with `--url memory://` the worker
runs in here. The exit code is 1 if anything came out differently from a second, independent count.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from checks import Check, check_attempts, check_counts, check_delay, check_states
from documents import (
    Corpus,
    Document,
    Index,
    Report,
    ask_dictionary,
    create,
    find_documents,
    index_file,
    remind,
    report,
)
from recount import recount
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from stoker import JobHandle, JobRecord, JobState, QueueStats, Stoker
from stoker.driver import Scope
from stoker.errors import StokerError
from stoker.job import TERMINAL_STATES
from stoker.registry import driver_for, mask

WORKER: Final = "documents:application"
DELAY: Final = timedelta(seconds=2)
PATIENCE: Final = 60.0
"""Seconds without any job coming to its end, after which something must be wrong."""

console = Console(highlight=False, markup=False)


class Stalled(Exception):
    """The jobs do not come to an end, and why that may be."""


@dataclass
class Planned:
    """Handles of all that was scheduled."""

    files: list[JobHandle[Any]]
    reminder: JobHandle[str]
    dictionary: JobHandle[int]
    report: JobHandle[Report]

    @property
    def handles(self) -> list[JobHandle[Any]]:
        """All of them."""
        return [*self.files, self.reminder, self.dictionary, self.report]


async def schedule(app: Stoker[Index], files: list[Path]) -> Planned:
    """Store all jobs; from now on any worker may take them."""
    return Planned(
        files=[
            *await app.schedule_many([index_file.call(Document(path=path)) for path in files]),
        ],
        reminder=await app.schedule(remind, "look at the index", delay=DELAY),
        dictionary=await app.schedule(ask_dictionary, "stoker"),
        report=await app.schedule(report, Corpus(files=len(files))),
    )


@contextmanager
def worker(environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `stoker worker` in a process of its own; it stops gracefully at the end of the block."""
    command = [sys.executable, "-m", "stoker_cli", "worker", WORKER]
    here = Path(__file__).parent
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--app-dir", str(here)],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def watch(
    app: Stoker[Index], planned: Planned, process: subprocess.Popen[bytes] | None
) -> None:
    """Show how far the jobs have come, until all have ended."""
    total = len(planned.handles)
    ended, changed = -1, time.monotonic()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        task = progress.add_task("jobs", total=total)
        while ended < total:
            counts = (await stats_of(app, planned)).counts
            now = sum(counts[state] for state in TERMINAL_STATES)
            if now != ended:
                ended, changed = now, time.monotonic()
            progress.update(
                task, completed=ended, description=f"{counts[JobState.RUNNING]} running"
            )
            if counts[JobState.FAILED]:
                raise Stalled("a job failed for good")
            if process is not None and process.poll() is not None:
                raise Stalled(f"the worker has ended with exit code {process.returncode}")
            if time.monotonic() - changed > PATIENCE:
                raise Stalled(f"no job has ended for {PATIENCE:.0f} s")
            await asyncio.sleep(0.05)


async def verify(app: Stoker[Index], planned: Planned, index: Index, folder: Path) -> list[Check]:
    """Compare what the jobs did with a second count, and with what the store says about them."""
    console.print("counting again, to compare")
    told = await planned.report.result(timeout=10)
    counted = await asyncio.to_thread(recount, folder)
    return [
        *check_counts(told, counted, index),
        check_states(await stats_of(app, planned), len(planned.handles)),
        check_delay(await record_of(planned.reminder), DELAY),
        check_attempts(await record_of(planned.dictionary)),
    ]


async def record_of(handle: JobHandle[Any]) -> JobRecord:
    """The store's record of a job, which is kept."""
    record = await handle.record()
    assert record is not None
    return record


async def stats_of(app: Stoker[Index], planned: Planned) -> QueueStats:
    """The demo's queue, counted to the last job."""
    return (await app.stats("default", cap=len(planned.handles) + 1))["default"]


async def run(folder: Path, files: list[Path], given: str | None, scratch: Path) -> list[Check]:
    """Schedule, watch, verify; with the `given` store, or a SQLite file in `scratch`."""
    url = given or f"sqlite:///{quote(str(scratch / 'jobs.db'))}"
    console.print(f"indexing {folder} with jobs in {mask(url)}", soft_wrap=True)
    driver = driver_for(url)
    inside = driver.info.scope is Scope.PROCESS
    # Of its own, so that the demo can run on a store that is in use.
    prefix = f"demo-{secrets.token_hex(4)}"
    index = scratch / "index.db"
    app = create(driver, index, prefix=prefix, worker_inside=inside)
    environment = {
        "DOCUMENTS_STORE": url,
        "DOCUMENTS_INDEX": str(index),
        "DOCUMENTS_PREFIX": prefix,
    }
    checks: list[Check] = []
    began = time.perf_counter()
    async with app:
        planned = await schedule(app, files)
        console.print(
            f"{len(planned.handles):,} jobs scheduled by process {os.getpid()}: "
            f"one for each of {len(files):,} files, and three more",
            soft_wrap=True,
        )
        if inside:
            console.print("the worker runs in this process")
            await watch(app, planned, None)
        else:
            with worker(environment, scratch / "worker.log") as process:
                console.print(f"the worker is process {process.pid}: stoker worker ...")
                await watch(app, planned, process)
            code = process.returncode
            checks.append(Check("the worker stopped gracefully", code == 0, f"exit code {code}"))
        took = time.perf_counter() - began
        checks += await verify(app, planned, Index(index), folder)
        show_report(await planned.report.result(timeout=10), folder)
        console.print(f"{len(planned.handles):,} jobs took {took:.1f} s")
        if given:
            # A store that stays: what the demo has put there goes away.
            for handle in planned.handles:
                await handle.remove()
    return checks


def show_report(told: Report, folder: Path) -> None:
    """What the last job has found."""
    table = Table("files", "lines", "words", "most frequent terms", title=f"The report on {folder}")
    terms = "\n".join(f"{term} ({count:,})" for term, count in told.top_terms)
    table.add_row(f"{told.files:,}", f"{told.lines:,}", f"{told.words:,}", terms)
    console.print(table)


def show_checks(checks: list[Check]) -> None:
    """What was checked, and what came out."""
    for check in checks:
        if check.holds:
            console.print("ok  ", style="green", end=" ")
        else:
            console.print("FAIL", style="red", end=" ")
        console.print(f"{check.claim}: {check.seen}", soft_wrap=True)


def main() -> None:
    """Run the demonstration; exit with 1 if a check fails."""
    parser = argparse.ArgumentParser(description="Index a folder with Stoker, and check it.")
    home = Path(__file__).resolve().parent.parent
    parser.add_argument("folder", nargs="?", type=Path, default=home, help="default: this project")
    parser.add_argument("--url", help="of the store (default: a SQLite file in a temporary folder)")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.resolve()
    if not folder.is_dir():
        parser.error(f"{folder} is not a folder")
    files = find_documents(folder)
    if not files:
        parser.error(f"{folder} has no text files")
    scratch = Path(tempfile.mkdtemp(prefix="stoker-demo-"))
    try:
        checks = asyncio.run(run(folder, files, arguments.url, scratch))
    except StokerError as error:
        shutil.rmtree(scratch)
        sys.exit(f"the demo could not run: {error}")
    except KeyboardInterrupt:
        shutil.rmtree(scratch)
        sys.exit("interrupted")
    except Stalled as stalled:
        sys.exit(f"{stalled}; look at {scratch / 'worker.log'}")
    show_checks(checks)
    if not all(check.holds for check in checks):
        sys.exit(f"it did not come out as it should; look at {scratch / 'worker.log'}")
    shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
