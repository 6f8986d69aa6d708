"""What the contract does not ask: one call at a time on the host, and which files are taken."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import lmdb
import pytest

from stoker.driver import EnqueueStatus, JobState, Keep, NewJob, Retention
from stoker.errors import DriverUnavailable, IncompatibleStore
from stoker.job import JobKey
from stoker_lmdb import LmdbDriver, _transaction
from stoker_lmdb._store import Store

WRITER = """
import sys
from pathlib import Path
from stoker_lmdb._transaction import transact

def stall(store):
    store.pause("half done", True)
    print("writing", flush=True)
    sys.exit(sys.stdin.read())

transact(Path(sys.argv[1]), 1 << 30, stall, None)
"""
JOB = NewJob(JobKey("letters", "1"), "post.deliver")


@contextmanager
def another_writer(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes, until its input is closed or it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        try:
            yield writer
        finally:
            writer.kill()


async def test_the_lock_of_a_killed_writer_is_free_and_its_work_undone(tmp_path: Path) -> None:
    driver = LmdbDriver(tmp_path)
    await driver.open()
    with another_writer(tmp_path) as writer:
        waiting = asyncio.create_task(driver.enqueue([JOB]))
        writer.kill()
        [answer] = await waiting
    assert answer.status is EnqueueStatus.INSERTED
    assert await driver.queues() == ["letters"]
    await driver.close()


async def test_a_call_that_waited_too_long_is_called_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_transaction, "_PATIENCE", 0.05)
    driver = LmdbDriver(tmp_path)
    await driver.open()
    with another_writer(tmp_path) as writer:
        with pytest.raises(DriverUnavailable, match="busy") as caught:
            await driver.enqueue([JOB])
        assert not caught.value.maybe_applied
        writer.communicate(timeout=30)
    monkeypatch.undo()
    assert await driver.states([JOB.key]) == [None]
    [answer] = await driver.enqueue([JOB])
    assert answer.status is EnqueueStatus.INSERTED
    await driver.close()


async def test_a_client_can_be_closed_while_another_process_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = LmdbDriver(tmp_path)
    await driver.open()
    monkeypatch.setattr(_transaction, "_PATIENCE", 0.05)
    with another_writer(tmp_path) as writer:
        calls = [asyncio.create_task(driver.enqueue([JOB])) for _ in range(3)]
        await asyncio.sleep(0)
        await driver.close()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {DriverUnavailable}
        writer.communicate(timeout=30)
    monkeypatch.undo()
    await driver.open()
    assert await driver.states([JOB.key]) == [None]
    await driver.close()


async def test_clients_of_one_process_take_turns(tmp_path: Path) -> None:
    first, second = LmdbDriver(tmp_path), LmdbDriver(tmp_path / ".." / tmp_path.name)
    await asyncio.gather(first.open(), second.open(), first.open())
    await first.enqueue([JOB])
    assert await second.states([JOB.key]) == [JobState.READY]
    await first.close()
    assert await second.states([JOB.key]) == [JobState.READY]
    await second.close()


async def test_a_cancelled_open_leaves_nothing_open(tmp_path: Path) -> None:
    for turns in range(5):
        opening = asyncio.create_task(LmdbDriver(tmp_path).open())
        for _ in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
    driver = LmdbDriver(tmp_path)
    await driver.open()
    await driver.close()


async def test_a_full_map_is_an_error_that_applied_nothing(tmp_path: Path) -> None:
    driver = LmdbDriver(tmp_path, map_size=1 << 20)
    await driver.open()
    large = NewJob(JobKey("letters", "large"), "post.deliver", payload=b" " * (1 << 20))
    with pytest.raises(DriverUnavailable, match="MDB_MAP_FULL") as caught:
        await driver.enqueue([JOB, large])
    assert not caught.value.maybe_applied
    assert await driver.states([JOB.key, large.key]) == [None, None]
    await driver.enqueue([JOB])
    await driver.close()


async def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"not from LMDB" * 1_000)
    with pytest.raises(IncompatibleStore, match="no store of stoker-lmdb"):
        await LmdbDriver(tmp_path).open()


async def test_another_layout_is_refused(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path), max_dbs=1) as raw:
        meta = raw.open_db(b"meta")
        with raw.begin(write=True) as txn:
            txn.put(b"format", b"1", db=meta)
    with pytest.raises(IncompatibleStore, match="layout"):
        await LmdbDriver(tmp_path).open()


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(DriverUnavailable):
        await LmdbDriver(tmp_path / "absent" / "store").open()


async def test_a_process_that_was_forked_meanwhile_does_not_keep_the_lock(tmp_path: Path) -> None:
    def fork(_: Store) -> int:
        child = os.fork()
        if not child:
            signal.pause()
            os._exit(0)
        return child

    child = await asyncio.to_thread(_transaction.transact, tmp_path, 1 << 20, fork, None)
    try:
        driver = LmdbDriver(tmp_path)
        await driver.open()
        await driver.close()
    finally:
        os.kill(child, signal.SIGKILL)
        await asyncio.to_thread(os.waitpid, child, 0)


async def test_a_purge_takes_any_age(tmp_path: Path) -> None:
    driver = LmdbDriver(tmp_path)
    await driver.open()
    await driver.enqueue([JOB])
    await driver.cancel([JOB.key], reason="no")
    forever = Keep(max_age=timedelta.max)
    assert await driver.purge("letters", Retention(cancelled=forever), limit=10) == 0
    await driver.close()
