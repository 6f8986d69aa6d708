"""The benchmarks count right: a figure means that each job ran exactly once, and was stored so."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.harness.backlog import EMPTY, backlog, fills  # noqa: E402 - the path comes first
from benchmarks.harness.bench import Bench, Plan  # noqa: E402
from benchmarks.harness.checks import Wrong, check_count, check_runs  # noqa: E402
from benchmarks.harness.figures import Result, Results, percentile  # noqa: E402
from benchmarks.harness.goals import Goal, Median, Ratio  # noqa: E402
from benchmarks.harness.measures import (  # noqa: E402
    BULK,
    DELAY,
    DRAIN,
    DRAIN_TWO,
    ONE_BY_ONE,
    PICK_UP,
    measures_of,
)
from benchmarks.harness.peer import Participant, PeerFailed, running  # noqa: E402
from benchmarks.harness.postgres import SETTINGS, PostgresStore  # noqa: E402
from benchmarks.harness.report import Column, Report  # noqa: E402
from benchmarks.harness.run import run  # noqa: E402
from tools.servers.postgres import PostgresServer  # noqa: E402

PLAN = Plan(jobs=60, singles=10, probes=5, warm=5, concurrency=10, calm=0.2, uvloop=False)
PROGRAM = (sys.executable, "-m", "benchmarks.peers", "stoker_postgres")
ALL = frozenset({ONE_BY_ONE, BULK, DRAIN, DRAIN_TWO, PICK_UP, DELAY})
STOKER = Participant("stoker", PROGRAM, ALL)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One server for all runs of this module."""
    with PostgresServer(**SETTINGS) as server:
        yield server


@pytest.fixture
async def store(server: PostgresServer) -> AsyncIterator[PostgresStore]:
    """Databases of a test's own."""
    async with PostgresStore(server.url) as store:
        yield store


async def test_every_measure_of_stoker_gives_figures_and_each_job_ran_once(
    store: PostgresStore,
) -> None:
    bench = Bench(store, PLAN)
    results = await run(bench, [STOKER], measures_of(bench), 1, lambda _: None)

    assert [result.failure for result in results.runs] == [None] * len(ALL)
    for name, figures in {result.measure: result.figures for result in results.runs}.items():
        assert all(figure >= 0 for figure in figures.values()), name
    # A statement claims a batch and another one settles it: far fewer than one a job.
    statements = results.median("stoker", DRAIN, "statements_per_job")
    assert statements is not None
    assert 2 / PLAN.jobs <= statements < 2


@pytest.mark.parametrize(("option", "keeps"), [("--remove", False), ("--full", True)])
async def test_each_configuration_of_stoker_drains(
    store: PostgresStore, option: str, keeps: bool
) -> None:
    who = Participant("stoker", (*PROGRAM, option), ALL, keeps=keeps)
    bench = Bench(store, PLAN)
    figures = await measures_of(bench)[DRAIN](bench, who)
    assert figures["jobs_per_second"] > 0


async def test_a_drain_fails_where_the_store_does_not_keep_what_it_should(
    store: PostgresStore,
) -> None:
    forgetful = Participant("stoker", (*PROGRAM, "--remove"), ALL, keeps=True)
    bench = Bench(store, PLAN)
    with pytest.raises(Wrong, match="finished jobs, not 60"):
        await measures_of(bench)[DRAIN](bench, forgetful)


async def test_a_full_store_is_measured_like_an_empty_one(store: PostgresStore) -> None:
    results = await backlog(Bench(store, PLAN), STOKER, fills(50), 2, lambda _: None)
    assert [result.failure for result in results.failures] == []
    for name in fills(50):
        assert results.ratio((name, DRAIN), (EMPTY, DRAIN), "jobs_per_second") is not None


async def test_a_program_that_fails_or_ends_is_an_error_of_its_peer() -> None:
    with pytest.raises(PeerFailed, match=r"stoker failed to 'nonsense'"):
        async with running("stoker", [*PROGRAM, "--url", "x://", "--concurrency", "1"]) as peer:
            await peer.ask("nonsense")
    with pytest.raises(PeerFailed, match="stoker ended when it was asked to 'hello'"):
        async with running("stoker", [sys.executable, "-c", ""]) as peer:
            await peer.ask("hello")


class Scripted:
    """A peer that answers each request as it was told to."""

    def __init__(self, **answers: dict[str, Any]) -> None:
        self._answers = answers

    async def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        return self._answers[do]


class Nowhere:
    """A store that is never reached."""

    async def fresh(self) -> str:
        raise NotImplementedError

    async def work(self, url: str) -> Mapping[str, float]:
        raise NotImplementedError


async def test_a_worker_that_stands_still_has_lost_jobs() -> None:
    bench = Bench(Nowhere(), Plan(patience=0.0))
    with pytest.raises(Wrong, match="only 4 of 5 jobs ran"):
        await bench.ran([Scripted(runs={"runs": 1}), Scripted(runs={"runs": 3})], 5)


async def test_jobs_that_ran_and_stay_unfinished_are_no_figure() -> None:
    bench = Bench(Nowhere(), Plan(patience=0.0))
    with pytest.raises(Wrong, match="2 jobs ran and never became finished"):
        await bench.settled(Scripted(count={"unfinished": 2, "finished": 3}))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([0, 1], r"1 never ran \(2\)"),
        ([0, 1, 2, 2], r"1 ran more than once \(2\)"),
        ([0, 1, 2, 7], r"1 ran and are unknown \(7\)"),
    ],
)
def test_lost_doubled_and_unknown_jobs_are_named(numbers: list[int], message: str) -> None:
    with pytest.raises(Wrong, match=message):
        check_runs(numbers, range(3))
    check_runs([2, 0, 1], range(3))


def test_other_counts_in_the_store_are_an_error() -> None:
    counts = {"unfinished": 1, "finished": 2}
    check_count(counts, unfinished=1, finished=2)
    check_count(counts, unfinished=1, finished=None)
    with pytest.raises(Wrong, match="1 unfinished"):
        check_count(counts, unfinished=0, finished=2)
    with pytest.raises(Wrong, match="2 finished"):
        check_count(counts, unfinished=1, finished=3)


def results_of(**rates: list[float | None]) -> Results:
    return Results(
        Result(who, DRAIN, turn, {} if rate is None else {"jobs_per_second": rate},
               failure="lost" if rate is None else None)
        for who, found in rates.items()
        for turn, rate in enumerate(found)
    )  # fmt: skip


def test_ratios_are_of_the_same_turn() -> None:
    # The machine was ten times as slow in the second turn, which must not show.
    results = results_of(ours=[200.0, 20.0, 210.0], theirs=[100.0, 10.0, 100.0])
    assert results.ratio(("ours", DRAIN), ("theirs", DRAIN), "jobs_per_second") == 2.0


def test_a_participant_that_failed_once_has_no_figure() -> None:
    results = results_of(ours=[200.0, None], theirs=[100.0, 100.0])
    assert results.median("ours", DRAIN, "jobs_per_second") is None
    assert results.ratio(("ours", DRAIN), ("theirs", DRAIN), "jobs_per_second") is None
    report = Report(
        title="A",
        participants=["ours", "theirs"],
        tables={"B": [Column("drain", DRAIN, "jobs_per_second")]},
        goals=[Goal("more", Ratio(("ours", DRAIN), ("theirs", DRAIN)), at_least=2.0)],
        results=results,
        plan=PLAN,
        repetitions=2,
        environment={},
    ).markdown()
    assert "| ours | failed |" in report
    assert "| theirs | 100 |" in report
    assert "**ours, drain, failed:** lost" in report
    assert "| more | at least 2 | not measured |" in report


def test_goals_are_reached_or_not() -> None:
    results = results_of(ours=[150.0])
    median = Median("ours", DRAIN, "jobs_per_second")
    assert Goal("a", median, at_least=150.0).row(results)[3] == "yes"
    assert Goal("a", median, at_least=151.0).row(results)[3] == "**no**"
    assert Goal("a", median, at_most=149.0).row(results)[3] == "**no**"


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(value) for value in range(1, 101)]
    assert percentile(values, 50) == 50.0
    assert percentile(values, 95) == 95.0
    assert percentile([3.0], 95) == 3.0
