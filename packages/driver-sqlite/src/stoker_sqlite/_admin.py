"""Changes from outside of a worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from stoker.driver import Changed, ChangeStatus, JobKey, When
from stoker.job import PENDING_STATES, JobState
from stoker_sqlite import _keys
from stoker_sqlite._effects import Effects
from stoker_sqlite._jobs import Found
from stoker_sqlite._transaction import Transaction, array

__all__ = ["cancel", "pause", "remove", "reschedule", "retry"]

_GONE: Final = Changed(ChangeStatus.GONE)
_RETRIABLE: Final = frozenset({JobState.FAILED, JobState.CANCELLED})

_Change = Callable[[str, Effects, Found], Changed]


def cancel(tx: Transaction, keys: Sequence[JobKey], reason: str, now: int) -> list[Changed]:
    """Cancel pending jobs; leave a request for the workers of running ones."""

    def change(queue: str, effects: Effects, found: Found) -> Changed:
        if found.state in PENDING_STATES:
            found.cancel_reason = reason
            return _done(effects.end(found, JobState.CANCELLED))
        if found.state is not JobState.RUNNING:
            return _not_applicable(found)
        tx.do("request_cancel", {"jobs": array([found.job]), "reason": reason})
        tx.hint("queue_cancels", queue)
        return Changed(ChangeStatus.REQUESTED, found.state)

    return _change_each(tx, keys, now, change)


def retry(tx: Transaction, keys: Sequence[JobKey], now: int) -> list[Changed]:
    """Let failed and cancelled jobs begin anew, at the end of their priority."""

    def change(queue: str, effects: Effects, found: Found) -> Changed:
        if found.state not in _RETRIABLE:
            return _not_applicable(found)
        other = _keys.take_again(tx, queue, found.id, found.unique_key, found.unique_until, now)
        if other is not None:
            existing = None if other.state is None else other.id
            return Changed(ChangeStatus.UNIQUE_CONFLICT, existing=existing)
        tx.do("attachments_clear", {"jobs": array([found.job]), "kind": "progress"})
        found.attempt = found.crashes = found.snoozes = 0
        found.parked_since = found.settled_as = found.settled_to = found.cancel_reason = None
        return _done(effects.pend(found, now))

    return _change_each(tx, keys, now, change)


def reschedule(tx: Transaction, keys: Sequence[JobKey], when: When, now: int) -> list[Changed]:
    """Move pending jobs to another time."""

    def change(_queue: str, effects: Effects, found: Found) -> Changed:
        if found.state not in PENDING_STATES:
            return _not_applicable(found)
        return _done(effects.move(found, when))

    return _change_each(tx, keys, now, change)


def remove(tx: Transaction, keys: Sequence[JobKey]) -> list[Changed]:
    """Delete jobs in any state, and free their keys."""

    def change(queue: str, effects: Effects, found: Found) -> Changed:
        if found.unique_key is not None:
            _keys.free_always(tx, queue, found.unique_key, found.id)
        effects.delete(found)
        return Changed(ChangeStatus.DONE)

    return _change_each(tx, keys, 0, change)


def pause(tx: Transaction, queue: str, paused: bool) -> None:
    """Pause or resume a queue."""
    if paused:
        tx.do("queue_pause", {"queue": queue})
    else:
        tx.hint("queue_resume", queue)


def _change_each(
    tx: Transaction, keys: Sequence[JobKey], now: int, change: _Change
) -> list[Changed]:
    answers = [_GONE] * len(keys)
    positions: dict[str, list[int]] = {}
    for at, key in enumerate(keys):
        positions.setdefault(key.queue, []).append(at)
    for queue, places in positions.items():
        effects = Effects(tx, queue, [keys[at].id for at in places], now)
        for at in places:
            found = effects.jobs.get(keys[at].id)
            if found is not None:
                answers[at] = change(queue, effects, found)
        effects.flush()
    return answers


def _done(state: JobState) -> Changed:
    return Changed(ChangeStatus.DONE, state)


def _not_applicable(found: Found) -> Changed:
    return Changed(ChangeStatus.NOT_APPLICABLE, found.state)
