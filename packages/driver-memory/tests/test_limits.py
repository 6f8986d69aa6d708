"""What this driver promises beyond the contract: it does not grow, and no time is too far."""

from datetime import UTC, datetime, timedelta

from stoker.driver import (
    After,
    At,
    FireStatus,
    JobKey,
    JobState,
    KeepFor,
    NewJob,
    Retention,
    Unique,
    Want,
)
from stoker_memory import MemoryDriver

QUEUE = "mails"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


async def test_expired_keys_do_not_pile_up_without_a_purge(driver: MemoryDriver) -> None:
    not_kept = KeepFor(cancelled=timedelta(0))
    for number in range(500):
        key = JobKey(QUEUE, f"{number}")
        unique = Unique(f"window-{number}", until=After(SECOND))
        now = NOW + number * SECOND
        await driver.enqueue([NewJob(key, "mails.send", unique=unique, keep=not_kept)], now=now)
        await driver.cancel([key], reason="no more", now=now)

    assert len(driver._store.queues[QUEUE].keys._holds) <= 2


async def test_a_purge_forgets_expired_keys_and_does_not_count_them(driver: MemoryDriver) -> None:
    unique = Unique("window", until=After(SECOND))
    await driver.enqueue([NewJob(JobKey(QUEUE, "one"), "mails.send", unique=unique)], now=NOW)

    assert await driver.purge(QUEUE, Retention(), limit=1, now=NOW + SECOND) == 0

    assert not driver._store.queues[QUEUE].keys._holds
    [record] = await driver.get([JobKey(QUEUE, "one")])
    assert record is not None
    assert record.unique_key == "window"


async def test_a_job_that_is_moved_again_and_again_takes_one_place(driver: MemoryDriver) -> None:
    key = JobKey(QUEUE, "one")
    await driver.enqueue([NewJob(key, "mails.send", run_at=After(SECOND))], now=NOW)
    for number in range(1_000):
        await driver.reschedule([key], After(number * SECOND), now=NOW)

    queue = driver._store.queues[QUEUE]
    assert queue.count(JobState.SCHEDULED) + queue.count(JobState.READY) == 1


async def test_a_lease_that_ends_beyond_the_calendar_is_shown_with_its_last_moment(
    driver: MemoryDriver,
) -> None:
    last = datetime.max.replace(tzinfo=UTC)
    await driver.enqueue([NewJob(JobKey(QUEUE, "one"), "mails.send")], now=last)

    claimed = await driver.claim([Want(QUEUE, 1)], worker="w", lease=SECOND, now=last)

    assert [lease.expires_at for lease in claimed.leases] == [last]


async def test_a_queue_that_was_only_asked_about_is_not_remembered(driver: MemoryDriver) -> None:
    await driver.claim([Want(QUEUE, 1)], worker="w", lease=SECOND)
    await driver.stats([QUEUE])
    await driver.pause(QUEUE, False)
    await driver.promote([QUEUE], limit=1)

    assert not driver._store.queues


async def test_a_fire_meant_for_a_removed_schedule_does_not_fit_its_successor(
    driver: MemoryDriver,
) -> None:
    old = await driver.put_schedule(QUEUE, "daily", b'"old"', At(NOW), now=NOW)
    await driver.remove_schedule(QUEUE, "daily")
    await driver.put_schedule(QUEUE, "daily", b'"new"', At(NOW), now=NOW)

    fired = await driver.fire_schedule(QUEUE, "daily", old.version, None, [], now=NOW)

    assert fired.status is FireStatus.CONFLICT
