"""Changes from outside of a worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stoker.driver import Changed, ChangeStatus, JobKey, When
from stoker.job import PENDING_STATES, JobState
from stoker_redis._jobs import STATES
from stoker_redis._scripts import Script
from stoker_redis._store import Store
from stoker_redis._times import when as times

__all__ = ["cancel", "pause", "remove", "reschedule", "retry"]

_CANCEL: Final = Script("cancel")
_RETRY: Final = Script("retry")
_RESCHEDULE: Final = Script("reschedule")
_REMOVE: Final = Script("remove")
_PAUSE: Final = Script("pause")

_GONE: Final = Changed(ChangeStatus.GONE)
_REMOVED: Final = Changed(ChangeStatus.DONE)
_REQUESTED: Final = Changed(ChangeStatus.REQUESTED, JobState.RUNNING)
_RETRIABLE: Final = frozenset({JobState.FAILED, JobState.CANCELLED})


async def cancel(
    store: Store, keys: Sequence[JobKey], reason: str, now: int | str
) -> list[Changed]:
    """Cancel pending jobs; leave a request for the workers of running ones."""
    return [_cancelled(was) for was in await store.each(_CANCEL, keys, now, reason)]


def _cancelled(was: int) -> Changed:
    if was < 0:
        return _GONE
    state = STATES[was]
    if state is JobState.RUNNING:
        return _REQUESTED
    if state in PENDING_STATES:
        return Changed(ChangeStatus.DONE, JobState.CANCELLED)
    return Changed(ChangeStatus.NOT_APPLICABLE, state)


async def retry(store: Store, keys: Sequence[JobKey], now: int | str) -> list[Changed]:
    """Let failed and cancelled jobs begin anew, at the end of their priority."""
    return [_retried(answer) for answer in await store.each(_RETRY, keys, now)]


def _retried(answer: int | bytes) -> Changed:
    if isinstance(answer, bytes):
        return Changed(ChangeStatus.UNIQUE_CONFLICT, existing=answer.decode() or None)
    if answer < 0:
        return _GONE
    state = STATES[answer]
    if state in _RETRIABLE:
        return Changed(ChangeStatus.DONE, JobState.READY)
    return Changed(ChangeStatus.NOT_APPLICABLE, state)


async def reschedule(
    store: Store, keys: Sequence[JobKey], when: When, now: int | str
) -> list[Changed]:
    """Move pending jobs to another time."""
    return [_moved(*answer) for answer in await store.each(_RESCHEDULE, keys, now, *times(when))]


def _moved(was: int, now: int) -> Changed:
    if was < 0:
        return _GONE
    if STATES[was] in PENDING_STATES:
        return Changed(ChangeStatus.DONE, STATES[now])
    return Changed(ChangeStatus.NOT_APPLICABLE, STATES[was])


async def remove(store: Store, keys: Sequence[JobKey]) -> list[Changed]:
    """Delete jobs in any state, and free their keys."""
    return [_REMOVED if found else _GONE for found in await store.each(_REMOVE, keys)]


async def pause(store: Store, queue: str, paused: bool) -> None:
    """Pause or resume a queue."""
    await store.register([queue])
    await store.one(_PAUSE, queue, [int(paused)])
