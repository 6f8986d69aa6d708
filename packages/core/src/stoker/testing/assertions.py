"""Assertions on what was scheduled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from stoker.app import Stoker
from stoker.driver import JobRecord
from stoker.router import Job

__all__ = ["assert_not_scheduled", "assert_scheduled"]

P = TypeVar("P")


async def assert_scheduled(
    app: Stoker[Any],
    job: Job[P, Any, ..., Any],
    payload: P | None = None,
    *,
    where: Callable[[JobRecord], bool] | None = None,
    count: int | None = None,
) -> list[JobRecord]:
    """Assert that calls of `job` wait to be run, and return their records.

    Args:
        app: the app to look into.
        job: the definition.
        payload: count only calls with an equal payload.
        where: count only records for which this returns true, for example
            `lambda record: record.run_at == tomorrow`.
        count: exactly so many; at least one if left out.

    Raises:
        AssertionError: if there are others; the message lists what was scheduled.

    Example::

        await assert_scheduled(app, send_welcome_email, Welcome(user_id="7"), count=1)
    """
    waiting = await app.scheduled(job)
    found = [
        record
        for stored, record in waiting
        if (payload is None or stored == payload) and (where is None or where(record))
    ]
    if len(found) != count if count is not None else not found:
        wanted = "at least one call" if count is None else f"{count} calls"
        raise AssertionError(
            f"expected {wanted} of {job.name}{_with(payload)} to be scheduled, found {len(found)}"
            f"; scheduled calls of it: {_listed(waiting)}"
        )
    return found


async def assert_not_scheduled(
    app: Stoker[Any], job: Job[P, Any, ..., Any], payload: P | None = None
) -> None:
    """Assert that no call of `job` (with an equal payload, if given) waits to be run.

    Raises:
        AssertionError: if one does.
    """
    await assert_scheduled(app, job, payload, count=0)


def _with(payload: Any) -> str:
    return "" if payload is None else f" with {payload!r}"


def _listed(waiting: list[tuple[P, JobRecord]]) -> str:
    if not waiting:
        return "none"
    return ", ".join(f"{payload!r} at {record.run_at.isoformat()}" for payload, record in waiting)
