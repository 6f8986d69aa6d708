"""The life of a lease after its claim: extended, then settled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stoker.driver import (
    Cancel,
    Complete,
    Extended,
    ExtendStatus,
    Extension,
    Fail,
    Outcome,
    Release,
    Retry,
    Settled,
    Settlement,
    SettleStatus,
    Snooze,
    resolve,
)
from stoker.job import JobState, Token
from stoker_sqlite._effects import Effects
from stoker_sqlite._jobs import Found
from stoker_sqlite._transaction import Transaction, array

__all__ = ["extend", "settle", "settle_one"]

_APPLIED: Final = {state: Settled(SettleStatus.APPLIED, state) for state in JobState}
_ALREADY: Final = {state: Settled(SettleStatus.ALREADY, state) for state in JobState}
_SETTLED_STALE: Final = Settled(SettleStatus.STALE)
_SETTLED_GONE: Final = Settled(SettleStatus.GONE)
_EXTENDED: Final = Extended(ExtendStatus.EXTENDED)
_EXTENDED_STALE: Final = Extended(ExtendStatus.STALE)
_EXTENDED_GONE: Final = Extended(ExtendStatus.GONE)

_KINDS: Final[dict[type[Outcome], str]] = {
    Complete: "complete",
    Retry: "retry",
    Fail: "fail",
    Release: "release",
    Snooze: "snooze",
    Cancel: "cancel",
}


def settle(tx: Transaction, items: Sequence[Settlement], now: int) -> list[Settled]:
    """End leases, each with its outcome."""
    answers = [_SETTLED_GONE] * len(items)
    for queue, positions in _positions([item.token for item in items]).items():
        effects = Effects(tx, queue, [items[at].token.key.id for at in positions], now)
        for at in positions:
            answers[at] = _settle(effects, items[at])
        effects.flush()
    return answers


def settle_one(tx: Transaction, item: Settlement, now: int) -> Settled:
    """End one lease inside a transaction that may not hold the file's lock yet."""
    tx.do("lock", {})
    return settle(tx, [item], now)[0]


def _settle(effects: Effects, item: Settlement) -> Settled:
    found = effects.jobs.get(item.token.key.id)
    if found is None:
        return _SETTLED_GONE
    if found.epoch != item.token.epoch:
        return _SETTLED_STALE
    if found.state is JobState.RUNNING:
        return _APPLIED[_apply(effects, found, item)]
    if found.settled_as == _KINDS[type(item.outcome)] and found.settled_to is not None:
        return _ALREADY[found.settled_to]
    return _SETTLED_STALE


def _apply(effects: Effects, found: Found, item: Settlement) -> JobState:
    """Settle a valid lease, and return the state that it leads to."""
    outcome = item.outcome
    _report(effects, found, item)
    if isinstance(outcome, Retry | Fail):
        effects.report(found, "error", [outcome.error])
    if isinstance(outcome, Release | Snooze):
        found.attempt -= 1
        found.snoozes += isinstance(outcome, Snooze)
    parks = isinstance(outcome, Release) and outcome.parked
    found.parked_since = (found.parked_since or effects.now) if parks else None
    ends_as, run_at = _leads_to(found, outcome, effects.now)
    found.settled_as = _KINDS[type(outcome)]
    if ends_as is None:
        found.settled_to = JobState.READY if run_at <= effects.now else JobState.SCHEDULED
        return effects.pend(found, run_at)
    found.settled_to = ends_as
    if isinstance(outcome, Cancel):
        found.cancel_reason = outcome.reason
    elif ends_as is not JobState.CANCELLED:
        found.cancel_reason = None
    result = outcome.result if isinstance(outcome, Complete) else None
    return effects.end(found, ends_as, result)


def _leads_to(found: Found, outcome: Outcome, now: int) -> tuple[JobState | None, int]:
    """Return the state that an outcome ends a job in; `None` and a time if it goes on."""
    match outcome:
        case Complete():
            return JobState.COMPLETED, now
        case Fail():
            return JobState.FAILED, now
        case Cancel():
            return JobState.CANCELLED, now
        case _ if found.cancel_reason is not None:
            return JobState.CANCELLED, now
        case Retry() if found.attempt >= found.max_attempts:
            return JobState.FAILED, now
        case Retry(when=when) | Release(when=when) | Snooze(when=when):
            return None, resolve(when, now)


def extend(tx: Transaction, items: Sequence[Extension], lease: int, now: int) -> list[Extended]:
    """Move the expiry of every valid lease, and keep what its run reports."""
    answers = [_EXTENDED_GONE] * len(items)
    for queue, positions in _positions([item.token for item in items]).items():
        effects = Effects(tx, queue, [items[at].token.key.id for at in positions], now)
        extended: list[int] = []
        for at in positions:
            token = items[at].token
            found = effects.jobs.get(token.key.id)
            if found is None:
                continue
            if found.epoch != token.epoch or found.state is not JobState.RUNNING:
                answers[at] = _EXTENDED_STALE
                continue
            extended.append(found.job)
            _report(effects, found, items[at])
            answers[at] = (
                _EXTENDED
                if found.cancel_reason is None
                else Extended(ExtendStatus.EXTENDED, found.cancel_reason)
            )
        if extended:
            tx.do("extend", {"jobs": array(extended), "expires_at": now + lease})
        effects.flush()
    return answers


def _report(effects: Effects, found: Found, item: Settlement | Extension) -> None:
    if item.progress is not None:
        effects.report(found, "progress", [item.progress])
    if item.logs:
        effects.report(found, "log", item.logs)


def _positions(tokens: Sequence[Token]) -> dict[str, list[int]]:
    """Return where in a batch the items of each queue are."""
    positions: dict[str, list[int]] = {}
    for at, token in enumerate(tokens):
        positions.setdefault(token.key.queue, []).append(at)
    return positions
