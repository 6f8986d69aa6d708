"""A driver and the model, asked the same things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from stoker.driver import (
    Driver,
    Extended,
    ExtendStatus,
    Extension,
    JobKey,
    JobQuery,
    JobState,
    NewJob,
    Retention,
    Settlement,
    Token,
    Want,
    When,
)
from stoker_conformance.expect import Violation, expect, expect_that
from stoker_conformance.model import (
    World,
    administering,
    consuming,
    inspecting,
    producing,
    scheduling,
    settling,
)
from stoker_conformance.stateful.bridge import Bridge
from stoker_conformance.stateful.program import Program

__all__ = ["Pair"]

_ERROR: Final = b'{"error": "its worker is gone"}'
_MOST_PAGES: Final = 100


class Pair:
    """Asks clients of one store, and refuses each answer that the model does not allow.

    After each change all records are read through the other client, so that what a change did to
    jobs that it should have left alone is found at once.
    """

    def __init__(
        self,
        bridge: Bridge,
        clients: Sequence[Driver],
        keys: Sequence[JobKey],
        world: World,
        now: datetime,
    ) -> None:
        self.world = world
        self.now = now
        """The time of all operations; nothing else moves it."""
        self.program: Program = Program(now)
        self.tokens: list[Token] = []
        """Every token that was issued, oldest first."""
        self._bridge = bridge
        self._clients = clients
        self._keys = keys

    # Producer and consumer

    def enqueue(self, client: int, jobs: Sequence[NewJob]) -> None:
        """Enqueue jobs."""
        seen = self._ask(client, "enqueue", jobs=jobs, now=self.now)
        expect("the answers to an enqueue", seen, producing.enqueue(self.world, jobs, self.now))
        self._compare(client)

    def claim(self, client: int, wants: Sequence[Want], lease: timedelta) -> None:
        """Claim from some queues."""
        worker = f"worker-{client}"
        seen = self._ask(client, "claim", wants=wants, worker=worker, lease=lease, now=self.now)
        consuming.claim(self.world, wants, worker, lease, self.now, seen)
        self.tokens += sorted(leased.token for leased in seen.leases)
        self._compare(client)

    def extend(self, client: int, items: Sequence[Extension], lease: timedelta) -> None:
        """Extend leases."""
        seen = self._ask(client, "extend", items=items, lease=lease, now=self.now)
        expected = consuming.extend(self.world, items, lease, self.now)
        expect("the answers to an extend", [_that_counts(one) for one in seen], expected)
        self._compare(client)

    def settle(self, client: int, items: Sequence[Settlement]) -> None:
        """Settle tokens."""
        seen = self._ask(client, "settle", items=items, now=self.now)
        expect("the answers to a settle", seen, settling.settle(self.world, items, self.now))
        self._compare(client)

    def promote(self, client: int, queues: Sequence[str], limit: int) -> None:
        """Promote what is due."""
        seen = self._ask(client, "promote", queues=queues, limit=limit, now=self.now)
        states = self._states(client)
        consuming.promote(
            self.world, queues, limit, self.now, seen, lambda key: states[key] is JobState.READY
        )
        self._compare(client)

    def reap(self, client: int, queues: Sequence[str], limit: int, delay: timedelta) -> None:
        """Reap what has expired."""
        seen = self._ask(
            client, "reap", queues=queues, limit=limit, delay=delay, error=_ERROR, now=self.now
        )
        consuming.reap(self.world, queues, limit, delay, _ERROR, self.now, seen)
        self._compare(client)

    # Administrator

    def cancel(self, client: int, keys: Sequence[JobKey], reason: str) -> None:
        """Cancel jobs."""
        seen = self._ask(client, "cancel", keys=keys, reason=reason, now=self.now)
        expected = administering.cancel(self.world, keys, reason, self.now)
        expect("the answers to a cancel", seen, expected)
        self._compare(client)

    def retry(self, client: int, keys: Sequence[JobKey]) -> None:
        """Retry jobs by hand."""
        seen = self._ask(client, "retry", keys=keys, now=self.now)
        expect("the answers to a retry", seen, administering.retry(self.world, keys, self.now))
        self._compare(client)

    def reschedule(self, client: int, keys: Sequence[JobKey], when: When) -> None:
        """Move jobs to another time."""
        seen = self._ask(client, "reschedule", keys=keys, when=when, now=self.now)
        expected = administering.reschedule(self.world, keys, when, self.now)
        expect("the answers to a reschedule", seen, expected)
        self._compare(client)

    def remove(self, client: int, keys: Sequence[JobKey]) -> None:
        """Remove jobs."""
        seen = self._ask(client, "remove", keys=keys)
        expect("the answers to a remove", seen, administering.remove(self.world, keys))
        self._compare(client)

    def pause(self, client: int, queue: str, paused: bool) -> None:
        """Pause or resume a queue."""
        self._ask(client, "pause", queue=queue, paused=paused)
        (self.world.paused.add if paused else self.world.paused.discard)(queue)
        self._compare(client)

    def purge(self, client: int, queue: str, policy: Retention, limit: int) -> None:
        """Purge a queue."""
        seen = self._ask(client, "purge", queue=queue, policy=policy, limit=limit, now=self.now)
        states = self._states(client)
        administering.purge(
            self.world, queue, policy, limit, self.now, seen, lambda key: states[key] is not None
        )
        self._compare(client)

    # Inspector

    def search(self, client: int, queue: str, query: JobQuery) -> None:
        """Read all pages of a search."""
        found: list[str] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = self._ask(client, "search", queue=queue, query=query, cursor=cursor)
            expect_that(f"a page has at most {query.limit}", len(page.records) <= query.limit, page)
            for record in page.records:
                self.world.compare(record.key, record)
            found += [record.key.id for record in page.records]
            cursor = page.cursor
            if cursor is None:
                break
        else:
            raise Violation("a search", f"an end after {_MOST_PAGES} pages", "no end")
        expected = inspecting.search(self.world, queue, query)
        expect("the ids that a search found", sorted(found), expected)

    def stats(self, client: int, queues: Sequence[str], cap: int) -> None:
        """Count jobs."""
        seen = self._ask(client, "stats", queues=queues, cap=cap, now=self.now)
        expect("the queues in the answer to stats", sorted(seen), sorted(queues))
        for queue in queues:
            inspecting.check_stats(self.world, queue, cap, self.now, seen[queue])

    def states(self, client: int) -> None:
        """Ask for the states of all jobs, known or not."""
        seen = self._ask(client, "states", keys=self._keys)
        expect("the states", seen, inspecting.states(self.world, self._keys))

    def queues(self, client: int) -> None:
        """Ask which queues there are."""
        inspecting.check_queues(self.world, self._ask(client, "queues"))

    # Schedules

    def put_schedule(
        self, client: int, queue: str, name: str, definition: bytes, next_at: When
    ) -> None:
        """Put a schedule."""
        seen = self._ask(
            client,
            "put_schedule",
            queue=queue,
            name=name,
            definition=definition,
            next_at=next_at,
            now=self.now,
        )
        scheduling.check_put(self.world, queue, name, definition, next_at, self.now, seen)
        self.schedules(client, [queue])

    def fire_schedule(
        self,
        client: int,
        queue: str,
        name: str,
        version: int,
        next_at: datetime | None,
        jobs: Sequence[NewJob],
    ) -> None:
        """Fire a schedule."""
        seen = self._ask(
            client,
            "fire_schedule",
            queue=queue,
            name=name,
            expected_version=version,
            next_at=next_at,
            jobs=jobs,
            now=self.now,
        )
        scheduling.check_fire(self.world, queue, name, version, next_at, jobs, self.now, seen)
        self._compare(client)

    def remove_schedule(self, client: int, queue: str, name: str) -> None:
        """Remove a schedule."""
        seen = self._ask(client, "remove_schedule", queue=queue, name=name)
        expected = scheduling.remove(self.world, queue, name)
        expect("the answer to the removal of a schedule", seen, expected)

    def schedules(self, client: int, queues: Sequence[str]) -> None:
        """List schedules."""
        seen = self._ask(client, "list_schedules", queues=queues, now=self.now)
        expected = scheduling.listed(self.world, queues, self.now)
        expect("the list of schedules", seen.schedules, expected)
        expect("the store's now", seen.now, self.now)

    # Asking

    def _ask(self, client: int, operation: str, **arguments: Any) -> Any:
        """Ask a client, and write down what was asked and answered."""
        self.program.asked(client, operation, arguments)
        answer = self._call(client, operation, **arguments)
        self.program.answered(answer)
        return answer

    def _call(self, client: int, operation: str, **arguments: Any) -> Any:
        call = getattr(self._clients[client], operation)
        try:
            return self._bridge.call(call(**arguments))
        except Exception as error:
            seen = f"{type(error).__name__}: {error}"
            raise Violation(f"the answer to {operation}", "an answer", seen) from error

    def _states(self, client: int) -> dict[JobKey, JobState | None]:
        states = self._call(client, "states", keys=self._keys)
        return dict(zip(self._keys, states, strict=True))

    def _compare(self, client: int) -> None:
        """Read every record through the next client, and compare it with the model's."""
        other = (client + 1) % len(self._clients)
        records = self._call(other, "get", keys=self._keys)
        expect("the number of records that get answers", len(records), len(self._keys))
        for key, record in zip(self._keys, records, strict=True):
            self.world.compare(key, record)


def _that_counts(answer: Extended) -> Extended:
    """Return the answer without the reason that may come with a token that is not valid."""
    if answer.status is ExtendStatus.EXTENDED:
        return answer
    return replace(answer, cancel_reason=None)
