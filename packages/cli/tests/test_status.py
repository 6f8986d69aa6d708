"""`stoker status`: what it tells of queues, workers and schedules."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from rich.console import Console

from stoker import JobState, Router, Stoker
from stoker.driver import At, Driver
from stoker.registry import driver_for
from stoker_cli._snapshot import Snapshot, take
from stoker_cli._tables import tables

Invoke = Callable[..., Result]

APPS = Path(__file__).parent / "apps"
TICK = datetime(2100, 1, 1, 9, tzinfo=UTC)


def url(folder: Path) -> str:
    """The store of the sample application."""
    return f"sqlite:///{folder / 'jobs.db'}"


async def fill(sample: Any) -> None:
    """Put something of everything into the store."""
    async with sample.app as app:
        await app.schedule(sample.note, 1)
        await app.run_until_idle()
        await app.schedule(sample.note, 2)
        await app.schedule(sample.note, 3, delay=3600)
        await app.schedule(sample.elsewhere)
        await app.pause("other")
        driver: Any = app.driver
        cron = b'{"cron": "0 9 * * *", "tz": "Europe/Berlin"}'
        await driver.put_schedule("default", "work.report", cron, At(TICK))
        await driver.put_schedule("default", "work.pulse", b'{"every": 90.0}', At(TICK))
        await driver.put_schedule("default", "work.newer", b'{"moon": "full"}', At(TICK))
        info = b'{"host": "engine-room", "pid": 7, "concurrency": 12}'
        await driver.announce("a-worker", ["default"], timedelta(minutes=5), info)


@pytest.mark.parametrize("target", ["sample:app", "sample:make_app", "url"])
def test_everything_is_told_as_json(
    invoke: Invoke, sample: Any, tmp_path: Path, target: str
) -> None:
    asyncio.run(fill(sample))
    target = url(tmp_path) if target == "url" else target
    result = invoke("status", target, "--app-dir", APPS, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["store"]["driver"] == "sqlite"
    default, other = told["queues"]
    assert (default["name"], other["name"]) == ("default", "other")
    assert default["counts"] == {
        "scheduled": 1,
        "ready": 1,
        "running": 0,
        "completed": 1,
        "failed": 0,
        "cancelled": 0,
    }
    assert (default["paused"], other["paused"]) == (False, True)
    assert default["oldest_ready_seconds"] >= 0
    (worker,) = told["workers"]
    assert (worker["id"], worker["host"], worker["pid"]) == ("a-worker", "engine-room", 7)
    assert (worker["concurrency"], worker["queues"]) == (12, ["default"])
    assert datetime.fromisoformat(worker["since"]) <= datetime.now(UTC)
    rules = {row["job"]: row["rule"] for row in told["schedules"]}
    assert rules == {
        "work.report": "0 9 * * * (Europe/Berlin)",
        "work.pulse": "every 90 s",
        "work.newer": '{"moon": "full"}',
    }
    assert {row["next_at"] for row in told["schedules"]} == {"2100-01-01T09:00:00Z"}
    assert {(row["last_at"], row["count"]) for row in told["schedules"]} == {(None, 0)}


def test_everything_is_in_the_tables(invoke: Invoke, sample: Any) -> None:
    asyncio.run(fill(sample))
    result = invoke("status", "sample:app", "--app-dir", APPS)
    assert result.exit_code == 0, result.output
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line}
    assert rows["default"][:6] != rows["other"][:6]
    assert "(paused)" in rows["other"]
    assert rows["a-worker"][:3] == ["engine-room", "12", "default"]
    assert "every 90 s" in result.stdout


def test_an_empty_store_says_so(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("status", url(tmp_path))
    assert result.exit_code == 0
    assert "no queue holds a job" in result.stdout
    assert "no worker is alive" in result.stdout


def test_an_application_with_a_prefix_sees_its_own_only(tmp_path: Path) -> None:
    router: Router[object] = Router("router")

    @router.job
    async def job() -> None: ...

    async def look() -> tuple[Snapshot, Snapshot]:
        for prefix in ("a", "b"):
            async with Stoker(url(tmp_path), jobs=[router], prefix=prefix) as app:
                await app.schedule(job)
                driver: Any = app.driver
                await driver.announce(f"worker-{prefix}", [f"{prefix}:x"], timedelta(60), b"{}")
        driver = driver_for(url(tmp_path))
        await driver.open()
        try:
            return await take(driver, "a:", None), await take(driver, "", None)
        finally:
            await driver.close()

    mine, whole = asyncio.run(look())
    assert [queue.name for queue in mine.queues] == ["default"]
    assert [(worker.id, worker.queues) for worker in mine.workers or []] == [("worker-a", ["x"])]
    assert [queue.name for queue in whole.queues] == ["a:default", "b:default"]
    assert len(whole.workers or []) == 2


def test_what_a_driver_cannot_tell_is_said_and_not_asked(tmp_path: Path) -> None:
    class Plain:
        """A driver without presence and schedules."""

        def __init__(self, driver: Driver) -> None:
            self._driver = driver
            self.info = replace(driver.info, name="plain", capabilities=frozenset())
            self.queues = driver.queues
            self.stats = driver.stats

    async def look() -> Snapshot:
        driver = driver_for(url(tmp_path))
        await driver.open()
        try:
            await driver.pause("quiet", True)
            plain: Any = Plain(driver)
            return await take(plain, "", None)
        finally:
            await driver.close()

    snapshot = asyncio.run(look())
    assert snapshot.workers is None
    assert snapshot.schedules is None
    console = Console(width=100, record=True)
    for part in tables(snapshot):
        console.print(part)
    text = console.export_text()
    assert "plain does not know which workers are alive" in text
    assert "quiet (paused)" in text


def test_a_count_that_stopped_at_its_cap_has_a_plus(
    monkeypatch: pytest.MonkeyPatch, sample: Any, invoke: Invoke
) -> None:
    async def many() -> None:
        async with sample.app as app:
            await app.schedule_many([sample.note.call(number) for number in range(12)])

    asyncio.run(many())
    monkeypatch.setattr("stoker_cli._snapshot.CAP", 10)
    told = json.loads(invoke("status", "sample:app", "--app-dir", APPS, "--json").stdout)
    assert told["queues"][0]["counts"]["ready"] == 10
    assert told["queues"][0]["at_least"] == [JobState.READY]
    assert " 10+ " in invoke("status", "sample:app", "--app-dir", APPS).stdout


def test_names_that_look_like_markup_are_shown_as_they_are(sample: Any, invoke: Invoke) -> None:
    async def pause() -> None:
        async with sample.app as app:
            await app.pause("[red]")

    asyncio.run(pause())
    assert "[red] (paused)" in invoke("status", "sample:app", "--app-dir", APPS).stdout


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("memory://", "memory://: the driver memory keeps jobs inside of one process"),
        ("sample:private", "the driver memory keeps jobs inside of one process"),
        ("oracle://joe:secret@host/x", "oracle://joe:***@host/x: no installed driver answers"),
        ("kafka://:secret@host", "kafka://:***@host: no installed driver"),
        ("sqlite://host/x", "names a host"),
        ("sqlite:////absent/x.db", "/absent does not exist"),
    ],
)
def test_a_wrong_target_is_one_clear_line(invoke: Invoke, target: str, message: str) -> None:
    result = invoke("status", target, "--app-dir", APPS)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert "secret" not in result.output
