"""Keeping leases alive."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from packages.core.tests.support import (
    START,
    SpyDriver,
    away,
    hold_back,
    make_site,
    soon,
    turns,
    until,
)

from stoker import WorkerOptions
from stoker.driver import (
    Extended,
    ExtendStatus,
    Extension,
    JobKey,
    JobRecord,
    Lease,
    NewJob,
    Token,
    Want,
)
from stoker.testing import ManualClock
from stoker.worker import heartbeat as module
from stoker.worker.heartbeat import Heartbeat
from stoker.worker.held import HeldLeases
from stoker.worker.link import Link


class Busy(SpyDriver):
    """Answers that some records are held by another transaction, for a while."""

    busy = 0

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        if self.busy:
            self.busy -= 1
            self._note("extend", list(items))
            return [Extended(ExtendStatus.BUSY) for _ in items]
        return await super().extend(items, lease=lease, now=now)


class Harness:
    def __init__(self, driver: Busy) -> None:
        self.driver = driver
        self.held = HeldLeases()
        self.learned: list[tuple[Token, Extended]] = []
        self.site = make_site(driver, options=WorkerOptions(lease=600), clock=ManualClock(START))
        self.heartbeat = Heartbeat(
            self.site,
            Link(driver, Random(1)),
            self.held,
            lambda token, answer: self.learned.append((token, answer)),
        )
        self.deaths: list[Any] = []

    async def claim(self, count: int) -> list[Lease]:
        for n in range(count):
            await self.driver.enqueue([NewJob(JobKey("q", f"{n}"), "r.job")], now=START)
        claimed = await self.driver.claim(
            [Want("q", count)], worker="w", lease=timedelta(minutes=1), now=START
        )
        for lease in claimed.leases:
            self.held.add(lease.token)
        return sorted(claimed.leases, key=lambda lease: lease.token.key.id)

    async def record(self, job_id: str) -> JobRecord:
        (record,) = await self.driver.get([JobKey("q", job_id)])
        assert record is not None
        return record

    async def until_sent(self, calls: int) -> list[list[Extension]]:
        await until(lambda: len(self.driver.calls.get("extend", [])) >= calls)
        return self.driver.calls["extend"]


@pytest.fixture
async def harness(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Harness]:
    monkeypatch.setattr(module, "_BUSY_PAUSE", 0.0)
    harness = Harness(Busy())
    await harness.driver.open()
    harness.heartbeat.start(lambda *death: harness.deaths.append(death))
    yield harness
    await harness.heartbeat.stop()
    assert harness.deaths == []


async def test_a_beat_extends_every_lease_by_the_length_of_a_lease(harness: Harness) -> None:
    await harness.claim(3)
    await harness.heartbeat.beat()
    (items,) = await harness.until_sent(1)
    assert len(items) == 3
    assert (await harness.record("0")).expires_at == START + timedelta(minutes=10)
    assert harness.learned == []


async def test_a_report_is_stored_without_waiting_for_the_beat_and_alone(harness: Harness) -> None:
    one, _ = await harness.claim(2)
    harness.held.report(one.token, progress=b"50", entry=b'"a"')
    (items,) = await harness.until_sent(1)
    assert items == [Extension(one.token, b"50", [b'"a"'])]
    record = await harness.record("0")
    assert (record.progress, record.logs) == (b"50", (b'"a"',))


async def test_a_report_from_a_thread_is_stored_too(harness: Harness) -> None:
    (lease,) = await harness.claim(1)
    await asyncio.to_thread(harness.held.report, lease.token, progress=b"50")
    await harness.until_sent(1)
    assert (await harness.record("0")).progress == b"50"


async def test_a_beat_asked_for_extends_all(harness: Harness) -> None:
    await harness.claim(2)
    harness.heartbeat.beat_now()
    (items,) = await harness.until_sent(1)
    assert len(items) == 2


async def test_a_requested_cancel_is_learned_with_its_reason(harness: Harness) -> None:
    one, _ = await harness.claim(2)
    await harness.driver.cancel([one.token.key], reason="enough", now=START)
    await harness.heartbeat.beat()
    assert harness.learned == [(one.token, Extended(ExtendStatus.EXTENDED, "enough"))]


async def test_a_lost_lease_is_learned(harness: Harness) -> None:
    one, _ = await harness.claim(2)
    await harness.driver.remove([one.token.key])
    await harness.heartbeat.beat()
    assert [(token, answer.status) for token, answer in harness.learned] == [
        (one.token, ExtendStatus.GONE)
    ]


async def test_a_busy_record_is_asked_again_with_its_report(harness: Harness) -> None:
    (lease,) = await harness.claim(1)
    harness.driver.busy = 2
    harness.held.report(lease.token, progress=b"50")
    sent = await harness.until_sent(3)
    assert sent == [[Extension(lease.token, b"50", [])]] * 3
    assert (await harness.record("0")).progress == b"50"
    assert harness.learned == []


async def test_a_record_that_stays_busy_keeps_its_report_for_the_next_beat(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BUSY_PATIENCE", 0.0)
    (lease,) = await harness.claim(1)
    harness.driver.busy = 1
    harness.held.report(lease.token, progress=b"50")
    await harness.until_sent(1)
    await asyncio.sleep(0)
    await harness.heartbeat.beat()
    assert (await harness.record("0")).progress == b"50"


async def test_an_outage_loses_no_report(harness: Harness) -> None:
    (lease,) = await harness.claim(1)
    harness.driver.failures["extend"] = [away()]
    harness.held.report(lease.token, progress=b"50")
    await harness.until_sent(2)
    assert (await harness.record("0")).progress == b"50"


async def test_a_heartbeat_that_is_stopped_during_an_outage_gives_its_reports_back(
    harness: Harness,
) -> None:
    (lease,) = await harness.claim(1)
    harness.driver.raises_always["extend"] = away()
    harness.held.report(lease.token, progress=b"50")
    await harness.until_sent(1)
    await harness.heartbeat.stop()
    reports = harness.held.remove(lease.token)
    assert reports is not None
    assert reports.progress == b"50"


async def test_one_beat_at_a_time_is_sent(harness: Harness) -> None:
    (lease,) = await harness.claim(1)
    asked, go = hold_back(harness.driver, "extend")
    harness.held.report(lease.token, entry=b'"a"')
    await soon(asked.wait())
    asked.clear()
    harness.held.report(lease.token, entry=b'"b"')
    beats = [asyncio.create_task(harness.heartbeat.beat()) for _ in range(2)]
    await turns()
    assert not asked.is_set()
    go.set()
    await soon(asyncio.gather(*beats))
    assert (await harness.record("0")).logs == (b'"a"', b'"b"')


async def test_a_report_has_landed_when_the_store_has_answered(harness: Harness) -> None:
    (lease,) = await harness.claim(1)
    asked, go = hold_back(harness.driver, "extend")
    harness.held.report(lease.token, entry=b'"a"')
    await soon(asked.wait())
    landing = asyncio.create_task(harness.held.landed(lease.token))
    await turns()
    assert not landing.done()
    go.set()
    await soon(landing)
    assert harness.held.remove(lease.token, also_under_way=True) is None


async def test_a_report_of_a_lost_lease_has_landed_too(harness: Harness) -> None:
    (lease,) = await harness.claim(1)
    await harness.driver.remove([lease.token.key])
    harness.held.report(lease.token, entry=b'"a"')
    await until(lambda: harness.learned)
    await soon(harness.held.landed(lease.token))


@pytest.mark.parametrize("busy", [0, 1], ids=["before an answer", "in the pause of a busy record"])
async def test_a_heartbeat_that_is_stopped_gives_all_its_reports_back(
    monkeypatch: pytest.MonkeyPatch, busy: int
) -> None:
    monkeypatch.setattr(module, "_BUSY_PAUSE", 60.0)
    harness = Harness(Busy(max_batch=1))
    await harness.driver.open()
    leases = await harness.claim(3)
    for lease in leases:
        harness.held.report(lease.token, entry=b'"a"')
    harness.heartbeat.beat_now()
    if busy:
        harness.driver.busy = len(leases)
        harness.heartbeat.start(lambda *death: harness.deaths.append(death))
        await harness.until_sent(len(leases))
    else:
        asked, _ = hold_back(harness.driver, "extend")
        harness.heartbeat.start(lambda *death: harness.deaths.append(death))
        await soon(asked.wait())
    await harness.heartbeat.stop()
    for lease in leases:
        await soon(harness.held.landed(lease.token))
        reports = harness.held.remove(lease.token)
        assert reports is not None
        assert reports.logs == [b'"a"']


async def test_extensions_are_cut_into_what_the_store_takes() -> None:
    harness = Harness(Busy(max_batch=4, max_batch_bytes=100))
    await harness.driver.open()
    leases = await harness.claim(10)
    await harness.heartbeat.beat()
    assert [len(items) for items in harness.driver.calls["extend"]] == [4, 4, 2]
    harness.driver.calls.clear()
    for lease in leases[:3]:
        harness.held.report(lease.token, entry=b'"' + b"x" * 48 + b'"')
    await harness.heartbeat.beat()
    assert (
        max(
            sum(len(entry) for item in items for entry in item.logs)
            for items in harness.driver.calls["extend"]
        )
        <= 100
    )


async def test_the_beat_comes_by_itself_at_its_interval() -> None:
    driver = Busy()
    harness = Harness(driver)
    harness.site.options = WorkerOptions(lease=0.3, heartbeat=0.01)  # type: ignore[misc]
    await driver.open()
    await harness.claim(1)
    harness.heartbeat.start(lambda *_: None)
    await harness.until_sent(3)
    await harness.heartbeat.stop()


async def test_a_record_that_stays_busy_does_not_make_the_other_leases_stale(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BUSY_PATIENCE", 0.0)
    await harness.claim(1)
    harness.driver.busy = 1
    await harness.heartbeat.beat()
    assert harness.driver.busy == 0
    assert harness.heartbeat.extended_within(timedelta(days=1))


async def test_leases_are_fresh_from_the_moment_at_which_a_whole_beat_began(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    driver = Busy()
    harness = Harness(driver)
    await driver.open()
    (lease,) = await harness.claim(1)
    asked, go = hold_back(driver, "extend")
    assert not harness.heartbeat.extended_within(timedelta(days=1))
    beat = asyncio.create_task(harness.heartbeat.beat())
    await asked.wait()
    now[0] += 3
    assert not harness.heartbeat.extended_within(timedelta(days=1))
    go.set()
    await beat
    assert harness.heartbeat.extended_within(timedelta(seconds=3))
    assert not harness.heartbeat.extended_within(timedelta(seconds=2.9))
    # Reports alone are sent with an extension of their lease only.
    now[0] += 3
    harness.held.report(lease.token, progress=b"1")
    await harness.heartbeat._extend(only_reports=True)
    assert not harness.heartbeat.extended_within(timedelta(seconds=3))
