"""The application that the tests run in processes of their own.

What a handler wants the test to know, it prints; the test reads the pipe, so nobody has to wait
for time to pass.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import NoReturn

from stoker import Router, Stoker, WorkerOptions
from stoker.driver import Claimed, Want
from stoker.errors import DriverUnavailable
from stoker_sqlite import SqliteDriver

FOLDER = Path(os.environ.get("SAMPLE_FOLDER", "."))
STORE = FOLDER / "jobs.db"

work = Router[None]("work")


def tell(text: str) -> None:
    """Print a line that arrives at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@work.job
async def note(number: int) -> int:
    """Say that it has run."""
    tell(f"noted {number}")
    return number


@work.job(priority=9)
async def hold(number: int) -> int:
    """Say that it is inside, and stay there until the file `go` exists."""
    tell(f"inside {number}")
    while not (FOLDER / "go").exists():  # noqa: ASYNC110 - the test is another process
        await asyncio.sleep(0.01)
    return number


@work.job
async def block_loop() -> None:
    """Do what no handler should do."""
    tell("blocking")
    time.sleep(3600)  # noqa: ASYNC251 - this is what it is for


@work.job
def start_thread() -> None:
    """Leave a thread behind that Python waits for at its end."""
    wait = threading.Event().wait
    threading.Thread(target=wait, name="of the application", daemon=False).start()
    tell("thread started")


@work.job
def never_return() -> None:
    """Occupy a thread for good."""
    tell("in a thread")
    threading.Event().wait()


@work.job(queue="other")
async def elsewhere() -> None:
    """Run in another queue."""
    tell("elsewhere")


app = Stoker(f"sqlite:///{STORE}", jobs=[work], context=None)


def make_app() -> Stoker[None]:
    """Return an application with a worker of its own, which the command does not start."""
    return Stoker(
        f"sqlite:///{STORE}",
        jobs=[work],
        context=None,
        autostart_worker=WorkerOptions(queues=["other"]),
    )


class Defective(SqliteDriver):
    """Has a defect: it raises what no driver may raise."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        """Fail."""
        raise ZeroDivisionError("a defect of this driver")


class Unreachable(SqliteDriver):
    """Cannot be opened now."""

    async def open(self) -> None:
        """Fail."""
        raise DriverUnavailable("nobody answers", maybe_applied=False)


@asynccontextmanager
async def broken_lifespan() -> AsyncIterator[NoReturn]:
    """Fail before the first job."""
    raise LookupError("no configuration")
    yield


defective = Stoker(Defective(STORE), jobs=[work], context=None)
unreachable = Stoker(Unreachable(STORE), jobs=[work], context=None)
without_context = Stoker(f"sqlite:///{STORE}", jobs=[work], lifespan=broken_lifespan)
private = Stoker("memory://", jobs=[work], context=None)
