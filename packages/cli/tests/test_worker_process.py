"""`stoker worker` as people run it: a process, a SQLite file, signals, exit codes."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stoker import JobState

WITHOUT_UVLOOP = (
    "-c",
    "import sys; sys.modules['uvloop'] = None; from stoker_cli import main; main()",
)
Start = Callable[..., Any]


async def test_jobs_scheduled_here_run_there_and_sigterm_stops_with_0(
    start: Start, sample: Any
) -> None:
    async with sample.app as app:
        handles = await app.schedule_many([sample.note.call(number) for number in range(20)])
        worker = start("worker", "sample:app")
        assert [await handle.result(timeout=60) for handle in handles] == list(range(20))
    worker.send(signal.SIGTERM)
    code, printed, logged = worker.end()
    assert code == 0
    assert printed.count("noted") == 20
    assert "SIGTERM: stopping gracefully" in logged
    assert "has stopped" in logged.splitlines()[-1]
    assert "Traceback" not in logged


async def test_a_running_job_may_finish(start: Start, sample: Any, tmp_path: Path) -> None:
    async with sample.app as app:
        held = await app.schedule(sample.hold, 1)
        worker = start("worker", "sample:app", "-c", "1")
        worker.until_prints("inside 1")
        waiting = await app.schedule(sample.note, 2)
        worker.send(signal.SIGINT)
        assert "INFO" in worker.until_logs("SIGINT: stopping gracefully")
        (tmp_path / "go").touch()
        assert worker.end()[0] == 0
        assert await held.status() is JobState.COMPLETED
        assert await waiting.status() is JobState.READY


@pytest.mark.parametrize("command", [("-m", "stoker_cli"), WITHOUT_UVLOOP])
async def test_a_second_signal_ends_at_once_even_while_a_handler_blocks_everything(
    start: Start, sample: Any, command: tuple[str, ...]
) -> None:
    async with sample.app as app:
        handle = await app.schedule(sample.block_loop)
        worker = start("worker", "sample:app", command=command)
        worker.until_prints("blocking")
        assert worker.end_by(signal.SIGTERM) == -signal.SIGTERM
        assert await handle.status() is JobState.RUNNING


@pytest.mark.slow
async def test_a_thread_that_never_returns_does_not_keep_the_process(
    start: Start, sample: Any
) -> None:
    async with sample.app as app:
        handle = await app.schedule(sample.never_return)
        worker = start("worker", "sample:app", "--grace", "0")
        worker.until_prints("in a thread")
        worker.send(signal.SIGTERM)
        code, _, logged = worker.end()
        assert code == 0
        assert "1 handlers have not ended" in logged
        assert await handle.status() is JobState.RUNNING


@pytest.mark.slow
async def test_a_thread_of_the_application_does_not_keep_the_process(
    start: Start, sample: Any
) -> None:
    async with sample.app as app:
        handle = await app.schedule(sample.start_thread)
        worker = start("worker", "sample:app")
        worker.until_prints("thread started")
        await handle.result(timeout=10)
        worker.send(signal.SIGTERM)
        code, _, logged = worker.end()
        assert code == 0
        assert "ending without threads that do not return: of the application" in logged


async def test_only_the_queues_that_were_named_are_served(start: Start, sample: Any) -> None:
    async with sample.app as app:
        left = await app.schedule(sample.note, 1)
        taken = await app.schedule(sample.elsewhere)
        worker = start("worker", "sample:app", "-q", "other=2")
        assert worker.until_logs("at a time from").endswith("10 jobs at a time from other\n")
        await taken.result(timeout=60)
        worker.send(signal.SIGTERM)
        assert worker.end()[0] == 0
        assert await left.status() is JobState.READY


async def test_the_worker_of_the_application_is_not_started_as_well(
    start: Start, sample: Any
) -> None:
    async with sample.app as app:
        handle = await app.schedule(sample.note, 1)
        worker = start("worker", "sample:make_app")
        await handle.result(timeout=60)
        worker.send(signal.SIGTERM)
        code, _, logged = worker.end()
        assert code == 0
        assert logged.count("jobs at a time from") == 1


def test_a_dead_service_ends_the_worker_loudly_with_1(start: Start) -> None:
    code, _, logged = start("worker", "sample:defective").end()
    assert code == 1
    assert "CRITICAL" in logged
    assert "Traceback" in logged
    assert "ZeroDivisionError: a defect of this driver" in logged
    assert "the worker has ended: the fetcher" in logged.splitlines()[-1]


def test_an_error_of_the_lifespan_ends_the_worker_loudly_with_1(start: Start) -> None:
    code, _, logged = start("worker", "sample:without_context").end()
    assert code == 1
    assert "Traceback" in logged
    assert logged.splitlines()[-1] == "LookupError: no configuration"


def test_a_store_that_does_not_answer_is_one_line_and_1(start: Start) -> None:
    code, printed, logged = start("worker", "sample:unreachable").end()
    assert (code, printed, logged) == (1, "", "Error: nobody answers\n")


def test_logs_are_one_json_object_a_line_if_asked(
    start: Start, json_lines: Callable[[str], list[dict[str, Any]]]
) -> None:
    worker = start("worker", "sample:app", "--log-format", "json")
    first = worker.until_logs("at a time")
    worker.send(signal.SIGTERM)
    code, _, logged = worker.end()
    assert code == 0
    lines = json_lines(first + logged)
    assert len(lines) >= 3
    assert all(line["level"] == "INFO" for line in lines)
    assert all(line["logger"] == "stoker.worker" for line in lines)
    assert all(line["time"].endswith("+00:00") for line in lines)


def test_a_traceback_is_one_json_object_too(
    start: Start, json_lines: Callable[[str], list[dict[str, Any]]]
) -> None:
    code, _, logged = start("worker", "sample:defective", "--log-format", "json").end()
    assert code == 1
    critical = [line for line in json_lines(logged) if line["level"] == "CRITICAL"]
    assert "ZeroDivisionError" in critical[0]["exc_info"]
