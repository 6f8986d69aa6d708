"""The leases that a worker holds."""

import asyncio
import threading
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packages.core.tests.support import soon, turns

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


def test_progress_that_could_not_be_stored_gives_way_to_newer_progress() -> None:
    held = HeldLeases()
    held.add(token())
    held.report(token(), progress=b"old", entry=b"a")
    (item,) = held.extensions(only_reports=True)
    held.report(token(), progress=b"new")
    held.give_back(item)
    assert held.extensions(only_reports=True) == [Extension(token(), b"new", [b"a"])]


@pytest.mark.parametrize("first", ["stored", "give_back"])
def test_reports_are_given_back_once_and_never_after_they_were_stored(first: str) -> None:
    held = HeldLeases()
    held.add(token())
    held.report(token(), entry=b"a")
    (item,) = held.extensions(only_reports=True)
    getattr(held, first)(item)
    held.give_back(item)
    reports = held.remove(token())
    assert (reports.logs if reports else []) == ([] if first == "stored" else [b"a"])


def test_an_empty_extension_and_one_of_a_lost_lease_are_not_given_back() -> None:
    held = HeldLeases()
    held.add(token())
    held.give_back(Extension(token()))
    held.give_back(Extension(token(2), b"1"))
    assert held.extensions(only_reports=True) == []


@given(st.lists(st.sampled_from(["log", "take", "stored", "give_back"]), max_size=90))
def test_every_entry_is_stored_once_and_in_order_whatever_becomes_of_each_extension(
    steps: list[str],
) -> None:
    held = HeldLeases()
    held.add(token())
    written: list[bytes] = []
    stored: list[bytes] = []
    under_way: list[Extension] = []
    for step in steps:
        if step == "log":
            written.append(str(len(written)).encode())
            held.report(token(), entry=written[-1])
        elif step == "take" and not under_way:
            under_way = held.extensions(only_reports=True)
        elif under_way and step in ("stored", "give_back"):
            item = under_way.pop()
            getattr(held, step)(item)
            stored += item.logs if step == "stored" else []
    reports = held.remove(token(), also_under_way=True)
    assert stored + (reports.logs if reports else []) == written


def test_entries_that_come_back_do_not_make_more_than_the_newest_hundred() -> None:
    held = HeldLeases()
    held.add(token())
    for number in range(60):
        held.report(token(), entry=b"old %d" % number)
    (item,) = held.extensions(only_reports=True)
    for number in range(60):
        held.report(token(), entry=b"new %d" % number)
    held.give_back(item)
    (item,) = held.extensions(only_reports=True)
    assert item.logs[:40] == [b"old %d" % number for number in range(20, 60)]
    assert item.logs[40:] == [b"new %d" % number for number in range(60)]


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
            held.stored(item)

    while any(thread.is_alive() for thread in running):
        collect()
    collect()
    expected = [str(number).encode() for number in range(100)]
    assert all(entries == expected for entries in stored.values())


def test_removing_a_lease_includes_what_is_under_way_only_if_asked() -> None:
    for also, logs in ((False, [b"b"]), (True, [b"a", b"b"])):
        held = HeldLeases()
        held.add(token())
        held.report(token(), progress=b"1", entry=b"a")
        held.extensions(only_reports=True)
        held.report(token(), entry=b"b")
        reports = held.remove(token(), also_under_way=also)
        assert reports is not None
        assert (reports.progress, reports.logs) == (b"1" if also else None, logs)


def test_what_alone_is_under_way_is_included_too() -> None:
    held = HeldLeases()
    held.add(token())
    held.report(token(), entry=b"a")
    held.extensions(only_reports=False)
    reports = held.remove(token(), also_under_way=True)
    assert reports is not None
    assert reports.logs == [b"a"]


def test_what_was_stored_is_not_under_way_any_more() -> None:
    held = HeldLeases()
    held.add(token())
    held.report(token(), entry=b"a")
    (item,) = held.extensions(only_reports=True)
    held.stored(item)
    assert held.remove(token(), also_under_way=True) is None


@pytest.mark.parametrize("answer", ["stored", "give_back"])
@pytest.mark.parametrize("threaded", [False, True])
async def test_a_report_has_landed_when_its_extension_was_answered(
    answer: str, threaded: bool
) -> None:
    held = HeldLeases()
    held.add(token())
    held.report(token(), entry=b"a")
    (item,) = held.extensions(only_reports=True)
    landing = asyncio.create_task(held.landed(token()))
    await turns()
    assert not landing.done()
    land = partial(getattr(held, answer), item)
    if threaded:
        # A loop in debug mode refuses what would not wake it.
        asyncio.get_running_loop().set_debug(True)
        await asyncio.to_thread(land)
    else:
        land()
    await soon(landing)


async def test_where_no_report_is_under_way_there_is_nothing_to_wait_for() -> None:
    held = HeldLeases()
    held.add(token(1))
    held.add(token(2))
    held.report(token(2), entry=b"a")
    held.extensions(only_reports=False)
    await soon(held.landed(token(1)))
    await soon(held.landed(token(3)))


async def test_who_gave_up_waiting_for_a_report_to_land_disturbs_nobody() -> None:
    held = HeldLeases()
    held.add(token())
    held.report(token(), entry=b"a")
    (item,) = held.extensions(only_reports=True)
    errors: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    landing = asyncio.create_task(held.landed(token()))
    await asyncio.sleep(0)
    landing.cancel()
    held.stored(item)
    await turns()
    assert landing.cancelled()
    assert errors == []
    assert held.remove(token(), also_under_way=True) is None
