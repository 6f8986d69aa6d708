"""The two ways to learn that it is time to look, each by itself."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from stoker_sqlite._notice import Inotify, Polling

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs inotify")
HOUR = 3_600_000


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    log = tmp_path / "jobs.db-wal"
    log.write_bytes(b"")
    return log


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make all pauses so long that only a write or a nudge ends a wait within the test's time."""
    monkeypatch.setattr(Inotify, "FIRST_PAUSE", HOUR)
    monkeypatch.setattr(Inotify, "LAST_PAUSE", HOUR)


@contextmanager
def waiting(notice: Inotify) -> Iterator[None]:
    """Wait in a thread; the wait has to end by what is done meanwhile."""
    thread = threading.Thread(target=notice.wait, args=(False,), daemon=True)
    thread.start()
    yield
    thread.join(30)
    assert not thread.is_alive()


def append(log: Path) -> None:
    with log.open("ab") as file:
        file.write(b"x")


@linux
@pytest.mark.usefixtures("asleep")
def test_a_write_and_a_nudge_end_a_wait(log: Path) -> None:
    with closing(Inotify(log)) as notice:
        ends: list[Callable[[], None]] = [partial(append, log), notice.nudge]
        for end in ends:
            with waiting(notice):
                end()


@linux
@pytest.mark.usefixtures("asleep")
def test_what_comes_between_two_waits_ends_the_next_one(log: Path) -> None:
    with closing(Inotify(log)) as notice:
        ends: list[Callable[[], None]] = [partial(append, log), notice.nudge]
        for end in ends:
            end()
            notice.wait(False)
            assert notice._poll.poll(0) == []


@contextmanager
def sqlite(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        yield raw


@linux
@pytest.mark.usefixtures("asleep")
@pytest.mark.parametrize("mode", ["passive", "restart", "truncate"])
def test_a_commit_is_told_after_a_checkpoint_that_began_the_log_anew(
    tmp_path: Path, mode: str
) -> None:
    path = tmp_path / "jobs.db"
    with sqlite(path) as other:
        other.execute("pragma journal_mode = wal")
        other.execute("create table t (x)")
        with closing(Inotify(tmp_path / "jobs.db-wal")) as notice:
            for _ in range(3):
                other.execute("insert into t values (1)")
                notice.wait(False)
                other.execute(f"pragma wal_checkpoint({mode})")
                notice.nudge()  # not every checkpoint writes to the log
                notice.wait(False)


@linux
@pytest.mark.parametrize("mode", ["passive", "full", "restart", "truncate"])
def test_a_checkpoint_is_not_taken_for_a_write_that_was_not_told(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "jobs.db"

    def version() -> object:
        return reader.execute("pragma data_version").fetchone()

    with sqlite(path) as other, sqlite(path) as reader:
        other.execute("pragma journal_mode = wal")
        other.execute("create table t (x)")
        seen = version()
        with closing(Inotify(tmp_path / "jobs.db-wal")) as notice:
            for _ in range(3):
                other.execute(f"pragma wal_checkpoint({mode})")
                notice._pause = notice.LAST_PAUSE
                notice.nudge()
                assert version() == seen or notice._told in dict(notice._poll.poll(0))
                seen = version()


@linux
def test_pauses_grow_after_a_write_until_only_safety_looks_are_left(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Inotify, "LAST_PAUSE", 5)
    with closing(Inotify(log)) as notice:
        for _ in range(2):
            append(log)
            pauses = []
            for _ in range(5):
                notice.wait(True)
                pauses.append(notice._pause)
                if len(pauses) == 4:
                    append(log)
            assert pauses == [1, 2, 4, 5, 1]


@linux
def test_a_change_that_nobody_told_of_is_an_error_and_one_that_was_told_late_is_not(
    log: Path,
) -> None:
    with closing(Inotify(log)) as notice:
        notice._pause = notice.LAST_PAUSE
        append(log)
        notice.wait(True)
        notice._pause = notice.LAST_PAUSE
        with pytest.raises(OSError, match="did not tell"):
            notice.wait(True)


@linux
def test_no_descriptor_is_left_open(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = descriptors()
    Inotify(log).close()
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Inotify(log.with_name("nowhere"))

    def full(*_: object) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(os, "eventfd", full)
    with pytest.raises(OSError, match="too many"):
        Inotify(log)
    assert descriptors() == before


def test_where_there_is_no_inotify_it_says_so(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(OSError, match="only Linux"):
        Inotify(log)


def test_looks_are_made_half_as_often_when_nothing_has_changed_for_a_while(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    sleep: Callable[[float], None] = pauses.append
    monkeypatch.setattr("time.sleep", sleep)
    with closing(Polling(log)) as notice:
        for _ in range(Polling.QUIET_AFTER + 1):
            notice.wait(False)
        notice.nudge()
        notice.wait(True)
    often, half = Polling.SECONDS, Polling.QUIET_SECONDS
    assert pauses == [often] * Polling.QUIET_AFTER + [half, often]
