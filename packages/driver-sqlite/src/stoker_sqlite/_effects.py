"""What a batch does to the jobs of one queue, gathered so that equal changes are one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stoker.driver import When, resolve
from stoker.job import JobState
from stoker_sqlite import _keys
from stoker_sqlite._jobs import Found, find
from stoker_sqlite._transaction import Transaction, array

__all__ = ["Effects"]

_NEWEST: Final = {"error": 10, "log": 100, "progress": 1}
"""How many attachments of a kind a job keeps."""

_Change = tuple[object, ...]


class Effects:
    """The jobs of one queue that a batch asks for, and what is to become of them.

    The deciding is Python and sees its own decisions; the doing is `flush`, once, at the end.
    """

    def __init__(self, tx: Transaction, queue: str, ids: Sequence[str], now: int) -> None:
        self.now = now
        self.jobs = find(tx, queue, ids)
        """By id; a job that is to be deleted is not among them any more."""
        self._tx = tx
        self._queue = queue
        self._ends: dict[_Change, list[int]] = {}
        self._pends: dict[_Change, list[int]] = {}
        self._deleted: list[int] = []
        self._freed: list[tuple[str, str]] = []
        self._keys_left: list[int] = []
        self._reports: dict[tuple[int, str], list[bytes]] = {}

    def end(self, found: Found, state: JobState, result: bytes | None = None) -> JobState:
        """Let a job end; its record goes at once if the job does not want it kept."""
        found.state = state
        if found.unique_key is not None:
            self._freed.append((found.unique_key, found.id))
        age = found.own_age(state)
        if age == 0:
            if found.unique_key is not None:
                self._keys_left.append(found.job)
            self.delete(found)
            return state
        keep_until = None if age is None else self.now + age
        change = (state, *_written(found), keep_until, result)
        self._ends.setdefault(change, []).append(found.job)
        return state

    def pend(self, found: Found, run_at: int) -> JobState:
        """Let a job wait until `run_at`: ready at once when that has come, else scheduled."""
        found.state = JobState.READY if run_at <= self.now else JobState.SCHEDULED
        change = (found.state, *_written(found), run_at)
        self._pends.setdefault(change, []).append(found.job)
        return found.state

    def move(self, found: Found, when: When) -> JobState:
        """Move a pending job to another time; a ready one that stays ready keeps its place."""
        run_at = resolve(when, self.now)
        if found.state is not JobState.READY or run_at > self.now:
            return self.pend(found, run_at)
        self._tx.do("move", {"job": found.job, "run_at": run_at})
        return JobState.READY

    def delete(self, found: Found) -> None:
        """Delete the record of a job."""
        del self.jobs[found.id]
        self._deleted.append(found.job)

    def report(self, found: Found, kind: str, bodies: Sequence[bytes]) -> None:
        """Attach reports to a job; only the newest of a kind stay."""
        self._reports.setdefault((found.job, kind), []).extend(bodies)

    def flush(self) -> None:
        """Do it all."""
        for change, jobs in self._ends.items():
            self._tx.do("end", _named(_ENDED, change) | {"jobs": array(jobs), "now": self.now})
        self._flush_pends()
        for (job, kind), bodies in self._reports.items():
            self._attach(job, kind, bodies)
        if self._keys_left:
            _keys.leave_behind(self._tx, array(self._keys_left))
        if self._deleted:
            self._tx.do("delete", {"jobs": array(self._deleted)})
        _keys.free(self._tx, self._queue, self._freed)

    def _flush_pends(self) -> None:
        if not self._pends:
            return
        place = self._tx.places(self._queue, sum(map(len, self._pends.values())))
        for change, jobs in self._pends.items():
            values = _named(_PENDED, change)
            self._tx.do("pend", values | {"jobs": array(jobs), "place": place, "now": self.now})
            place += len(jobs)

    def _attach(self, job: int, kind: str, bodies: list[bytes]) -> None:
        newest = _NEWEST[kind]
        for body in bodies[-newest:]:
            self._tx.do("attach", {"job": job, "kind": kind, "body": body})
        self._tx.do("attachments_trim", {"job": job, "kind": kind, "newest": newest})


_WRITTEN: Final = (
    "attempt",
    "crashes",
    "snoozes",
    "parked_since",
    "settled_as",
    "settled_to",
    "cancel_reason",
)
_ENDED: Final = ("state", *_WRITTEN, "keep_until", "result")
_PENDED: Final = ("state", *_WRITTEN, "run_at")


def _written(found: Found) -> _Change:
    return (
        found.attempt,
        found.crashes,
        found.snoozes,
        found.parked_since,
        found.settled_as,
        found.settled_to,
        found.cancel_reason,
    )


def _named(names: Sequence[str], values: _Change) -> dict[str, object]:
    plain = (value.value if isinstance(value, JobState) else value for value in values)
    return dict(zip(names, plain, strict=True))
