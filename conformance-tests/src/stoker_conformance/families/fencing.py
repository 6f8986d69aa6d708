"""FNC: only a valid token changes anything."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta
from typing import Final

from stoker.driver import (
    After,
    At,
    Cancel,
    Complete,
    Driver,
    ExtendStatus,
    Extension,
    Fail,
    JobKey,
    JobState,
    KeepFor,
    Lease,
    NewJob,
    Outcome,
    Release,
    Retry,
    Settlement,
    SettleStatus,
    Snooze,
    Token,
)
from stoker_conformance.bench import ERROR, LEASE, QUEUE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import expect, expect_unchanged

_NOW: Final = After(timedelta(0))
_LATER: Final = After(timedelta(minutes=5))


@case(
    "FNC-01",
    clauses=("settle.fenced",),
    fix="Settle compares key, epoch and state in the statement that changes the row. A late "
    "Complete of a worker that lost its lease must not end the run of another.",
)
async def a_stale_complete_has_no_effect(c: Bench) -> None:
    """A Complete from before a reap is STALE while another worker runs the job."""
    lost, current = await c.drivers(2)
    job = c.job()
    old, new = await _take_over(c, lost, current, job)
    before = await c.record(current, job.key)

    answer = await c.settle(lost, old.token, Complete(), now=c.at(62))
    expect("the answer to the stale Complete", answer.status, SettleStatus.STALE)
    expect_unchanged("the running job", await c.record(current, job.key), before)
    state = await c.finish(current, new.token, Complete(), now=c.at(63))
    expect("the state after the valid Complete", state, JobState.COMPLETED)
    answer = await c.settle(lost, old.token, Complete(), now=c.at(64))
    expect("the stale Complete once more", answer.status, SettleStatus.STALE)


@case(
    "FNC-02",
    clauses=("extend.fenced",),
    fix="Extend compares the epoch: a worker that lost its lease must not keep another's alive.",
)
async def a_stale_extend_does_not_prolong(c: Bench) -> None:
    """An extend from before a reap is STALE, and the lease of the other worker stays as it is."""
    lost, current = await c.drivers(2)
    job = c.job()
    old, new = await _take_over(c, lost, current, job)
    before = await c.record(current, job.key)

    answer = await c.extend(lost, old.token, lease=timedelta(hours=1), now=c.at(70))
    expect("the answer to the stale extend", answer.status, ExtendStatus.STALE)
    expect_unchanged("the running job", await c.record(current, job.key), before)
    reaped = await c.reap_one(current, now=c.at(121))
    expect("the lease reaped at its own expiry", reaped.lease.token, new.token)


@case(
    "FNC-03",
    clauses=("settle.fenced",),
    fix="Every kind of settlement is guarded by the epoch, not only Complete.",
)
async def no_stale_settlement_has_an_effect(c: Bench) -> None:
    """A stale Retry, Fail, Release, Snooze or Cancel changes nothing."""
    lost, current = await c.drivers(2)
    outcomes: list[Outcome] = [
        Retry(_NOW, b'"stale"'),
        Fail(b'"stale"'),
        Release(_NOW, parked=True),
        Snooze(_LATER),
        Cancel("stale"),
    ]
    for outcome in outcomes:
        kind = type(outcome).__name__
        job = c.job(max_attempts=5)
        old, new = await _take_over(c, lost, current, job)
        before = await c.record(current, job.key)
        answer = await c.settle(lost, old.token, outcome, now=c.at(62))
        expect(f"a stale {kind}", answer.status, SettleStatus.STALE)
        after = await c.record(current, job.key)
        expect_unchanged(f"the running job after a stale {kind}", after, before)
        await c.finish(current, new.token, Complete(), now=c.at(63))


@case(
    "FNC-04",
    clauses=("token.dies",),
    fix="A token is dead from the first settlement applied on it, or the reap of it, even before "
    "anybody claims the job again: compare the state as well as the epoch.",
)
async def a_token_is_dead_once_its_lease_ended(c: Bench) -> None:
    """After retry, release, snooze or reap the token is dead, before any other claim."""
    driver = await c.driver()
    endings: dict[str, Outcome | None] = {
        "retry": Retry(_LATER, ERROR),
        "retry at once": Retry(_NOW, ERROR),
        "release": Release(_NOW),
        "snooze": Snooze(_LATER),
        "reap": None,
    }
    for name, ending in endings.items():
        job = c.job(max_attempts=5)
        await c.put(driver, job)
        token = (await c.claim_one(driver)).token
        if ending is None:
            await c.reap(driver, now=c.at(60))
        else:
            await c.finish(driver, token, ending)
        before = await c.record(driver, job.key)
        for outcome in (Complete(), Fail(ERROR)):
            answer = await c.settle(driver, token, outcome, now=c.at(61))
            kind = type(outcome).__name__
            expect(f"{kind} after {name}", answer.status, SettleStatus.STALE)
        extended = await c.extend(driver, token, now=c.at(61))
        expect(f"an extend after {name}", extended.status, ExtendStatus.STALE)
        expect_unchanged(f"the job after {name}", await c.record(driver, job.key), before)
        await driver.remove([job.key])


@case(
    "FNC-05",
    clauses=("settle.replay", "settle.replay_ends"),
    fix="Keep with the record which kind of settlement ended its last lease and where it led, "
    "until the next claim, reap or manual retry. The same kind with the record's epoch is "
    "ALREADY with that state.",
)
async def a_replayed_settlement_is_recognised(c: Bench) -> None:
    """The same kind again is ALREADY with the first state; another kind is STALE."""
    driver = await c.driver()
    for outcome, state in (
        (Complete(), JobState.COMPLETED),
        (Fail(ERROR), JobState.FAILED),
        (Cancel("no"), JobState.CANCELLED),
        (Retry(_NOW, ERROR), JobState.READY),
        (Retry(_LATER, ERROR), JobState.SCHEDULED),
        (Release(_LATER), JobState.SCHEDULED),
        (Snooze(_LATER), JobState.SCHEDULED),
    ):
        kind = type(outcome).__name__
        job = c.job(max_attempts=5)
        await c.put(driver, job)
        token = (await c.claim_one(driver)).token
        expect(f"where {kind} leads", await c.finish(driver, token, outcome), state)
        await _expect_replay(c, driver, token, outcome, state)
        if state is JobState.SCHEDULED:
            await c.promote(driver, now=c.at(600))
            await _expect_replay(c, driver, token, outcome, state)
        if state in (JobState.SCHEDULED, JobState.READY):
            await c.claim_one(driver, now=c.at(600))
        elif state in (JobState.FAILED, JobState.CANCELLED):
            await driver.retry([job.key], now=c.at(600))
        else:
            continue
        answer = await c.settle(driver, token, outcome, now=c.at(601))
        expect(f"{kind} after the next claim or retry", answer.status, SettleStatus.STALE)
        await driver.remove([job.key])

    job = c.job(keep=KeepFor(completed=timedelta(0)))
    await c.put(driver, job)
    token = (await c.claim_one(driver)).token
    await c.finish(driver, token, Complete())
    answer = await c.settle(driver, token, Complete())
    expect("Complete again of a job not kept", answer.status, SettleStatus.GONE)


@case(
    "FNC-06",
    clauses=("settle.independent", "answers.aligned"),
    fix="Items of a batch are independent: stale ones get their answer in their place, and the "
    "others are applied.",
)
async def a_stale_item_poisons_nothing(c: Bench) -> None:
    """In a batch of valid, stale and unknown tokens each gets its own answer, in order."""
    driver = await c.driver()
    await c.put(driver, *c.jobs(6))
    leases = await c.claim(driver, 6)
    a, b, d, e, f, g = (lease.token for lease in leases)
    await c.finish(driver, b, Release(_LATER))
    await driver.remove([e.key])
    unknown = Token(JobKey(QUEUE, "unknown"), 1)

    answers = await driver.extend(
        [Extension(token) for token in (b, a, e, d, unknown)], lease=LEASE, now=c.at(1)
    )
    extended, stale, gone = ExtendStatus.EXTENDED, ExtendStatus.STALE, ExtendStatus.GONE
    seen = [answer.status for answer in answers]
    expect("extend: stale, valid, gone, valid, gone", seen, [stale, extended, gone, extended, gone])

    settled = await driver.settle(
        [
            Settlement(a, Complete()),
            Settlement(b, Complete()),
            Settlement(d, Fail(ERROR)),
            Settlement(e, Complete()),
            Settlement(f, Release(_LATER)),
            Settlement(unknown, Complete()),
            Settlement(g, Cancel("no")),
        ],
        now=c.at(1),
    )
    expect(
        "settle: Complete, stale, Fail, gone, Release, unknown, Cancel",
        [(answer.status, answer.state) for answer in settled],
        [
            (SettleStatus.APPLIED, JobState.COMPLETED),
            (SettleStatus.STALE, None),
            (SettleStatus.APPLIED, JobState.FAILED),
            (SettleStatus.GONE, None),
            (SettleStatus.APPLIED, JobState.SCHEDULED),
            (SettleStatus.GONE, None),
            (SettleStatus.APPLIED, JobState.CANCELLED),
        ],
    )
    states = await c.states(driver, [token.key for token in (a, b, d, e, f, g)])
    expect(
        "the states", states, ["completed", "scheduled", "failed", None, "scheduled", "cancelled"]
    )


@case(
    "FNC-07",
    clauses=("token.outlives_expiry",),
    fix="Expiry alone ends nothing. Compare the epoch and the state when settling and extending, "
    "never the clock.",
)
async def a_late_settlement_before_the_reap_counts(c: Bench) -> None:
    """An expired lease that nobody reaped can still be extended and settled."""
    driver = await c.driver()
    await c.put(driver, *c.jobs(2))
    completed, extended = (lease.token for lease in await c.claim(driver, 2))
    state = await c.finish(driver, completed, Complete(), now=c.at(3600))
    expect("a Complete long after expiry", state, JobState.COMPLETED)
    answer = await c.extend(driver, extended, now=c.at(3600))
    expect("an extend long after expiry", answer.status, ExtendStatus.EXTENDED)
    expect("leases reaped after they were settled", await c.reap(driver, now=c.at(3601)), [])


@case(
    "FNC-08",
    clauses=("token.unknown",),
    fix="A token without a record is GONE; that is an answer, not an error.",
)
async def an_unknown_token_is_gone(c: Bench) -> None:
    """Every settlement and an extend of a job that does not exist answer GONE."""
    driver = await c.driver()
    job = c.job(queue="parcels")
    await c.put(driver, job)
    token = (await c.claim_one(driver, queue="parcels")).token
    unknown = Token(JobKey(QUEUE, job.key.id), token.epoch)  # the same id, but another queue
    outcomes: list[Outcome] = [Complete(), Retry(_NOW, ERROR), Fail(ERROR), Cancel("no")]
    for outcome in [*outcomes, Release(_NOW), Snooze(At(c.at(60)))]:
        answer = await c.settle(driver, unknown, outcome)
        expect(
            f"the answer to {type(outcome).__name__}",
            (answer.status, answer.state),
            (SettleStatus.GONE, None),
        )
    expect("the answer to an extend", (await c.extend(driver, unknown)).status, ExtendStatus.GONE)
    expect("the job of the other queue", await c.state(driver, job.key), JobState.RUNNING)


@case(
    "FNC-09",
    clauses=("settle.fenced", "extend.fenced"),
    fix="A worker may stand still for longer than its lease and notice nothing. Only the store "
    "can tell that a token is no longer valid: compare it there, in the statement that changes "
    "the row, and keep nothing in the client that says so.",
)
async def a_stopped_worker_that_goes_on_settles_nothing(c: Bench) -> None:
    """A worker that was stopped for longer than its lease and goes on changes nothing."""
    stopped, current = await c.actor(), await c.driver()
    jobs = c.jobs(3, max_attempts=5)
    await c.put(current, *jobs)
    old = [lease.token for lease in await c.claim(stopped.driver, 3, worker="worker-1")]
    await stopped.stop()
    going_on = stopped.stream(_settle_and_extend, old, c.at(62))
    await c.reap(current, now=c.at(60))
    new = await c.claim(current, 3, worker="worker-2", now=c.at(61))
    before = await current.get([job.key for job in jobs])
    await stopped.resume()

    expected = [SettleStatus.STALE, ExtendStatus.STALE] * 3
    expect("what it is answered", [answer async for answer in going_on], expected)
    expect("the running jobs", await current.get([job.key for job in jobs]), before)
    for lease in new:
        await c.finish(current, lease.token, Complete(), now=c.at(63))


@case(
    "FNC-10",
    clauses=("epoch.outlives_record",),
    fix="Take epochs from a counter of the queue, or of the store, that outlives every record: an "
    "id that was removed and enqueued again must not get an old epoch.",
)
async def a_token_does_not_fit_a_reborn_id(c: Bench) -> None:
    """The token of a removed job does not fit the same id enqueued again."""
    lost, current = await c.drivers(2)
    job = c.job("reborn")
    await c.put(lost, job)
    old = (await c.claim_one(lost)).token
    await current.remove([job.key])
    await c.put(current, c.job("reborn"))
    new = (await c.claim_one(current)).token
    before = await c.record(current, job.key)

    answer = await c.settle(lost, old, Complete(), now=c.at(1))
    expect("a Complete with the old token", answer.status, SettleStatus.STALE)
    extended = await c.extend(lost, old, now=c.at(1))
    expect("an extend with the old token", extended.status, ExtendStatus.STALE)
    expect_unchanged("the running job", await c.record(current, job.key), before)
    await c.finish(current, new, Complete(), now=c.at(2))


async def _settle_and_extend(
    driver: Driver, tokens: Sequence[Token], now: datetime
) -> AsyncGenerator[SettleStatus | ExtendStatus, None]:
    """Settle each token in another way, and extend it; yield the answers."""
    outcomes: list[Outcome] = [Complete(), Retry(_NOW, ERROR), Fail(ERROR)]
    for token, outcome in zip(tokens, outcomes, strict=True):
        [settled] = await driver.settle([Settlement(token, outcome)], now=now)
        yield settled.status
        [extended] = await driver.extend([Extension(token)], lease=LEASE, now=now)
        yield extended.status


async def _take_over(c: Bench, lost: Driver, current: Driver, job: NewJob) -> tuple[Lease, Lease]:
    """Let one worker lose a job to another; return the old lease and the valid one."""
    await c.put(lost, job)
    old = await c.claim_one(lost, worker="worker-1")
    await c.reap(current, now=c.at(60))
    new = await c.claim_one(current, worker="worker-2", now=c.at(61))
    expect("the job that was taken over", new.token.key, old.token.key)
    return old, new


async def _expect_replay(
    c: Bench, driver: Driver, token: Token, outcome: Outcome, state: JobState
) -> None:
    kind = type(outcome).__name__
    before = await c.record(driver, token.key)
    answer = await c.settle(driver, token, outcome, now=c.at(600))
    seen = (answer.status, answer.state)
    expect(f"{kind} again", seen, (SettleStatus.ALREADY, state))
    other: Outcome = Fail(ERROR) if isinstance(outcome, Complete) else Complete()
    answer = await c.settle(driver, token, other, now=c.at(600))
    expect(f"{type(other).__name__} after {kind}", answer.status, SettleStatus.STALE)
    expect_unchanged(f"the job after replays of {kind}", await c.record(driver, token.key), before)
