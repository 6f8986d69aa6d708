"""A worker is killed in the middle of its jobs: another one completes them all."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stoker import JobState


async def test_jobs_of_a_killed_worker_are_run_again_and_none_is_lost(
    start: Callable[..., Any], sample: Any, tmp_path: Path
) -> None:
    async with sample.app as app:
        held = await app.schedule_many([sample.hold.call(number) for number in range(3)])
        others = await app.schedule_many([sample.note.call(number) for number in range(50)])

        first = start("worker", "sample:app", "-c", "3", "--lease", "2")
        for _ in held:
            first.until_prints("inside")
        first.kill()
        assert [await handle.status() for handle in held] == [JobState.RUNNING] * 3

        (tmp_path / "go").touch()
        second = start("worker", "sample:app", "-c", "3", "--lease", "2")
        assert [await handle.result(timeout=60) for handle in held] == list(range(3))
        assert [await handle.result(timeout=60) for handle in others] == list(range(50))
        second.send(signal.SIGTERM)
        code, printed, _ = second.end()
        assert code == 0

        for handle, crashes in [*((h, 1) for h in held), *((h, 0) for h in others)]:
            record = await handle.record()
            assert (record.crashes, record.attempt) == (crashes, 1)
    assert sorted(printed.splitlines()) == sorted(
        [f"inside {number}" for number in range(3)] + [f"noted {number}" for number in range(50)]
    )
