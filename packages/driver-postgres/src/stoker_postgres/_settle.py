"""The life of a lease after its claim: extended, then settled.

What a statement does not answer was not valid, is locked, or has changed while it was waited for. A
second statement tells which: the first one cannot see what was committed while it waited.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

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
)
from stoker.errors import DriverUnavailable
from stoker.job import JobState, Token
from stoker_postgres._jobs import STATES
from stoker_postgres._statements import Statements
from stoker_postgres._times import when

__all__ = ["extend", "settle"]

_APPLIED: Final = {state: Settled(SettleStatus.APPLIED, state) for state in JobState}
_ALREADY: Final = {state: Settled(SettleStatus.ALREADY, state) for state in JobState}
_SETTLED_STALE: Final = Settled(SettleStatus.STALE)
_SETTLED_GONE: Final = Settled(SettleStatus.GONE)
_EXTENDED: Final = Extended(ExtendStatus.EXTENDED)
_EXTENDED_STALE: Final = Extended(ExtendStatus.STALE)
_EXTENDED_GONE: Final = Extended(ExtendStatus.GONE)
_EXTENDED_BUSY: Final = Extended(ExtendStatus.BUSY)

_NEWEST_LOGS: Final = 100
_ROUNDS: Final = 20
"""How often a settlement is tried that is overtaken each time, by an extend for one."""

_KINDS: Final[dict[type[Outcome], str]] = {
    Complete: "complete",
    Retry: "retry",
    Fail: "fail",
    Release: "release",
    Snooze: "snooze",
    Cancel: "cancel",
}


class _Found(NamedTuple):
    """What became of a lease that was not valid."""

    is_last: bool
    """Whether it was the last one of its job."""
    state: str
    settled_as: str | None
    settled_to: str | None


async def settle(
    db: Statements, items: Sequence[Settlement], now: int | None, *, idle: str | None = None
) -> list[Settled]:
    """End leases, each with its outcome.

    Args:
        db: runs the statements.
        items: what to settle.
        now: the time; `None` for the server's.
        idle: how long the transaction may be idle from here on; with it all items are plain
            completions.

    Raises:
        DriverUnavailable: a lease changed whenever it was to be settled; the others are settled.
    """
    answers: list[Settled | None] = [None] * len(items)
    left = list(range(len(items)))
    for _ in range(_ROUNDS):
        applied = await _apply(db, [items[at] for at in left], now, idle)
        for at, answer in zip(left, applied, strict=True):
            answers[at] = answer
        missing = [at for at in left if answers[at] is None]
        found = await _classify(db, [items[at].token for at in missing])
        for at, lease in zip(missing, found, strict=True):
            if not _is_valid(lease):  # else it changed while it was waited for
                answers[at] = _not_applied(items[at], lease)
        left = [at for at in missing if answers[at] is None]
        if not left:
            return [answer for answer in answers if answer is not None]
    raise DriverUnavailable(
        f"{len(left)} of {len(items)} leases changed whenever they were to be settled",
        maybe_applied=True,
    )


async def _apply(
    db: Statements, items: Sequence[Settlement], now: int | None, idle: str | None
) -> list[Settled | None]:
    """End the leases that are valid; `None` for the others."""
    answers: list[Settled | None] = [None] * len(items)
    plain = [at for at, item in enumerate(items) if _is_plain(item)]
    if plain:
        for number in await _complete(db, [items[at] for at in plain], now, idle):
            answers[plain[number - 1]] = _APPLIED[JobState.COMPLETED]
    if len(plain) < len(items):
        special = [at for at, item in enumerate(items) if not _is_plain(item)]
        for number, state in await _settle(db, [items[at] for at in special], now):
            answers[special[number - 1]] = _APPLIED[STATES[state]]
    return answers


def _is_plain(item: Settlement) -> bool:
    return isinstance(item.outcome, Complete) and item.progress is None and not item.logs


async def _complete(
    db: Statements, items: Sequence[Settlement], now: int | None, idle: str | None
) -> list[int]:
    results = [item.outcome.result for item in items if isinstance(item.outcome, Complete)]
    if results.count(None) == len(results):  # what an array is too short for is null
        results = []
    tokens = _columns([item.token for item in items])
    return [row[0] for row in await db.rows("complete", now, *tokens, results, idle)]


async def _settle(
    db: Statements, items: Sequence[Settlement], now: int | None
) -> list[tuple[int, str]]:
    outcomes = [_outcome_row(item.outcome) for item in items]
    rows = await db.rows(
        "settle",
        now,
        db.channel,
        *_columns([item.token for item in items]),
        *(list(column) for column in zip(*outcomes, strict=True)),
        [item.progress for item in items],
        *_logs(items),
    )
    return [(number, state) for number, state in rows]


def _outcome_row(outcome: Outcome) -> tuple[Any, ...]:
    """Return kind, delay, time, result, error and reason of an outcome."""
    kind = _KINDS[type(outcome)]
    match outcome:
        case Complete(result=result):
            return kind, None, None, result, None, None
        case Fail(error=error):
            return kind, None, None, None, error, None
        case Cancel(reason=reason):
            return kind, None, None, None, None, reason
        case Retry(when=time, error=error):
            return kind, *when(time), None, error, None
        case Snooze(when=time):
            return kind, *when(time), None, None, None
        case Release(when=time, parked=parked):
            return "park" if parked else kind, *when(time), None, None, None


def _not_applied(item: Settlement, found: _Found | None) -> Settled:
    if found is None:
        return _SETTLED_GONE
    is_resent = found.is_last and found.settled_as == _KINDS[type(item.outcome)]
    if is_resent and found.settled_to is not None:
        return _ALREADY[STATES[found.settled_to]]
    return _SETTLED_STALE


async def extend(
    db: Statements, items: Sequence[Extension], lease: int, now: int | None
) -> list[Extended]:
    """Move the expiry of every valid lease, and keep what its run reports."""
    answers: list[Extended | None] = [None] * len(items)
    rows = await db.rows(
        "extend",
        now,
        lease,
        *_columns([item.token for item in items]),
        [item.progress for item in items],
        *_logs(items),
    )
    for number, reason in rows:
        done = _EXTENDED if reason is None else Extended(ExtendStatus.EXTENDED, reason)
        answers[number - 1] = done
    missing = [at for at, answer in enumerate(answers) if answer is None]
    found = await _classify(db, [items[at].token for at in missing])
    for at, left in zip(missing, found, strict=True):
        answers[at] = _not_extended(left)
    return [answer for answer in answers if answer is not None]


def _not_extended(found: _Found | None) -> Extended:
    if found is None:
        return _EXTENDED_GONE
    return _EXTENDED_BUSY if _is_valid(found) else _EXTENDED_STALE


def _is_valid(found: _Found | None) -> bool:
    return found is not None and found.is_last and found.state == JobState.RUNNING


async def _classify(db: Statements, tokens: Sequence[Token]) -> list[_Found | None]:
    """Return what became of leases; `None` where there is no record."""
    if not tokens:
        return []
    found: list[_Found | None] = [None] * len(tokens)
    for number, is_last, state, settled_as, settled_to in await db.rows(
        "classify", *_columns(tokens)
    ):
        found[number - 1] = _Found(bool(is_last), state, settled_as, settled_to)
    return found


def _columns(tokens: Iterable[Token]) -> tuple[list[str], list[str], list[int]]:
    queues: list[str] = []
    ids: list[str] = []
    epochs: list[int] = []
    for (queue, id_), epoch in tokens:
        queues.append(queue)
        ids.append(id_)
        epochs.append(epoch)
    return queues, ids, epochs


def _logs(items: Sequence[Settlement] | Sequence[Extension]) -> tuple[list[int], list[bytes]]:
    """Return the number of the item, and the body, of each log entry that will stay."""
    numbers: list[int] = []
    bodies: list[bytes] = []
    for number, logs in enumerate((item.logs for item in items), 1):
        for body in logs[-_NEWEST_LOGS:]:
            numbers.append(number)
            bodies.append(body)
    return numbers, bodies
