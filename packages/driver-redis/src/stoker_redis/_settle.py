"""The end of a lease, and its extension until then: one script for each queue."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any, Final

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
from stoker_redis._jobs import STATES
from stoker_redis._scripts import Script
from stoker_redis._store import Store, grouped
from stoker_redis._times import when

__all__ = ["extend", "settle"]

_SETTLE: Final = Script("settle")
_EXTEND: Final = Script("extend")

_HEAD: Final = Struct("<qBBBBBqB")
_EXTENSION: Final = Struct("<qBB")
_NEWEST_LOGS: Final = 100

_COMPLETE, _RETRY, _FAIL, _RELEASE, _SNOOZE, _CANCEL = range(1, 7)

_ANSWERS: Final[dict[int, Settled]] = {
    **{10 + n: Settled(SettleStatus.APPLIED, state) for n, state in enumerate(STATES)},
    **{20 + n: Settled(SettleStatus.ALREADY, state) for n, state in enumerate(STATES)},
    30: Settled(SettleStatus.STALE),
    40: Settled(SettleStatus.GONE),
}
_EXTENDED: Final = {
    0: Extended(ExtendStatus.EXTENDED),
    1: Extended(ExtendStatus.STALE),
    2: Extended(ExtendStatus.GONE),
}


async def settle(store: Store, items: Sequence[Settlement], now: int | str) -> list[Settled]:
    """End leases, each with its outcome."""
    by_queue = grouped(item.token.key.queue for item in items)
    calls = [
        store.call(_SETTLE, queue, [now, *_settle_args([items[at] for at in places])])
        for queue, places in by_queue.items()
    ]
    answers: dict[int, Settled] = {}
    for places, reply in zip(by_queue.values(), await store.run(calls), strict=True):
        answers.update(zip(places, [_ANSWERS[code] for code in reply], strict=True))
    return [answers[at] for at in range(len(items))]


def _settle_args(items: Sequence[Settlement]) -> list[bytes]:
    """Return settlements as `lua/settle.lua` reads them."""
    heads: list[bytes] = []
    ids: list[bytes] = []
    args: list[bytes] = []
    for item in items:
        kind, body, parks, time = _parts(item.outcome)
        logs = item.logs[-_NEWEST_LOGS:] if item.logs else ()
        ids.append(item.token.key.id.encode())
        if body is not None:
            args.append(body)
        if item.progress is not None:
            args.append(item.progress)
        args += logs
        heads.append(
            _HEAD.pack(
                item.token.epoch,
                kind,
                body is not None,
                item.progress is not None,
                parks,
                *time,
                len(logs),
            )
        )
    return [b"".join(heads), *ids, *args]


_NEVER: Final = (0, 0)


def _parts(outcome: Outcome) -> tuple[int, bytes | None, bool, tuple[int, int]]:
    """Return kind, body, whether it parks, and when, of an outcome."""
    match outcome:
        case Complete(result=result):
            return _COMPLETE, result, False, _NEVER
        case Retry(when=time, error=error):
            return _RETRY, error, False, when(time)
        case Fail(error=error):
            return _FAIL, error, False, _NEVER
        case Release(when=time, parked=parked):
            return _RELEASE, None, parked, when(time)
        case Snooze(when=time):
            return _SNOOZE, None, False, when(time)
        case Cancel(reason=reason):
            return _CANCEL, reason.encode(), False, _NEVER


async def extend(
    store: Store, items: Sequence[Extension], length: int, now: int | str
) -> list[Extended]:
    """Move the expiry of every valid lease, and keep what its run reports."""
    by_queue = grouped(item.token.key.queue for item in items)
    calls = [
        store.call(_EXTEND, queue, [now, length, *_extend_args([items[at] for at in places])])
        for queue, places in by_queue.items()
    ]
    answers: dict[int, Extended] = {}
    for places, reply in zip(by_queue.values(), await store.run(calls), strict=True):
        answers.update(zip(places, map(_extended, reply), strict=True))
    return [answers[at] for at in range(len(items))]


def _extended(answer: Any) -> Extended:
    """Return what a number stands for; text is the reason of a cancel that was requested."""
    if isinstance(answer, int):
        return _EXTENDED[answer]
    return Extended(ExtendStatus.EXTENDED, answer.decode())


def _extend_args(items: Sequence[Extension]) -> list[bytes]:
    """Return extensions as `lua/extend.lua` reads them."""
    heads: list[bytes] = []
    args: list[bytes] = []
    for item in items:
        logs = item.logs[-_NEWEST_LOGS:] if item.logs else ()
        args.append(item.token.key.id.encode())
        if item.progress is not None:
            args.append(item.progress)
        args += logs
        heads.append(_EXTENSION.pack(item.token.epoch, item.progress is not None, len(logs)))
    return [b"".join(heads), *args]
