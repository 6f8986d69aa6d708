"""Pages of this driver: bounded in work, in the order of insertion."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from stoker.driver import JobKey, JobQuery, KeepFor, NewJob, Page
from stoker.errors import InvalidInput
from stoker_memory import MemoryDriver

QUEUE = "mails"
NOT_KEPT = KeepFor(cancelled=timedelta(0))


def keys(numbers: range) -> list[JobKey]:
    # Ids that sort against the order of their insertion.
    return [JobKey(QUEUE, f"{9_999 - number:04}") for number in numbers]


async def fill(driver: MemoryDriver, count: int) -> None:
    for start in range(0, count, 1_000):
        batch = keys(range(start, min(start + 1_000, count)))
        await driver.enqueue([NewJob(key, "mails.send", keep=NOT_KEPT) for key in batch])


async def pages(driver: MemoryDriver, query: JobQuery) -> AsyncIterator[Page]:
    page = await driver.search(QUEUE, query)
    yield page
    while page.cursor is not None:
        page = await driver.search(QUEUE, query, page.cursor)
        yield page


async def found(driver: MemoryDriver, query: JobQuery) -> list[JobKey]:
    return [record.key async for page in pages(driver, query) for record in page.records]


@pytest.mark.parametrize("newest_first", [False, True])
async def test_a_scan_of_many_pages_sees_every_job_once_in_order(
    driver: MemoryDriver, newest_first: bool
) -> None:
    await fill(driver, 2_500)

    seen = await found(driver, JobQuery(limit=7, newest_first=newest_first))

    expected = keys(range(2_500))
    assert seen == (expected[::-1] if newest_first else expected)


@pytest.mark.parametrize("newest_first", [False, True])
async def test_a_scan_goes_on_from_a_job_that_was_removed_meanwhile(
    driver: MemoryDriver, newest_first: bool
) -> None:
    await fill(driver, 1_500)
    query = JobQuery(limit=600, newest_first=newest_first)
    first = await driver.search(QUEUE, query)

    # The job that the cursor names, its neighbours, and a whole stretch beyond them.
    await driver.remove(keys(range(300, 1_200)))
    rest = await driver.search(QUEUE, query, first.cursor)

    beyond = keys(range(1_200, 1_500)) if not newest_first else keys(range(300))[::-1]
    assert [record.key for record in rest.records] == beyond
    assert rest.cursor is None


async def test_one_call_looks_at_a_thousand_jobs_and_hands_back_where_to_go_on(
    driver: MemoryDriver,
) -> None:
    await fill(driver, 2_500)
    nobody = JobQuery(names=frozenset({"nobody"}))

    calls = [page async for page in pages(driver, nobody)]

    assert [page.records for page in calls] == [[], [], []]
    assert [page.cursor for page in calls] == ["1000", "2000", None]


async def test_named_jobs_are_looked_up_and_not_searched_for(driver: MemoryDriver) -> None:
    await fill(driver, 2_500)
    wanted = keys(range(2_400, 2_500, 40))
    query = JobQuery(ids=frozenset({key.id for key in wanted} | {"unknown"}), limit=2)

    calls = [page async for page in pages(driver, query)]

    assert [[record.key for record in page.records] for page in calls] == [wanted[:2], wanted[2:]]
    newest_first = JobQuery(ids=query.ids, limit=2, newest_first=True)
    assert await found(driver, newest_first) == wanted[::-1]


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "²", "9" * 30])
async def test_what_is_not_a_cursor_is_refused(driver: MemoryDriver, cursor: str) -> None:
    await fill(driver, 1)
    with pytest.raises(InvalidInput, match="cursor"):
        await driver.search(QUEUE, JobQuery(), cursor)
