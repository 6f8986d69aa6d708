"""SHP: what a driver says of itself, its life cycle, and what it refuses."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

from stoker.driver import (
    IMMEDIATELY,
    PROTOCOL_VERSION,
    Capability,
    ClockSource,
    Complete,
    Driver,
    Durability,
    ExtendStatus,
    Extension,
    JobQuery,
    JobState,
    Presence,
    Retention,
    Schedules,
    Scope,
    Settlement,
    Token,
    Transactional,
    Unique,
    Wakeup,
    Want,
)
from stoker.errors import DriverClosed, DriverError, Unsupported
from stoker_conformance.bench import ERROR, LEASE, QUEUE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import Violation, expect, expect_refusal, expect_that

_POWERS: Final[dict[Capability, type]] = {
    Capability.WAKEUP: Wakeup,
    Capability.SCHEDULE: Schedules,
    Capability.PRESENCE: Presence,
    Capability.TRANSACTIONAL: Transactional,
}


@case(
    "SHP-01",
    clauses=("info.complete", "info.constant"),
    fix="Build one `DriverInfo` when the client is made. It must not depend on the connection; "
    "what only the server can tell does not belong there.",
)
async def info_is_complete_and_constant(c: Bench) -> None:
    """The info is complete, within the contract's bounds, and the same before and after open."""
    client = await c.client()
    before = client.info
    await client.open()
    info = client.info

    expect("the info after open", info, before)
    expect("the info of another client", (await c.driver()).info, before)
    expect_that("name and version are given", bool(info.name and info.version), info)
    expect("the version of the contract", info.protocol, PROTOCOL_VERSION)
    expect_that("scope is a Scope", isinstance(info.scope, Scope), info.scope)
    expect_that("clock is a ClockSource", isinstance(info.clock, ClockSource), info.clock)
    expect_that(
        "durability is a Durability", isinstance(info.durability, Durability), info.durability
    )
    known = all(isinstance(power, Capability) for power in info.capabilities)
    expect_that("capabilities are Capability members", known, info.capabilities)
    expect_that("capabilities cannot be changed", isinstance(info.capabilities, frozenset), info)
    expect_that("time_precision is positive", info.time_precision > timedelta(0), info)
    expect_that("max_batch is at least 1,000", info.max_batch >= 1_000, info.max_batch)
    expect_that("max_payload is at least 1 MiB", info.max_payload >= 1024 * 1024, info)
    enough = info.max_batch_bytes >= 2 * info.max_payload
    expect_that("max_batch_bytes is at least twice max_payload", enough, info)


@case(
    "SHP-02",
    clauses=("shape.signatures",),
    fix="Copy the signature from `stoker.driver`. Further parameters are allowed if they have "
    "defaults.",
)
async def signatures_match_the_protocol(c: Bench) -> None:
    """Every operation has the parameters that the contract names, of the same kind."""
    driver = await c.client()
    for protocol in [Driver, *(_POWERS[p] for p in _POWERS if p in c.info.capabilities)]:
        for name, wanted in inspect.getmembers(protocol, inspect.isfunction):
            if not name.startswith("_"):
                _expect_signature(driver, name, wanted)


@case(
    "SHP-03",
    clauses=("lifecycle.idempotent", "lifecycle.closed"),
    fix="Every operation begins by looking whether the client is open. `open` on an open client "
    "and `close` on a closed one return without doing anything.",
)
async def a_closed_driver_says_so(c: Bench) -> None:
    """Open and close may be repeated; any other call on a client that is not open is refused."""
    client = await c.client()
    for name, call in _every_operation(c, client).items():
        await expect_refusal(f"{name} before open", call(), DriverClosed)
    await client.open()
    await client.open()
    job = c.job()
    await c.put(client, job)
    await client.close()
    await client.close()
    for name, call in _every_operation(c, client).items():
        await expect_refusal(f"{name} after close", call(), DriverClosed)
    expect("the job, seen later", await c.state(await c.driver(), job.key), JobState.READY)
    await client.open()
    expect("the job, seen after opening again", await c.state(client, job.key), JobState.READY)


@case(
    "SHP-04",
    clauses=("lifecycle.concurrent_open",),
    fix="Creating the schema races with itself. Take a lock of the store around it, and let the "
    "losers find it made.",
)
async def a_new_store_may_be_opened_by_many(c: Bench) -> None:
    """Many clients open a new store at the same time, and all of them work."""
    clients = [await c.client() for _ in range(c.pick(fast=8, full=24))]
    await asyncio.gather(*(client.open() for client in clients))

    for client in clients:
        await c.put(client, c.job())
    expect("jobs of all clients", len(await c.claim(clients[0])), len(clients))


@case(
    "SHP-05",
    clauses=("capability.refused",),
    fix="A power that the driver does not declare is refused with `Unsupported` before anything "
    "is changed: `stoker.driver.checks` does it for values, an operation of a capability may "
    "simply be absent.",
)
async def undeclared_capabilities_are_refused(c: Bench) -> None:
    """Each capability that is not declared refuses, and changes nothing."""
    driver = await c.driver()
    undeclared = set(Capability) - c.info.capabilities
    if Capability.PRIORITY in undeclared:
        await _expect_enqueue_refused(c, driver, priority=7)
    if Capability.UNIQUE in undeclared:
        await _expect_enqueue_refused(c, driver, unique=Unique("key"))
    if Capability.RESULTS in undeclared:
        await _expect_reports_refused(c, driver)
    for power in undeclared & set(_POWERS):
        for name, call in _powers_of(c, driver)[power].items():
            if hasattr(driver, name):
                await expect_refusal(f"{name} without {power}", call(), Unsupported)


@case(
    "SHP-08",
    clauses=("operation.cancelled",),
    fix="A cancelled await left a connection in the middle of an answer, or a lock held. Finish "
    "or discard what the cancelled call was using before the client is used again.",
)
async def a_cancelled_await_leaves_the_client_usable(c: Bench) -> None:
    """A cancelled call has happened or not, and the client works on."""
    driver = await c.driver()
    jobs = c.jobs(c.pick(fast=20, full=60))
    for turns, job in enumerate(jobs):
        await _cancel_after(turns // 2, driver.enqueue([job], now=c.now))
        await c.put(driver, job)  # the same request: stored by now, whatever became of the first
        await _cancel_after(turns // 2, driver.get([job.key]))
        await _cancel_after(turns // 2, driver.promote([QUEUE], limit=10, now=c.now))

    expect("jobs after cancelled calls", await c.claim_ids(driver), [job.key.id for job in jobs])


@case(
    "SHP-09",
    clauses=("lifecycle.clone",),
    fix="`clone` makes a client with connections of its own that is not open; around a client "
    "that belongs to the user it raises `Unsupported`.",
)
async def a_clone_is_a_client_of_the_same_store(c: Bench) -> None:
    """A clone is an independent client of the same store, not yet open."""
    driver = await c.driver()
    job = c.job()
    await c.put(driver, job)
    try:
        clone = driver.clone()
    except Unsupported:
        return
    await expect_refusal("a call on a clone that is not open", clone.get([job.key]), DriverClosed)
    await clone.open()
    try:
        await driver.close()
        expect("what the clone sees", await c.state(clone, job.key), JobState.READY)
    finally:
        await clone.close()


@case(
    "SHP-10",
    clauses=("info.scope",),
    fix="The driver's clients may be further apart than its scope says, and then they have to be "
    "tested there: declare `host` for a store that other processes reach, `network` for one with "
    "an address.",
)
async def the_scope_is_not_understated(c: Bench) -> None:
    """Another process sees nothing of a process-scoped store; one with an address is networked."""
    if c.info.scope is Scope.NETWORK:
        return
    expect(f"the address of a store whose scope is the {c.info.scope}", c.harness.address, None)
    if c.info.scope is not Scope.PROCESS:
        return
    driver, job = await c.driver(), c.job()
    await c.put(driver, job)
    try:
        other = await c.process()
        seen = await c.state(other.driver, job.key)
    except DriverError:
        return  # it cannot use the store at all
    expect("what another process sees of a job", seen, None)


def _expect_signature(driver: Driver, name: str, wanted: Callable[..., Any]) -> None:
    implementation = getattr(driver, name, None)
    if implementation is None:
        raise Violation(f"the operation {name}", "a method", "none")
    seen = inspect.signature(implementation).parameters
    expected = dict(list(inspect.signature(wanted).parameters.items())[1:])  # without self
    for parameter in expected.values():
        found = seen.get(parameter.name)
        described = found and (found.kind, found.default is not found.empty)
        expect(
            f"{name}: kind of the parameter {parameter.name}, and whether it has a default",
            described,
            (parameter.kind, parameter.default is not parameter.empty),
        )
    more = [p.name for p in seen.values() if p.name not in expected and p.default is p.empty]
    expect(f"{name}: parameters beyond the contract that have no default", more, [])


def _every_operation(c: Bench, driver: Driver) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Return a harmless call of each operation of the driver."""
    job = c.job("never-stored")
    token, keys = Token(job.key, 1), [job.key]
    now = c.now
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "enqueue": lambda: driver.enqueue([job], now=now),
        "claim": lambda: driver.claim([Want(QUEUE, 1)], worker="w", lease=LEASE, now=now),
        "extend": lambda: driver.extend([Extension(token)], lease=LEASE, now=now),
        "settle": lambda: driver.settle([Settlement(token, Complete())], now=now),
        "promote": lambda: driver.promote([QUEUE], limit=1, now=now),
        "reap": lambda: driver.reap([QUEUE], limit=1, delay=timedelta(0), error=ERROR, now=now),
        "get": lambda: driver.get(keys),
        "states": lambda: driver.states(keys),
        "search": lambda: driver.search(QUEUE, JobQuery()),
        "queues": driver.queues,
        "stats": lambda: driver.stats([QUEUE], now=now),
        "cancel": lambda: driver.cancel(keys, reason="no", now=now),
        "retry": lambda: driver.retry(keys, now=now),
        "reschedule": lambda: driver.reschedule(keys, IMMEDIATELY, now=now),
        "remove": lambda: driver.remove(keys),
        "pause": lambda: driver.pause(QUEUE, False),
        "purge": lambda: driver.purge(QUEUE, Retention(), limit=1, now=now),
    }
    for power, more in _powers_of(c, driver).items():
        if power in c.info.capabilities:
            calls |= more
    return calls


def _powers_of(c: Bench, driver: Any) -> dict[Capability, dict[str, Callable[[], Awaitable[Any]]]]:
    """Return a harmless call of each operation that belongs to a capability."""
    soon = timedelta(milliseconds=1)
    job = c.job("never-stored")
    settlement = Settlement(Token(job.key, 1), Complete())

    async def transaction() -> None:
        async with driver.transaction(lease=LEASE):
            pass

    return {
        Capability.WAKEUP: {"wait": lambda: driver.wait([QUEUE], soon)},
        Capability.SCHEDULE: {
            "put_schedule": lambda: driver.put_schedule(
                QUEUE, "daily", b"{}", IMMEDIATELY, now=c.now
            ),
            "fire_schedule": lambda: driver.fire_schedule(QUEUE, "daily", 1, None, [], now=c.now),
            "list_schedules": lambda: driver.list_schedules([QUEUE], now=c.now),
            "remove_schedule": lambda: driver.remove_schedule(QUEUE, "daily"),
        },
        Capability.PRESENCE: {
            "announce": lambda: driver.announce("worker-1", [QUEUE], LEASE, b"{}", now=c.now),
            "withdraw": lambda: driver.withdraw("worker-1"),
            "workers": lambda: driver.workers(now=c.now),
        },
        Capability.TRANSACTIONAL: {
            "enqueue_in": lambda: driver.enqueue_in(None, [job], now=c.now),
            "settle_in": lambda: driver.settle_in(None, settlement, now=c.now),
            "transaction": transaction,
        },
    }


async def _expect_enqueue_refused(c: Bench, driver: Driver, **fields: Any) -> None:
    plain, special = c.job(), c.job(**fields)
    await expect_refusal(
        f"an enqueue with {fields}", driver.enqueue([plain, special], now=c.now), Unsupported
    )
    states = await c.states(driver, [plain.key, special.key])
    expect("what a refused enqueue stored", states, [None, None])


async def _expect_reports_refused(c: Bench, driver: Driver) -> None:
    job = c.job()
    await c.put(driver, job)
    token = (await c.claim_one(driver)).token
    later = c.at(5)
    for what, item in {
        "a result": Settlement(token, Complete(b"1")),
        "progress": Settlement(token, Complete(), progress=b"1"),
        "logs": Settlement(token, Complete(), logs=[b"1"]),
    }.items():
        await expect_refusal(f"settle with {what}", driver.settle([item], now=later), Unsupported)
    report = Extension(token, progress=b"1")
    await expect_refusal(
        "extend with progress", driver.extend([report], lease=LEASE, now=later), Unsupported
    )
    record = await c.record(driver, job.key)
    expect("the expiry after a refused extend", record.expires_at, c.stored(c.now + LEASE))
    answer = await c.extend(driver, token, now=later)
    expect("the token after refusals", answer.status, ExtendStatus.EXTENDED)


async def _cancel_after(turns: int, operation: Awaitable[Any]) -> None:
    """Start an operation, let the loop turn so many times, and cancel it."""
    task = asyncio.ensure_future(operation)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()  # it had ended before; an error of its own is a failure
