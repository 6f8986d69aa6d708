"""The leases that a worker holds."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.driver import Extension, JobKey, Token
from stoker.worker.held import HeldLeases


def token(number: int = 1) -> Token:
    return Token(JobKey("q", str(number)), number)


def test_every_held_lease_is_extended_and_no_other() -> None:
    held = HeldLeases()
    held.add(token(1))
    held.add(token(2))
    held.add(token(3))
    held.remove(token(2))
    assert len(held) == 2
    assert held.extensions(only_reports=False) == [Extension(token(1)), Extension(token(3))]
    assert held.extensions(only_reports=True) == []


def test_a_report_is_taken_once_the_newest_progress_and_all_entries_in_order() -> None:
    held = HeldLeases()
    held.add(token(1))
    held.add(token(2))
    held.report(token(1), progress=b"1")
    held.report(token(1), entry=b"a")
    held.report(token(1), progress=b"2", entry=b"b")
    assert held.extensions(only_reports=True) == [Extension(token(1), b"2", [b"a", b"b"])]
    assert held.extensions(only_reports=True) == []
    assert held.extensions(only_reports=False) == [Extension(token(1)), Extension(token(2))]


def test_removing_a_lease_returns_what_is_left_to_store() -> None:
    held = HeldLeases()
    held.add(token())
    held.report(token(), progress=b"1", entry=b"a")
    reports = held.remove(token())
    assert reports is not None
    assert (reports.progress, reports.logs) == (b"1", [b"a"])
    assert held.remove(token()) is None
    held.add(token())
    assert held.remove(token()) is None


def test_a_report_of_a_lease_that_is_not_held_is_ignored_and_tells_nobody() -> None:
    held = HeldLeases()
    told: list[int] = []
    held.reported = lambda: told.append(1)
    held.report(token(), progress=b"1")
    assert (len(held), told) == (0, [])
    held.add(token())
    held.report(token(), progress=b"1")
    assert told == [1]


def test_reports_that_could_not_be_stored_come_back_behind_newer_ones() -> None:
    held = HeldLeases()
    held.add(token())
    held.report(token(), progress=b"old", entry=b"a")
    (item,) = held.extensions(only_reports=True)
    held.report(token(), entry=b"b")
    held.give_back(item)
    assert held.extensions(only_reports=True) == [Extension(token(), b"old", [b"a", b"b"])]
    held.report(token(), progress=b"new")
    held.give_back(item)
    assert held.extensions(only_reports=True) == [Extension(token(), b"new", [b"a"])]


def test_an_empty_extension_and_one_of_a_lost_lease_are_not_given_back() -> None:
    held = HeldLeases()
    held.add(token())
    held.give_back(Extension(token()))
    held.give_back(Extension(token(2), b"1"))
    assert held.extensions(only_reports=True) == []


@given(st.lists(st.sampled_from(["log", "take", "back"]), max_size=400))
def test_no_more_than_the_newest_hundred_entries_are_kept_in_their_order(steps: list[str]) -> None:
    held = HeldLeases()
    held.add(token())
    written = 0
    taken: list[Extension] = []
    for step in steps * 2:
        if step == "log":
            held.report(token(), entry=str(written).encode())
            written += 1
        elif step == "take":
            taken += held.extensions(only_reports=True)
        elif taken:
            held.give_back(taken.pop())
    for item in held.extensions(only_reports=True):
        assert len(item.logs) <= 100


def test_the_newest_hundred_entries_are_kept() -> None:
    held = HeldLeases()
    held.add(token())
    for number in range(250):
        held.report(token(), entry=str(number).encode())
    (item,) = held.extensions(only_reports=True)
    assert item.logs == [str(number).encode() for number in range(150, 250)]


@pytest.mark.parametrize("threads", [8])
def test_reports_from_many_threads_are_all_kept(threads: int) -> None:
    held = HeldLeases()
    tokens = [token(number) for number in range(threads)]
    ready = threading.Barrier(threads + 1)
    stored: dict[Token, list[bytes]] = {each: [] for each in tokens}

    def handler(mine: Token) -> None:
        held.add(mine)
        ready.wait()
        for number in range(100):
            held.report(mine, progress=str(number).encode(), entry=str(number).encode())

    running = [threading.Thread(target=handler, args=[each]) for each in tokens]
    for thread in running:
        thread.start()
    ready.wait()

    def collect() -> None:
        for item in held.extensions(only_reports=True):
            stored[item.token] += item.logs

    while any(thread.is_alive() for thread in running):
        collect()
    collect()
    expected = [str(number).encode() for number in range(100)]
    assert all(entries == expected for entries in stored.values())
