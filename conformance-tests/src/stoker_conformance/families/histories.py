"""HIS: what concurrent clients saw, recorded and held against the contract as a whole."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime, timedelta
from random import Random, randrange
from time import monotonic
from typing import Final

from stoker_conformance.bench import NOON, Bench, Level
from stoker_conformance.case import case
from stoker_conformance.expect import Inconclusive
from stoker_conformance.history import Coverage, Recorder, verify
from stoker_conformance.history.chaos import Chaos, Plan, Turns
from stoker_conformance.history.ending import bring_to_an_end, keys_sent
from stoker_conformance.history.waves import Wave, run_wave

_LEASE: Final = timedelta(seconds=10)
_ENOUGH: Final = Coverage(overlaps=200, reaps=30, stale=30, replays=30, unknown=30)
"""What the seeds of HIS-01 have to hold between them to prove anything."""

_ENOUGH_WITH_KILLS: Final = Coverage(overlaps=30, reaps=8, stale=8, replays=8)
"""What the waves of HIS-02 have to hold; one is enough as a rule."""
_ENOUGH_FOR_A_SOAK: Final = Coverage(overlaps=10, replays=1)
"""What even the shortest soak has to hold: it is as long as its level wants it to be."""
_WAVES: Final = 5
"""After how many waves without enough in them a case gives up to prove anything."""
_SOAK_SECONDS: Final = int(os.environ.get("STOKER_SOAK_SECONDS", "300"))
"""How long a soak goes on, at its level."""
_SOAK_SEED: Final = int(os.environ.get("STOKER_SOAK_SEED") or randrange(10_000, 1_000_000_000))
"""The number that it begins with at its level: another one each time, unless it is given."""


@case(
    "HIS-01",
    clauses=(
        "operation.concurrent",
        "operation.cancelled",
        "claim.exclusive",
        "settle.fenced",
        "token.ends_once",
        "epoch.rises",
        "time.never_early",
    ),
    fix="The invariant that is named was broken by a race or a rare sequence; the operations below "
    "it prove that. The seed repeats it. Read the case that is about the same clause first: if it "
    "is red too, it is shorter.",
    bound=120.0,
)
async def chaos_in_virtual_time(c: Bench) -> None:
    """No history of clients that do everything at once, at random, breaks an invariant."""
    total = Coverage()
    for seed in range(c.pick(fast=10, full=40, soak=400)):
        total += await _chaos(c, seed)
    _prove(total, _ENOUGH)


@case(
    "HIS-02",
    clauses=("operation.concurrent", "claim.exclusive", "claim.lost_reply", "token.ends_once"),
    fix="The invariant that is named was broken between clients in several processes; the "
    "operations below it prove that. What HIS-01 finds too is easier to find there. What only this "
    "case finds is a matter of the store's own transactions, or of what it still owed a client "
    "that was killed.",
    bound=150.0,
)
async def clients_that_are_killed(c: Bench) -> None:
    """Clients on the store's clock, some killed at work, lose and double nothing."""
    total = Coverage()
    for seed in range(1, 1 + _WAVES):
        total += await run_wave(
            c,
            Wave(
                seed=seed,
                clients=c.pick(fast=3, full=6),
                steps=c.pick(fast=110, full=1_000),
                size=c.pick(fast=12, full=60),
                lease=timedelta(milliseconds=c.pick(fast=300, full=1_000)),
                kills=c.pick(fast=1, full=3),
            ),
        )
        if not total.missing(_ENOUGH_WITH_KILLS):
            return
    _prove(total, _ENOUGH_WITH_KILLS)


@case(
    "HIS-03",
    clauses=("answers.allowed", "answers.aligned", "time.given_now"),
    fix="The program that is shown is as short as it could be made; its last step has an answer, "
    "or leaves a record, that the contract does not allow after the steps before it. Write it down "
    "as a test of the driver. If the case about that one operation is red too, begin there.",
    bound=240.0,
)
async def programs_on_driver_and_model(c: Bench) -> None:
    """Whatever is asked in whatever order, driver and a model of the contract agree."""
    # Every run of pytest loads the suite's plugin, and with it all cases: it should not pay for
    # Hypothesis as well.
    from stoker_conformance.stateful.exploring import explore  # noqa: PLC0415 - as above

    await explore(c, programs=c.pick(fast=30, full=200, soak=500), steps=c.pick(fast=50, full=60))


@case(
    "HIS-04",
    clauses=("operation.concurrent", "claim.lost_reply", "token.outlives_expiry"),
    fix="The invariant that is named was broken in the wave that is named; the operations "
    "below it prove that. STOKER_SOAK_SEED begins a soak with that number, and repeats what does "
    "not depend on the timing of processes.",
    bound=_SOAK_SECONDS + 120.0,
)
async def soak_with_faults(c: Bench) -> None:
    """For as long as one likes, with clients killed and held up all the while, nothing breaks."""
    seconds = c.pick(fast=1, full=5, soak=_SOAK_SECONDS)
    first = number = c.pick(fast=1_000, full=1_000, soak=_SOAK_SEED)
    total, begun = Coverage(), monotonic()
    while monotonic() - begun < seconds or (
        number - first < _WAVES and total.missing(_ENOUGH_FOR_A_SOAK)
    ):
        total += await run_wave(c, _random_wave(c, number))
        number += 1
    if c.level is Level.SOAK:  # at others it would make every certificate another one
        soaked = f"soaked for {monotonic() - begun:.0f} s"
        c.remark(f"{soaked}, in {number - first} waves from number {first}")
    _prove(total, _ENOUGH_FOR_A_SOAK)


def _prove(total: Coverage, least: Coverage) -> None:
    missing = total.missing(least)
    if missing:
        raise Inconclusive(f"the histories prove too little: {'; '.join(missing)}")


def _random_wave(c: Bench, number: int) -> Wave:
    random = Random(number)
    clients = random.randint(2, c.pick(fast=2, full=3, soak=6))
    return Wave(
        seed=number,
        clients=clients,
        steps=random.randint(40, c.pick(fast=60, full=100, soak=400)),
        size=random.randint(2, 30),
        lease=timedelta(milliseconds=random.randint(150, 300)),
        kills=1,
        stops=random.randint(1, clients - 1),
    )


class _Passing:
    """A given time that moves a little with every operation, seen from all clients."""

    def __init__(self, c: Bench, random: Random) -> None:
        self._stored = c.stored
        self._random = random
        self._now = NOON

    def __call__(self) -> datetime:
        step = timedelta(microseconds=self._random.randrange(1_500_000))
        self._now = self._stored(self._now + step)  # what the driver can keep is never rounded
        return self._now

    def leap(self) -> datetime:
        """Let everything become due, and every lease expire."""
        self._now += timedelta(hours=1)
        return self._now


async def _chaos(c: Bench, seed: int) -> Coverage:
    """Run one seed: three clients at once, then an end; return what the history holds."""
    name = f"seed {seed}"
    queues, orderly = (f"letters-{seed}", f"parcels-{seed}"), f"orderly-{seed}"
    names = ("ada", "ben", "cleo")
    plan = Plan(names, queues, orderly, steps=70, size=4, lease=_LEASE, give_up=0.1)
    recorder, clock = Recorder(), _Passing(c, Random(f"{seed} time"))
    clients = []
    for client in names:
        random = Random(f"{seed} {client}")
        driver = recorder.client(await c.driver(), client, Turns(random))
        clients.append((driver, Chaos(driver, client, plan, random, clock)))
    try:
        async with asyncio.TaskGroup() as group:
            for _, chaos in clients:
                group.create_task(chaos.run())
    except ExceptionGroup as several:
        raise several.exceptions[0] from several
    for driver, _ in clients:
        await driver.close()

    last = recorder.client(await c.driver(), "last")
    everywhere, keys = (*queues, orderly), keys_sent(recorder.operations)
    left = await bring_to_an_end(last, everywhere, keys, clock=clock.leap, lease=_LEASE, patience=3)
    coverage = verify(recorder.operations, Coverage(), name)
    if left:
        raise Inconclusive(f"{left} jobs of {name} have not ended, and it is not clear why")
    return coverage
