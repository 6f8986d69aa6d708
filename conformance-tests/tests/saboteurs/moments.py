"""Defects that show in real time: of clocks, and of what a client does to its event loop."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from saboteurs.base import Saboteur, saboteur
from stoker.driver import (
    After,
    Claimed,
    ClockSource,
    DriverInfo,
    Enqueued,
    Extended,
    Extension,
    JobKey,
    JobState,
    NewJob,
    Want,
)


@saboteur("SHP-07")
class BlocksTheLoop(Saboteur):
    """A full batch goes through a blocking client."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        if len(jobs) > 100:
            time.sleep(0.2)  # noqa: ASYNC251 - that is the defect
        return await super().enqueue(jobs, now=now)


@saboteur("SHP-07")
class ComputesOnTheLoop(Saboteur):
    """A full batch is worked on for a long time, without a turn of the loop."""

    async def states(self, keys: Sequence[JobKey]) -> list[JobState | None]:
        until = time.thread_time() + 0.1
        while time.thread_time() < until:
            pass
        return await super().states(keys)


@saboteur("SHP-06")
class ThreadsAreLeftBehind(Saboteur):
    """A thread of the client outlives its close."""

    async def open(self) -> None:
        await super().open()
        over = threading.Event()
        threading.Thread(target=over.wait, daemon=True).start()
        weakref.finalize(self, over.set)


@saboteur("SHP-06")
class ConnectionsAreLeftBehind(Saboteur):
    """A connection is closed some time, when the client is collected."""

    async def open(self) -> None:
        await super().open()
        for descriptor in os.pipe():
            weakref.finalize(self, os.close, descriptor)


@saboteur("RT-01")
class DelayInAnotherUnit(Saboteur):
    """By the store's clock, milliseconds are taken for microseconds."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        if now is None:
            jobs = [
                replace(job, run_at=After(job.run_at.delay / 1_000))
                if isinstance(job.run_at, After)
                else job
                for job in jobs
            ]
        return await super().enqueue(jobs, now=now)


@saboteur("RT-02")
class ExtensionInAnotherUnit(Saboteur):
    """By the store's clock, a lease is extended by a thousandth of its length."""

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        return await super().extend(items, lease=lease if now else lease / 1_000, now=now)


@saboteur("RT-03")
class ServersClockOfTheProcess(Saboteur):
    """The clock is declared to be the server's, and every client goes by its own."""

    @property
    def info(self) -> DriverInfo:
        return replace(super().info, clock=ClockSource.SERVER)


@saboteur("RT-04")
class HalfALeaseByTheStoresClock(Saboteur):
    """The two paths of a claim compute the end of a lease in two ways."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        length = lease if now else lease / 2
        return await super().claim(wants, worker=worker, lease=length, now=now)
