"""Jobs that were claimed before there was a place for them."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from packages.core.tests.support import soon

from stoker.driver import JobKey, Token
from stoker.worker.line import Line
from stoker.worker.slots import Slots


def job(job_id: str, queue: str = "a") -> Any:
    return SimpleNamespace(lease=SimpleNamespace(token=Token(JobKey(queue, job_id), 1)))


@pytest.fixture
def slots() -> Slots:
    return Slots(2, {"a": 1, "b": 2}, lambda: None)


def test_the_first_that_came_leaves_first(slots: Slots) -> None:
    line, first, second = Line(), job("1"), job("2")
    line.join(first)
    line.join(second)
    assert line.next(slots) is first
    assert line.next(slots) is second
    assert line.next(slots) is None


def test_nobody_leaves_while_there_is_no_place(slots: Slots) -> None:
    line, one = Line(), job("1")
    line.join(one)
    slots.take("b")
    slots.take("b")
    assert line.next(slots) is None
    slots.free("b")
    assert line.next(slots) is one


def test_who_has_no_place_in_its_queue_does_not_hold_up_the_others(slots: Slots) -> None:
    line, blocked, other = Line(), job("1"), job("2", "b")
    line.join(blocked)
    line.join(other)
    slots.take("a")
    assert line.next(slots) is other
    assert line.next(slots) is None


def test_who_has_left_is_not_called_any_more(slots: Slots) -> None:
    line, one = Line(), job("1")
    token = one.lease.token
    line.join(one)
    assert line.leave(token) is one
    assert line.leave(token) is None
    assert line.next(slots) is None


def test_all_can_leave_at_once() -> None:
    line, jobs = Line(), [job("1"), job("2", "b")]
    for one in jobs:
        line.join(one)
    assert line.leave_all() == jobs
    assert line.leave_all() == []


async def test_it_tells_when_it_is_empty(slots: Slots) -> None:
    line, one = Line(), job("1")
    await soon(line.is_empty.wait())
    line.join(one)
    empty = asyncio.create_task(line.is_empty.wait())
    await asyncio.sleep(0)
    assert not empty.done()
    line.next(slots)
    await soon(empty)
