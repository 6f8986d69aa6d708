"""From a call of a job to what the store is asked to keep."""

from __future__ import annotations

from typing import Any

from stoker._ids import new_id
from stoker.driver import DriverInfo, JobKey, NewJob
from stoker.driver.checks import check_text
from stoker.errors import InvalidInput, InvalidOption, PayloadTooLarge
from stoker.router import CallOptions, Entry
from stoker.router.options import expiry_of, settings_of_call, when_of

__all__ = ["build"]


def build(
    entry: Entry, payload: Any, options: CallOptions, *, prefix: str, info: DriverInfo
) -> NewJob:
    """Validate a call and return the job to store.

    Raises:
        InvalidPayload: if the payload does not validate, or cannot be serialised.
        PayloadTooLarge: if it is larger than the driver takes.
        InvalidTime: for both `delay` and `at`, a negative delay, or a naive datetime.
        InvalidOption: for an unknown option, or a value out of its range.
    """
    settings = settings_of_call(entry.options, entry.settings, options)
    run_at = when_of(options)
    valid, data = entry.job.encode(payload)
    if len(data) > info.max_payload:
        raise PayloadTooLarge(
            f"the payload of {entry.name} is {len(data):,} bytes; {info.name} takes at most "
            f"{info.max_payload:,}: store large data elsewhere and pass a reference to it"
        )
    given_id = options.get("job_id")
    unique = settings.unique
    job_id = _checked(given_id) if given_id is not None else new_id()
    return NewJob(
        key=JobKey(prefix + settings.queue, job_id),
        name=entry.name,
        payload=data,
        run_at=run_at,
        priority=settings.priority,
        max_attempts=settings.attempts,
        max_crashes=settings.max_crashes,
        expires=expiry_of(settings, run_at),
        timeout=settings.timeout,
        keep=settings.keep,
        unique=unique.of(entry.name, valid, data) if unique is not None else None,
        tags=settings.tags,
        metadata=settings.metadata,
        # Tells a re-send from a second schedule. An id of our own does that by itself.
        nonce=job_id if given_id is None else new_id(),
    )


def _checked(job_id: object) -> str:
    if not isinstance(job_id, str):
        raise InvalidOption(f"job_id={job_id!r}: give text")
    try:
        check_text("job_id", job_id)
    except InvalidInput as error:
        raise InvalidOption(str(error)) from error
    return job_id
