"""ENQ: what is stored is what was given, once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from stoker.driver import (
    After,
    At,
    Driver,
    EnqueueStatus,
    JobKey,
    JobState,
    KeepFor,
    NewJob,
)
from stoker_conformance.bench import QUEUE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import expect, expect_that, expect_unchanged

_TEXTS: Final = {
    "null": b"null",
    "spaces that a parser would drop": b' { "b" : 1 ,\n\t"a" : [ ] } ',
    "keys out of order and twice": b'{"b":1,"a":2,"b":3}',
    "unicode": '{"name":"Zoë Ångström","cjk":"漢字","emoji":"🦊👩‍🚀"}'.encode(),
    "escapes, NUL among them": rb'{"text":"\u0000\u0001\ud83e\udd8a\ud800\/\"\\"}',
    "numbers that a float would spoil": b"[12345678901234567890123,1.10,1e400,-0.0,1E5]",
    "one megabyte": b'"' + b"0123456789abcdef" * (1024 * 64 - 1) + b'"',
}


@case(
    "ENQ-01",
    clauses=("enqueue.payload",),
    fix="Store the payload as bytes or text, never as the store's own JSON type, and never parse "
    "it: parsers drop spaces, reorder keys and spoil numbers.",
)
async def payloads_come_back_byte_identical(c: Bench) -> None:
    """Any JSON text comes back byte for byte, in the record and in the lease."""
    driver = await c.driver()
    jobs = {text: c.job(payload=payload) for text, payload in _TEXTS.items()}
    await c.put(driver, *jobs.values())
    records = await driver.get([job.key for job in jobs.values()])
    leased = {lease.token.key: lease.payload for lease in await c.claim(driver)}

    for (text, job), record in zip(jobs.items(), records, strict=True):
        stored = record and record.payload
        expect_that(f"the record has the payload given: {text}", stored == job.payload, stored)
        claimed = leased[job.key]
        expect_that(f"the lease has the payload given: {text}", claimed == job.payload, claimed)


@case(
    "ENQ-02",
    clauses=("enqueue.inert",),
    fix="An id that exists must be left alone, in every state: insert or ignore, never upsert.",
)
async def an_id_that_exists_is_left_alone(c: Bench) -> None:
    """The same id again is a duplicate in every state, and changes no field."""
    driver, other = await c.drivers(2)
    for state, key in (await c.one_in_each_state(driver)).items():
        before = await c.record(driver, key)
        again = c.job(key.id, name="another.name", payload=b'"new"', max_attempts=9, tags=("new",))
        [answer] = await other.enqueue([again], now=c.at(10))
        expect(f"the id of a {state} job", answer.status, EnqueueStatus.DUPLICATE_ID)
        after = await c.record(driver, key)
        expect_unchanged(f"a {state} job after its id was enqueued again", after, before)


@case(
    "ENQ-03",
    clauses=("answers.aligned", "enqueue.first_wins"),
    fix="Each job of a batch has its own answer, in the order asked. A duplicate must not abort "
    "the batch; of two equal ids the first is inserted and the second is the duplicate.",
)
async def a_mixed_batch_is_answered_item_by_item(c: Bench) -> None:
    """A batch with duplicates inserts the rest, and answers every item in order."""
    driver = await c.driver()
    old = c.job("old")
    await c.put(driver, old)
    batch = [
        c.job("first"),
        c.job("old", payload=b'"changed"'),
        c.job("twice", payload=b'"first wins"'),
        c.job("old", queue="parcels"),  # the same id in another queue is another job
        c.job("twice", payload=b'"second loses"'),
        c.job("last"),
    ]
    answers = await driver.enqueue(batch, now=c.now)

    inserted, duplicate = EnqueueStatus.INSERTED, EnqueueStatus.DUPLICATE_ID
    expect(
        "the answers to new, old, new, other queue, twice, new",
        [answer.status for answer in answers],
        [inserted, duplicate, inserted, inserted, duplicate, inserted],
    )
    expect("jobs there", await c.claim_ids(driver), ["first", "last", "old", "twice"])
    expect("the job in the other queue", await c.claim_ids(driver, queue="parcels"), ["old"])
    record = await c.record(driver, JobKey(QUEUE, "twice"))
    expect("the payload of the id given twice", record.payload, b'"first wins"')
    record = await c.record(driver, old.key)
    expect("the payload of the old job", record.payload, old.payload)


@case(
    "ENQ-04",
    clauses=("enqueue.durable",),
    bound=60,
    fix="Enqueue answered before the job was in the store. Answer after the commit; what waits in "
    "a buffer of the client dies with it.",
)
async def acknowledged_jobs_survive_their_producer(c: Bench) -> None:
    """A job whose enqueue was acknowledged is in the store after the SIGKILL of its producer."""
    witness = await c.driver()
    for _ in range(c.pick(fast=1, full=4, soak=20)):
        producer = await c.actor()
        jobs = c.jobs(300)
        acknowledged: list[JobKey] = []
        async for key in producer.stream(_enqueue_one_by_one, jobs, c.now):
            acknowledged.append(key)
            if len(acknowledged) == 20:
                await producer.kill()

        states = await c.states(witness, acknowledged)
        lost = [key for key, state in zip(acknowledged, states, strict=True) if state is None]
        expect("acknowledged jobs that are not there", lost, [])
        await c.put(witness, *jobs)  # what the next producer sends: all of it again
        expect("jobs there", await c.claim_ids(witness, 301), [job.key.id for job in jobs])


@case(
    "ENQ-08",
    clauses=("enqueue.once",),
    fix="A large batch lost or doubled jobs: look at how it is split, and at parameter limits.",
)
async def a_thousand_jobs_are_each_claimable_once(c: Bench) -> None:
    """A batch of 1,000 jobs is stored whole, and each job is claimed exactly once."""
    driver, other = await c.drivers(2)
    jobs = c.jobs(1_000)
    await c.put(driver, *jobs)

    claimed = sorted(await c.claim_ids(driver, 450) + await c.claim_ids(other, 1_000))
    expect_that("all ids came, each once", claimed == [job.key.id for job in jobs], claimed)


@case(
    "ENQ-09",
    clauses=("enqueue.visible",),
    fix="Enqueue returned before it was visible: commit before answering, and do not read from a "
    "replica or an old snapshot.",
)
async def a_job_is_visible_when_enqueue_returns(c: Bench) -> None:
    """When enqueue returns, every client sees the job in every operation."""
    producer, consumer = await c.drivers(2)
    for _ in range(c.pick(fast=20, full=200)):
        job = c.job()
        await c.put(producer, job)
        expect("the state that another client sees", await c.state(consumer, job.key), "ready")
        expect("what another client claims", await c.claim_ids(consumer), [job.key.id])


@case(
    "ENQ-10",
    clauses=("enqueue.fields",),
    fix="A field was lost or changed on its way: compare the columns with `NewJob`, in record and "
    "lease. Times are aware, in UTC, and exact to the declared precision.",
)
async def every_field_comes_back(c: Bench) -> None:
    """Every field of a new job comes back, in its record and in its lease."""
    driver = await c.driver()
    full = c.job(
        name="post.letters.deliver",
        payload_version=7,
        run_at=After(timedelta(seconds=90)),
        max_attempts=11,
        max_crashes=3,
        expires=At(c.at(86_400)),
        timeout=timedelta(seconds=2.5),
        tags=("red", "blau", "赤", "red"),
        metadata={"customer": "c-17", "empty": "", "text": 'a "quoted"\nline 🦊'},
        headers={"traceparent": "00-abc-01"},
        keep=KeepFor(completed=timedelta(hours=1), failed=timedelta(0)),
    )
    plain = c.job()
    await c.put(driver, full, plain)
    await _expect_fields(c, driver, full, run_at=c.at(90), expires=c.at(86_400))
    await _expect_fields(c, driver, plain, run_at=c.now, expires=None)

    record = await c.record(driver, plain.key)
    expect("the epoch before the first lease", record.epoch, 0)
    expect("counters", (record.attempt, record.crashes, record.snoozes), (0, 0, 0))
    nothing = (record.worker, record.claimed_at, record.expires_at, record.finished_at)
    expect("what only a lease or an end can set", nothing, (None, None, None, None))
    expect("when it became ready", record.ready_at, c.stored(c.now))
    expect(
        "reports",
        (record.errors, record.result, record.progress, record.logs),
        ((), None, None, ()),
    )

    await c.promote(driver, now=c.at(90))
    for lease in await c.claim(driver, now=c.at(90)):
        job = full if lease.token.key == full.key else plain
        record = await c.record(driver, job.key)
        for field in (
            *("name", "payload", "payload_version", "priority", "attempt", "max_attempts"),
            *("crashes", "snoozes", "parked_since", "enqueued_at", "run_at", "claimed_at"),
            *("expires_at", "expires", "timeout", "metadata", "headers"),
        ):
            expect(f"the lease's {field}", getattr(lease, field), getattr(record, field))
        expect("the lease's tags", sorted(lease.tags), sorted(set(job.tags)))


@case(
    "ENQ-11",
    clauses=("enqueue.resend",),
    fix="Keep the nonce with the record. The same id with the same nonce answers `INSERTED` and "
    "changes nothing, whatever became of the job.",
)
async def a_request_may_be_sent_again(c: Bench) -> None:
    """The same id with the same nonce is the same request: INSERTED, in every state, no effect."""
    driver = await c.driver()
    unnamed = c.job(nonce="", queue="parcels")
    await c.put(driver, unnamed)
    [answer] = await driver.enqueue([unnamed], now=c.now)
    expect("a request without a nonce again", answer.status, EnqueueStatus.DUPLICATE_ID)
    batch = [c.job("twice", queue="parcels", nonce="request-2")] * 2
    for what in ("sent", "sent again"):
        statuses = [answer.status for answer in await driver.enqueue(batch, now=c.now)]
        expected = [EnqueueStatus.INSERTED, EnqueueStatus.DUPLICATE_ID]
        expect(f"a batch with one job twice, {what}", statuses, expected)
    for state, key in (await c.one_in_each_state(driver, nonce="request-1")).items():
        before = await c.record(driver, key)
        [answer] = await driver.enqueue(
            [c.job(key.id, nonce="request-1", payload=before.payload)], now=c.at(10)
        )
        expect(f"the request of a {state} job again", answer.status, EnqueueStatus.INSERTED)
        after = await c.record(driver, key)
        expect_unchanged(f"a {state} job after its request was sent again", after, before)


async def _enqueue_one_by_one(
    driver: Driver, jobs: Sequence[NewJob], now: datetime
) -> AsyncGenerator[JobKey, None]:
    """Enqueue new jobs; yield the key of each that is acknowledged."""
    for job in jobs:
        [answer] = await driver.enqueue([job], now=now)
        expect("the answer to an enqueue", answer.status, EnqueueStatus.INSERTED)
        yield job.key


async def _expect_fields(
    c: Bench, driver: Driver, job: NewJob, *, run_at: datetime, expires: datetime | None
) -> None:
    record = await c.record(driver, job.key)
    expect("key", record.key, job.key)
    for field in (
        *("name", "payload", "payload_version", "priority", "max_attempts", "max_crashes"),
        *("timeout", "metadata", "headers"),
    ):
        expect(f"the record's {field}", getattr(record, field), getattr(job, field))
    expect("the record's keep", record.keep, job.keep or KeepFor())
    expect("the record's tags", sorted(record.tags), sorted(set(job.tags)))
    expect("run_at", record.run_at, c.stored(run_at))
    expect("expires", record.expires, expires and c.stored(expires))
    expect("enqueued_at", record.enqueued_at, c.stored(c.now))
    expect("the zone of enqueued_at", record.enqueued_at.utcoffset(), UTC.utcoffset(None))
    state = JobState.READY if run_at == c.now else JobState.SCHEDULED
    expect("state", record.state, state)
