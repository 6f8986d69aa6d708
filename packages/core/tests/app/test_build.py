"""From a call to what the store is asked to keep."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from packages.core.tests.support import SpyDriver, entry_of

from stoker import CallOptions, JobOptions, JobState, Router, Stoker, Unique
from stoker.app.build import build
from stoker.driver import At, JobKey, KeepFor, NewJob
from stoker.errors import InvalidOption, InvalidPayload, PayloadTooLarge, Unsupported
from stoker.router.options import DEFAULTS
from stoker.testing import ManualClock

INFO = SpyDriver().info
ROUTER = Router[object]("r", attempts=2)


@ROUTER.job(timeout=30)
async def job(payload: dict[str, int]) -> None: ...


def made(payload: Any = None, prefix: str = "", **options: Any) -> NewJob:
    return build(
        entry_of(ROUTER),
        {} if payload is None else payload,
        CallOptions(**options),  # type: ignore[typeddict-item]
        prefix=prefix,
        info=INFO,
    )


def test_a_plain_call_carries_the_jobs_settings() -> None:
    new = made({"a": 1})
    assert new == NewJob(
        key=JobKey("default", new.key.id),
        name="r.job",
        payload=b'{"a":1}',
        max_attempts=2,
        timeout=timedelta(seconds=30),
        nonce=new.key.id,
    )
    assert UUID(new.key.id).version == 7


CALLS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"attempts": 5}, {"max_attempts": 5}),
    ({"timeout": None}, {"timeout": None}),
    (
        {"expires": datetime(2030, 1, 1, tzinfo=UTC)},
        {"expires": At(datetime(2030, 1, 1, tzinfo=UTC))},
    ),
    ({"priority": 9}, {"priority": 9}),
    ({"queue": "other"}, {"key": JobKey("other", "7"), "job_id": "7"}),
    ({"max_crashes": 0}, {"max_crashes": 0}),
    ({"keep_completed": False}, {"keep": KeepFor(completed=timedelta(0))}),
    ({"keep_failed": 5}, {"keep": KeepFor(failed=timedelta(seconds=5))}),
    ({"keep_cancelled": 5}, {"keep": KeepFor(cancelled=timedelta(seconds=5))}),
    ({"unique": Unique("k")}, {"unique": Unique("k").of("r.job", None, b"")}),
    ({"tags": ["a", "b"]}, {"tags": ("a", "b")}),
    ({"metadata": {"k": "v"}}, {"metadata": {"k": "v"}}),
    ({"at": datetime(2030, 1, 1, tzinfo=UTC)}, {"run_at": At(datetime(2030, 1, 1, tzinfo=UTC))}),
]


@pytest.mark.parametrize(("options", "changed"), CALLS, ids=lambda v: str(list(v)))
def test_every_option_of_a_call_reaches_the_store(
    options: dict[str, Any], changed: dict[str, Any]
) -> None:
    expected = {name: value for name, value in changed.items() if name != "job_id"}
    new = made(job_id="7", **options)
    plain = made(job_id="7")
    for field in NewJob.__slots__:  # type: ignore[attr-defined]
        if field != "nonce":
            assert getattr(new, field) == expected.get(field, getattr(plain, field)), field


def test_no_option_that_is_fixed_when_scheduled_is_left_out_above() -> None:
    # Backoff and retry_on come from the code that runs; `test_exactly.py` shows their effect.
    tested = {name for options, _ in CALLS for name in options}
    assert tested == (DEFAULTS.keys() - {"backoff", "retry_on"}) | {"at"}


def test_an_id_of_the_callers_own_has_a_new_nonce_each_time_so_that_a_second_call_shows() -> None:
    one, other = made(job_id="mine"), made(job_id="mine")
    assert one.key == other.key == JobKey("default", "mine")
    assert one.nonce
    assert one.nonce != other.nonce


def test_the_prefix_is_part_of_the_queue_only() -> None:
    new = made(prefix="prod:")
    assert new.key.queue == "prod:default"
    assert new.name == "r.job"


@pytest.mark.parametrize("wrong", ["", "a\nb", "x" * 256, 5])
def test_an_id_that_the_store_could_not_keep_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidOption, match=r"job_id.*(1 to 255 bytes|give text)"):
        made(job_id=wrong)


def test_a_payload_that_is_too_large_is_refused_with_a_remedy() -> None:
    with pytest.raises(PayloadTooLarge) as caught:
        made({"x" * INFO.max_payload: 1})
    assert str(caught.value) == (
        "the payload of r.job is 1,048,582 bytes; memory takes at most 1,048,576: store large "
        "data elsewhere and pass a reference to it"
    )


def test_a_job_without_input_refuses_one() -> None:
    router = Router[object]("r")

    @router.job
    async def job() -> None: ...

    with pytest.raises(InvalidPayload, match="job takes no input, and was given 5"):
        build(entry_of(router), 5, {}, prefix="", info=INFO)
    assert build(entry_of(router), None, {}, prefix="", info=INFO).payload == b"null"


async def test_a_call_that_needs_what_the_driver_has_not_stores_nothing() -> None:
    from stoker import Capability

    driver = SpyDriver(without=[Capability.PRIORITY, Capability.UNIQUE])
    router = Router[object]("r")

    @router.job
    async def job() -> None: ...

    async with Stoker(driver, jobs=[router]) as app:
        wrong: list[CallOptions] = [{"priority": 9}, {"unique": Unique("k")}]
        for options in wrong:
            with pytest.raises(Unsupported, match="memory cannot keep"):
                await app.schedule(job, **options)
        assert await app.queues() == []


async def test_a_delayed_job_is_stored_as_scheduled_for_its_time(clock: ManualClock) -> None:
    router = Router[object]("r")

    @router.job
    async def job() -> None: ...

    async with Stoker("memory://", jobs=[router], clock=clock, defaults=JobOptions()) as app:
        handle = await app.schedule(job, delay=timedelta(hours=1))
        record = await handle.record()
        assert record is not None
        assert record.state is JobState.SCHEDULED
        assert record.run_at == clock.now() + timedelta(hours=1)
