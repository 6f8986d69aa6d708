"""Questions: records, pages of records, and how full queues are."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, Final

from stoker.driver import JobKey, JobQuery, JobRecord, Page, QueueStats, to_micros
from stoker.errors import InvalidInput
from stoker.job import JobState
from stoker_redis._jobs import STATES, record
from stoker_redis._keys import names_key
from stoker_redis._limits import MOST_BYTES
from stoker_redis._scripts import Script
from stoker_redis._store import Store, grouped, id_of
from stoker_redis._times import span

__all__ = ["cursor_id", "get", "queues", "search", "states", "stats"]

_GET: Final = Script("get")
_STATES: Final = Script("states")
_SEARCH: Final = Script("search")
_NAMES: Final = Script("names")
_STATS: Final = Script("stats")

_STEP: Final = 1_000
"""How many jobs one search looks at before it hands back what it has."""


async def get(store: Store, keys: Sequence[JobKey]) -> list[JobRecord | None]:
    """Return the record of each key, where there is one."""
    found: list[JobRecord | None] = [None] * len(keys)
    waiting = grouped(key.queue for key in keys)
    while waiting:
        calls = [
            store.call(_GET, queue, [MOST_BYTES, *(id_of(keys[at]) for at in places)])
            for queue, places in waiting.items()
        ]
        replies = await store.run(calls)
        left: dict[str, list[int]] = {}
        for (queue, places), reply in zip(waiting.items(), replies, strict=True):
            for at, answer in zip(places, reply, strict=False):
                found[at] = None if answer is None else record(queue, keys[at].id, *answer)
            if len(reply) < len(places):
                left[queue] = places[len(reply) :]
        waiting = left
    return found


async def states(store: Store, keys: Sequence[JobKey]) -> list[JobState | None]:
    """Return the state of each job, where there is one."""
    found = await store.each(_STATES, keys)
    return [None if number < 0 else STATES[number] for number in found]


async def search(store: Store, queue: str, query: JobQuery, after: str | None) -> Page:
    """Return a page of the jobs that match, in the byte order of their ids or its reverse."""
    start = b"" if after is None else after.encode()
    named = None if query.ids is None else _named(query.ids, start, down=query.newest_first)
    if named == []:
        return Page([], None)
    args = _query_args(query, start)
    last, *found = await store.one(_SEARCH, queue, [*args, *(named or ())[:_STEP]])
    jobs = zip(found[::4], found[1::4], found[2::4], found[3::4], strict=True)
    records = [record(queue, id_.decode(), run, job, reports) for id_, run, job, reports in jobs]
    return Page(records, _cursor(last) if last else None)


def _query_args(query: JobQuery, start: bytes) -> list[bytes | int | str]:
    states = "" if query.states is None else "".join(map(_digit, query.states)) or "-"
    since, before = query.enqueued_from, query.enqueued_to
    wanted: dict[str, Any] = {}
    if query.names is not None:
        wanted["names"] = dict.fromkeys(query.names, 1)
    if query.tags:
        wanted["tags"] = list(query.tags)
    if query.metadata:
        wanted["metadata"] = dict(query.metadata)
    return [
        start,
        int(query.newest_first),
        _STEP,
        query.limit,
        MOST_BYTES,
        states,
        "" if since is None else to_micros(since),
        "" if before is None else to_micros(before),
        json.dumps(wanted, ensure_ascii=False).encode(errors="surrogatepass") if wanted else "",
    ]


def _digit(state: JobState) -> str:
    return str(STATES.index(state))


def _named(ids: frozenset[str], start: bytes, *, down: bool) -> list[bytes]:
    """Return the ids to look at that come after `start`, in order."""
    ordered = sorted((id_.encode(errors="surrogatepass") for id_ in ids), reverse=down)
    if not start:
        return ordered
    return [id_ for id_ in ordered if (id_ < start if down else id_ > start)]


def _cursor(last: bytes) -> str:
    return base64.urlsafe_b64encode(last).decode()


def cursor_id(cursor: str) -> str:
    """Return the id that a page ended with.

    Raises:
        InvalidInput: this is not a cursor.
    """
    try:
        id_ = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise InvalidInput(f"{cursor[:80]!r} is not a cursor of a search") from error
    if not id_ or "\0" in id_:
        raise InvalidInput(f"{cursor[:80]!r} is not a cursor of a search")
    return id_


async def queues(store: Store) -> list[str]:
    """Return every queue that ever held a job, a schedule or a pause."""
    names = await store.client.call(_NAMES, [names_key(store.client.prefix)], ())
    return sorted(name.decode() for name in names)


async def stats(
    store: Store, names: Sequence[str], cap: int, now: int | str
) -> dict[str, QueueStats]:
    """Count the jobs of each queue by state."""
    return {
        name: _stats(answer, cap)
        for name, answer in (await store.all(_STATS, names, (now,))).items()
    }


def _stats(answer: Sequence[int], cap: int) -> QueueStats:
    *sizes, oldest, paused = answer
    counts = dict(zip(STATES, sizes, strict=True))
    more = {state for state, count in counts.items() if count > cap} - {JobState.RUNNING}
    return QueueStats(
        counts=counts | dict.fromkeys(more, cap),
        at_least=frozenset(more),
        oldest_ready=None if oldest < 0 else span(oldest),
        paused=bool(paused),
    )
