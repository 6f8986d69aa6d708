"""PRS: which workers are alive."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Protocol, cast

from stoker.driver import Capability, Driver, Presence
from stoker_conformance.bench import Bench
from stoker_conformance.case import case
from stoker_conformance.expect import expect

_NEEDS: Final = (Capability.PRESENCE,)
_TTL: Final = timedelta(seconds=30)


class _PresenceDriver(Driver, Presence, Protocol):
    """A driver with this capability."""


@case(
    "PRS-01",
    clauses=("presence.announced", "presence.withdrawn"),
    needs=_NEEDS,
    fix="An announcement replaces the one before, and is seen by every client until it is "
    "withdrawn.",
)
async def announced_workers_are_listed(c: Bench) -> None:
    """A worker is listed, by name, from its announcement until it withdraws."""
    worker, reader = await _driver(c), await _driver(c)
    await worker.announce("w-2", ["letters", "parcels"], _TTL, b'{"host":"a"}', now=c.now)
    await worker.announce("w-1", ["letters"], _TTL, b"{}", now=c.at(1))
    await worker.announce("w-2", ["letters"], _TTL, b'{"host":"b"}', now=c.at(10))

    first, second = await reader.workers(now=c.at(11))
    expect("the names, in order", (first.worker, second.worker), ("w-1", "w-2"))
    seen = (second.queues, second.info, second.since, second.expires_at)
    expect("the worker announced twice", seen, (("letters",), b'{"host":"b"}', c.now, c.at(40)))
    await worker.withdraw("w-2")
    await worker.withdraw("w-2")
    await worker.withdraw("unknown")
    left = [entry.worker for entry in await reader.workers(now=c.at(12))]
    expect("workers after a withdrawal", left, ["w-1"])


@case(
    "PRS-02",
    clauses=("presence.expires", "time.given_now"),
    needs=_NEEDS,
    fix="Expiry is compared with the `now` given, not left to a time-to-live of the server; a "
    "worker that comes back after it starts a new `since`.",
)
async def silent_workers_expire(c: Bench) -> None:
    """A worker is gone once its time to live has passed, and begins anew when it comes back."""
    driver = await _driver(c)
    await driver.announce("w-1", ["letters"], _TTL, b"{}", now=c.now)
    await driver.announce("w-1", ["letters"], _TTL, b"{}", now=c.at(20))
    end = c.at(50)
    present = [entry.since for entry in await driver.workers(now=end - c.tick)]
    expect("since, a tick before its end", present, [c.now])
    expect("workers at its end", await driver.workers(now=end), [])
    await driver.announce("w-1", ["letters"], _TTL, b"{}", now=end)
    [entry] = await driver.workers(now=c.at(61))
    expect("since, after it came back", entry.since, end)


async def _driver(c: Bench) -> _PresenceDriver:
    return cast(_PresenceDriver, await c.driver())
