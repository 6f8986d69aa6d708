"""The contact with the store."""

import asyncio
import logging
from datetime import timedelta
from random import Random
from types import SimpleNamespace

import pytest
from packages.core.tests.support import SpyDriver, away

from stoker.errors import DriverClosed
from stoker.worker.link import Link


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between tries, which take no time here."""
    found: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        found.append(seconds)
        await real(0)

    monkeypatch.setattr("stoker.worker.link.asyncio", SimpleNamespace(sleep=sleep))
    return found


class Store:
    """Answers after some failures."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


async def test_an_answer_is_passed_on_without_a_wait(naps: list[float]) -> None:
    assert await Link(SpyDriver(), Random(1)).call("claim", Store()) == "answer"
    assert naps == []


async def test_outages_are_waited_out_longer_each_time_with_a_share_of_chance(
    naps: list[float],
) -> None:
    store = Store(*(away() for _ in range(10)))
    assert await Link(SpyDriver(), Random(1)).call("claim", store) == "answer"
    assert store.calls == 11
    whole = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    chance = Random(1)
    assert naps == [wait * (0.5 + chance.random() / 2) for wait in whole]
    assert all(wait / 2 <= nap <= wait for wait, nap in zip(whole, naps, strict=True))


async def test_each_call_begins_with_short_waits_again(naps: list[float]) -> None:
    link = Link(SpyDriver(), Random(1))
    await link.call("claim", Store(away(), away(), away()))
    naps.clear()
    await link.call("claim", Store(away()))
    assert naps[0] <= 0.05


@pytest.mark.parametrize("error", [DriverClosed("closed"), RuntimeError("a defect")])
async def test_other_errors_are_passed_on_at_once(naps: list[float], error: Exception) -> None:
    with pytest.raises(type(error)):
        await Link(SpyDriver(), Random(1)).call("claim", Store(error))
    assert naps == []


async def test_an_outage_is_logged_when_it_begins_and_when_it_ends(
    naps: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "stoker.worker"):
        await Link(SpyDriver(), Random(1)).call("claim", Store(*(away() for _ in range(5))))
    assert [record.getMessage() for record in caplog.records] == [
        "claim: the store does not answer, trying again: the store is away",
        "claim: the store answers again, after 5 failures",
    ]


async def test_contact_is_steady_since_the_first_answer_after_the_last_failure(
    naps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("stoker.worker.link.time", SimpleNamespace(monotonic=lambda: now))
    link = Link(SpyDriver(), Random(1))
    assert not link.steady_for(timedelta(0))
    await link.call("claim", Store())
    assert link.steady_for(timedelta(0))
    now = 110.0
    assert link.steady_for(timedelta(seconds=10))
    assert not link.steady_for(timedelta(seconds=11))
    await link.call("claim", Store())
    assert link.steady_for(timedelta(seconds=10))
    await link.call("settle", Store(away()))
    assert not link.steady_for(timedelta(seconds=1))
    assert link.steady_for(timedelta(0))


async def test_a_call_that_is_cancelled_while_it_waits_ends() -> None:
    store = Store(*(away() for _ in range(1000)))
    task = asyncio.create_task(Link(SpyDriver(), Random(1)).call("claim", store))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_what_is_asked_once_is_not_repeated_and_answers_nothing_in_an_outage(
    naps: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(away(maybe_applied=True))
    assert await Link(SpyDriver(), Random(1)).once("reap", store) is None
    assert (store.calls, naps) == (1, [])
    assert [record.getMessage() for record in caplog.records] == [
        "reap: the store does not answer: the store is away"
    ]


async def test_what_is_asked_once_answers_as_the_store_does() -> None:
    assert await Link(SpyDriver(), Random(1)).once("reap", Store()) == "answer"


async def test_other_errors_of_what_is_asked_once_are_passed_on() -> None:
    with pytest.raises(DriverClosed):
        await Link(SpyDriver(), Random(1)).once("reap", Store(DriverClosed("closed")))


async def test_contact_is_not_steady_after_an_outage_of_what_is_asked_once() -> None:
    link = Link(SpyDriver(), Random(1))
    await link.call("claim", Store())
    assert link.steady_for(timedelta(0))
    await link.once("reap", Store(away()))
    assert not link.steady_for(timedelta(0))
    await link.call("claim", Store())
    assert link.steady_for(timedelta(0))
