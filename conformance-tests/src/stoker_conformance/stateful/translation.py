"""From requests, which name nothing, to what a driver is asked now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from stoker.driver import (
    After,
    At,
    Capability,
    JobKey,
    JobState,
    NewJob,
    Settlement,
    Token,
    Unique,
    Until,
    When,
)
from stoker.job import DEFAULT_PRIORITY
from stoker_conformance.stateful.decided import is_decided
from stoker_conformance.stateful.pair import Pair
from stoker_conformance.stateful.requests import IDS, JobRequest, Report, Time, UniqueRequest

__all__ = ["Translation"]

_DRESS: Final[dict[str, Any]] = {
    "payload": b'{ "text" : "Zo\xc3\xab" }',
    "payload_version": 7,
    "timeout": timedelta(seconds=5),
    "tags": ("red", "blue"),
    "metadata": {"customer": "c-17"},
    "headers": {"traceparent": "00-abc-01"},
}
"""A value in every field that is only carried along."""


class Translation:
    """Reads the model to find what a request stands for; what is not declared is left out."""

    def __init__(
        self, pair: Pair, queues: tuple[str, str], capabilities: frozenset[Capability]
    ) -> None:
        self._pair = pair
        self._queues = queues
        self._capabilities = capabilities

    def named(self, queues: Sequence[int]) -> list[str]:
        """Return the names of queues."""
        return [self._queues[queue] for queue in queues]

    def keys(self, numbers: Sequence[int], *states: JobState) -> list[JobKey]:
        """Return keys by their number: jobs in one of `states` first, and then all others."""
        records = self._pair.world.records

        def is_other(key: JobKey) -> bool:
            return key not in records or records[key].state not in states

        keys = [JobKey(queue, job_id) for queue in self._queues for job_id in IDS]
        keys.sort(key=is_other)
        return list(dict.fromkeys(keys[number] for number in numbers))

    def tokens(self, numbers: Sequence[int]) -> list[Token]:
        """Return tokens by their number: valid ones first, and then the newest first.

        One a job: the contract does not say which of two in one call comes first.
        """
        world = self._pair.world
        issued = self._pair.tokens[::-1] or [Token(JobKey(self._queues[0], IDS[0]), 1)]
        issued.sort(key=lambda token: world.running(token) is None)
        chosen = [issued[number % len(issued)] for number in numbers]
        return list({token.key: token for token in reversed(chosen)}.values())

    def is_moot(self, items: Sequence[Settlement]) -> bool:
        """Whether the jobs of all these tokens are gone, or have been claimed again."""
        records = self._pair.world.records
        return all(
            item.token.key not in records or records[item.token.key].epoch != item.token.epoch
            for item in items
        )

    def when(self, time: Time) -> When:
        """Return a time in a request of the driver."""
        length = timedelta(seconds=time.seconds)
        exact = time.exact or time.seconds < 0
        return At(self._pair.now + length) if exact else After(length)

    def reports(self, report: Report) -> tuple[bytes | None, tuple[bytes, ...]]:
        """Return progress and logs, for a driver that keeps them."""
        if Capability.RESULTS not in self._capabilities:
            return None, ()
        return report.progress, report.logs

    def batch(self, requests: Sequence[JobRequest]) -> list[NewJob]:
        """Return the jobs asked for, without those whose fate the contract does not decide."""
        batch: list[NewJob] = []
        for request in requests:
            job = self._job(request)
            if is_decided(self._pair.world, job, batch, self._pair.now):
                batch.append(job)
        return batch

    def _job(self, request: JobRequest) -> NewJob:
        has = self._capabilities
        records = self._pair.world.records
        queue = self._queues[request.queue]
        ids = sorted(IDS, key=lambda job_id: JobKey(queue, job_id) in records)  # free ones first
        dress: dict[str, Any] = {"expires": At(self._pair.now + timedelta(hours=1)), **_DRESS}
        return NewJob(
            key=JobKey(queue, ids[request.id]),
            name="post.deliver",
            run_at=self.when(request.run_at),
            priority=request.priority if Capability.PRIORITY in has else DEFAULT_PRIORITY,
            max_attempts=request.max_attempts,
            max_crashes=request.max_crashes,
            keep=request.keep,
            unique=self._unique(request.unique),
            nonce=request.nonce,
            **(dress if request.dressed else {}),
        )

    def _unique(self, request: UniqueRequest | None) -> Unique | None:
        if request is None or Capability.UNIQUE not in self._capabilities:
            return None
        until = request.until
        if not isinstance(until, Until):
            return Unique(request.key, self.when(until), request.on_conflict)
        return Unique(request.key, until, request.on_conflict)
