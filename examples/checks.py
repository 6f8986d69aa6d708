"""What has to be so at the end of the demo, and what was seen instead if it is not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from documents import Index, Report
from recount import Recount

from stoker import JobRecord, JobState, QueueStats


@dataclass
class Check:
    """Something that has to be so, and what was seen."""

    claim: str
    holds: bool
    seen: str


def check_counts(told: Report, counted: Recount, index: Index) -> list[Check]:
    """The report against the second count."""
    indexed = index.digests()
    differing = sorted(
        str(path)
        for path in indexed.keys() | counted.digests.keys()
        if indexed.get(path) != counted.digests.get(path)
    )
    pairs = [
        ("as many files as a second count finds", told.files, len(counted.digests)),
        ("the same number of lines", told.lines, counted.lines),
        ("the same number of words", told.words, counted.words),
    ]
    checks = [
        Check(claim, mine == other, f"{mine:,} and {other:,}") for claim, mine, other in pairs
    ]
    top = counted.top_terms(len(told.top_terms))
    terms = ", ".join(f"{term} {count:,}" for term, count in told.top_terms[:5])
    checks.append(Check("the same most frequent terms", told.top_terms == top, terms))
    seen = ", ".join(differing[:3]) or f"{len(indexed):,} digests"
    checks.append(Check("each file indexed as it is on the disk", not differing, seen))
    return checks


def check_states(stats: QueueStats, total: int) -> Check:
    """All jobs are completed, by the store's own count."""
    completed = stats.counts[JobState.COMPLETED]
    return Check("all jobs are completed", completed == total, f"{completed:,} of {total:,}")


def check_delay(record: JobRecord, delay: timedelta) -> Check:
    """By the store's own times, the delayed job did not begin before it was due."""
    assert record.claimed_at is not None
    waited = record.claimed_at - record.enqueued_at
    return Check(
        f"the delayed job began after {delay.total_seconds():g} s, not before",
        record.state is JobState.COMPLETED and waited >= delay,
        f"after {waited.total_seconds():.3f} s",
    )


def check_attempts(record: JobRecord) -> Check:
    """The job that fails twice had three attempts and left two errors."""
    return Check(
        "the job that fails twice succeeded with attempt 3",
        record.state is JobState.COMPLETED and record.attempt == 3 and len(record.errors) == 2,
        f"{record.state}, attempt {record.attempt}, {len(record.errors)} errors",
    )
