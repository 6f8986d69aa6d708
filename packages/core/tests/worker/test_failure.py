"""Errors as the store keeps them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packages.core.tests.support import SpyDriver

from stoker import Router, Stoker
from stoker.driver.checks import MAX_ERROR_BYTES
from stoker.worker.failure import JobTimeout, WorkerLost, describe


def caught(error: BaseException) -> BaseException:
    """The same error with a traceback."""
    try:
        raise error
    except BaseException as same:  # noqa: BLE001  whatever it is
        return same


def details(error: BaseException, attempt: int | None = None) -> dict[str, Any]:
    described: dict[str, Any] = json.loads(describe(error, attempt))
    return described


def test_type_message_attempt_and_traceback_are_described() -> None:
    found = details(caught(ValueError("no such user")), attempt=2)
    assert (found["type"], found["message"], found["attempt"]) == ("ValueError", "no such user", 2)
    assert found["traceback"].endswith("ValueError: no such user\n")
    assert "in caught" in found["traceback"]


def test_types_that_are_not_builtin_carry_their_module() -> None:
    assert details(JobTimeout("late"))["type"] == "stoker.worker.failure.JobTimeout"
    assert details(WorkerLost("gone"))["type"] == "stoker.worker.failure.WorkerLost"


def test_an_error_that_was_never_raised_has_no_traceback() -> None:
    assert details(ValueError("x")) == {"type": "ValueError", "message": "x"}


async def test_frames_of_the_worker_are_left_out_and_the_handlers_are_kept() -> None:
    router = Router[object]("r")

    def helper() -> None:
        raise ValueError("deep")

    @router.job
    async def asynchronous() -> None:
        helper()

    @router.job
    def threaded() -> None:
        helper()

    async with Stoker(SpyDriver(), jobs=[router]) as app:
        handles = [await app.schedule(asynchronous), await app.schedule(threaded)]
        await app.run_until_idle()
        for handle in handles:
            record = await handle.record()
            assert record is not None
            trace = json.loads(record.errors[-1])["traceback"]
            assert "in helper" in trace
            assert f"in {handle.name.removeprefix('r.')}" in trace
            first = trace.splitlines()[1]
            assert "execution.py" not in first


def test_the_cause_of_an_error_is_in_its_traceback() -> None:
    try:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error
    except ValueError as error:
        trace = details(error)["traceback"]
    assert "KeyError: 'first'" in trace
    assert "direct cause" in trace


TEXTS = st.text(max_size=200) | st.text(
    st.sampled_from('\0\x1b\ud800\U0001f600é"\\'), max_size=3000
)


@given(TEXTS, TEXTS, st.none() | st.integers(1, 10**6))
def test_what_is_stored_is_json_of_at_most_8_kib_whatever_the_texts(
    message: str, cause: str, attempt: int | None
) -> None:
    error = ValueError(message)
    error.__cause__ = caught(RuntimeError(cause))
    for one in (error, caught(error)):
        data = describe(one, attempt)
        assert len(data) <= MAX_ERROR_BYTES
        assert json.loads(data)["type"] == "ValueError"


def test_a_long_message_is_cut_and_a_long_traceback_keeps_its_end() -> None:
    def dive(depth: int) -> None:
        if depth:
            dive(depth - 1)
        else:
            exec("\n" * 10 + "raise ValueError('the end ' + 'x' * 100_000)")

    with pytest.raises(ValueError, match="the end") as caught_here:
        dive(200)
    data = describe(caught_here.value)
    found = json.loads(data)
    assert len(data) <= MAX_ERROR_BYTES
    assert len(found["message"]) == 1_000


@pytest.mark.parametrize("filler", ["x", "é", "\U0001f600", "\0"])
def test_as_much_as_fits_is_kept(filler: str) -> None:
    error = caught(ValueError(filler * 900))
    data = describe(error)
    assert len(data) <= MAX_ERROR_BYTES
    assert json.loads(data)["message"].startswith(filler * 200)
