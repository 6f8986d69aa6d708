"""Recurring times."""

import json
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stoker import Cron, Every
from stoker.errors import InvalidOption

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    """A moment, in UTC unless the text says otherwise."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def ticks(cron: Cron, start: str, count: int) -> list[datetime]:
    """The first ticks after `start`."""
    found: list[datetime] = []
    moment: datetime | None = at(start)
    for _ in range(count):
        assert moment is not None
        moment = cron.first(moment)
        assert moment is not None
        found.append(moment)
    return found


def local(cron: Cron, start: str, count: int) -> list[str]:
    """The first ticks after `start`, as clocks in Berlin show them."""
    return [tick.astimezone(BERLIN).isoformat()[:16] for tick in ticks(cron, start, count)]


def test_an_expression_is_meant_in_utc_unless_it_has_a_zone() -> None:
    assert ticks(Cron("0 9 * * *"), "2026-06-01T00:00", 1) == [at("2026-06-01T09:00")]
    assert ticks(Cron("0 9 * * *", tz="Europe/Berlin"), "2026-06-01T00:00", 1) == [
        at("2026-06-01T07:00")
    ]
    assert ticks(Cron("0 9 * * *", tz=timezone(timedelta(hours=-5))), "2026-06-01T00:00", 1) == [
        at("2026-06-01T14:00")
    ]


def test_ticks_come_back_in_utc() -> None:
    (tick,) = ticks(Cron("0 9 * * *", tz="Asia/Tokyo"), "2026-06-01T00:00", 1)
    assert tick.tzinfo is UTC


def test_working_days_are_monday_to_friday() -> None:
    # The 5th of June 2026 is a Friday.
    assert local(Cron("0 9 * * 1-5", tz="Europe/Berlin"), "2026-06-04T20:00", 3) == [
        "2026-06-05T09:00",
        "2026-06-08T09:00",
        "2026-06-09T09:00",
    ]


def test_a_sixth_field_in_front_is_seconds() -> None:
    assert ticks(Cron("*/20 * * * * *"), "2026-06-01T00:00", 3) == [
        at("2026-06-01T00:00:20"),
        at("2026-06-01T00:00:40"),
        at("2026-06-01T00:01:00"),
    ]


def test_a_tick_at_this_very_moment_is_not_the_next_one() -> None:
    assert ticks(Cron("0 9 * * *"), "2026-06-01T09:00", 1) == [at("2026-06-02T09:00")]


def test_the_night_that_skips_an_hour_runs_the_skipped_job_when_the_hour_is_over() -> None:
    # 29 March 2026: at 02:00 the clocks of Berlin are put to 03:00.
    assert local(Cron("30 2 * * *", tz="Europe/Berlin"), "2026-03-27T12:00", 3) == [
        "2026-03-28T02:30",
        "2026-03-29T03:00",
        "2026-03-30T02:30",
    ]


def test_the_night_that_repeats_an_hour_runs_the_job_once() -> None:
    # 25 October 2026: at 03:00 the clocks of Berlin are put back to 02:00.
    assert local(Cron("30 2 * * *", tz="Europe/Berlin"), "2026-10-23T12:00", 3) == [
        "2026-10-24T02:30",
        "2026-10-25T02:30",
        "2026-10-26T02:30",
    ]


@pytest.mark.parametrize("night", ["2026-03-28T22:00", "2026-10-24T22:00"])
def test_a_job_of_every_ten_minutes_is_even_through_both_nights(night: str) -> None:
    found = ticks(Cron("*/10 * * * *", tz="Europe/Berlin"), night, 36)
    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(minutes=10)}


def test_a_day_that_never_comes_is_refused() -> None:
    with pytest.raises(InvalidOption, match="Bad day-of-month"):
        Cron("0 0 30 2 *")


MOMENTS = st.datetimes(
    datetime(2020, 1, 1),  # noqa: DTZ001
    datetime(2040, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
EXPRESSIONS = ["* * * * *", "30 2 * * *", "*/7 * * * *", "0 3 * * 0", "15 1,2,3 * * *", "0 0 1 * *"]


@given(
    st.sampled_from(EXPRESSIONS),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    MOMENTS,
)
@example("30 2 * * *", "Europe/Berlin", at("2026-10-25T00:30"))
@example("30 2 * * *", "Europe/Berlin", at("2026-10-25T01:15"))
@example("* * * * *", "Europe/Berlin", at("2026-10-25T00:59:59.999999"))
@example("* * * * *", "Europe/Berlin", at("2026-03-29T00:59:59.999999"))
def test_the_first_tick_is_always_later_than_now(expression: str, tz: str, now: datetime) -> None:
    tick = Cron(expression, tz=tz).first(now)
    assert tick is not None
    assert tick > now


def test_missed_ticks_of_a_cron_are_not_made_up() -> None:
    cron = Cron("0 * * * *")
    following = cron.following(at("2026-06-01T09:00"), at("2026-06-03T12:34"))
    assert following == at("2026-06-03T13:00")


def test_the_following_tick_of_a_cron_is_after_the_tick_even_when_it_came_early() -> None:
    cron = Cron("0 * * * *")
    following = cron.following(at("2026-06-01T09:00"), at("2026-06-01T08:59"))
    assert following == at("2026-06-01T10:00")


@pytest.mark.parametrize("wrong", ["", "* * * *", "61 * * * *", "every day", "* * * * * * *"])
def test_what_is_no_expression_is_refused_with_an_example(wrong: str) -> None:
    with pytest.raises(InvalidOption, match=r"is not a cron expression .*'0 9 \* \* 1-5'"):
        Cron(wrong)


@pytest.mark.parametrize("wrong", ["Europe/Atlantis", "", "../etc/passwd"])
def test_what_is_no_time_zone_is_refused_with_an_example(wrong: str) -> None:
    with pytest.raises(InvalidOption, match=r"is not a time zone known here.*'Europe/Berlin'"):
        Cron("* * * * *", tz=wrong)


def test_a_rule_describes_itself_as_json_and_two_rules_differ() -> None:
    rules: list[Cron | Every] = [
        Cron("0 9 * * *"),
        Cron("0 9 * * *", tz="Europe/Berlin"),
        Cron("0 8 * * *"),
        Every(60),
        Every(61),
    ]
    written = [json.dumps(rule.describe()) for rule in rules]
    assert len(set(written)) == len(rules)
    assert json.dumps(Every(timedelta(minutes=1)).describe()) == json.dumps(Every(60).describe())


def test_every_ticks_an_interval_after_the_start_and_then_evenly() -> None:
    every = Every(timedelta(minutes=5))
    first = every.first(at("2026-06-01T09:00"))
    assert first == at("2026-06-01T09:05")
    assert every.following(first, first) == at("2026-06-01T09:10")


def test_missed_ticks_of_every_are_not_made_up_and_the_beat_is_kept() -> None:
    every = Every(300)
    assert every.following(at("2026-06-01T09:05"), at("2026-06-01T11:58")) == at("2026-06-01T12:00")


@given(
    st.floats(0.001, 1e7),
    MOMENTS,
    st.timedeltas(timedelta(days=-400), timedelta(days=4000)),
)
def test_the_following_tick_is_later_than_now_by_an_interval_at_most_and_on_the_beat(
    seconds: float, tick: datetime, late: timedelta
) -> None:
    every = Every(seconds)
    now = tick + late
    following = every.following(tick, now)
    assert following > max(tick, now)
    assert (following - tick) % every.interval == timedelta(0)
    assert following - max(tick, now) <= every.interval


@pytest.mark.parametrize("wrong", [0, -5, timedelta(0)])
def test_an_interval_of_nothing_is_refused(wrong: float) -> None:
    with pytest.raises(InvalidOption, match=r"every=.*give more than zero seconds"):
        Every(wrong)
