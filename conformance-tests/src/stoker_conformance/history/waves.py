"""A wave: several clients, where possible in processes of their own, some of which are killed.

Time is the store's. Every client writes its events to a file as they happen, so that those of a
killed one are known too, up to the call in which it died.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from stoker.driver import Driver
from stoker_conformance.bench import Bench
from stoker_conformance.expect import Inconclusive, Violation
from stoker_conformance.faults import Actor, ActorKilled
from stoker_conformance.history.chaos import Chaos, Plan, Turns
from stoker_conformance.history.checker import verify
from stoker_conformance.history.coverage import Coverage
from stoker_conformance.history.ending import PAUSE, bring_to_an_end, keys_sent
from stoker_conformance.history.events import Operation, dump, load
from stoker_conformance.history.recorder import Recorder
from stoker_conformance.waiting import eventually

__all__ = ["KEEP", "Wave", "run_wave"]

KEEP: Final = "STOKER_HISTORIES"
"""The variable that names a folder for the histories of waves that are red."""


@dataclass(frozen=True, slots=True)
class Wave:
    """How much of what."""

    seed: int
    clients: int
    steps: int
    """Operations that each client begins with."""
    size: int
    """The most items of a call."""
    lease: timedelta
    kills: int
    """How many clients are killed, each in the midst of its work."""
    stops: int = 0
    """How many others stand still for longer than a lease, and then go on."""

    @property
    def name(self) -> str:
        """How a failure calls it."""
        return f"wave {self.seed}"

    def plan(self) -> Plan:
        """Return what each client does."""
        return Plan(
            clients=tuple(f"client-{number}" for number in range(self.clients)),
            queues=(f"letters-{self.seed}", f"parcels-{self.seed}"),
            orderly=f"orderly-{self.seed}",
            steps=self.steps,
            size=self.size,
            lease=self.lease,
            give_up=0.02,
        )


async def run_wave(c: Bench, wave: Wave) -> Coverage:
    """Let a wave run over the store, bring it to its end, and return what it put to the test.

    Raises:
        Violation: it broke an invariant.
        Inconclusive: jobs were left that nobody can tell the fate of.
    """
    plan, recorder = wave.plan(), Recorder()
    with TemporaryDirectory(prefix="stoker-history-") as folder:
        files = {client: Path(folder) / f"{client}.jsonl" for client in plan.clients}
        await _let_run(c, wave, files, recorder)
        operations = [*recorder.operations, *_written(files)]
    keys, queues = keys_sent(operations), (*plan.queues, f"orderly-{wave.seed}")
    last = await c.driver()
    before = len(recorder.operations)
    left = await bring_to_an_end(
        recorder.client(last, "last"),
        queues,
        keys,
        clock=_stores_clock,
        lease=wave.lease,
        patience=2 * (wave.lease // PAUSE) + 10,
    )
    coverage = _judge(wave, [*operations, *recorder.operations[before:]], left)
    for start in range(0, len(keys), c.info.max_batch):
        await last.remove(keys[start : start + c.info.max_batch])
    await last.close()
    return coverage


def _judge(wave: Wave, operations: list[Operation], left: int) -> Coverage:
    """Check the history, and keep one that is red where that is wanted: no seed repeats it."""
    try:
        coverage = verify(operations, Coverage(), wave.name)
        if left:
            text = f"{left} jobs of {wave.name} have not ended, and it is not clear why"
            raise Inconclusive(text)
    except (Violation, Inconclusive) as red:
        folder = os.environ.get(KEEP)
        if folder:
            path = Path(folder) / f"{wave.name.replace(' ', '-')}-{os.getpid()}.jsonl"
            dump(sorted(operations, key=lambda one: one.invoked), path)
            red.add_note(f"The whole history is in {path}.")
        else:
            red.add_note(f"With {KEEP}=FOLDER in the environment the whole history is kept there.")
        raise
    return coverage


async def act(driver: Driver, client: str, wave: Wave, path: str) -> None:
    """Be one client of a wave: what its actor runs, wherever that is."""
    recorder, random = Recorder(Path(path)), Random(f"{wave.seed} {client}")
    try:
        recorded = recorder.client(driver, client, Turns(random))
        await Chaos(recorded, client, wave.plan(), random, _stores_clock).run()
    finally:
        recorder.close()


async def _let_run(c: Bench, wave: Wave, files: dict[str, Path], recorder: Recorder) -> None:
    """Run all clients at once, with the faults of the wave, until they are done or dead."""
    async with AsyncExitStack() as stack:
        actors = dict(zip(files, await c.actors(len(files)), strict=True))
        for actor in actors.values():
            stack.push_async_callback(actor.kill)
        runs = {
            client: asyncio.create_task(actors[client].run(act, client, wave, str(path)))
            for client, path in files.items()
        }

        def done(client: str) -> int:
            """How many events a client has written; of one that is done, more than any number."""
            written = files[client].read_bytes() if files[client].exists() else b""
            return sys.maxsize if runs[client].done() else written.count(b"\n")

        faults = asyncio.create_task(_disturb(wave, actors, done, recorder))
        for outcome in await asyncio.gather(*runs.values(), faults, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, ActorKilled):
                raise outcome


async def _disturb(
    wave: Wave, actors: dict[str, Actor], done: Callable[[str], int], recorder: Recorder
) -> None:
    """Kill some clients and stop others, each when it has done some of its work."""
    random = Random(f"{wave.seed} faults")
    chosen = random.sample(sorted(actors), wave.kills + wave.stops)
    for number, client in enumerate(chosen):
        least = random.randint(wave.steps // 4, wave.steps // 2)

        async def is_at_work(client: str = client, least: int = least) -> bool:
            return done(client) >= least

        await eventually(f"{client} works", is_at_work)
        if number < wave.kills:
            await actors[client].kill()
            recorder.killed(client)
        else:
            await actors[client].stop()
            await asyncio.sleep(1.2 * wave.lease.total_seconds())
            await actors[client].resume()


def _written(files: dict[str, Path]) -> list[Operation]:
    return [operation for path in files.values() if path.exists() for operation in load(path)]


def _stores_clock() -> None:
    return
