"""How a worker is set up."""

from datetime import timedelta
from typing import Any

import pytest
from packages.core.tests.support import SpyDriver, make_site

from stoker import Router, Stoker, WorkerOptions
from stoker.errors import InvalidOption


def test_the_defaults_are_as_documented() -> None:
    options = WorkerOptions()
    assert options.concurrency == 10
    assert options.lease_time == timedelta(seconds=60)
    assert options.heartbeat_time == timedelta(seconds=20)
    assert options.grace_time == timedelta(seconds=30)
    assert options.park_time == timedelta(minutes=15)
    assert options.poll_time == timedelta(milliseconds=500)
    assert options.purge_time == timedelta(minutes=1)
    assert options.debug is False


def test_times_are_seconds_or_timedeltas() -> None:
    options = WorkerOptions(lease=timedelta(minutes=3), heartbeat=5, grace=0)
    assert options.lease_time == timedelta(minutes=3)
    assert options.heartbeat_time == timedelta(seconds=5)
    assert options.grace_time == timedelta(0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"concurrency": 0}, "concurrency=0: give a whole number of at least 1"),
        ({"concurrency": -1}, "concurrency=-1"),
        ({"concurrency": True}, "concurrency=True"),
        ({"lease": 0}, "lease=0: give more than zero seconds"),
        ({"lease": -1}, "lease=-1"),
        ({"heartbeat": 0}, "heartbeat=0: give more than zero"),
        ({"heartbeat": 20.1}, "heartbeat=20.1 is longer than a third of lease=60.0: .*Shorten"),
        ({"lease": 9, "heartbeat": 3.5}, "longer than a third of lease=9"),
        ({"grace": -1}, "grace=-1: give zero or more seconds"),
        ({"park": 0}, "park=0"),
        ({"poll": 0}, "poll=0"),
        ({"purge": 0}, "purge=0"),
        ({"purge": "often"}, "purge='often'"),
        ({"queues": []}, "queues is empty: name at least one, or leave it out"),
        ({"queues": {}}, "queues is empty"),
        ({"queues": "emails"}, "queues='emails': give a list of names"),
        ({"queues": ["a\nb"]}, "queue .* is not allowed"),
        ({"queues": {"a": 0}}, "the limit of queue 'a'=0: give a whole number of at least 1"),
    ],
)
def test_values_out_of_range_are_refused(options: Any, words: str) -> None:
    with pytest.raises(InvalidOption, match=words):
        WorkerOptions(**options)


def test_a_heartbeat_of_exactly_a_third_is_taken() -> None:
    assert WorkerOptions(lease=9, heartbeat=3).heartbeat_time == timedelta(seconds=3)


@pytest.mark.parametrize(
    ("queues", "limits"),
    [
        (None, {"default": 5, "other": 5}),
        (["a", "b"], {"a": 5, "b": 5}),
        (("a",), {"a": 5}),
        ({"a": 2, "b": 9}, {"a": 2, "b": 5}),
    ],
)
def test_queues_have_limits_of_their_own_within_the_whole(
    queues: Any, limits: dict[str, int]
) -> None:
    options = WorkerOptions(concurrency=5, queues=queues)
    assert options.limits(["default", "other"]) == limits
    assert options.limits(["default", "other"]) == limits


def test_a_worker_serves_every_queue_that_its_jobs_name_and_the_default_one() -> None:
    router = Router[object]("r", queue="reports")

    @router.job
    async def a() -> None: ...

    @router.job(queue="emails")
    async def b() -> None: ...

    site = make_site(SpyDriver(), [router], options=WorkerOptions(concurrency=3))
    assert site.queues == {"default": 3, "emails": 3, "reports": 3}


async def test_the_concurrency_of_a_drain_is_checked() -> None:
    async with Stoker("memory://", jobs=[]) as app:
        with pytest.raises(InvalidOption, match="concurrency=0"):
            await app.run_until_idle(concurrency=0)
