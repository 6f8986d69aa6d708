"""Compare Stoker with its peers on PostgreSQL: `python -m benchmarks.postgres`."""

from __future__ import annotations

from typing import Final

from benchmarks.harness.command import Benchmark, main
from benchmarks.harness.comparison import ALL, DRAINS, THROUGHPUT, python
from benchmarks.harness.goals import Goal, Median, Ratio
from benchmarks.harness.measures import BULK, DELAY, DRAIN, DRAIN_TWO, ONE_BY_ONE, PICK_UP
from benchmarks.harness.peer import Participant
from benchmarks.harness.postgres import PostgresStore
from benchmarks.harness.report import Column

STOKER: Final = Participant("stoker", python("stoker_postgres"), ALL)
REMOVING: Final = Participant(
    "stoker, removing", python("stoker_postgres", "--remove"), DRAINS, keeps=False
)
FULL: Final = Participant("stoker, full", python("stoker_postgres", "--full"), DRAINS)
PGQUEUER: Final = Participant("pgqueuer", python("pgqueuer"), ALL)
UNLIMITED: Final = Participant("pgqueuer, unlimited", python("pgqueuer", "--unlimited"), DRAINS)
# It drains a few hundred jobs a second, so a tenth of them tells as much.
PROCRASTINATE: Final = Participant(
    "procrastinate", python("procrastinate"), ALL, keeps=False, share=10
)
RAW: Final = Participant(
    "asyncpg", python("asyncpg_insert"), frozenset({ONE_BY_ONE, BULK}), keeps=False
)

TABLES: Final = {
    "Throughput and latency": THROUGHPUT,
    "What a job costs, drained by one worker": (
        Column("statements", DRAIN, "statements_per_job", 3),
        Column("transactions", DRAIN, "transactions_per_job", 3),
        Column("WAL bytes", DRAIN, "wal_bytes_per_job"),
        Column("server time µs", DRAIN, "server_us_per_job", 1),
        Column("worker CPU µs", DRAIN, "worker_cpu_us_per_job", 1),
        Column("worker memory MiB", DRAIN, "worker_memory_mib"),
    ),
}
GOALS: Final = (
    Goal("drain, over pgqueuer", Ratio(("stoker", DRAIN), ("pgqueuer", DRAIN)), at_least=2.0),
    Goal(
        "drain, over pgqueuer without a limit of concurrency",
        Ratio(("stoker", DRAIN), ("pgqueuer, unlimited", DRAIN)),
        at_least=2.0,
    ),
    Goal(
        "drain, removing, over pgqueuer",
        Ratio(("stoker, removing", DRAIN), ("pgqueuer", DRAIN)),
        at_least=2.0,
    ),
    Goal(
        "drain, with hooks, timeout and context, over without",
        Ratio(("stoker, full", DRAIN), ("stoker", DRAIN)),
        at_least=0.8,
    ),
    Goal("two workers, over one", Ratio(("stoker", DRAIN_TWO), ("stoker", DRAIN)), at_least=1.0),
    Goal("bulk, over pgqueuer", Ratio(("stoker", BULK), ("pgqueuer", BULK)), at_least=1.2),
    Goal(
        "one by one, over a raw insert",
        Ratio(("stoker", ONE_BY_ONE), ("asyncpg", ONE_BY_ONE)),
        at_least=0.7,
    ),
    Goal("pick-up p50, ms", Median("stoker", PICK_UP, "p50_ms"), at_most=3.0),
    Goal("late by p95, ms", Median("stoker", DELAY, "p95_ms"), at_most=20.0),
    Goal("transactions a job", Median("stoker", DRAIN, "transactions_per_job"), at_most=0.03),
    Goal(
        "WAL bytes for claim, settle and removal",
        Median("stoker, removing", DRAIN, "wal_bytes_per_job"),
        at_most=700.0,
    ),
    Goal("memory of a worker, MiB", Median("stoker", DRAIN, "worker_memory_mib"), at_most=60.0),
)

if __name__ == "__main__":
    main(
        Benchmark(
            name="postgres",
            title="Stoker and its peers on PostgreSQL",
            participants=(STOKER, REMOVING, FULL, PGQUEUER, UNLIMITED, PROCRASTINATE, RAW),
            tables=TABLES,
            goals=GOALS,
            connect=PostgresStore,
        )
    )
