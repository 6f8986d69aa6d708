"""How a worker is set up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from stoker._units import Seconds, duration
from stoker._value import value
from stoker.errors import InvalidOption
from stoker.router.options import check_queue

__all__ = ["WorkerOptions"]


@value
class WorkerOptions:
    """How a worker runs. Times are seconds or timedeltas.

    Raises:
        InvalidOption: for values out of range, and for a heartbeat longer than a third of the
            lease, which would leave no room for one that fails.
    """

    concurrency: int = 10
    """How many jobs run at a time. While jobs are shorter than it takes to ask the store for more,
    up to as many again are leased and wait for their place, for some milliseconds."""
    queues: Iterable[str] | Mapping[str, int] | None = None
    """Queues to serve, or queues with their own limits within `concurrency`. `None`: every queue
    that a job of the app names in its options, and `"default"`."""
    lease: Seconds = 60.0
    """How long a job may show no sign of life before another worker gets it."""
    heartbeat: Seconds | None = None
    """Time between signs of life; a third of the lease if left out."""
    grace: Seconds = 30.0
    """How long a stopping worker lets running jobs finish."""
    park: Seconds = 900.0
    """How long a job that this code does not know, or whose payload it cannot read, waits for a
    worker that can, before it fails."""
    poll: Seconds = 0.5
    """Time between looks at the store, for drivers that cannot wake a worker."""
    purge: Seconds = 60.0
    """Time between purges of old records."""
    debug: bool = False
    """Log every run."""

    def __post_init__(self) -> None:
        _whole("concurrency", self.concurrency)
        for what in ("lease", "park", "poll", "purge"):
            duration(what, getattr(self, what), positive=True)
        duration("grace", self.grace)
        if self.heartbeat is not None:
            beat = duration("heartbeat", self.heartbeat, positive=True)
            if beat > self.lease_time / 3:
                raise InvalidOption(
                    f"heartbeat={self.heartbeat!r} is longer than a third of lease={self.lease!r}: "
                    "one missed beat could cost every running job its lease. Shorten the "
                    "heartbeat or lengthen the lease"
                )
        self._check_queues()

    @property
    def lease_time(self) -> timedelta:
        """The lease as a timedelta."""
        return duration("lease", self.lease, positive=True)

    @property
    def heartbeat_time(self) -> timedelta:
        """The heartbeat as a timedelta."""
        if self.heartbeat is None:
            return self.lease_time / 3
        return duration("heartbeat", self.heartbeat, positive=True)

    @property
    def grace_time(self) -> timedelta:
        """The grace period as a timedelta."""
        return duration("grace", self.grace)

    @property
    def park_time(self) -> timedelta:
        """The patience with jobs that nobody can run, as a timedelta."""
        return duration("park", self.park, positive=True)

    @property
    def poll_time(self) -> timedelta:
        """The time between polls as a timedelta."""
        return duration("poll", self.poll, positive=True)

    @property
    def purge_time(self) -> timedelta:
        """The time between purges as a timedelta."""
        return duration("purge", self.purge, positive=True)

    def limits(self, default: Iterable[str]) -> dict[str, int]:
        """Return the limit of each queue to serve; `default` are the queues if none are named."""
        if isinstance(self.queues, Mapping):
            return {queue: min(limit, self.concurrency) for queue, limit in self.queues.items()}
        return dict.fromkeys(default if self.queues is None else self.queues, self.concurrency)

    def _check_queues(self) -> None:
        if self.queues is None:
            return
        if isinstance(self.queues, str) or not isinstance(self.queues, Iterable):
            raise InvalidOption(f"queues={self.queues!r}: give a list of names")
        if not isinstance(self.queues, Mapping):
            # Whatever can be iterated once can be iterated by every worker.
            object.__setattr__(self, "queues", tuple(self.queues))
        elif self.queues:
            for queue, limit in self.queues.items():
                _whole(f"the limit of queue {queue!r}", limit)
        limits = self.limits(())
        if not limits:
            raise InvalidOption("queues is empty: name at least one, or leave it out")
        for queue in limits:
            check_queue(queue)


def _whole(what: str, number: object) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise InvalidOption(f"{what}={number!r}: give a whole number of at least 1")
