"""The checker of histories: what it passes, what it rejects, and what it does not decide."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from stoker.driver import (
    Complete,
    Driver,
    JobKey,
    NewJob,
    Settlement,
    SettleStatus,
    Want,
)
from stoker.errors import DriverUnavailable, InvalidInput
from stoker_conformance import Inconclusive, Violation
from stoker_conformance.history import (
    INVARIANTS,
    Coverage,
    History,
    Operation,
    Recorder,
    broken,
    dump,
    load,
    verify,
)
from stoker_memory import MemoryDriver

HISTORIES = Path(__file__).parent / "histories"
GOOD = sorted(path.stem for path in HISTORIES.glob("good-*.jsonl"))
BAD = sorted(path.stem for path in HISTORIES.glob("bad-*.jsonl"))
SOMETHING = Coverage(overlaps=1, reaps=1, stale=1, replays=1)


def read(name: str) -> list[Operation]:
    return load(HISTORIES / f"{name}.jsonl")


@pytest.mark.parametrize("name", [*GOOD, "vacuous"])
def test_a_good_history_breaks_nothing(name: str) -> None:
    assert broken(History(read(name))) == {}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_is_rejected_by_its_invariant_alone(name: str) -> None:
    invariant = name.removeprefix("bad-").partition("--")[0]
    assert [one.id for one in broken(History(read(name)))] == [invariant]


def test_every_invariant_has_a_bad_history() -> None:
    assert [one.id for one in INVARIANTS if f"bad-{one.id}" not in BAD] == []


def test_a_history_in_which_something_happened_is_a_proof() -> None:
    assert verify(read("good-eventful"), SOMETHING) == SOMETHING + Coverage(overlaps=1)


def test_a_history_in_which_nothing_happened_is_none() -> None:
    with pytest.raises(Inconclusive, match="overlaps: 0, at least 1 are needed"):
        verify(read("vacuous"), SOMETHING)


def test_a_violation_names_the_invariant_and_shows_what_proves_it() -> None:
    with pytest.raises(Violation) as caught:
        verify(read("bad-fencing"), Coverage(), "seed 7")
    lease = "-> job-1#1 attempt 1 crashes "
    assert str(caught.value).splitlines() == [
        "fencing in seed 7, letters/job-1",
        "  expected: Nothing applies on a token that has ended.",
        "  seen:     a settle took effect on a token that had ended",
        f"    0.000 to 5.000 ms  ada: claim 5 of letters at 12:00:00.000000 {lease}0",
        f"    10.000 to 15.000 ms  ben: reap letters at 12:01:00.000000 {lease}1, now ready",
        "    20.000 to 25.000 ms  ada: settle job-1#1 Fail at 12:01:01.000000 -> APPLIED failed",
    ]


@pytest.mark.parametrize("name", ["bad-exclusive-lease", "bad-no-loss", "bad-replay", "bad-unique"])
def test_an_unknown_outcome_excuses_what_it_could_explain(name: str) -> None:
    operations = read(name)
    job = operations[0].arguments["jobs"][0].key
    maybe = Operation("eve", "remove", {"keys": [job]}, invoked=15_000_000)
    again = Operation("eve", "enqueue", operations[0].arguments, invoked=16_000_000)
    assert broken(History([*operations, maybe, again])) == {}


def test_a_history_survives_its_file(tmp_path: Path) -> None:
    for path in HISTORIES.iterdir():
        operations = load(path)
        dump(operations, tmp_path / path.name)
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        assert (tmp_path / path.name).read_text().splitlines() == lines


@pytest.fixture
async def driver() -> AsyncIterator[Driver]:
    driver = MemoryDriver()
    await driver.open()
    yield driver
    await driver.close()


async def work_a_little(driver: Driver) -> None:
    await driver.enqueue([NewJob(JobKey("letters", "1"), "post.deliver")])
    claimed = await driver.claim(
        [Want("letters", 1)], worker="ada", lease=timedelta(minutes=1), now=None
    )
    await driver.settle([Settlement(claimed.leases[0].token, Complete())])


async def test_what_is_recorded_is_what_was_asked_and_answered(driver: Driver) -> None:
    recorder = Recorder()
    await work_a_little(recorder.client(driver, "ada"))
    enqueue, claim, settle = recorder.operations
    assert [one.name for one in recorder.operations] == ["enqueue", "claim", "settle"]
    assert enqueue.arguments == {"jobs": [NewJob(JobKey("letters", "1"), "post.deliver")]}
    assert claim.answer.leases[0].token.key == JobKey("letters", "1")
    assert settle.answer[0].status is SettleStatus.APPLIED
    assert enqueue.before(claim)
    assert claim.before(settle)


async def test_a_recorded_client_has_the_capabilities_of_the_driver(driver: Driver) -> None:
    client = Recorder().client(driver, "ada")
    assert client.info is driver.info
    assert hasattr(client, "put_schedule")
    assert not hasattr(client, "enqueue_in")


async def test_a_refusal_changed_nothing(driver: Driver) -> None:
    recorder = Recorder()
    with pytest.raises(InvalidInput):
        await recorder.client(driver, "ada").claim(
            [Want("letters", -1)], worker="ada", lease=timedelta(minutes=1)
        )
    [claim] = recorder.operations
    assert (claim.refusal, claim.unknown, claim.idle) == ("InvalidInput", False, True)


@pytest.mark.parametrize("maybe", [True, False])
async def test_an_answer_that_was_lost_is_unknown_if_it_may_have_been_applied(
    driver: Driver, maybe: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(keys: object) -> None:
        raise DriverUnavailable("the store is away", maybe_applied=maybe)

    monkeypatch.setattr(driver, "remove", unavailable)
    recorder = Recorder()
    with pytest.raises(DriverUnavailable):
        await recorder.client(driver, "ada").remove([JobKey("letters", "1")])
    [remove] = recorder.operations
    assert remove.unknown is maybe


async def test_a_cancelled_await_is_unknown_before_and_after_the_call(driver: Driver) -> None:
    async def pause() -> None:
        await asyncio.sleep(0)

    recorder = Recorder()
    client = recorder.client(driver, "ada", pause)
    for turns in (1, 2):
        key = JobKey("letters", str(turns))
        task = asyncio.create_task(client.enqueue([NewJob(key, "post.deliver")]))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [one.unknown for one in recorder.operations] == [True, True]
    keys = [JobKey("letters", "1"), JobKey("letters", "2")]
    assert [state is not None for state in await driver.states(keys)] == [False, True]


async def test_the_events_of_a_killed_process_are_in_its_file(
    driver: Driver, tmp_path: Path
) -> None:
    path = tmp_path / "ada.jsonl"
    recorder = Recorder(path)
    await work_a_little(recorder.client(driver, "ada"))
    recorder.begin("ada", "remove", {"keys": [JobKey("letters", "1")]})
    recorder.close()
    with path.open("a") as file:
        file.write('{"client": "ada", "nu')  # where the kill cut it short

    *written, last = load(path)
    dump(written, tmp_path / "written.jsonl")
    dump(recorder.operations[:-1], tmp_path / "recorded.jsonl")
    recorded = (tmp_path / "recorded.jsonl").read_text()
    assert (tmp_path / "written.jsonl").read_text() == recorded
    assert (last.name, last.unknown) == ("remove", True)
