"""An enqueue that waits for replicas: what it says when they cannot be asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from stoker.driver import EnqueueStatus, JobKey, JobState, NewJob, Want
from stoker.errors import DriverUnavailable
from stoker_redis import RedisDriver, _nodes

KEY = JobKey("q", "1")
JOB = NewJob(KEY, "a.b", nonce="1")

Change = Callable[[str, str], None]


async def test_a_job_that_is_stored_is_never_said_not_to_be(
    connect: Any, settings: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = await connect(replicas=1)
    exchange = _nodes.exchange

    async def and_then_the_memory_is_full(link: Any, calls: Any, *first: Any) -> list[Any]:
        answers = await exchange(link, calls, *first)
        if calls[0].script.name == "enqueue":
            settings("maxmemory", "1mb")
        return answers

    monkeypatch.setattr(_nodes, "exchange", and_then_the_memory_is_full)
    with pytest.raises(DriverUnavailable) as caught:
        await driver.enqueue([JOB])
    assert caught.value.maybe_applied
    assert await driver.states([KEY]) == [JobState.READY]


async def test_without_enough_replicas_a_job_is_stored_and_its_enqueue_fails(
    connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_nodes, "_REPLICA_SECONDS", 0.01)
    driver = await connect(replicas=1)
    for _ in range(2):  # sent again, it is stored already, and still waits
        with pytest.raises(DriverUnavailable, match="only 0 of 1 replicas") as caught:
            await driver.enqueue([JOB])
        assert caught.value.maybe_applied
    careless = await connect()
    assert (await careless.enqueue([JOB]))[0].status is EnqueueStatus.INSERTED


async def test_a_server_that_has_to_have_replicas_takes_no_job_without_them(
    driver: RedisDriver, settings: Change
) -> None:
    await driver.enqueue([JOB])
    settings("min-replicas-to-write", "1")
    for call in (
        driver.enqueue([NewJob(JobKey("q", "2"), "a.b")]),
        driver.claim([Want("q", 1)], worker="w", lease=timedelta(minutes=1)),
    ):
        with pytest.raises(DriverUnavailable, match="NOREPLICAS") as caught:
            await call
        assert not caught.value.maybe_applied
    assert await driver.states([KEY, JobKey("q", "2")]) == [JobState.READY, None]
