"""Workers are told of what is enqueued, and sparingly."""

from __future__ import annotations

import asyncio

import pytest

from stoker_postgres._hints import Hints


class Sent:
    """What was sent by statements of their own."""

    def __init__(self) -> None:
        self.hints: list[list[str]] = []

    async def __call__(self, queues: list[str]) -> None:
        self.hints.append(queues)


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def hints(sent: Sent) -> Hints:
    return Hints(sent)


def moment_passes(hints: Hints) -> None:
    """Let every queue be due again."""
    hints._given.clear()


async def test_a_burst_is_told_by_the_first_commit_and_by_one_statement_after(
    hints: Hints, sent: Sent
) -> None:
    due = []
    for _ in range(5):
        with hints.with_commit_of({"q"}) as queues:
            due.append(queues)
    await hints.close()
    assert due == [["q"], [], [], [], []]
    assert sent.hints == [["q"]]


async def test_the_next_commit_that_tells_spares_the_statement(hints: Hints, sent: Sent) -> None:
    for _ in range(2):
        with hints.with_commit_of({"q"}):
            pass
    moment_passes(hints)
    with hints.with_commit_of({"q"}) as due:
        assert due == ["q"]
    await hints.close()
    assert sent.hints == []


async def test_what_a_commit_under_way_will_tell_needs_no_statement(
    hints: Hints, sent: Sent
) -> None:
    for _ in range(2):
        with hints.with_commit_of({"q"}):
            pass
    moment_passes(hints)
    with hints.with_commit_of({"q"}):
        await hints.close()  # gives what is owed by now
    assert sent.hints == []


async def test_it_spares_only_its_own_queues(hints: Hints, sent: Sent) -> None:
    for _ in range(2):
        with hints.with_commit_of({"a", "b"}):
            pass
    moment_passes(hints)
    with hints.with_commit_of({"a"}):
        pass
    await hints.close()
    assert sent.hints == [["b"]]


async def test_a_commit_during_the_one_that_tells_is_told_later(hints: Hints, sent: Sent) -> None:
    for _ in range(2):
        with hints.with_commit_of({"q"}):
            pass
    moment_passes(hints)
    with hints.with_commit_of({"q"}), hints.with_commit_of({"q"}) as due:
        assert due == []
    await hints.close()
    assert sent.hints == [["q"]]


async def test_a_commit_that_fails_tells_of_nothing(hints: Hints, sent: Sent) -> None:
    for _ in range(2):
        with hints.with_commit_of({"q"}):
            pass
    moment_passes(hints)
    with pytest.raises(OSError, match="gone"), hints.with_commit_of({"q"}):
        raise OSError("gone")
    await hints.close()
    assert sent.hints == [["q"]]


async def test_what_was_not_told_by_a_failure_is_told_all_the_same(
    hints: Hints, sent: Sent
) -> None:
    # The jobs of a request whose answer was lost may be there.
    with hints.with_commit_of({"q"}):
        pass
    with pytest.raises(OSError, match="gone"), hints.with_commit_of({"q"}):
        raise OSError("gone")
    await hints.close()
    assert sent.hints == [["q"]]


async def test_a_client_may_close_while_nothing_is_owed(hints: Hints, sent: Sent) -> None:
    async with asyncio.timeout(5):
        await hints.close()
    assert sent.hints == []
