"""Recurring jobs: rows that are compared by version before they change."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final

from stoker.driver import Fired, FireStatus, NewJob, Schedule, ScheduleBook, When
from stoker_redis._enqueue import answers, job_args
from stoker_redis._keys import names_key
from stoker_redis._scripts import Script
from stoker_redis._store import Store
from stoker_redis._times import NONE, instant, instant_or_none, span, when

__all__ = ["fire", "listed", "put", "remove"]

_PUT: Final = Script("put_schedule")
_FIRE: Final = Script("fire_schedule")
_LIST: Final = Script("list_schedules")
_REMOVE: Final = Script("remove_schedule")
_CLOCK: Final = Script("clock")

_ROW: Final = Struct("<4q")
_STATUS: Final = (FireStatus.FIRED, FireStatus.NOT_DUE, FireStatus.CONFLICT, FireStatus.GONE)


async def put(
    store: Store, queue: str, name: str, definition: bytes, next_at: When, now: int | str
) -> Schedule:
    """Create a schedule, or replace it if the definition is another."""
    await store.register([queue])
    at, row = await store.one(_PUT, queue, [now, name, definition, *when(next_at)])
    return _schedule(queue, name, row, at)


async def fire(
    store: Store,
    queue: str,
    name: str,
    expected_version: int,
    next_at: int | None,
    jobs: Sequence[NewJob],
    now: int | str,
) -> Fired:
    """Advance a schedule past the tick that is due, and store its jobs."""
    tick = "" if next_at is None else next_at
    args = [now, name, expected_version, tick, *job_args(jobs)]
    call = store.call(_FIRE, queue, args)
    number, at, row, refused = (await store.run([call], confirmed=True))[0]
    status = _STATUS[number]
    enqueued = answers(len(jobs), refused) if status is FireStatus.FIRED else []
    schedule = _schedule(queue, name, row, at) if row else None
    return Fired(status, instant(at), enqueued, schedule)


async def listed(store: Store, queues: Sequence[str], now: int | str) -> ScheduleBook:
    """Return the schedules of some queues, by queue and name."""
    found: list[Schedule] = []
    answered = await store.all(_LIST, queues, (now,))
    for queue, (at, *rows) in answered.items():
        for name, row in zip(rows[::2], rows[1::2], strict=True):
            found.append(_schedule(queue, name.decode(), row, at))
    found.sort(key=lambda schedule: (schedule.queue, schedule.name))
    times = [at for at, *_ in answered.values()]
    return ScheduleBook(found, instant(times[0] if times else await _time(store, now)))


async def remove(store: Store, queue: str, name: str) -> bool:
    """Delete a schedule; return whether there was one."""
    return bool(await store.one(_REMOVE, queue, [name.encode(errors="surrogatepass")]))


async def _time(store: Store, now: int | str) -> int:
    return int(await store.client.call(_CLOCK, [names_key(store.client.prefix)], [now]))


def _schedule(queue: str, name: str, row: bytes, now: int) -> Schedule:
    next_at, last_at, count, version = _ROW.unpack_from(row)
    return Schedule(
        queue=queue,
        name=name,
        definition=row[_ROW.size :],
        next_at=instant_or_none(next_at),
        last_at=instant_or_none(last_at),
        count=count,
        version=version,
        due_in=None if next_at == NONE else span(next_at - now),
    )
