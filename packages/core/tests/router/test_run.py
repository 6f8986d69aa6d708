"""A run, as its handler sees it."""

from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packages.core.tests.support import START, make_lease

from stoker import JobRun, Progress, Tick
from stoker.errors import InvalidOption
from stoker.router.run import TICK_HEADER


class Port:
    """A worker, as far as a run needs one."""

    cancel_reason: str | None = None
    lease_lost = False

    def __init__(self) -> None:
        self.told: list[Any] = []

    async def _nothing(self) -> None: ...

    def progress(self, progress: Progress) -> Awaitable[None]:
        self.told.append(progress)
        return self._nothing()

    def log(self, entry: dict[str, Any]) -> None:
        self.told.append(entry)

    def set_result(self, result: Any) -> None:
        self.told.append(result)

    def transaction(self, connection: Any) -> AbstractAsyncContextManager[Any]:
        return nullcontext(connection)


def make_run(port: Port | None = None, **fields: Any) -> JobRun:

    app: Any = None
    return JobRun(
        make_lease(**fields),
        port or Port(),
        app=app,
        queue="default",
        payload=None,
        context=None,
    )


def test_a_run_shows_its_lease() -> None:
    run = make_run(
        attempt=2,
        max_attempts=3,
        crashes=1,
        snoozes=4,
        priority=9,
        tags=("a",),
        metadata={"k": "v"},
        headers={"h": "x"},
    )
    assert (run.id, run.name, run.queue, run.fence) == ("1", "r.job", "default", 1)
    assert (run.attempt, run.max_attempts, run.crashes, run.snoozes) == (2, 3, 1, 4)
    assert (run.priority, run.tags, run.metadata, run.headers) == (
        9,
        ("a",),
        {"k": "v"},
        {"h": "x"},
    )
    assert run.enqueued_at == run.run_at == run.started_at == START
    assert run.tick is None
    assert repr(run) == "<JobRun r.job 1 attempt 2 of 3>"


@pytest.mark.parametrize(("attempt", "final"), [(1, False), (2, False), (3, True)])
def test_the_final_attempt_is_the_one_after_which_none_is_left(attempt: int, final: bool) -> None:
    assert make_run(attempt=attempt, max_attempts=3).is_final_attempt is final


def test_what_is_asked_of_a_run_follows_its_worker() -> None:
    port = Port()
    run = make_run(port)
    assert (run.cancel_requested, run.lease_lost) == (False, False)
    port.cancel_reason, port.lease_lost = "", True
    assert (run.cancel_requested, run.lease_lost) == (True, True)


async def test_reports_are_passed_on_at_once() -> None:
    port = Port()
    run = make_run(port)
    await run.progress(50, "half")
    run.log("sent", to="7")
    run.set_result(3)
    assert port.told == [Progress(50, "half"), {"message": "sent", "to": "7"}, 3]
    async with run.transaction("connection") as connection:
        assert connection == "connection"


@pytest.mark.parametrize("percent", [-0.1, 100.1, float("nan"), 1e9])
def test_a_percentage_is_0_to_100(percent: float) -> None:
    with pytest.raises(InvalidOption, match="give a percentage, 0 to 100"):
        _ = make_run().progress(percent)


MOMENTS = st.datetimes(
    datetime(1980, 1, 1),  # noqa: DTZ001
    datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@given(st.text(), MOMENTS, st.integers(1), st.none() | MOMENTS, st.none() | MOMENTS)
def test_a_tick_comes_back_from_its_header(
    schedule: str, at: datetime, count: int, previous: datetime | None, following: datetime | None
) -> None:
    tick = Tick(schedule, at, count, previous, following)
    assert Tick.from_header(tick.to_header()) == tick
    assert make_run(headers={TICK_HEADER: tick.to_header()}).tick == tick


def test_a_ticks_header_is_short() -> None:
    tick = Tick("n" * 255, START, 10**9, START, START + timedelta(days=1))
    assert len(tick.to_header().encode()) < 4096
