"""Looking for a program on which driver and model do not agree."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import count
from typing import Final, cast

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test

from stoker.driver import Driver, JobKey
from stoker_conformance.bench import Bench
from stoker_conformance.expect import Violation
from stoker_conformance.model import World
from stoker_conformance.stateful.bridge import Bridge, Stopped, Stuck
from stoker_conformance.stateful.machine import Machine
from stoker_conformance.stateful.pair import Pair
from stoker_conformance.stateful.program import Program
from stoker_conformance.stateful.reducing import Step, reduced
from stoker_conformance.stateful.requests import CLIENTS, IDS

__all__ = ["explore"]

_EACH: Final = 1
"""How many programs a seed makes up. More would for the most part be the first one again, with a
few steps changed."""

_SLOW_AND_LARGE: Final = (
    HealthCheck.data_too_large,
    HealthCheck.filter_too_much,
    HealthCheck.large_base_example,
    HealthCheck.too_slow,
)


async def explore(c: Bench, *, programs: int, steps: int) -> None:
    """Run so many programs of so many steps, with two clients of the bench's store.

    They are the same in every run.

    Raises:
        Violation: with the simplest program found on which the driver does what the model does
            not allow.
    """
    bridge = Bridge()
    exploration = _Exploration(c, bridge, await c.drivers(CLIENTS))
    await bridge.run(lambda: exploration.run(programs, steps))


class _Exploration:
    """Runs in the thread of a bridge."""

    def __init__(self, c: Bench, bridge: Bridge, clients: Sequence[Driver]) -> None:
        self._bench = c
        self._bridge = bridge
        self._clients = clients
        self._numbers = count(1)
        self._running: Machine | None = None
        self._failed: Machine | None = None
        """The last one that did."""

    def run(self, programs: int, steps: int) -> None:
        """Run the programs; raise what is wrong with the first that fails."""
        try:
            self._search(programs, steps)
            if self._failed is not None:
                self._blame(self._failed)
        except Stopped:
            return
        except Stuck:
            if self._running is None:
                raise
            late = Violation("how long the last step takes", "at most 10 s", "no answer by then")
            raise _told(late, self._running.pair.program, "It was not run again.") from None

    def _search(self, programs: int, steps: int) -> None:
        """Run programs until one fails."""

        def begin() -> Machine:  # not the method: the seed becomes an attribute of it
            return self._machine()

        chosen = settings(
            max_examples=_EACH,
            stateful_step_count=steps,
            phases=(Phase.generate,),
            database=None,
            deadline=None,
            suppress_health_check=_SLOW_AND_LARGE,
            report_multiple_bugs=False,
            verbosity=Verbosity.quiet,
        )
        try:
            for number in range(programs):
                seeded = cast(type[Machine], seed(number)(begin))
                run_state_machine_as_test(seeded, settings=chosen)
        except (Violation, Flaky):
            if self._failed is None:  # one that fails is noted when it ends
                raise

    def _blame(self, failed: Machine) -> None:
        """Make a program that failed as simple as possible, and tell of it."""
        simplest = reduced(failed.steps, self._fails)
        if self._fails(simplest):
            failed, often = self._failed or failed, "It fails each time it is run."
        else:
            often = "It does not fail each time it is run."
        if failed.found is not None:
            raise _told(failed.found, failed.pair.program, often)

    def _fails(self, steps: Sequence[Step]) -> bool:
        """Run a program without Hypothesis."""
        machine = self._machine()
        with suppress(Violation):
            try:
                for step in steps:
                    machine.take(step)
            finally:
                machine.teardown()
        return machine.found is not None

    def _machine(self) -> Machine:
        """Return a machine with queues that no program had before it."""
        number = next(self._numbers)
        queues = (f"{number}-letters", f"{number}-letters-2")
        info = self._bench.info
        pair = Pair(
            self._bridge,
            self._clients,
            [JobKey(queue, job_id) for queue in queues for job_id in IDS],
            World(precision=info.time_precision // timedelta(microseconds=1)),
            self._bench.stored(self._bench.now),
        )
        self._running = Machine(pair, queues, info.capabilities, self._bench.tick, self._ended)
        return self._running

    def _ended(self, machine: Machine) -> None:
        if machine.found is not None:
            self._failed = machine


def _told(found: Violation, program: Program, often: str) -> Violation:
    """Return a violation that tells the whole program; its last step is the one that is wrong."""
    seen = f"{found.seen}\n\nThe program, of which the last step is wrong:\n\n{program}\n\n{often}"
    return Violation(found.what, found.expected, seen)
