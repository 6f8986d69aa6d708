"""What is handed out never changes, and what is handed in is the store's own from then on."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import cast

from stoker.driver import (
    IMMEDIATELY,
    Complete,
    Extension,
    JobKey,
    JobQuery,
    NewJob,
    Retry,
    Settlement,
    Want,
)
from stoker_memory import MemoryDriver

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=30)
KEY = JobKey("mails", "one")


def job() -> NewJob:
    return NewJob(
        KEY,
        "mails.send",
        b'{"to": "ada"}',
        max_attempts=3,
        tags=("b", "a", "b"),
        metadata={"customer": "ada"},
        headers={"traceparent": "00-1"},
    )


async def test_records_and_leases_stay_as_they_were_when_the_job_goes_on(
    driver: MemoryDriver,
) -> None:
    await driver.enqueue([job()], now=NOW)
    [first] = await driver.get([KEY])
    claimed = await driver.claim([Want("mails", 1)], worker="w", lease=LEASE, now=NOW)
    [lease] = claimed.leases
    page = await driver.search("mails", JobQuery())
    handed_out = [first, lease, page]
    before = deepcopy(handed_out)

    await driver.extend([Extension(lease.token, b"50", [b"half"])], lease=2 * LEASE, now=NOW)
    await driver.cancel([KEY], reason="no more", now=NOW)
    await driver.settle([Settlement(lease.token, Retry(IMMEDIATELY, b'"oops"'), b"60")], now=NOW)
    await driver.retry([KEY], now=NOW + LEASE)

    assert handed_out == before


async def test_the_dictionaries_of_a_request_are_copied(driver: MemoryDriver) -> None:
    metadata, headers = {"customer": "ada"}, {"traceparent": "00-1"}
    await driver.enqueue([NewJob(KEY, "mails.send", metadata=metadata, headers=headers)])

    metadata["customer"] = headers["traceparent"] = "spoiled"

    [record] = await driver.get([KEY])
    assert record is not None
    assert record.metadata == {"customer": "ada"}
    assert record.headers == {"traceparent": "00-1"}


async def test_a_handler_that_writes_into_its_lease_spoils_only_its_own_copy(
    driver: MemoryDriver,
) -> None:
    plain = JobKey("mails", "plain")
    await driver.enqueue([job(), NewJob(plain, "mails.send")])
    claimed = await driver.claim([Want("mails", 2)], worker="w", lease=LEASE)

    for lease in claimed.leases:
        cast("dict[str, str]", lease.metadata)["customer"] = "spoiled"
        cast("dict[str, str]", lease.headers)["traceparent"] = "spoiled"

    rich, empty = await driver.get([KEY, plain])
    assert rich is not None
    assert empty is not None
    assert (rich.metadata, rich.headers) == ({"customer": "ada"}, {"traceparent": "00-1"})
    assert (empty.metadata, empty.headers) == ({}, {})


async def test_a_payload_comes_back_as_the_very_same_bytes(driver: MemoryDriver) -> None:
    payload = b'{"a":1.0,"a":1e0,  "b":"\\u0000 \xc3\xa9"}'
    await driver.enqueue([NewJob(KEY, "mails.send", payload)])

    claimed = await driver.claim([Want("mails", 1)], worker="w", lease=LEASE)

    assert claimed.leases[0].payload is payload
    await driver.settle([Settlement(claimed.leases[0].token, Complete())])
    [record] = await driver.get([KEY])
    assert record is not None
    assert record.payload is payload
