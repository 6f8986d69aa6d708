"""Checks of requests that every driver makes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packages.core.tests.support import START, SpyDriver

from stoker.driver import (
    IMMEDIATELY,
    After,
    At,
    Cancel,
    Capability,
    Complete,
    Extension,
    Fail,
    JobKey,
    JobQuery,
    KeepFor,
    NewJob,
    Release,
    Settlement,
    Token,
    Unique,
    Want,
    checks,
)
from stoker.errors import InvalidInput, PayloadTooLarge, Unsupported

INFO = SpyDriver().info
BARE = replace(INFO, capabilities=frozenset())
KEY = JobKey("q", "1")
TOKEN = Token(KEY, 1)


def job(**fields: Any) -> NewJob:
    return NewJob(**{"key": KEY, "name": "r.job", **fields})


@given(st.text(max_size=300))
def test_a_name_is_1_to_255_bytes_of_utf8_without_control_characters(text: str) -> None:
    try:
        fits = 1 <= len(text.encode()) <= 255
    except UnicodeEncodeError:
        fits = False
    fits = fits and not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text)
    if fits:
        checks.check_text("queue", text)
    else:
        with pytest.raises(InvalidInput, match=r"queue .* is not allowed"):
            checks.check_text("queue", text)


@given(st.text(max_size=300) | st.text("aé\U0001f600", min_size=1000, max_size=5000))
def test_a_value_is_at_most_4_kib_of_utf8_without_nul(text: str) -> None:
    try:
        fits = len(text.encode()) <= 4096 and "\0" not in text
    except UnicodeEncodeError:
        fits = False
    if fits:
        checks.check_value("a reason", text)
    else:
        with pytest.raises(InvalidInput, match="a reason"):
            checks.check_value("a reason", text)


WRONG_JOBS = [
    (job(key=JobKey("", "1")), "queue '' is not allowed"),
    (job(key=JobKey("q", "")), "id '' is not allowed"),
    (job(name="a\n"), "name .* is not allowed"),
    (job(priority=10), "priority 10 is not 0 to 9"),
    (job(max_attempts=0), "max_attempts=0: give 1 to 1,000,000"),
    (job(max_crashes=-1), "max_crashes=-1: give 0 to"),
    (job(payload_version=-1), "payload_version=-1"),
    (job(run_at=After(timedelta(-1))), "After of .* is not within zero and a century"),
    (job(run_at=At(datetime(2030, 1, 1))), "naive datetime"),  # noqa: DTZ001
    (job(run_at=At(datetime(2251, 1, 1, tzinfo=UTC))), "too far away: no later than 2250"),
    (job(expires=After(timedelta(-1))), "After of"),
    (job(timeout=timedelta(-1)), "timeout of"),
    (job(keep=KeepFor(failed=timedelta(-1))), "keep of"),
    (job(unique=Unique("")), "unique key '' is not allowed"),
    (job(unique=Unique("k", After(timedelta(-1)))), "After of"),
    (job(nonce="a\0"), "nonce .* is not allowed"),
    (job(tags=("",)), "tag '' is not allowed"),
    (job(tags=tuple(str(n) for n in range(101))), "101 tags on one job: at most 100"),
    (job(metadata={"k": "\0"}), "metadata 'k' holds a NUL"),
    (job(metadata={str(n): "" for n in range(101)}), "101 metadata on one job: at most 100"),
    (job(headers={"": "v"}), "headers key '' is not allowed"),
]


@pytest.mark.parametrize(("wrong", "words"), WRONG_JOBS, ids=[words for _, words in WRONG_JOBS])
def test_one_wrong_job_refuses_the_whole_batch(wrong: NewJob, words: str) -> None:
    checks.check_jobs(INFO, [job(), job()])
    with pytest.raises(InvalidInput, match=words):
        checks.check_jobs(INFO, [job(), wrong])


def test_limits_of_a_batch_are_exact() -> None:
    info = replace(INFO, max_batch=2, max_batch_bytes=10, max_payload=6)
    checks.check_jobs(info, [job(payload=b"12345"), job(payload=b"12345")])
    with pytest.raises(InvalidInput, match="11 bytes in one call; memory takes at most 10"):
        checks.check_jobs(info, [job(payload=b"123456"), job(payload=b"12345")])
    with pytest.raises(PayloadTooLarge, match="is 7 bytes; memory takes at most 6"):
        checks.check_jobs(info, [job(payload=b"1234567")])
    with pytest.raises(InvalidInput, match="3 items in one call"):
        checks.check_jobs(info, [job(payload=b"")] * 3)


@pytest.mark.parametrize("wrong", [job(priority=9), job(unique=Unique("k"))])
def test_a_power_that_is_not_declared_is_refused(wrong: NewJob) -> None:
    with pytest.raises(Unsupported, match="memory cannot keep"):
        checks.check_jobs(BARE, [wrong])
    checks.check_jobs(BARE, [job()])


def test_claims_are_checked() -> None:
    second = timedelta(seconds=1)
    checks.check_claim(INFO, [Want("a", 0), Want("b", 5)], "w", second)
    wrong: list[tuple[list[Want], str, timedelta, str]] = [
        ([Want("a", 1), Want("a", 1)], "w", second, "queue 'a' is named twice in one claim"),
        ([Want("a", -1)], "w", second, "limit=-1"),
        ([Want("", 1)], "w", second, "queue '' is not allowed"),
        ([], "", second, "worker '' is not allowed"),
        ([], "w", timedelta(0), "is no length for a lease"),
    ]
    for wants, worker, lease, words in wrong:
        with pytest.raises(InvalidInput, match=words):
            checks.check_claim(INFO, wants, worker, lease)


def test_settlements_and_extensions_are_checked() -> None:
    checks.check_settlements(INFO, [Settlement(TOKEN, Complete(b"1"), b"50", [b"1"])])
    big = b"x" * (8 * 1024 + 1)
    for item, words in [
        (Settlement(TOKEN, Fail(big)), "an error of 8,193 bytes is larger than 8,192"),
        (Settlement(TOKEN, Complete(b"x" * (INFO.max_payload + 1))), "a result of"),
        (Settlement(TOKEN, Cancel("x" * 4097)), "the reason of a cancel is longer"),
        (Settlement(TOKEN, Release(After(timedelta(-1)))), "After of"),
        (Settlement(TOKEN, Complete(), logs=[big]), "a log entry of 8,193 bytes"),
    ]:
        with pytest.raises(InvalidInput, match=words):
            checks.check_settlements(INFO, [item])
    with pytest.raises(InvalidInput, match="a token is named twice"):
        checks.check_settlements(INFO, [Settlement(TOKEN, Complete())] * 2)
    with pytest.raises(InvalidInput, match="a token is named twice"):
        checks.check_extensions(INFO, [Extension(TOKEN)] * 2)
    with pytest.raises(InvalidInput, match="progress of"):
        checks.check_extensions(INFO, [Extension(TOKEN, b"x" * (INFO.max_payload + 1))])
    for report in (Extension(TOKEN, b"1"), Extension(TOKEN, None, [b"1"])):
        with pytest.raises(Unsupported, match="it lacks 'results'"):
            checks.check_extensions(BARE, [report])
    with pytest.raises(Unsupported):
        checks.check_settlements(BARE, [Settlement(TOKEN, Complete(b"1"))])
    checks.check_settlements(BARE, [Settlement(TOKEN, Release(IMMEDIATELY))])
    assert Capability.RESULTS in INFO.capabilities


def test_other_requests_are_checked() -> None:
    checks.check_keys(INFO, [KEY, JobKey("q", "2")])
    with pytest.raises(InvalidInput, match="a key is named twice"):
        checks.check_keys(INFO, [KEY, KEY])
    with pytest.raises(InvalidInput, match="the reason of a cancel"):
        checks.check_cancel(INFO, [KEY], "\0")
    with pytest.raises(InvalidInput, match="limit=0"):
        checks.check_reap(0, timedelta(0), b"")
    with pytest.raises(InvalidInput, match="delay of"):
        checks.check_reap(1, timedelta(-1), b"")
    with pytest.raises(InvalidInput, match="an error of"):
        checks.check_reap(1, timedelta(0), b"x" * 9000)
    checks.check_query(JobQuery(enqueued_from=START))
    for query, words in [
        (JobQuery(limit=0), "a limit is 1 to 1,000"),
        (JobQuery(limit=1001), "a limit is 1 to 1,000"),
        (JobQuery(enqueued_to=datetime(2030, 1, 1)), "naive"),  # noqa: DTZ001
    ]:
        with pytest.raises(InvalidInput, match=words):
            checks.check_query(query)
