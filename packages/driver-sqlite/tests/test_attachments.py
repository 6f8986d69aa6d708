"""What is kept beside the row of a job comes back as it was, and goes with the job."""

from __future__ import annotations

from datetime import timedelta

import pytest

from stoker.driver import (
    Complete,
    Extension,
    JobKey,
    KeepFor,
    NewJob,
    Retry,
    Settlement,
    Want,
)
from stoker.driver.times import IMMEDIATELY
from stoker_sqlite import SqliteDriver
from stoker_sqlite._enqueue import _LARGE

LEASE = timedelta(seconds=30)
KEY = JobKey("q", "1")

PAYLOADS = {
    "empty": b"",
    "small": '{"name": "Zoë \U0001f600 \\u0000 \\ud83d"}'.encode(),
    "control characters": b'"\t\x01\x1f\x7f\r\n"',
    "the largest in the row": b"x" * _LARGE,
    "the smallest beside it": b"x" * (_LARGE + 1),
    "a megabyte": b"x" * 1_048_576,
    "with a NUL": b'"a\0b"',
    "not UTF-8": b'"\xff\xfe"',
    "a lone surrogate": b'"\xed\xa0\x80"',
    "noncharacters": '"\ufffe\uffff\ufeff"'.encode(),
}


async def attachments(driver: SqliteDriver) -> list[tuple[str, int]]:
    assert driver._client is not None
    rows = await driver._client.reader.run(
        lambda tx: tx.cursor.execute(
            "select kind, count(*) from stoker_attachments group by kind order by kind"
        ).fetchall()
    )
    return list(rows)


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
async def test_a_payload_comes_back_byte_for_byte(driver: SqliteDriver, payload: bytes) -> None:
    keep = KeepFor(completed=timedelta(0))
    await driver.enqueue([NewJob(KEY, "a.b", payload, keep=keep, nonce="n")])
    await driver.enqueue([NewJob(KEY, "a.b", payload, keep=keep, nonce="n")])
    (record,) = await driver.get([KEY])
    assert record is not None
    assert record.payload == payload
    claimed = await driver.claim([Want("q", 1)], worker="w", lease=LEASE)
    assert claimed.leases[0].payload == payload
    await driver.settle([Settlement(claimed.leases[0].token, Complete())])
    assert await attachments(driver) == []


async def test_reports_are_bounded_and_go_with_the_job(driver: SqliteDriver) -> None:
    await driver.enqueue([NewJob(KEY, "a.b", max_attempts=100)])
    for attempt in range(15):
        claimed = await driver.claim([Want("q", 1)], worker="w", lease=LEASE)
        token = claimed.leases[0].token
        logs = [b"%d" % number for number in range(attempt, attempt + 150)]
        await driver.extend(
            [
                Extension(token, b"1"),
            ],
            lease=LEASE,
        )
        await driver.settle(
            [Settlement(token, Retry(IMMEDIATELY, b"%d" % attempt), progress=b"2", logs=logs)]
        )
    (record,) = await driver.get([KEY])
    assert record is not None
    assert record.progress == b"2"
    assert record.errors == tuple(b"%d" % attempt for attempt in range(5, 15))
    assert record.logs == tuple(b"%d" % number for number in range(64, 164))
    assert await attachments(driver) == [("error", 10), ("log", 100), ("progress", 1)]
    await driver.remove([KEY])
    assert await attachments(driver) == []
