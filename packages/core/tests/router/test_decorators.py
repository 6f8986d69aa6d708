"""The decorators that make jobs."""

from datetime import timedelta
from typing import Any

import pytest

from stoker import Cron, Every, Job, JobRun, Router
from stoker.errors import InvalidHandler, InvalidOption


def test_the_decorator_works_bare_with_options_and_with_empty_parentheses() -> None:
    router = Router[object]("r")

    @router.job
    async def bare() -> None: ...

    @router.job()
    async def empty() -> None: ...

    @router.job(attempts=3, name="other")
    async def given() -> None: ...

    assert list(router.jobs) == ["bare", "empty", "other"]
    assert bare.options == empty.options == {}
    assert given.options == {"attempts": 3}
    assert given.name == "other"


def test_one_decorator_with_options_makes_many_jobs() -> None:
    router = Router[object]("r")
    careful = router.job(attempts=5)

    async def a() -> None: ...
    async def b() -> None: ...

    assert careful(a).options == careful(b).options == {"attempts": 5}
    assert careful(timeout=3)(none).options == {"attempts": 5, "timeout": 3}


async def none() -> None: ...


async def test_the_job_stays_callable_as_the_function_it_was() -> None:
    router = Router[str]("r")

    @router.job(attempts=3)
    async def send(payload: int, context: str) -> str:
        """Send it."""
        return context * payload

    @router.job
    def plain(payload: int) -> int:
        return payload + 1

    assert await send(2, "ab") == "abab"
    assert plain(1) == 2
    assert (send.__name__, send.__doc__) == ("send", "Send it.")
    assert repr(send) == "<Job send>"


def test_a_call_is_pure_data() -> None:
    router = Router[object]("r")

    @router.job
    async def send(payload: int) -> None: ...

    call = send.call(3, delay=5)
    assert (call.job, call.payload, call.options) == (send, 3, {"delay": 5})


def test_a_function_given_together_with_options_says_the_order() -> None:
    router = Router[object]("r")
    job: Any = router.job
    with pytest.raises(InvalidHandler, match=r"give the options first: @router.job\(attempts=3\)"):
        job(none, attempts=3)
    assert router.jobs == {}


def test_a_job_that_is_refused_is_not_registered() -> None:
    router = Router[object]("r")

    def four(a: int, b: int, c: int, d: int) -> None: ...

    with pytest.raises(InvalidHandler):
        router.job(four)  # type: ignore[arg-type]
    with pytest.raises(InvalidOption):
        router.job(attempts=0)(none)
    assert router.jobs == {}


def test_recurring_jobs_carry_their_rule() -> None:
    router = Router[object]("r")

    @router.cron("0 9 * * 1-5", tz="Europe/Berlin", attempts=2)
    async def morning() -> None: ...

    @router.every(timedelta(minutes=5), name="beat")
    def often(payload: None, context: object, job: JobRun) -> None: ...

    assert isinstance(morning.recurrence, Cron)
    assert morning.recurrence.describe() == {"cron": "0 9 * * 1-5", "tz": "Europe/Berlin"}
    assert morning.options == {"attempts": 2}
    assert isinstance(often.recurrence, Every)
    assert often.recurrence.interval == timedelta(minutes=5)
    assert list(router.jobs) == ["morning", "beat"]


def test_a_job_made_by_hand_recurs_not() -> None:
    router = Router[object]("r")
    assert isinstance(router.job(none), Job)
    assert router.jobs["none"].recurrence is None


def test_a_recurring_job_that_wants_an_input_is_refused() -> None:
    router = Router[object]("r")

    async def greedy(payload: int) -> None: ...

    with pytest.raises(InvalidHandler, match=r"greedy recurs by itself.*annotate its first"):
        router.every(5)(greedy)  # type: ignore[arg-type]
    assert router.jobs == {}


def test_a_recurring_job_may_leave_its_first_parameter_without_annotation() -> None:
    router = Router[object]("r")

    async def loose(payload, context):  # type: ignore[no-untyped-def]
        ...

    assert router.every(5)(loose).name == "loose"


def test_a_wrong_rule_is_refused_when_the_decorator_is_made() -> None:
    router = Router[object]("r")
    with pytest.raises(InvalidOption):
        router.cron("never")
    with pytest.raises(InvalidOption):
        router.every(0)
