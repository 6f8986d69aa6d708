"""The steps that a program may take: from what Hypothesis chose to what a driver is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from hypothesis import reject
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from hypothesis.strategies import (
    SearchStrategy,
    fixed_dictionaries,
    integers,
    just,
    none,
    one_of,
    sampled_from,
    tuples,
)

from stoker.driver import (
    After,
    Capability,
    Complete,
    Extension,
    JobQuery,
    JobState,
    Retention,
    Settlement,
    Want,
)
from stoker.job import PENDING_STATES
from stoker_conformance.expect import Violation
from stoker_conformance.stateful import requests as ask
from stoker_conformance.stateful.pair import Pair
from stoker_conformance.stateful.reducing import Step
from stoker_conformance.stateful.requests import JobRequest, OutcomeRequest, Report, Time
from stoker_conformance.stateful.translation import Translation

__all__ = ["Machine"]

_steps: Final[list[SearchStrategy[Step]]] = []
"""Every step with its arguments, as often as its weight says."""


def _step(
    weight: int, **arguments: SearchStrategy[Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a method a step, with arguments that Hypothesis chooses."""

    def enter(method: Callable[..., None]) -> Callable[..., None]:
        for _ in range(weight):  # one each: equal ones would count once
            _steps.append(tuples(just(method.__name__), fixed_dictionaries(arguments)))
        return method

    return enter


class Machine(RuleBasedStateMachine):
    """One program on one pair of driver and model; what is not declared is not asked for."""

    def __init__(
        self,
        pair: Pair,
        queues: tuple[str, str],
        capabilities: frozenset[Capability],
        tick: timedelta,
        ended: Callable[[Machine], None],
    ) -> None:
        """Begin a program.

        Args:
            pair: what is asked.
            queues: the names of its queues, which nobody else uses.
            capabilities: what the driver declares.
            tick: the smallest step of time that the driver tells apart.
            ended: is told when the program has ended, well or not.
        """
        super().__init__()
        self.pair = pair
        self.steps: list[Step] = []
        """The steps taken so far."""
        self.found: Violation | None = None
        """What the driver did that the model does not allow."""
        self._queues = queues
        self._capabilities = capabilities
        self._to = Translation(pair, queues, capabilities)
        self._tick = tick
        self._ended = ended
        self._broken = False
        self._settled: list[list[Settlement]] = []
        """All that was sent to be settled, the newest first."""

    def teardown(self) -> None:
        """Look at everything once more, unless the program has ended badly."""
        try:
            if self.steps and not self._broken:
                self._look()
        except Violation as found:
            self.found = found
            raise
        finally:
            self._ended(self)

    # Time

    @_step(5, step=ask.steps_of_time)
    def time_passes(self, step: str) -> None:
        """Let time pass."""
        ten = timedelta(seconds=10)
        lengths = {
            "tick": self._tick,
            "almost ten": ten - self._tick,
            "ten": ten,
            "minute": 6 * ten,
        }
        self.pair.now += lengths[step]

    # Producer and consumer

    @_step(7, client=ask.clients, jobs=ask.jobs)
    def enqueue(self, client: int, jobs: list[JobRequest]) -> None:
        """Enqueue one to three jobs."""
        self.pair.enqueue(client, self._to.batch(jobs))

    @_step(
        10,
        client=ask.clients,
        limits=tuples(sampled_from([2, 1, 3, 3, 0, None]), none() | integers(0, 3)),
        lease=ask.lengths,
        filler=ask.fillers,
    )
    def claim(
        self,
        client: int,
        limits: tuple[int | None, int | None],
        lease: timedelta,
        filler: JobRequest,
    ) -> None:
        """Claim from any of the queues, or from none; there is something to claim in the first."""
        if not self.pair.world.in_state(self._queues[:1], JobState.READY):
            self.pair.enqueue(client, self._to.batch([filler]))
        wants = [
            Want(queue, limit)
            for queue, limit in zip(self._queues, limits, strict=True)
            if limit is not None
        ]
        self.pair.claim(client, wants, lease)

    @_step(10, client=ask.clients, tokens=ask.tokens, outcome=ask.outcomes, report=ask.reports)
    def settle(
        self, client: int, tokens: list[int], outcome: OutcomeRequest, report: Report
    ) -> None:
        """Settle one or two tokens, valid or not; there is a valid one."""
        if not self.pair.world.in_state(self._queues, JobState.RUNNING):
            self.claim(client, (1, None), timedelta(seconds=10), JobRequest(max_attempts=2))
        asked = outcome.outcome(self._to.when(outcome.when))
        if isinstance(asked, Complete) and Capability.RESULTS not in self._capabilities:
            asked = Complete()
        progress, logs = self._to.reports(report)
        items = [Settlement(token, asked, progress, logs) for token in self._to.tokens(tokens)]
        self._settled.insert(0, items)
        self.pair.settle(client, items)

    @_step(5, client=ask.clients, number=integers(0, 2))
    def settle_again(self, client: int, number: int) -> None:
        """Send settlements again, whatever has happened since."""
        earlier = sorted(self._settled, key=self._to.is_moot)
        if earlier:
            self.pair.settle(client, earlier[number % len(earlier)])

    @_step(4, client=ask.clients, tokens=ask.tokens, lease=ask.lengths, report=ask.reports)
    def extend(self, client: int, tokens: list[int], lease: timedelta, report: Report) -> None:
        """Extend one or two leases, valid or not."""
        progress, logs = self._to.reports(report)
        items = [Extension(token, progress, logs) for token in self._to.tokens(tokens)]
        self.pair.extend(client, items, lease)

    @_step(2, client=ask.clients, queues=ask.queue_lists, limit=ask.limits, later=ask.waits)
    def promote(self, client: int, queues: tuple[int, ...], limit: int, later: timedelta) -> None:
        """Promote some of what is due."""
        self.pair.now += later
        self.pair.promote(client, self._to.named(queues), limit)

    @_step(
        4,
        client=ask.clients,
        queues=ask.queue_lists,
        limit=ask.limits,
        delay=ask.delays,
        later=ask.waits,
    )
    def reap(
        self,
        client: int,
        queues: tuple[int, ...],
        limit: int,
        delay: timedelta,
        later: timedelta,
    ) -> None:
        """Reap some of what has expired."""
        self.pair.now += later
        self.pair.reap(client, self._to.named(queues), limit, delay)

    # Administrator

    @_step(3, client=ask.clients, jobs=ask.key_lists)
    def cancel(self, client: int, jobs: list[int]) -> None:
        """Cancel jobs."""
        self.pair.cancel(
            client,
            self._to.keys(jobs, *PENDING_STATES, JobState.RUNNING),
            f"not wanted, says {client}",
        )

    @_step(2, client=ask.clients, jobs=ask.key_lists)
    def retry(self, client: int, jobs: list[int]) -> None:
        """Retry jobs by hand."""
        self.pair.retry(client, self._to.keys(jobs, JobState.FAILED, JobState.CANCELLED))

    @_step(4, client=ask.clients, jobs=ask.key_lists, when=ask.times)
    def reschedule(self, client: int, jobs: list[int], when: Time) -> None:
        """Move jobs."""
        self.pair.reschedule(client, self._to.keys(jobs, *PENDING_STATES), self._to.when(when))

    @_step(1, client=ask.clients, jobs=ask.key_lists)
    def remove(self, client: int, jobs: list[int]) -> None:
        """Remove jobs."""
        self.pair.remove(client, self._to.keys(jobs, *JobState))

    @_step(1, client=ask.clients, queue=ask.queues, paused=ask.pauses)
    def pause(self, client: int, queue: int, paused: bool) -> None:
        """Pause or resume a queue."""
        self.pair.pause(client, self._queues[queue], paused)

    @_step(2, client=ask.clients, queue=ask.queues, policy=ask.policies, limit=ask.limits)
    def purge(self, client: int, queue: int, policy: Retention, limit: int) -> None:
        """Purge a queue."""
        self.pair.purge(client, self._queues[queue], policy, limit)

    # Inspector

    @_step(1, client=ask.clients, queue=ask.queues, query=ask.queries)
    def search(self, client: int, queue: int, query: JobQuery) -> None:
        """Search a queue."""
        self.pair.search(client, self._queues[queue], query)

    @_step(1, client=ask.clients, queues=ask.queue_lists, cap=ask.limits)
    def stats(self, client: int, queues: tuple[int, ...], cap: int) -> None:
        """Count jobs, up to a small cap."""
        self.pair.stats(client, self._to.named(queues), cap)

    # Schedules

    @_step(
        1,
        client=ask.clients,
        queue=ask.queues,
        name=just("daily"),
        definition=sampled_from([b'"one"', b'"two"']),
        next_at=ask.times,
    )
    def put_schedule(
        self, client: int, queue: int, name: str, definition: bytes, next_at: Time
    ) -> None:
        """Put a schedule."""
        if Capability.SCHEDULE in self._capabilities:
            when = self._to.when(next_at)
            self.pair.put_schedule(client, self._queues[queue], name, definition, when)

    @_step(
        3,
        client=ask.clients,
        queue=ask.queues,
        name=just("daily"),
        newer=sampled_from([0, 0, 0, 1, -1]),
        next_at=none() | ask.times,
        jobs=ask.jobs,
    )
    def fire_schedule(
        self,
        client: int,
        queue: int,
        name: str,
        newer: int,
        next_at: Time | None,
        jobs: list[JobRequest],
    ) -> None:
        """Fire a schedule, with its version or another."""
        if Capability.SCHEDULE in self._capabilities:
            place = (self._queues[queue], name)
            if place not in self.pair.world.schedules and newer == 0:
                self.pair.put_schedule(client, *place, b'"one"', After(timedelta(0)))
            version = self.pair.world.versions[place] + newer
            tick = None if next_at is None else self.pair.now + timedelta(seconds=next_at.seconds)
            batch = self._to.batch([replace(job, queue=queue) for job in jobs])
            self.pair.fire_schedule(client, *place, version, tick, batch)

    @_step(1, client=ask.clients, queue=ask.queues, name=just("daily"))
    def remove_schedule(self, client: int, queue: int, name: str) -> None:
        """Remove a schedule."""
        if Capability.SCHEDULE in self._capabilities:
            self.pair.remove_schedule(client, self._queues[queue], name)

    @initialize(jobs=ask.jobs)
    def begin(self, jobs: list[JobRequest]) -> None:
        """Begin with some jobs."""
        if jobs == [JobRequest()]:
            reject()  # the simplest program of all, with which Hypothesis always begins
        self.take(("enqueue", {"client": 0, "jobs": jobs}))

    @rule(step=one_of(*_steps))
    def take(self, step: Step) -> None:
        """Take one step.

        One rule for all: of several, Hypothesis switches some off for a whole program, and a
        program without an enqueue or without a claim shows little.
        """
        self.steps.append(step)
        name, arguments = step
        try:
            getattr(self, name)(**arguments)
        except BaseException as error:
            self._broken = True
            self.found = error if isinstance(error, Violation) else None
            raise

    def _look(self) -> None:
        for client in range(ask.CLIENTS):
            for queue in self._queues:
                self.pair.search(client, queue, JobQuery())
            self.pair.stats(client, self._queues, 10_000)
            self.pair.states(client)
            self.pair.queues(client)
            if Capability.SCHEDULE in self._capabilities:
                self.pair.schedules(client, self._queues)
