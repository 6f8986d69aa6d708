"""Recurring jobs: rows that are compared by version before they change."""

from __future__ import annotations

from collections.abc import Iterable

from stoker.driver import FireStatus, Schedule, When, resolve
from stoker_memory._times import instant_or_none, span

__all__ = ["ScheduleTable"]


class _Row:
    """A schedule as the store holds it, with times in microseconds."""

    __slots__ = ("count", "definition", "last_at", "name", "next_at", "queue", "version")

    def __init__(self, queue: str, name: str, definition: bytes, next_at: int, version: int):
        self.queue = queue
        self.name = name
        self.definition = definition
        self.next_at: int | None = next_at
        self.last_at: int | None = None
        self.count = 0
        self.version = version

    def snapshot(self, now: int) -> Schedule:
        return Schedule(
            queue=self.queue,
            name=self.name,
            definition=self.definition,
            next_at=instant_or_none(self.next_at),
            last_at=instant_or_none(self.last_at),
            count=self.count,
            version=self.version,
            due_in=None if self.next_at is None else span(self.next_at - now),
        )


class ScheduleTable:
    """The schedules of all queues."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, _Row]] = {}
        self._highest_removed = 0
        """No new row begins at a version that a removed one has had: a fire that was computed
        from the old row must not fit its successor of the same name."""

    def queues(self) -> Iterable[str]:
        """Return the queues that have schedules."""
        return self._rows.keys()

    def put(self, queue: str, name: str, definition: bytes, next_at: When, now: int) -> Schedule:
        """Create a schedule, or replace it if the definition is another."""
        tick = resolve(next_at, now, keep_past=True)
        rows = self._rows.setdefault(queue, {})
        row = rows.get(name)
        if row is None:
            version = self._highest_removed + 1
            row = rows[name] = _Row(queue, name, definition, tick, version)
        elif row.definition != definition:
            row.definition, row.next_at = definition, tick
            row.version += 1
        return row.snapshot(now)

    def get(self, queue: str, name: str, now: int) -> Schedule | None:
        """Return a schedule as it is now."""
        row = self._find(queue, name)
        return None if row is None else row.snapshot(now)

    def advance(
        self, queue: str, name: str, expected_version: int, next_at: int | None, now: int
    ) -> FireStatus:
        """Move a schedule on to its next tick, if the present one is due and still the caller's."""
        row = self._find(queue, name)
        if row is None:
            return FireStatus.GONE
        if row.version != expected_version:
            return FireStatus.CONFLICT
        if row.next_at is None or row.next_at > now:
            return FireStatus.NOT_DUE
        row.last_at, row.next_at = row.next_at, next_at
        row.count += 1
        row.version += 1
        return FireStatus.FIRED

    def list(self, queues: Iterable[str], now: int) -> list[Schedule]:
        """Return the schedules of some queues, by queue and name."""
        rows = [row for queue in set(queues) for row in self._rows.get(queue, {}).values()]
        rows.sort(key=lambda row: (row.queue, row.name))
        return [row.snapshot(now) for row in rows]

    def remove(self, queue: str, name: str) -> bool:
        """Delete a schedule; return whether there was one."""
        rows = self._rows.get(queue, {})
        row = rows.pop(name, None)
        if row is None:
            return False
        self._highest_removed = max(self._highest_removed, row.version)
        if not rows:
            del self._rows[queue]
        return True

    def _find(self, queue: str, name: str) -> _Row | None:
        return self._rows.get(queue, {}).get(name)
