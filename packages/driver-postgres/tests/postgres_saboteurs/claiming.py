"""Defects of what is done to many jobs at once: claim, promote, reap and purge."""

from __future__ import annotations

from typing import ClassVar

from postgres_saboteurs.base import Changed, Changes, saboteur

_SKIPPED = "            for update skip locked\n"


@saboteur("TXN-09")
class ClaimWaitsForLocks(Changed):
    """A claim without `skip locked` waits for every job that a transaction holds."""

    changes: ClassVar[Changes] = {"claim": (("for update skip locked", "for update"),)}


@saboteur("TXN-09")
class PromoteWaitsForLocks(Changed):
    """A promote waits for every job that a transaction holds."""

    changes: ClassVar[Changes] = {"promote": (("for update skip locked", "for update"),)}


@saboteur("TXN-09")
class ReapWaitsForLocks(Changed):
    """A reap waits for a job that a transaction is about to complete."""

    changes: ClassVar[Changes] = {"reap": (("for update skip locked", "for update"),)}


@saboteur("CLM-04")
class ClaimIsJoinedById(Changed):
    """A claim chooses ids without a lock, and takes them without looking at their state again."""

    changes: ClassVar[Changes] = {
        "claim": (
            (_SKIPPED, ""),
            # Slowly, so that others always choose meanwhile.
            ("select ready.ctid", "select ready.id || pg_sleep(0.002)::text"),
            ("select r.ctid", "select r.id"),
            ("j.ctid = any", "j.id = any"),
            ("    and j.state || '' = 'ready'\n", ""),
        )
    }


@saboteur("CLM-03")
class PausesAreLookedUpInAList(Changed):
    """A claim asks whether a queue is `not in` a list that may have a null, and never is then."""

    changes: ClassVar[Changes] = {
        "claim": (
            (
                "not exists (select from stoker.pauses as p where p.queue = w.queue)",
                "w.queue not in (select p.queue from stoker.pauses as p union all select null)",
            ),
        )
    }


@saboteur("CLM-02")
class QueuesArePatterns(Changed):
    """A claim compares queues with `like`."""

    changes: ClassVar[Changes] = {"claim": (("r.queue = w.queue", "r.queue like w.queue"),)}


@saboteur("CLM-05", "FNC-10")
class EpochsAreCounted(Changed):
    """An epoch is one more than the highest that is stored, in place of a sequence's."""

    changes: ClassVar[Changes] = {
        "claim": (
            (
                "nextval('stoker.epochs')",
                "(select coalesce(max(m.epoch), 0) + 1 from stoker.jobs as m)",
            ),
        )
    }


@saboteur("CLM-05")
class EpochsAreCached(Changed):
    """Each session takes epochs in advance, and gives them away later."""

    script: ClassVar[str] = "alter sequence stoker.epochs cache 100"


@saboteur("ORD-02")
class PlacesAreCached(Changed):
    """Each session takes places in the order in advance."""

    script: ClassVar[str] = "alter sequence stoker.places cache 100"


@saboteur("DLY-01", "DLY-03")
class PromoteIsUnguarded(Changed):
    """A promote looks at `run_at` alone, which every job has."""

    changes: ClassVar[Changes] = {
        "promote": (
            ("s.state = 'scheduled'", "s.state <> 'ready'"),
            ("and j.state || '' = 'scheduled'", ""),
            ("s.run_at <= (select now from clock)", "s.run_at <= (select now from clock) + '1s'"),
        )
    }


@saboteur("RPR-06", "LSE-06")
class ReapTakesWhatRuns(Changed):
    """A reap does not look at the expiry."""

    changes: ClassVar[Changes] = {
        "reap": (("            and j.expires_at <= (select now from clock)\n", ""),)
    }


@saboteur("RPR-04")
class ReapReadsThenWrites(Changed):
    """A reap finds expired leases without a lock, and ends them by their keys."""

    changes: ClassVar[Changes] = {
        "reap": (
            ("        for update skip locked\n", ""),
            # A statement sees what was there when it began: all have looked before one writes.
            ("clock_timestamp()) as now", "clock_timestamp()) as now, pg_sleep(0.2)"),
        )
    }


@saboteur("INS-11")
class PurgeHasNoLimit(Changed):
    """A purge counts what it deletes, and never stops."""

    changes: ClassVar[Changes] = {"purge": (("limit $3::bigint", "limit $3::bigint + 1000"),)}


@saboteur("INS-02")
class PurgeGoesByAge(Changed):
    """A purge deletes what was enqueued long ago, whether it has ended or not."""

    changes: ClassVar[Changes] = {
        "purge": (
            ("d.finished_at is not null and ", ""),
            ("    and j.finished_at is not null\n", ""),
            ("o.state = p.state and o.keep_until is null", "o.keep_until is null"),
            ("and o.finished_at", "and o.enqueued_at"),
            ("order by o.finished_at", "order by o.enqueued_at"),
        )
    }
