"""From what a handler did to what is asked of the store."""

import asyncio
import json
import logging
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packages.core.tests.support import START, entry_of, make_lease

from stoker import Cancel, Exponential, Fail, Fixed, Router, Snooze
from stoker import driver as store
from stoker.errors import InvalidOption, InvalidPayload, UnserializableResult
from stoker.router import Entry
from stoker.worker.ending import expired, failed, parked, released


def entry(**options: Any) -> Entry:
    router = Router[object]("r")

    @router.job(**options)
    async def job() -> None: ...

    return entry_of(router)


def message(error: bytes) -> str:
    text: str = json.loads(error)["message"]
    return text


def test_an_error_is_retried_after_the_backoff_whatever_the_attempt() -> None:
    for attempt, seconds in [(1, 1), (2, 2), (3, 4)]:
        ending = failed(
            ValueError("no"),
            make_lease(attempt=attempt),
            entry(backoff=Exponential(1.0)),
            Random(0),
        )
        assert isinstance(ending.outcome, store.Retry)
        assert ending.outcome.when == store.After(timedelta(seconds=seconds))
        assert json.loads(ending.outcome.error)["attempt"] == attempt
        assert isinstance(ending.detail, ValueError)


@pytest.mark.parametrize(
    ("retry_on", "error", "outcome"),
    [
        (Exception, ValueError(), store.Retry),
        (ValueError, ValueError(), store.Retry),
        (ValueError, UnicodeError(), store.Retry),
        (ValueError, KeyError(), store.Fail),
        ((KeyError, OSError), TimeoutError(), store.Retry),
        ((KeyError, OSError), ValueError(), store.Fail),
        ((), ValueError(), store.Fail),
        (Exception, SystemExit(1), store.Fail),
        (BaseException, SystemExit(1), store.Retry),
        (Exception, asyncio.CancelledError(), store.Retry),
        (Exception, UnserializableResult("no"), store.Fail),
    ],
)
def test_only_what_retry_on_names_is_retried(
    retry_on: Any, error: BaseException, outcome: type[object]
) -> None:
    ending = failed(error, make_lease(), entry(retry_on=retry_on), Random(0))
    assert type(ending.outcome) is outcome
    assert ending.detail is error


def test_giving_up_fails_with_attempts_left_and_stores_the_cause() -> None:
    declined = KeyError("declined")
    given_up = Fail("the bank said no")
    given_up.__cause__ = declined
    ending = failed(given_up, make_lease(attempt=1), entry(attempts=9), Random(0))
    assert isinstance(ending.outcome, store.Fail)
    assert json.loads(ending.outcome.error)["type"] == "KeyError"
    assert ending.detail is declined


def test_giving_up_without_a_cause_stores_its_own_message() -> None:
    ending = failed(Fail("the bank said no"), make_lease(), entry(), Random(0))
    assert isinstance(ending.outcome, store.Fail)
    assert message(ending.outcome.error) == "the bank said no"


@pytest.mark.parametrize("delay", [60, timedelta(minutes=1)])
def test_a_snooze_waits_as_long_as_it_says(delay: Any) -> None:
    ending = failed(Snooze(delay), make_lease(), entry(), Random(0))
    assert ending.outcome == store.Snooze(store.After(timedelta(minutes=1)))


@pytest.mark.parametrize("delay", [-1, "soon", None])
def test_a_snooze_for_no_length_of_time_is_refused(delay: Any) -> None:
    with pytest.raises(InvalidOption, match=r"Snooze=.*: give zero or more seconds"):
        Snooze(delay)


def test_a_job_that_is_snoozed_for_ever_fails_in_the_end() -> None:
    ending = failed(Snooze(1), make_lease(snoozes=10_000), entry(), Random(0))
    assert isinstance(ending.outcome, store.Fail)
    assert message(ending.outcome.error) == "r.job was snoozed 10,000 times"
    assert isinstance(
        failed(Snooze(1), make_lease(snoozes=9_999), entry(), Random(0)).outcome, store.Snooze
    )


def test_a_cancel_carries_its_reason() -> None:
    assert failed(Cancel("done"), make_lease(), entry(), Random(0)).outcome == store.Cancel("done")
    assert failed(Cancel(), make_lease(), entry(), Random(0)).outcome == store.Cancel(
        "cancelled by its handler"
    )


@pytest.mark.parametrize("backoff", [lambda _: 1 / 0, lambda _: -5, lambda _: "soon", lambda: 1])
def test_a_broken_backoff_costs_the_job_no_attempt(
    backoff: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "stoker.worker"):
        ending = failed(ValueError(), make_lease(attempt=2), entry(backoff=backoff), Random(0))
    assert isinstance(ending.outcome, store.Retry)
    assert isinstance(ending.outcome.when, store.After)
    assert timedelta(seconds=1.8) <= ending.outcome.when.delay <= timedelta(seconds=2)
    assert "the backoff of job r.job failed; the default is used" in caplog.text


def test_jitter_comes_from_the_generator_of_the_app() -> None:
    jittered = entry(backoff=Fixed(10, jitter=1.0))
    one, other = (failed(ValueError(), make_lease(), jittered, Random(5)) for _ in range(2))
    assert one.outcome == other.outcome


UNKNOWN = LookupError("no job 'r.gone'")
PATIENCE = timedelta(minutes=15)


def test_a_job_that_this_code_cannot_run_is_put_back_longer_each_time() -> None:
    waits = []
    now = START
    while True:
        since = START if now > START else None
        ending = parked(make_lease(claimed_at=now, parked_since=since), UNKNOWN, PATIENCE)
        if not isinstance(ending.outcome, store.Release):
            break
        assert ending.outcome.parked
        assert isinstance(ending.outcome.when, store.After)
        waits.append(ending.outcome.when.delay)
        now += ending.outcome.when.delay
    assert waits[0] == timedelta(seconds=1)
    assert waits == sorted(waits)
    assert waits[-1] == timedelta(minutes=1)
    assert len(waits) < 40
    assert isinstance(ending.outcome, store.Fail)
    assert now - START >= PATIENCE
    assert message(ending.outcome.error) == "no job 'r.gone'"
    assert ending.detail is UNKNOWN


@given(
    st.timedeltas(timedelta(0), timedelta(days=3)), st.timedeltas(timedelta(0), timedelta(days=3))
)
def test_a_parked_job_never_waits_longer_than_the_patience_nor_a_minute(
    waited: timedelta, patience: timedelta
) -> None:
    lease = make_lease(parked_since=START, claimed_at=START + waited)
    ending = parked(lease, InvalidPayload("no"), patience)
    if waited >= patience:
        assert isinstance(ending.outcome, store.Fail)
        return
    assert isinstance(ending.outcome, store.Release)
    assert isinstance(ending.outcome.when, store.After)
    assert timedelta(0) < ending.outcome.when.delay <= min(patience, timedelta(minutes=1))


@pytest.mark.parametrize(("seconds", "late"), [(None, False), (-1, True), (0, False), (1, False)])
def test_a_job_is_expired_when_it_was_claimed_after_its_expiry(
    seconds: int | None, late: bool
) -> None:
    expires = None if seconds is None else START + timedelta(seconds=seconds)
    assert expired(make_lease(expires=expires)) is late


def test_a_run_that_did_not_happen_is_released_at_once_and_not_parked() -> None:
    assert released().outcome == store.Release(store.IMMEDIATELY)
