"""A client that does everything a client may do, at random: the load of a history.

It enqueues, works, sends again what it has sent, forgets what it holds, comes late with tokens
of old, gives up waiting, and lets administrators loose. All of it is drawn from one `Random`, so a
seed repeats it as far as the driver's own timing allows.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, Protocol

from stoker.driver import (
    IMMEDIATELY,
    After,
    Cancel,
    Capability,
    Complete,
    Driver,
    Extension,
    Fail,
    JobKey,
    KeepFor,
    NewJob,
    OnConflict,
    Outcome,
    Release,
    Retention,
    Retry,
    Settlement,
    Snooze,
    Token,
    Unique,
    Until,
    Want,
)
from stoker.driver.queries import Keep
from stoker.errors import DriverUnavailable

__all__ = ["Chaos", "Clock", "Plan", "Turns"]

_ERROR: Final = b'{"error": "it broke"}'
_ZERO: Final = timedelta(0)


class Clock(Protocol):
    """Gives the `now` of the next operation: `None` is the store's own clock."""

    def __call__(self) -> datetime | None: ...


class Turns:
    """Lets the loop turn a few times, so that operations of this client overlap with others."""

    def __init__(self, random: Random) -> None:
        self._random = random

    async def __call__(self) -> None:
        for _ in range(self._random.choice((0, 0, 1, 2, 4))):
            await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one client of a history does."""

    clients: tuple[str, ...]
    """All clients of the history, so that they guess each other's jobs."""
    queues: tuple[str, ...]
    """Where it works."""
    orderly: str | None
    """A queue that the first client alone claims from, and never gives up waiting for."""
    steps: int
    """How many operations it begins with; some bring a second one along."""
    size: int
    """The most items of a call."""
    lease: timedelta
    give_up: float
    """How often it stops waiting for an answer, 0 to 1."""


class Chaos:
    """One client. `run` does what the plan says, and leaves everything as it happens to be."""

    def __init__(self, driver: Driver, name: str, plan: Plan, random: Random, clock: Clock) -> None:
        self._driver = driver
        self._name = name
        self._plan = plan
        self._random = random
        self._now = clock
        self._has = driver.info.capabilities
        self._sent = 0
        self._last_batch: list[NewJob] = []
        self._held: list[Token] = []
        self._old: deque[Token] = deque(maxlen=8 * plan.size)
        """Tokens that it has settled, or forgotten."""
        self._paused: str | None = None

    async def run(self) -> None:
        """Do all steps, and resume what is paused."""
        actions, weights = zip(*self._actions(), strict=True)
        for _ in range(self._plan.steps):
            [action] = self._random.choices(actions, weights)
            await action()
        if self._paused is not None:
            await self._call(self._driver.pause(self._paused, False), patient=True)

    def _actions(self) -> list[tuple[Callable[[], Awaitable[None]], int]]:
        return [
            (self._enqueue, 22),
            (self._claim, 26),
            (self._settle, 26),
            (self._come_late, 8),
            (self._extend, 12),
            (self._forget, 3),
            (self._promote, 8),
            (self._reap, 12),
            (self._administrate, 8),
            (self._pause, 2),
            (self._look, 8),
            (self._purge, 1),
        ]

    # Producing

    async def _enqueue(self) -> None:
        again = self._last_batch and self._random.random() < 0.15
        batch = self._last_batch if again else [self._job() for _ in range(self._number())]
        if not again and self._random.random() < 0.2:
            batch.append(self._job(self._somebodys_key()))
        self._last_batch = batch
        await self._call(self._driver.enqueue(batch, now=self._now()))

    def _job(self, key: JobKey | None = None) -> NewJob:
        """Return a job of a new id, or another one that claims the id of an old one."""
        random, number = self._random, self._sent
        if key is None:
            self._sent += 1
            key = self._key(self._name, number)
        delayed = random.random() < 0.25
        return NewJob(
            key=key,
            name=random.choice(("post.deliver", "post.sort")),
            payload=b'{"of": "%s", "number": %d}' % (self._name.encode(), number),
            run_at=After(self._delay()) if delayed else IMMEDIATELY,
            priority=self._priority(),
            max_attempts=random.randint(1, 3),
            max_crashes=random.randint(0, 3),
            keep=KeepFor(completed=_ZERO) if random.random() < 0.2 else None,
            unique=self._unique() if Capability.UNIQUE in self._has else None,
            tags=("urgent",) if random.random() < 0.2 else (),
            nonce=f"{self._name}-{random.getrandbits(48):x}",
        )

    def _key(self, client: str, number: int) -> JobKey:
        places = (*self._plan.queues, *([self._plan.orderly] if self._plan.orderly else []))
        return JobKey(places[number % len(places)], f"{client}-{number:05}")

    def _priority(self) -> int:
        if Capability.PRIORITY not in self._has or self._random.random() < 0.6:
            return 4
        return self._random.randint(0, 9)

    def _unique(self) -> Unique | None:
        random = self._random
        if random.random() < 0.75:
            return None
        until = random.choice((Until.FINISH, Until.FINISH, Until.START, After(self._delay())))
        conflict = random.choice(tuple(OnConflict))
        return Unique(f"key-{random.randrange(2 * self._plan.size)}", until, conflict)

    # Consuming

    async def _claim(self) -> None:
        mine = self._name == self._plan.clients[0]
        if mine and self._plan.orderly is not None and self._random.random() < 0.3:
            await self._claim_from([self._plan.orderly], patient=True)
            return
        number = min(len(self._plan.queues), self._random.randint(1, 2))
        await self._claim_from(self._random.sample(self._plan.queues, number), patient=False)

    async def _claim_from(self, queues: Sequence[str], *, patient: bool) -> None:
        wants = [Want(queue, self._random.randint(1, self._plan.size)) for queue in queues]
        claim = self._driver.claim(
            wants, worker=self._name, lease=self._plan.lease, now=self._now()
        )
        claimed = await self._call(claim, patient=patient)
        if claimed is not None:
            self._held += [lease.token for lease in claimed.leases]

    async def _settle(self) -> None:
        tokens = [self._held.pop(0) for _ in range(min(self._number(), len(self._held)))]
        if tokens:
            await self._send(self._settlements(tokens + self._few_old()))
            self._old += tokens

    async def _come_late(self) -> None:
        """Settle only tokens of which there is little hope."""
        late = list(dict.fromkeys(self._few_old() + self._few_old()))
        if late:
            await self._send(self._settlements(late))

    async def _send(self, items: list[Settlement]) -> None:
        """Settle; again when there was no answer, as a worker does, or when there was."""
        answers = await self._call(self._driver.settle(items, now=self._now()))
        if answers is None or self._random.random() < 0.25:
            await self._call(self._driver.settle(items, now=self._now()), patient=True)

    def _settlements(self, tokens: Sequence[Token]) -> list[Settlement]:
        return [Settlement(token, self._outcome()) for token in dict.fromkeys(tokens)]

    def _outcome(self) -> Outcome:
        random = self._random
        when = IMMEDIATELY if random.random() < 0.5 else After(self._delay())
        result = b'"done"' if Capability.RESULTS in self._has else None
        outcomes: list[Outcome] = [
            Complete(result),
            Retry(when, _ERROR),
            Release(when),
            Snooze(when),
            Fail(_ERROR),
            Cancel("not wanted"),
        ]
        return random.choices(outcomes, (10, 4, 2, 2, 1, 1))[0]

    async def _extend(self) -> None:
        held = self._random.sample(self._held, min(self._number(), len(self._held)))
        tokens = dict.fromkeys(held + self._few_old())
        items = [Extension(token) for token in tokens]
        if items:
            await self._call(self._driver.extend(items, lease=self._plan.lease, now=self._now()))

    async def _forget(self) -> None:
        """Lose some of what it holds: the work of a crash."""
        lost = self._random.randint(0, len(self._held))
        self._old += self._held[:lost]
        del self._held[:lost]

    def _few_old(self) -> list[Token]:
        number = min(len(self._old), self._random.randint(0, 3))
        return self._random.sample(list(self._old), number)

    # Upkeep and administration

    async def _promote(self) -> None:
        await self._call(
            self._driver.promote(self._everywhere(), limit=self._number(), now=self._now())
        )

    async def _reap(self) -> None:
        delay = _ZERO if self._random.random() < 0.5 else self._delay()
        reap = self._driver.reap(
            self._everywhere(), limit=self._number(), delay=delay, error=_ERROR, now=self._now()
        )
        await self._call(reap)

    async def _administrate(self) -> None:
        keys = self._somebodys_keys()
        driver, now = self._driver, self._now()
        changes: list[Callable[[], Awaitable[Any]]] = [
            lambda: driver.cancel(keys, reason="not wanted", now=now),
            lambda: driver.retry(keys, now=now),
            lambda: driver.reschedule(keys, After(self._delay()), now=now),
            lambda: driver.remove(keys),
        ]
        [change] = self._random.choices(changes, (4, 4, 2, 1))
        await self._call(change())

    async def _pause(self) -> None:
        if self._paused is None:
            self._paused = self._random.choice(self._plan.queues)
            await self._call(self._driver.pause(self._paused, True))
        else:
            queue, self._paused = self._paused, None
            await self._call(self._driver.pause(queue, False), patient=True)

    async def _look(self) -> None:
        keys = self._somebodys_keys()
        looks: list[Callable[[], Awaitable[Any]]] = [
            lambda: self._driver.get(keys),
            lambda: self._driver.states(keys),
            lambda: self._driver.stats(self._everywhere(), now=self._now()),
        ]
        await self._call(self._random.choice(looks)())

    async def _purge(self) -> None:
        queue = self._random.choice(self._plan.queues)
        old = Keep(max_age=4 * self._plan.lease)
        policy = Retention(old, old, old)
        await self._call(self._driver.purge(queue, policy, limit=self._number(), now=self._now()))

    # Chance

    async def _call(self, operation: Awaitable[Any], *, patient: bool = False) -> Any:
        """Await an operation, or give up waiting; `None` then, and when the store is away."""
        with suppress(DriverUnavailable):
            if patient or self._random.random() >= self._plan.give_up:
                return await operation
            return await self._give_up_soon(operation)
        return None

    async def _give_up_soon(self, operation: Awaitable[Any]) -> Any:
        task = asyncio.ensure_future(operation)
        try:
            for _ in range(self._random.randint(1, 6)):
                await asyncio.sleep(0)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return None if task.cancelled() else task.result()

    def _number(self) -> int:
        return self._random.randint(1, self._plan.size)

    def _delay(self) -> timedelta:
        return self._plan.lease * self._random.random()

    def _everywhere(self) -> list[str]:
        return [*self._plan.queues, *([self._plan.orderly] if self._plan.orderly else [])]

    def _somebodys_keys(self) -> list[JobKey]:
        keys = [self._somebodys_key() for _ in range(self._random.randint(1, 3))]
        return list(dict.fromkeys(keys))

    def _somebodys_key(self) -> JobKey:
        """Guess the key of a job that exists or soon will: everybody is about as far as we are."""
        client = self._random.choice(self._plan.clients)
        return self._key(client, self._random.randrange(self._sent + 4))
