"""Which store a URL means, and how long that store lives."""

import pytest

from stoker.driver import Driver, JobKey, NewJob, Presence, Schedules, Wakeup
from stoker.errors import DriverClosed, InvalidInput
from stoker_memory import MemoryDriver

KEY = JobKey("mails", "one")


async def opened(url: str) -> MemoryDriver:
    driver = MemoryDriver.from_url(url)
    await driver.open()
    return driver


async def holds_the_job(driver: MemoryDriver) -> bool:
    return (await driver.get([KEY]))[0] is not None


async def test_a_url_without_a_name_means_a_store_of_its_own() -> None:
    one, other = await opened("memory://"), await opened("memory://")

    await one.enqueue([NewJob(KEY, "mails.send")])

    assert await holds_the_job(one)
    assert not await holds_the_job(other)


async def test_a_clone_shares_a_private_store_and_has_a_life_of_its_own() -> None:
    driver = await opened("memory://")
    twin = driver.clone()
    with pytest.raises(DriverClosed):
        await twin.queues()
    await twin.open()

    await driver.enqueue([NewJob(KEY, "mails.send")])
    await driver.close()

    assert await holds_the_job(twin)
    with pytest.raises(DriverClosed):
        await driver.queues()


async def test_equal_names_mean_one_store_and_other_names_others() -> None:
    one, same, other = [
        await opened(f"memory://{name}") for name in ("test-urls-a", "test-urls-a", "test-urls-b")
    ]

    await one.enqueue([NewJob(KEY, "mails.send")])

    assert await holds_the_job(same)
    assert not await holds_the_job(other)


async def test_a_named_store_outlives_its_clients() -> None:
    first = await opened("memory://test-urls-kept")
    await first.enqueue([NewJob(KEY, "mails.send")])
    await first.close()
    del first

    assert await holds_the_job(await opened("memory://test-urls-kept"))


async def test_a_private_store_is_there_again_when_its_driver_is_opened_again() -> None:
    driver = await opened("memory://")
    await driver.enqueue([NewJob(KEY, "mails.send")])

    await driver.close()
    await driver.open()

    assert await holds_the_job(driver)


def test_names_are_percent_decoded_and_keep_their_case() -> None:
    def store(url: str) -> object:
        return MemoryDriver(url)._store

    assert store("memory://Ab%20c") is store("memory://Ab%20c/")
    assert store("memory://Ab%20c") is not store("memory://ab%20c")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "memory",
        "memory:",
        "memory:name",
        "redis://name",
        "memory://name/0",
        "memory://name#part",
        "memory://a%00b",
        "memory://" + "n" * 256,
    ],
)
def test_a_url_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        MemoryDriver(url)


def test_unknown_parameters_are_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match=r"size, ttl.*takes no parameters"):
        MemoryDriver("memory://name?ttl=5&size=")


def test_the_driver_has_every_protocol_that_its_capabilities_promise() -> None:
    driver: Driver = MemoryDriver()
    wakeup: Wakeup = MemoryDriver()
    schedules: Schedules = MemoryDriver()
    presence: Presence = MemoryDriver()

    assert {str(power) for power in driver.info.capabilities} == {
        "wakeup", "schedule", "unique", "priority", "results", "presence",
    }  # fmt: skip
    assert all((wakeup, schedules, presence))
