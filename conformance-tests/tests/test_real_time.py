"""What measures and turns real time does so: stalls, wrong clocks, and a server's right one."""

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from harnesses import MemoryHarness
from saboteurs import harness_of

from stoker.driver import (
    Claimed,
    ClockSource,
    Driver,
    DriverInfo,
    Enqueued,
    NewJob,
    Promoted,
    Reaped,
    Settled,
    Settlement,
    Want,
    from_micros,
)
from stoker_conformance import run_case, waiting
from stoker_conformance.catalog import case_by_id
from stoker_conformance.expect import Violation
from stoker_conformance.skew import skewed_clock
from stoker_conformance.stalls import stall_of
from stoker_conformance.waiting import eventually
from stoker_memory import MemoryDriver, _times

HOUR = timedelta(hours=1)


def _server_now(read: Callable[[], float] = time.time) -> datetime:
    """Tell the time by a clock that nobody can replace."""
    return datetime.fromtimestamp(read(), UTC)


class ServersClock(MemoryDriver):
    """A store with a clock of its own, whatever the clocks of its clients tell."""

    @property
    def info(self) -> DriverInfo:
        return replace(super().info, clock=ClockSource.SERVER)

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        return await super().enqueue(jobs, now=now or _server_now())

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        return await super().claim(wants, worker=worker, lease=lease, now=now or _server_now())

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        return await super().settle(items, now=now or _server_now())

    async def promote(
        self, queues: Sequence[str], *, limit: int, now: datetime | None = None
    ) -> Promoted:
        return await super().promote(queues, limit=limit, now=now or _server_now())

    async def reap(
        self,
        queues: Sequence[str],
        *,
        limit: int,
        delay: timedelta,
        error: bytes,
        now: datetime | None = None,
    ) -> list[Reaped]:
        now = now or _server_now()
        return await super().reap(queues, limit=limit, delay=delay, error=error, now=now)


@pytest.mark.parametrize("case_id", ["RT-01", "RT-02", "RT-03", "RT-04"])
async def test_a_driver_with_a_clock_of_its_own_passes(case_id: str) -> None:
    await run_case(case_by_id(case_id), harness_of(ServersClock))


async def test_a_loop_that_is_blocked_is_charged_to_the_operation() -> None:
    async def block() -> None:
        time.sleep(0.1)  # noqa: ASYNC251

    assert await stall_of(block()) > 0.05


async def test_a_loop_that_computes_is_charged_to_the_operation() -> None:
    async def compute() -> None:
        until = time.thread_time() + 0.1
        while time.thread_time() < until:
            pass

    assert await stall_of(compute()) > 0.05


async def test_an_operation_that_waits_is_not_charged_with_its_wait() -> None:
    stall = await stall_of(asyncio.sleep(0.3))
    assert stall < 0.3


async def test_an_operation_that_fails_fails_for_the_one_who_measures() -> None:
    async def fail() -> None:
        raise OSError("no store")

    with pytest.raises(OSError, match="no store"):
        await stall_of(fail())
    assert [task for task in asyncio.all_tasks() if "stalls" in task.get_name()] == []


async def test_a_wrong_clock_is_wrong_however_it_is_read_and_right_again_afterwards() -> None:
    driver: Driver = await MemoryHarness().connect("skew")
    right = datetime.now(UTC)
    for skew in (HOUR, -HOUR):
        with skewed_clock(driver, skew):
            seen = [
                dt.datetime.now(UTC),
                dt.datetime.now(dt.timezone(HOUR)),
                datetime.fromtimestamp(time.time(), UTC),
                datetime.fromtimestamp(time.time_ns() / 1e9, UTC),
                from_micros(_times.moment(None)),
            ]
            naive = dt.datetime.utcnow()  # type: ignore[deprecated]  # noqa: DTZ003
        assert [abs(moment - right - skew) < HOUR / 2 for moment in seen] == [True] * 5
        assert abs(naive.replace(tzinfo=UTC) - right - skew) < HOUR / 2
    assert dt.datetime is datetime
    assert abs(datetime.fromtimestamp(time.time(), UTC) - right) < HOUR / 2


async def test_what_a_wrong_clock_tells_is_a_real_time() -> None:
    with skewed_clock(object(), HOUR):
        assert type(dt.datetime.now(UTC)) is datetime
        assert type(dt.datetime(2031, 1, 1, tzinfo=UTC)) is datetime
        assert isinstance(datetime(2031, 1, 1, tzinfo=UTC), dt.datetime)
        assert type(dt.datetime.fromisoformat("2031-01-01")) is datetime


async def test_a_clock_is_right_again_after_an_error() -> None:
    with suppress(OSError), skewed_clock(object(), HOUR):
        raise OSError
    assert dt.datetime is datetime


async def test_eventually_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never() -> bool:
        return False

    monkeypatch.setattr(waiting, "PATIENCE", 0.0)
    with pytest.raises(Violation, match="it comes"):
        await eventually("it comes", never)
