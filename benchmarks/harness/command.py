"""The command line of every benchmark."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from benchmarks.harness.backlog import EMPTY, backlog, fills
from benchmarks.harness.bench import Bench, Plan, Store
from benchmarks.harness.environment import environment, introductions
from benchmarks.harness.goals import Goal, Ratio
from benchmarks.harness.measures import BULK, DRAIN, ONE_BY_ONE, measures_of
from benchmarks.harness.peer import Participant
from benchmarks.harness.report import Column, Report
from benchmarks.harness.run import run

__all__ = ["Benchmark", "main"]

_RESULTS = Path(__file__).parents[1] / "results"
_BACKLOG_COLUMNS = (
    Column("one by one /s", ONE_BY_ONE, "jobs_per_second"),
    Column("bulk /s", BULK, "jobs_per_second"),
    Column("run /s", DRAIN, "jobs_per_second"),
)
_BACKLOG_SHARE = 0.7
"""What is left of the speed in an empty store, at least."""


class Server(Store, Protocol):
    """A store that knows its version."""

    async def version(self) -> str:
        """Return it in words."""
        ...


@dataclass(frozen=True)
class Benchmark:
    """Who is compared with whom, where, and what is to be seen."""

    name: str
    title: str
    participants: Sequence[Participant]
    """The first one is what the others are compared with, and what the backlog is measured of."""
    tables: Mapping[str, Sequence[Column]]
    goals: Sequence[Goal]
    connect: Callable[[str | None], AbstractAsyncContextManager[Server]]


def main(benchmark: Benchmark) -> None:
    """Measure, and write the results; the exit status is 1 if any run failed."""
    arguments = _arguments(benchmark)
    plan = Plan(jobs=arguments.jobs, uvloop=not arguments.no_uvloop)
    if arguments.singles:
        plan = replace(plan, singles=arguments.singles)
    work = _backlog if arguments.backlog else _compare
    report = asyncio.run(work(benchmark, plan, arguments))
    report.write(arguments.output)
    print(report.markdown())
    if report.results.failures:
        sys.exit(f"{len(report.results.failures)} runs failed: they have no figures")


async def _compare(benchmark: Benchmark, plan: Plan, arguments: argparse.Namespace) -> Report:
    chosen = [who for who in benchmark.participants if who.name in arguments.only]
    async with benchmark.connect(arguments.url) as store:
        bench = Bench(store, plan)
        measures = {
            name: measure
            for name, measure in measures_of(bench).items()
            if name in arguments.measure or not arguments.measure
        }
        configurations, versions = await introductions(bench, chosen)
        results = await run(bench, chosen, measures, arguments.repetitions, say)
        surroundings = environment(bench, await store.version(), versions)
    return Report(
        title=benchmark.title,
        participants=[who.name for who in chosen],
        tables=benchmark.tables,
        goals=benchmark.goals,
        results=results,
        plan=plan,
        repetitions=arguments.repetitions,
        environment=surroundings,
        configurations=configurations,
    )


async def _backlog(benchmark: Benchmark, plan: Plan, arguments: argparse.Namespace) -> Report:
    who = benchmark.participants[0]
    stores = fills(arguments.backlog)
    async with benchmark.connect(arguments.url) as store:
        bench = Bench(store, plan)
        configurations, versions = await introductions(bench, [who])
        results = await backlog(bench, who, stores, arguments.repetitions, say)
        surroundings = environment(bench, await store.version(), versions)
    return Report(
        title=f"{benchmark.title}: a store that is empty, and ones that are not",
        participants=list(stores),
        tables={"Throughput": _BACKLOG_COLUMNS},
        goals=[
            Goal(f"{column.title}, {name}, over an empty store", found, at_least=_BACKLOG_SHARE)
            for name in stores
            if name != EMPTY
            for column in _BACKLOG_COLUMNS
            for found in [Ratio((name, column.measure), (EMPTY, column.measure))]
        ],
        results=results,
        plan=plan,
        repetitions=arguments.repetitions,
        environment=surroundings,
        configurations=configurations,
    )


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)


def _arguments(benchmark: Benchmark) -> argparse.Namespace:
    names = [who.name for who in benchmark.participants]
    parser = argparse.ArgumentParser(description=benchmark.title)
    parser.add_argument("--url", help="a server; without it, one is started")
    parser.add_argument("--jobs", type=int, default=Plan.jobs)
    parser.add_argument("--singles", type=int, help="jobs that are enqueued one by one")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="PARTICIPANT")
    parser.add_argument("--measure", nargs="+", default=[], metavar="MEASURE")
    parser.add_argument("--no-uvloop", action="store_true")
    parser.add_argument(
        "--backlog",
        type=int,
        nargs="?",
        const=1_000_000,
        metavar="JOBS",
        help="compare stores that hold so many jobs with an empty one instead",
    )
    parser.add_argument("--output", type=Path, help="where the results go, without a suffix")
    arguments = parser.parse_args()
    if arguments.output is None:
        suffix = "-backlog" if arguments.backlog else ""
        arguments.output = _RESULTS / f"{benchmark.name}{suffix}"
    return arguments
