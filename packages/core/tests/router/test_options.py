"""Options: merging, ranges, and what they mean for the store."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker import Exponential, Fixed, JobOptions, OnConflict, Router, Stoker, Unique, Until
from stoker.driver import IMMEDIATELY, After, At, KeepFor
from stoker.driver import Unique as UniqueKey
from stoker.errors import InvalidOption, InvalidPayload, InvalidTime
from stoker.router.options import DEFAULTS, expiry_of, merge, settings_of, when_of

AT = datetime(2030, 1, 1, tzinfo=UTC)

SAMPLES: JobOptions = {
    "attempts": 7,
    "backoff": Fixed(1),
    "retry_on": ValueError,
    "timeout": 5,
    "expires": 60,
    "priority": 9,
    "queue": "other",
    "max_crashes": 1,
    "keep_completed": False,
    "keep_failed": 60,
    "keep_cancelled": timedelta(hours=1),
    "unique": Unique("k"),
    "tags": ["a"],
    "metadata": {"k": "v"},
}


def test_every_option_has_a_default_and_a_sample() -> None:
    assert JobOptions.__optional_keys__ == DEFAULTS.keys() == SAMPLES.keys()
    assert not JobOptions.__required_keys__


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_every_option_says_what_it_means(name: str) -> None:
    # Settings are compared as a whole: an option that is accepted and ignored changes nothing.
    given: Any = {name: SAMPLES[name]}  # type: ignore[literal-required]
    assert settings_of({}) != settings_of(given)


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_options_are_stronger_from_app_to_router_to_job_to_call(name: str) -> None:
    # Every subset of the levels sets the option, each to a value of its own.
    values: dict[str, list[Any]] = {
        "attempts": [2, 3, 4, 5],
        "backoff": [Fixed(n) for n in range(4)],
        "retry_on": [KeyError, ValueError, OSError, TypeError],
        "timeout": [1, 2, None, 4],
        "expires": [1, 2, None, 4],
        "priority": [1, 2, 3, 0],
        "queue": ["a", "b", "c", "d"],
        "max_crashes": [1, 2, 3, 4],
        "keep_completed": [1, 2, True, False],
        "keep_failed": [1, 2, True, False],
        "keep_cancelled": [1, 2, True, False],
        "unique": [Unique("a"), Unique("b"), None, Unique("d")],
        "tags": [["a"], ["b"], [], ["d"]],
        "metadata": [{"k": "a"}, {"k": "b"}, {}, {"k": "d"}],
    }
    for given_at in product([False, True], repeat=4):
        layers: list[Any] = [
            {name: value} if is_given else {}
            for value, is_given in zip(values[name], given_at, strict=True)
        ]
        strongest = [v for v, is_given in zip(values[name], given_at, strict=True) if is_given]
        merged = merge(*layers)
        assert merged == ({name: strongest[-1]} if strongest else {})


def test_fields_merge_one_by_one_and_none_is_a_value() -> None:
    app = JobOptions(attempts=3, timeout=30, tags=["app"])
    router = JobOptions(timeout=None, priority=1)
    job = JobOptions(tags=["job"])
    assert merge(app, router, job) == {
        "attempts": 3,
        "timeout": None,
        "priority": 1,
        "tags": ["job"],
    }
    assert settings_of(merge(app, router, job)).timeout is None
    assert settings_of(merge(app, job)).timeout == timedelta(seconds=30)


def test_merging_changes_none_of_its_layers() -> None:
    app, job = JobOptions(attempts=1), JobOptions(attempts=2)
    merge(app, job)
    assert (app, job) == ({"attempts": 1}, {"attempts": 2})


def test_what_nobody_sets_is_as_documented() -> None:
    settings = settings_of({})
    assert settings.attempts == 1
    assert settings.backoff == Exponential(1.0, cap=3600, jitter=0.1)
    assert settings.retry_on is Exception
    assert [settings.timeout, settings.expires, settings.keep, settings.unique] == [None] * 4
    assert (settings.priority, settings.queue, settings.max_crashes) == (4, "default", 5)
    assert (settings.tags, settings.metadata) == ((), {})


def test_an_unknown_option_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(InvalidOption) as caught:
        merge({"atempts": 3})  # type: ignore[typeddict-unknown-key]
    assert "there is no option 'atempts'" in str(caught.value)
    for name in DEFAULTS:
        assert name in str(caught.value)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"attempts": 0}, "attempts=0: give a whole number from 1 to 1,000,000"),
    ({"attempts": 1_000_001}, "attempts=1000001"),
    ({"attempts": 2.5}, "attempts=2.5"),
    ({"attempts": True}, "attempts=True"),
    ({"attempts": "3"}, "attempts='3'"),
    ({"attempts": None}, "attempts=None"),
    ({"backoff": 5}, r"backoff=5 cannot be called: give Exponential\(1.0\)"),
    ({"backoff": None}, "backoff=None cannot be called"),
    ({"retry_on": "ValueError"}, "retry_on='ValueError': give an exception class"),
    ({"retry_on": [ValueError]}, "give an exception class, or a tuple of some"),
    ({"retry_on": (ValueError, int)}, "give an exception class, or a tuple of some"),
    ({"retry_on": ValueError()}, "give an exception class"),
    ({"timeout": 0}, "timeout=0: give more than zero seconds"),
    ({"timeout": -1}, "timeout=-1"),
    ({"timeout": "5"}, "timeout='5'"),
    ({"expires": -1}, "expires=-1: give zero or more seconds"),
    ({"expires": "tomorrow"}, "expires='tomorrow'"),
    ({"priority": 10}, "priority=10: give a whole number from 0 to 9"),
    ({"priority": -1}, "priority=-1"),
    ({"priority": 4.0}, "priority=4.0"),
    ({"queue": ""}, "queue '' is not allowed: 1 to 255 bytes of text"),
    ({"queue": "a\nb"}, "no control characters"),
    ({"queue": "x" * 256}, "1 to 255 bytes"),
    ({"queue": "ü" * 128}, "1 to 255 bytes"),
    ({"queue": 5}, "queue 5 is no text"),
    ({"queue": None}, "queue None is no text"),
    ({"max_crashes": -1}, "max_crashes=-1: give a whole number from 0"),
    ({"max_crashes": 1_000_001}, "max_crashes=1000001"),
    ({"keep_completed": -1}, "keep_completed=-1: give zero or more seconds"),
    ({"keep_failed": "always"}, "keep_failed='always'"),
    ({"keep_cancelled": None}, "keep_cancelled=None"),
    ({"tags": [""]}, "tag '' is not allowed"),
    ({"tags": [5]}, "tag 5 is no text"),
    ({"tags": ["a\0b"]}, "tag .* is not allowed"),
    ({"metadata": {"": "v"}}, "metadata key '' is not allowed"),
    ({"metadata": {"k": 5}}, "metadata 'k' is 5: give text"),
    ({"metadata": {5: "v"}}, "metadata key 5 is no text"),
    ({"metadata": {"k": "v" * 4097}}, "metadata 'k' is longer than 4,096 bytes"),
    ({"metadata": {"k": "\0"}}, "metadata 'k' holds a NUL"),
    ({"metadata": None}, "metadata=None: give a dictionary from text to text"),
]


@pytest.mark.parametrize(("options", "words"), WRONG, ids=lambda v: str(v)[:40])
@pytest.mark.parametrize("level", ["app", "router", "job"])
def test_a_value_out_of_range_is_refused_where_it_is_written(
    level: str, options: Any, words: str
) -> None:
    places: dict[str, Callable[[], object]] = {
        "app": lambda: Stoker("memory://", jobs=[], defaults=options),
        "router": lambda: Router("r", **options),
        "job": lambda: Router[object]("r").job(**options)(_job),
    }
    with pytest.raises(InvalidOption, match=words):
        places[level]()


@pytest.mark.parametrize(("options", "words"), WRONG, ids=lambda v: str(v)[:40])
async def test_a_value_out_of_range_in_a_call_is_refused_and_nothing_is_stored(
    options: Any, words: str
) -> None:
    router = Router[object]("r")
    job = router.job(_job)
    async with Stoker("memory://", jobs=[router]) as app:
        with pytest.raises(InvalidOption, match=words):
            await app.schedule(job, **options)
        assert await app.queues() == []


async def _job() -> None: ...


def test_a_naive_expiry_is_refused() -> None:
    with pytest.raises(InvalidTime, match=r"expires=.* is a naive datetime: give it a time zone"):
        settings_of({"expires": datetime(2030, 1, 1)})  # noqa: DTZ001


def test_equal_tags_count_once_and_keep_their_order() -> None:
    assert settings_of({"tags": ["b", "a", "b"]}).tags == ("b", "a")


@pytest.mark.parametrize(
    ("options", "keep"),
    [
        ({}, None),
        ({"keep_completed": True}, None),
        ({"keep_completed": False}, KeepFor(completed=timedelta(0))),
        ({"keep_completed": 0}, KeepFor(completed=timedelta(0))),
        ({"keep_failed": 60}, KeepFor(failed=timedelta(minutes=1))),
        ({"keep_cancelled": timedelta(1)}, KeepFor(cancelled=timedelta(1))),
        (
            {"keep_completed": 1, "keep_failed": True, "keep_cancelled": False},
            KeepFor(completed=timedelta(seconds=1), cancelled=timedelta(0)),
        ),
    ],
)
def test_retention_is_by_the_state_that_a_job_ends_in(
    options: JobOptions, keep: KeepFor | None
) -> None:
    assert settings_of(options).keep == keep


def test_when_a_call_runs() -> None:
    assert when_of({}) is IMMEDIATELY
    assert when_of({"delay": 5}) == After(timedelta(seconds=5))
    assert when_of({"delay": timedelta(days=1)}) == After(timedelta(days=1))
    assert when_of({"delay": 0}) == IMMEDIATELY
    assert when_of({"at": AT}) == At(AT)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"delay": 5, "at": AT}, "give either delay= or at=, not both"),
        ({"delay": -1}, "delay=-1: give zero or more seconds.*; for a point in time use at="),
        ({"delay": timedelta(-1)}, "give zero or more seconds"),
        ({"delay": AT}, "for a point in time use at="),
        ({"delay": "5"}, "give zero or more seconds"),
        ({"at": datetime(2030, 1, 1)}, "at=.* is a naive datetime: give it a time zone"),  # noqa: DTZ001
    ],
)
def test_a_time_that_makes_no_sense_is_refused(options: Any, words: str) -> None:
    with pytest.raises(InvalidTime, match=words):
        when_of(options)


@pytest.mark.parametrize(
    ("expires", "run_at", "expected"),
    [
        (None, IMMEDIATELY, None),
        (60, IMMEDIATELY, After(timedelta(seconds=60))),
        (60, After(timedelta(seconds=5)), After(timedelta(seconds=65))),
        (60, At(AT), At(AT + timedelta(seconds=60))),
        (AT, After(timedelta(seconds=5)), At(AT)),
    ],
)
def test_an_expiry_in_seconds_counts_from_the_time_the_job_is_due(
    expires: Any, run_at: Any, expected: Any
) -> None:
    assert expiry_of(settings_of({"expires": expires}), run_at) == expected


def test_a_unique_key_is_of_the_jobs_name_and_the_payload_or_what_a_function_makes_of_it() -> None:
    assert Unique("k").of("r.job", 1, b"1").key == "r.job:k"
    assert Unique(lambda p: p["id"]).of("r.job", {"id": "7"}, b"{}").key == "r.job:7"
    one = Unique().of("r.job", 1, b"1").key
    assert one == Unique().of("r.job", 1, b"1").key
    assert one != Unique().of("r.job", 2, b"2").key
    assert one != Unique().of("r.other", 1, b"1").key


@given(st.text(min_size=1, max_size=600), st.text("abc_", min_size=1, max_size=250))
def test_a_unique_key_always_fits_the_store(key: str, name: str) -> None:
    try:
        made = Unique(key).of(name, None, b"null").key
    except UnicodeEncodeError:
        return  # a lone surrogate; nothing is stored
    assert 0 < len(made.encode()) <= 255


def test_two_long_unique_keys_stay_apart() -> None:
    one, other = (Unique("x" * 300 + end).of("r.job", None, b"") for end in "ab")
    assert one.key != other.key


def test_how_long_a_unique_key_is_held() -> None:
    def made(until: Any) -> UniqueKey:
        return Unique("k", until=until, on_conflict=OnConflict.REPLACE).of("n", None, b"")

    assert made(Until.START) == UniqueKey("n:k", Until.START, OnConflict.REPLACE)
    assert made(3600).until == After(timedelta(hours=1))
    assert made(AT).until == At(AT)
    assert Unique("k").of("n", None, b"") == UniqueKey("n:k", Until.FINISH, OnConflict.KEEP)
    with pytest.raises(InvalidOption, match=r"Unique\(until\)=0: give more than zero"):
        made(0)
    with pytest.raises(InvalidTime, match=r"Unique\(until\)=.* is a naive datetime"):
        made(datetime(2030, 1, 1))  # noqa: DTZ001
    tokyo = timezone(timedelta(hours=9))
    assert made(AT.astimezone(tokyo)).until == At(AT)


@pytest.mark.parametrize("made", ["", None, 5])
def test_a_unique_key_that_is_no_text_is_refused(made: Any) -> None:
    with pytest.raises(InvalidPayload, match=r"the unique key of r.job came out as .*must be text"):
        Unique(lambda _: made).of("r.job", None, b"")
