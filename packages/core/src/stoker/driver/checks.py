"""Checks of requests that every driver makes in the same way, before it changes anything.

Which operation makes which:

    ===================== ===============================
    enqueue               check_jobs
    claim                 check_claim
    extend                check_extensions, check_lease
    settle                check_settlements
    promote               check_limit
    reap                  check_reap
    get, states           check_keys
    search                check_query
    stats                 check_limit, of `cap`
    cancel                check_cancel
    retry, remove         check_keys
    reschedule            check_keys, check_when
    pause                 check_text, of the queue
    purge                 check_purge
    fire_schedule         check_fire
    ===================== ===============================

A given `now` has to be aware: `to_micros` refuses a naive one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from stoker.driver.answers import Want
from stoker.driver.info import Capability, DriverInfo
from stoker.driver.jobs import NewJob
from stoker.driver.queries import JobQuery, Retention
from stoker.driver.settlements import Cancel, Complete, Extension, Fail, Retry, Settlement
from stoker.driver.times import IMMEDIATELY, After, At, When
from stoker.errors import InvalidInput, PayloadTooLarge, Unsupported
from stoker.job import DEFAULT_PRIORITY, HIGHEST_PRIORITY, LOWEST_PRIORITY, JobKey

__all__ = [
    "LATEST",
    "MAX_ERROR_BYTES",
    "MAX_LOG_BYTES",
    "MAX_VALUE_BYTES",
    "check_batch",
    "check_cancel",
    "check_claim",
    "check_extensions",
    "check_fire",
    "check_jobs",
    "check_keys",
    "check_lease",
    "check_limit",
    "check_purge",
    "check_query",
    "check_reap",
    "check_settlements",
    "check_text",
    "check_value",
    "check_when",
    "storable",
]

MAX_ERROR_BYTES: Final = 8 * 1024
"""The longest error that a record keeps."""
MAX_LOG_BYTES: Final = 8 * 1024
"""The longest log entry."""
MAX_VALUE_BYTES: Final = 4 * 1024
"""The longest metadata value, header or reason."""
LATEST: Final = datetime(2250, 1, 1, tzinfo=UTC)
"""No time is later: microseconds since 1970 stay whole numbers in every store's arithmetic."""

_LONGEST: Final = timedelta(days=36_525)
_MOST: Final = 1_000_000
_MOST_ENTRIES: Final = 100
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def check_text(what: str, text: str) -> None:
    """Refuse a name that is not 1 to 255 bytes of UTF-8 without control characters."""
    # The common case first, without encoding: 63 characters are at most 252 bytes.
    fits = len(text) < 64 or len(text.encode(errors="replace")) <= 255
    if text and fits and (text.isprintable() or not _CONTROL.search(text)):
        return
    raise InvalidInput(
        f"{what} {text[:80]!r} is not allowed: 1 to 255 bytes of text, no control characters"
    )


def check_value(what: str, text: str) -> None:
    """Refuse a text (a metadata value, a header, a reason) over 4,096 bytes, or with NUL."""
    if len(text) > MAX_VALUE_BYTES // 4 and len(text.encode(errors="replace")) > MAX_VALUE_BYTES:
        raise InvalidInput(f"{what} is longer than {MAX_VALUE_BYTES:,} bytes")
    if not text.isprintable() and ("\0" in text or not _is_utf8(text)):
        raise InvalidInput(f"{what} holds a NUL or a lone surrogate, which stores cannot keep")


def storable(text: str) -> str:
    """Return `text` without what `check_value` refuses: cut, NUL and lone surrogates replaced."""
    data = text.replace("\0", "\ufffd").encode(errors="replace")[:MAX_VALUE_BYTES]
    return data.decode(errors="ignore")


def check_limit(what: str, number: int, least: int = 1) -> None:
    """Refuse a number that is not `least` to 1,000,000."""
    if not least <= number <= _MOST:
        raise InvalidInput(f"{what}={number}: give {least} to {_MOST:,}")


def check_batch(info: DriverInfo, items: Sequence[object], size: int = 0) -> None:
    """Refuse a call of more than `max_batch` items, or more than `max_batch_bytes` of `size`."""
    if len(items) > info.max_batch:
        raise InvalidInput(
            f"{len(items):,} items in one call; {info.name} takes at most {info.max_batch:,}"
        )
    if size > info.max_batch_bytes:
        raise InvalidInput(
            f"{size:,} bytes in one call; {info.name} takes at most {info.max_batch_bytes:,}"
        )


def check_when(when: When) -> None:
    """Refuse a negative delay, a naive datetime, and times too far away to be stored."""
    if isinstance(when, After):
        _check_length("After", when.delay)
    else:
        _check_aware(when.time)
        if when.time > LATEST:
            raise InvalidInput(f"{when.time!r} is too far away: no later than {LATEST.year}")


def check_lease(lease: timedelta) -> None:
    """Refuse a lease (or a time to live) that is not longer than nothing."""
    if lease <= timedelta(0) or lease > _LONGEST:
        raise InvalidInput(f"{lease!r} is no length for a lease")


def check_keys(info: DriverInfo, keys: Sequence[JobKey]) -> None:
    """Refuse a key that is named twice, and too many of them."""
    check_batch(info, keys)
    if len(set(keys)) != len(keys):
        raise InvalidInput("a key is named twice in one call")


def check_cancel(info: DriverInfo, keys: Sequence[JobKey], reason: str) -> None:
    """Refuse wrong keys, and a reason that cannot be stored."""
    check_keys(info, keys)
    check_value("the reason of a cancel", reason)


def check_claim(info: DriverInfo, wants: Sequence[Want], worker: str, lease: timedelta) -> None:
    """Refuse negative limits, a queue that is named twice, nonsense names and leases."""
    check_batch(info, wants)
    check_text("worker", worker)
    check_lease(lease)
    seen: set[str] = set()
    for want in wants:
        check_text("queue", want.queue)
        check_limit(f"queue {want.queue!r}: limit", want.limit, 0)
        if want.queue in seen:
            raise InvalidInput(f"queue {want.queue!r} is named twice in one claim")
        seen.add(want.queue)


def check_reap(limit: int, delay: timedelta, error: bytes) -> None:
    """Refuse a limit, a delay or an error out of range."""
    check_limit("limit", limit)
    _check_length("delay", delay)
    _check_size("an error", error, MAX_ERROR_BYTES)


def check_jobs(info: DriverInfo, jobs: Sequence[NewJob]) -> None:
    """Refuse what an enqueue must not store; nothing is looked up, so it costs no round trip."""
    size = 0
    for job in jobs:
        size += len(job.payload)
        _check_job(info, job)
    check_batch(info, jobs, size)


def check_settlements(info: DriverInfo, items: Sequence[Settlement]) -> None:
    """Refuse results, errors and reports that are too large or not supported."""
    size = 0
    for item in items:
        outcome = item.outcome
        if isinstance(outcome, Complete):
            if outcome.result is not None:
                size += _check_report(info, "a result", outcome.result, info.max_payload)
        elif isinstance(outcome, Cancel):
            check_value("the reason of a cancel", outcome.reason)
        else:
            if isinstance(outcome, Retry | Fail):
                size += _check_size("an error", outcome.error, MAX_ERROR_BYTES)
            if not isinstance(outcome, Fail):
                check_when(outcome.when)
        if item.progress is not None or item.logs:
            size += _check_reports(info, item.progress, item.logs)
    _check_tokens(info, items, size)


def check_extensions(info: DriverInfo, items: Sequence[Extension]) -> None:
    """Refuse progress and logs that are too large or not supported."""
    size = 0
    for item in items:
        if item.progress is not None or item.logs:
            size += _check_reports(info, item.progress, item.logs)
    _check_tokens(info, items, size)


def check_fire(
    info: DriverInfo, queue: str, next_at: datetime | None, jobs: Sequence[NewJob]
) -> None:
    """Refuse a next tick out of range, and jobs that are not of the schedule's queue."""
    if next_at is not None:
        check_when(At(next_at))
    check_jobs(info, jobs)
    for job in jobs:
        if job.key.queue != queue:
            raise InvalidInput(f"a schedule of {queue!r} cannot enqueue in {job.key.queue!r}")


def check_purge(policy: Retention, limit: int) -> None:
    """Refuse a negative age or number, and a limit out of range."""
    check_limit("limit", limit)
    for keep in (policy.completed, policy.failed, policy.cancelled):
        if keep.newest is not None and keep.newest < 0:
            raise InvalidInput(f"newest={keep.newest}: give 0 or more, or None to keep all")
        if keep.max_age is not None and keep.max_age < timedelta(0):
            raise InvalidInput(f"max_age={keep.max_age!r} is negative: give None to keep all")


def check_query(query: JobQuery) -> None:
    """Refuse a limit out of 1 to 1,000, and naive datetimes."""
    if not 1 <= query.limit <= 1_000:
        raise InvalidInput(f"a page of {query.limit} records: a limit is 1 to 1,000")
    for moment in (query.enqueued_from, query.enqueued_to):
        if moment is not None:
            _check_aware(moment)


def _check_job(info: DriverInfo, job: NewJob) -> None:
    check_text("queue", job.key.queue)
    check_text("id", job.key.id)
    check_text("name", job.name)
    if len(job.payload) > info.max_payload:
        raise PayloadTooLarge(
            f"the payload of {job.name} is {len(job.payload):,} bytes; {info.name} takes at most "
            f"{info.max_payload:,}: store large data elsewhere and pass a reference to it"
        )
    if job.priority != DEFAULT_PRIORITY:
        _require(info, Capability.PRIORITY, "a priority")
        if not LOWEST_PRIORITY <= job.priority <= HIGHEST_PRIORITY:
            raise InvalidInput(f"{job.name}: priority {job.priority} is not 0 to 9")
    check_limit("max_attempts", job.max_attempts)
    check_limit("max_crashes", job.max_crashes, 0)
    check_limit("payload_version", job.payload_version, 0)
    _check_times(job)
    if job.unique is not None:
        _require(info, Capability.UNIQUE, "a unique key")
        check_text("unique key", job.unique.key)
        if isinstance(job.unique.until, After | At):
            check_when(job.unique.until)
    if job.nonce:
        check_text("nonce", job.nonce)
    if job.tags:
        _check_tags(job.tags)
    if job.metadata:
        _check_mapping("metadata", job.metadata)
    if job.headers:
        _check_mapping("headers", job.headers)


def _check_times(job: NewJob) -> None:
    if job.run_at is not IMMEDIATELY:
        check_when(job.run_at)
    if job.expires is not None:
        check_when(job.expires)
    if job.timeout is not None:
        _check_length("timeout", job.timeout)
    if job.keep is not None:
        for age in (job.keep.completed, job.keep.failed, job.keep.cancelled):
            if age is not None:
                _check_length("keep", age)


def _check_tags(tags: Sequence[str]) -> None:
    if len(tags) > _MOST_ENTRIES:
        raise InvalidInput(f"{len(tags)} tags on one job: at most {_MOST_ENTRIES}")
    for tag in tags:
        check_text("tag", tag)


def _check_mapping(what: str, mapping: Mapping[str, str]) -> None:
    if len(mapping) > _MOST_ENTRIES:
        raise InvalidInput(f"{len(mapping)} {what} on one job: at most {_MOST_ENTRIES}")
    for key, text in mapping.items():
        check_text(f"{what} key", key)
        check_value(f"{what} {key!r}", text)


def _check_tokens(
    info: DriverInfo, items: Sequence[Settlement] | Sequence[Extension], size: int
) -> None:
    check_batch(info, items, size)
    if len({item.token for item in items}) != len(items):
        raise InvalidInput("a token is named twice in one call")


def _check_reports(info: DriverInfo, progress: bytes | None, logs: Sequence[bytes]) -> int:
    size = 0
    if progress is not None:
        size += _check_report(info, "progress", progress, info.max_payload)
    for entry in logs:
        size += _check_report(info, "a log entry", entry, MAX_LOG_BYTES)
    return size


def _check_report(info: DriverInfo, what: str, data: bytes, limit: int) -> int:
    _require(info, Capability.RESULTS, what)
    return _check_size(what, data, limit)


def _check_size(what: str, data: bytes, limit: int) -> int:
    if len(data) > limit:
        raise InvalidInput(f"{what} of {len(data):,} bytes is larger than {limit:,}")
    return len(data)


def _check_length(what: str, length: timedelta) -> None:
    if not timedelta(0) <= length <= _LONGEST:
        raise InvalidInput(f"{what} of {length!r} is not within zero and a century")


def _require(info: DriverInfo, capability: Capability, what: str) -> None:
    if capability not in info.capabilities:
        raise Unsupported(f"{info.name} cannot keep {what}: it lacks {capability.value!r}")


def _check_aware(moment: datetime) -> None:
    if moment.tzinfo is None:
        raise InvalidInput(f"{moment!r} is a naive datetime: give it a time zone")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
