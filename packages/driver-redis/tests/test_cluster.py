"""A cluster whose slots move and whose nodes go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from redis.asyncio import RedisCluster
from redis.cluster import LoadBalancingStrategy
from redis.crc import key_slot
from tools.servers.valkey import ValkeyCluster, ValkeyServer, free_port

from stoker.driver import EnqueueStatus, JobKey, JobState, NewJob, Wake, Want
from stoker.errors import DriverUnavailable
from stoker_redis import RedisDriver
from stoker_redis._connection import end
from stoker_redis._keys import names_key
from stoker_redis._nodes import raise_first
from stoker_redis._source import source_of

LEASE = timedelta(seconds=60)
QUEUES = [f"q{number}" for number in range(9)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    with ValkeyCluster() as cluster:
        yield cluster


@pytest.fixture
async def driver(cluster: ValkeyCluster, prefix: str) -> AsyncIterator[RedisDriver]:
    driver = RedisDriver(cluster.url, prefix=prefix)
    await driver.open()
    yield driver
    await driver.close()


def job(queue: str, name: str = "1") -> NewJob:
    return NewJob(JobKey(queue, name), "a.b", nonce="1")


def moved(cluster: ValkeyCluster, queue: str) -> tuple[int, Any, Any]:
    """Return the slot of a queue, the node that has it, and one that has not."""
    slot = key_slot(queue.encode())
    owner = cluster.owner(slot)
    return slot, owner, next(node for node in cluster.nodes if node is not owner)


async def test_queues_on_all_nodes_are_served_together(
    driver: RedisDriver, cluster: ValkeyCluster
) -> None:
    assert len({cluster.owner(key_slot(queue.encode())).port for queue in QUEUES}) == 3
    answers = await driver.enqueue([job(queue) for queue in QUEUES])
    assert [answer.status for answer in answers] == [EnqueueStatus.INSERTED] * len(QUEUES)
    claimed = await driver.claim([Want(queue, 1) for queue in QUEUES], worker="w", lease=LEASE)
    assert [lease.token.key.queue for lease in claimed.leases] == QUEUES
    assert set(await driver.queues()) == set(QUEUES)


async def test_a_slot_that_moved_is_followed(driver: RedisDriver, cluster: ValkeyCluster) -> None:
    await driver.enqueue([job("q0")])
    slot, owner, other = moved(cluster, "q0")
    await asyncio.to_thread(cluster.move, slot, owner, other)
    assert await driver.states([JobKey("q0", "1")]) == [JobState.READY]
    redirections = owner.ask("INFO", "errorstats")
    assert "errorstat_MOVED:count=1" in redirections
    [answer] = await driver.enqueue([job("q0")])
    assert answer.status is EnqueueStatus.INSERTED  # the same request, sent again
    assert owner.ask("INFO", "errorstats") == redirections  # asked once, and learned


async def test_a_slot_that_is_being_moved_is_asked_for_where_it_goes(
    driver: RedisDriver, cluster: ValkeyCluster
) -> None:
    assert await driver.states([JobKey("moving", "1")]) == [None]
    slot, owner, other = moved(cluster, "moving")
    await asyncio.to_thread(cluster.begin_move, slot, owner, other)
    # None of its keys is at the owner, which says ASK.
    assert await driver.states([JobKey("moving", "1")]) == [None]
    stats = await asyncio.to_thread(other.ask, "INFO", "commandstats")
    assert "cmdstat_asking" in stats
    await asyncio.to_thread(cluster.move, slot, owner, other)
    await driver.enqueue([job("moving")])
    assert await driver.states([JobKey("moving", "1")]) == [JobState.READY]


async def test_waits_are_told_of_queues_on_all_nodes(
    driver: RedisDriver, cluster: ValkeyCluster
) -> None:
    await driver.wait(QUEUES, LEASE)
    producer = driver.clone()
    await producer.open()
    for queue in QUEUES:
        await producer.enqueue([job(queue)])
        assert await driver.wait([queue], LEASE) == Wake.WORK
    await producer.close()


async def test_a_wait_follows_its_queue_to_another_node(
    driver: RedisDriver, cluster: ValkeyCluster
) -> None:
    await driver.wait(["wanderer"], LEASE)
    await driver.enqueue([job("wanderer")])
    assert await driver.wait(["wanderer"], LEASE) == Wake.WORK
    slot, owner, target = moved(cluster, "wanderer")
    await asyncio.to_thread(cluster.move, slot, owner, target)
    assert await driver.wait(["wanderer"], LEASE)  # it may have missed something
    async with asyncio.timeout(20):  # nothing but its reader tells this client of the move
        asks = partial(asyncio.to_thread, target.ask, "INFO", "clients")
        while "blocked_clients:1\r" not in await asks():
            pass
    await driver.enqueue([job("wanderer", "2")])
    assert Wake.WORK in await driver.wait(["wanderer"], LEASE)


async def test_without_one_node_the_others_serve_and_it_comes_back(
    driver: RedisDriver, cluster: ValkeyCluster, prefix: str
) -> None:
    for node in cluster.nodes:  # so that a node goes on when another is away
        node.ask("CONFIG", "SET", "cluster-require-full-coverage", "no")
    await driver.enqueue([job(queue) for queue in QUEUES])
    needed = cluster.owner(key_slot(names_key(prefix)))  # an enqueue begins there
    owners = {queue: cluster.owner(key_slot(queue.encode())) for queue in QUEUES}
    away, lost = next(found for found in owners.items() if found[1] is not needed)
    there = [queue for queue in QUEUES if owners[queue] is not lost]
    await asyncio.to_thread(lost.kill)
    with pytest.raises(DriverUnavailable):
        await driver.states([JobKey(away, "1")])
    for queue in there:
        assert await insist(driver, JobKey(queue, "1")) is not None
    claimed = await driver.claim([Want(queue, 1) for queue in QUEUES], worker="w", lease=LEASE)
    assert [lease.token.key.queue for lease in claimed.leases] == there  # none is lost
    error = await partly(driver, [job(away, "2"), *(job(queue, "2") for queue in there)])
    assert error.maybe_applied
    nodes = ",".join(f"127.0.0.1:{node.port}" for node in cluster.nodes)
    link = await source_of(f"redis+cluster://{nodes}").nodes(1).greet()
    await end(link)
    await asyncio.to_thread(lost.start)
    assert await insist(driver, JobKey(away, "1")) is JobState.READY


async def test_without_the_node_of_the_names_queues_that_are_known_get_jobs(
    driver: RedisDriver, cluster: ValkeyCluster, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    for node in cluster.nodes:
        node.ask("CONFIG", "SET", "cluster-require-full-coverage", "no")
    names = cluster.owner(key_slot(names_key(prefix)))
    owners = {queue: cluster.owner(key_slot(queue.encode())) for queue in QUEUES}
    known, other = [queue for queue in QUEUES if owners[queue] is not names][:2]
    await driver.enqueue([job(known)])
    await asyncio.to_thread(names.kill)
    assert await insist(driver, JobKey(known, "1")) is JobState.READY
    # A new connection may lead to a server that has forgotten: names are noted again.
    owners[known].ask("CLIENT", "KILL", "TYPE", "NORMAL")
    for number in ("2", "3"):
        [answer] = await driver.enqueue([job(known, number)])
        assert answer.status is EnqueueStatus.INSERTED
    assert "cannot be noted again yet" in caplog.text
    # Of a queue that is new, nobody would know.
    await partly(driver, [job(other)])
    assert await driver.states([JobKey(other, "1")]) == [None]
    await asyncio.to_thread(names.start)
    await asyncio.to_thread(cluster._wait)
    await driver.enqueue([job(other)])
    assert set(await driver.queues()) == {known, other}


async def insist(driver: RedisDriver, key: JobKey) -> JobState | None:
    """Ask until the cluster has calmed down."""
    async with asyncio.timeout(20):
        while True:
            try:
                return (await driver.states([key]))[0]
            except DriverUnavailable:
                await asyncio.sleep(0.05)


async def partly(driver: RedisDriver, jobs: list[NewJob]) -> DriverUnavailable:
    with pytest.raises(DriverUnavailable) as caught:
        await driver.enqueue(jobs)
    return caught.value


async def test_a_cluster_without_slots_is_unavailable() -> None:
    settings = {"cluster-enabled": "yes", "cluster-port": str(free_port())}
    with ValkeyServer(settings) as server:
        driver = RedisDriver(f"redis+cluster://127.0.0.1:{server.port}")
        with pytest.raises(DriverUnavailable, match="no node of the cluster has any slot"):
            await driver.open()


@pytest.mark.parametrize(
    ("parts", "maybe"),
    [
        ([[1], DriverUnavailable("", maybe_applied=False)], True),
        ([DriverUnavailable("", maybe_applied=False)] * 2, False),
        (
            [DriverUnavailable("", maybe_applied=False), DriverUnavailable("", maybe_applied=True)],
            True,
        ),
    ],
)
def test_what_failed_in_parts_may_have_been_applied_in_parts(parts: Any, maybe: bool) -> None:
    with pytest.raises(DriverUnavailable) as caught:
        raise_first(parts)
    assert caught.value.maybe_applied is maybe


async def test_a_users_cluster_client_is_used_and_left_open(
    cluster: ValkeyCluster, prefix: str
) -> None:
    for decode in (False, True):
        async with RedisCluster(
            host="127.0.0.1",
            port=cluster.nodes[1].port,
            decode_responses=decode,
            load_balancing_strategy=LoadBalancingStrategy.ROUND_ROBIN,  # reads from replicas
        ) as client:
            driver = RedisDriver(client, prefix=f"{prefix}-{decode}")
            await driver.open()
            await driver.enqueue([job(queue) for queue in QUEUES])
            keys = [JobKey(queue, "1") for queue in QUEUES]
            assert await driver.states(keys) == [JobState.READY] * len(QUEUES)
            listed = cluster.nodes[1].ask("CLIENT", "LIST")
            assert "cmd=evalsha" in listed
            assert not [
                line for line in listed.splitlines() if "evalsha" in line and "flags=r" in line
            ]
            await driver.close()
            assert await client.ping()


async def test_a_replica_that_takes_over_is_found(prefix: str) -> None:
    with ValkeyCluster(with_replica=True) as cluster:
        queue = next(name for name in QUEUES if key_slot(name.encode()) < 16_384 // 3)
        driver = RedisDriver(cluster.url, prefix=prefix, replicas=1)
        reader = RedisDriver(cluster.url, prefix=prefix)
        await driver.open()
        await reader.open()
        await driver.enqueue([job(queue)])
        assert await reader.states([JobKey(queue, "1")]) == [JobState.READY]
        assert await reader.wait([queue], LEASE) == Wake.WORK
        await asyncio.to_thread(cluster.nodes[0].kill)
        assert await insist(reader, JobKey(queue, "1")) is JobState.READY
        assert await reader.wait([queue], LEASE)
        await driver.close()
        await reader.close()
