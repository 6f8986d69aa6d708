"""From what a handler did to what is asked of the store."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from stoker import outcome as raised
from stoker._value import value
from stoker.driver import (
    IMMEDIATELY,
    After,
    Cancel,
    Fail,
    Lease,
    Outcome,
    Release,
    Retry,
    Snooze,
)
from stoker.driver.checks import storable
from stoker.errors import InvalidPayload, UnserializableResult
from stoker.retry import wait_before_retry
from stoker.router import Entry
from stoker.router.options import DEFAULTS
from stoker.worker.failure import describe

__all__ = ["Ending", "expired", "failed", "parked", "refused", "released"]

log: Final = logging.getLogger("stoker.worker")

_LONGEST_PARK: Final = timedelta(minutes=1)
_MOST_SNOOZES: Final = 10_000
"""A job that is snoozed for ever is a mistake, and would never show."""
_SHORTEST_PARK: Final = timedelta(seconds=1)


@value
class Ending:
    """How a run ended: what is asked of the store, and what the hooks are told."""

    outcome: Outcome | None
    """`None`: a transaction of the handler has settled the run already."""
    detail: Any = None
    """The result of a run that completed, the error of one that failed."""


def failed(error: BaseException, lease: Lease, entry: Entry, random: Random) -> Ending:
    """Return the ending of a run whose handler raised `error`."""
    match error:
        case raised.Snooze() if lease.snoozes < _MOST_SNOOZES:
            return Ending(Snooze(After(error.delay)))
        case raised.Snooze():
            error = RuntimeError(f"{lease.name} was snoozed {lease.snoozes:,} times")
            return Ending(Fail(describe(error, lease.attempt)), error)
        case raised.Cancel():
            return Ending(Cancel(storable(error.reason)))
        case raised.Fail():
            error = error.__cause__ or error
        case UnserializableResult():
            pass
        case _ if isinstance(error, (entry.settings.retry_on, asyncio.CancelledError)):
            wait = After(_wait(lease, entry, random))
            return Ending(Retry(wait, describe(error, lease.attempt)), error)
    return Ending(Fail(describe(error, lease.attempt)), error)


def parked(lease: Lease, error: InvalidPayload | LookupError, patience: timedelta) -> Ending:
    """Return the ending of a job that this code cannot run, though other code may.

    It is put back for a while, longer each time, and fails when nobody could run it within
    `patience`.
    """
    since: datetime = lease.parked_since or lease.claimed_at
    waited = lease.claimed_at - since
    if waited >= patience:
        return Ending(Fail(describe(error)), error)
    wait = min(max(waited / 2, _SHORTEST_PARK), _LONGEST_PARK, patience)
    return Ending(Release(After(wait), parked=True), error)


def expired(lease: Lease) -> bool:
    """Return whether the job was claimed after the time at which it must not start any more."""
    return lease.expires is not None and lease.claimed_at > lease.expires


def refused(error: BaseException) -> Ending:
    """Return the ending of a run whose outcome the store refused to keep."""
    return Ending(Fail(describe(error)), error)


def released() -> Ending:
    """Return the ending of a run that did not happen, for no fault of the job."""
    return Ending(Release(IMMEDIATELY))


def _wait(lease: Lease, entry: Entry, random: Random) -> timedelta:
    try:
        return wait_before_retry(entry.settings.backoff, lease.attempt, random)
    except Exception:
        # A broken backoff of the user's must not cost the job its next attempt.
        log.exception("the backoff of job %s failed; the default is used", lease.name)
        return wait_before_retry(DEFAULTS["backoff"], lease.attempt, random)
