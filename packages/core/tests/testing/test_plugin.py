"""The fixtures that come with the installed package."""

from datetime import UTC, datetime

from stoker import Router
from stoker.testing import ManualClock, assert_scheduled
from stoker.testing.plugin import MakeApp

ROUTER = Router[str]("r")


@ROUTER.job
async def job(payload: int, context: str) -> str:
    return context * payload


def test_the_manual_clock_stands_still(manual_clock: ManualClock) -> None:
    assert manual_clock.now() == datetime(2030, 1, 1, tzinfo=UTC)


async def test_an_app_is_in_memory_and_on_the_clock_of_the_test(
    stoker_app: MakeApp, manual_clock: ManualClock
) -> None:
    async with stoker_app([ROUTER], context="ab") as app:
        assert app.clock is manual_clock
        assert app.driver.info.name == "memory"
        handle = await app.schedule(job, 2, delay=60)
        await assert_scheduled(app, job, 2, count=1)
        await manual_clock.advance(60)
        assert await app.run_until_idle() == 1
        assert await handle.result(1) == "abab"


async def test_two_apps_of_a_test_do_not_share_their_jobs(stoker_app: MakeApp) -> None:
    async with stoker_app([ROUTER], context="a") as one, stoker_app([ROUTER], context="b") as two:
        await one.schedule(job, 1)
        assert await two.queues() == []


async def test_more_can_be_given(stoker_app: MakeApp) -> None:
    other = ManualClock(datetime(2040, 1, 1, tzinfo=UTC))
    app = stoker_app([ROUTER], driver="memory://shared", context="x", clock=other, prefix="test")
    assert app.clock is other
