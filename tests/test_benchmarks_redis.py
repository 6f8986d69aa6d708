"""The benchmark on Redis uses only what is empty, and counts what the server has done."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import Redis

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.harness.bench import Bench, Plan  # noqa: E402 - the path comes first
from benchmarks.harness.figures import Result, Results  # noqa: E402
from benchmarks.harness.goals import Least, Ratio  # noqa: E402
from benchmarks.harness.measures import (  # noqa: E402
    BULK,
    DELAY,
    DRAIN,
    DRAIN_TWO,
    ONE_BY_ONE,
    PICK_UP,
    measures_of,
)
from benchmarks.harness.peer import Participant  # noqa: E402
from benchmarks.harness.redis import SETTINGS, RedisStore  # noqa: E402
from benchmarks.harness.run import run  # noqa: E402
from tools.servers.valkey import ValkeyServer  # noqa: E402

PLAN = Plan(jobs=60, singles=10, probes=5, warm=5, concurrency=10, calm=0.2, uvloop=False)
PROGRAM = (sys.executable, "-m", "benchmarks.peers", "stoker_redis")
ALL = frozenset({ONE_BY_ONE, BULK, DRAIN, DRAIN_TWO, PICK_UP, DELAY})
STOKER = Participant("stoker", PROGRAM, ALL)
RAW = Participant(
    "redis-py",
    (sys.executable, "-m", "benchmarks.peers", "redis_xadd"),
    frozenset({ONE_BY_ONE, BULK}),
)


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    """One server for all runs of this module."""
    with ValkeyServer(SETTINGS) as server:
        yield server


@pytest.fixture
async def store(server: ValkeyServer) -> AsyncIterator[RedisStore]:
    """Its databases."""
    async with RedisStore(server.url) as store:
        yield store


def client(url: str) -> Redis:
    return Redis.from_url(url, decode_responses=True)


@pytest.mark.slow
@pytest.mark.timeout(300)  # it starts sixteen processes, one after the other
async def test_every_measure_gives_figures_and_each_job_ran_once(store: RedisStore) -> None:
    bench = Bench(store, PLAN)
    results = await run(bench, [STOKER, RAW], measures_of(bench), 1, lambda _: None)

    assert [result.failure for result in results.runs] == [None] * (len(ALL) + 2)
    for name, figures in {result.measure: result.figures for result in results.runs}.items():
        assert all(figure >= 0 for figure in figures.values()), name
    # A script claims a batch and another one settles it: far fewer than one a job.
    scripts = results.median("stoker", DRAIN, "scripts_per_job")
    assert scripts is not None
    assert 2 / PLAN.jobs <= scripts < 2


@pytest.mark.parametrize(("option", "keeps"), [("--remove", False), ("--full", True)])
async def test_each_configuration_of_stoker_drains(
    store: RedisStore, option: str, keeps: bool
) -> None:
    who = Participant("stoker", (*PROGRAM, option), ALL, keeps=keeps)
    bench = Bench(store, PLAN)
    figures = await measures_of(bench)[DRAIN](bench, who)
    assert figures["jobs_per_second"] > 0


async def test_a_place_is_empty_each_time_that_it_is_given_out(store: RedisStore) -> None:
    first = await store.fresh()
    with client(first) as redis:
        redis.set("key", "value")
    others = [await store.fresh() for _ in range(5)]
    assert len({first, *others}) == 6
    assert await store.fresh() == first
    with client(first) as redis:
        assert redis.dbsize() == 0


async def test_a_database_that_holds_something_is_left_alone(server: ValkeyServer) -> None:
    with client(f"{server.url}/3") as redis:
        redis.set("key", "value")
        async with RedisStore(server.url) as store:
            urls = {await store.fresh() for _ in range(30)}
        assert f"{server.url}/3" not in urls
        assert len(urls) == 6
        assert redis.get("key") == "value"
        redis.flushdb()


async def test_a_database_that_is_not_used_is_not_emptied(server: ValkeyServer) -> None:
    with client(f"{server.url}/15") as redis:
        async with RedisStore(server.url):
            redis.set("key", "value")  # by somebody else, who has found it empty as well
        assert redis.get("key") == "value"
        redis.flushdb()


async def test_what_runs_left_behind_is_gone_at_the_end(server: ValkeyServer) -> None:
    async with RedisStore(server.url) as store:
        url = await store.fresh()
        with client(url) as redis:
            redis.set("key", "value")
    with client(url) as redis:
        assert redis.dbsize() == 0


async def test_a_server_whose_databases_are_in_use_is_refused() -> None:
    with ValkeyServer({**SETTINGS, "databases": "6"}) as server, client(server.url) as redis:
        redis.set("key", "value")
        with pytest.raises(RuntimeError, match="5 databases of the server are empty, 6 are needed"):
            async with RedisStore(server.url):
                pass
        assert redis.get("key") == "value"


async def test_the_commands_of_scripts_are_counted_as_well(store: RedisStore) -> None:
    url = await store.fresh()
    with client(url) as redis:
        redis.ping()
        before = await store.work(url)
        redis.eval("redis.call('SET', KEYS[1], 1) return redis.call('GET', KEYS[1])", 1, "key")
        after = await store.work(url)
    did = {name: after[name] - before[name] for name in after}
    assert did["scripts"] == 1
    assert did["commands"] == 4  # the script, its two, and the question before
    assert did["reads"] == 2
    assert did["script_us"] > 0


def results_of(**rates: float) -> Results:
    return Results(Result(who, DRAIN, 0, {"jobs_per_second": rate}) for who, rate in rates.items())


def test_the_best_of_the_others_decides() -> None:
    least = Least(tuple(Ratio(("ours", DRAIN), (who, DRAIN)) for who in ("slow", "fast")))
    assert least.of(results_of(ours=100.0, slow=10.0, fast=50.0)) == 2.0
    assert least.of(results_of(ours=100.0, slow=10.0)) is None
    assert Least(()).of(results_of(ours=100.0)) is None
