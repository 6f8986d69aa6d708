"""What the store is told of the jobs, for those who schedule without their code."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from stoker import OnConflict, Router, Stoker, Unique, Until
from stoker.driver import After, Definition, KeepFor
from stoker.driver import Unique as UniqueKey
from stoker.errors import Unsupported
from stoker_memory import MemoryDriver

router = Router[object]("mail", tags=["mail"])


@router.job(
    attempts=3,
    priority=7,
    queue="letters",
    timeout=5,
    expires=60,
    max_crashes=2,
    keep_completed=False,
    metadata={"team": "a"},
)
async def send(to: str) -> None: ...


@router.job(unique=Unique(lambda to: to, until=Until.START, on_conflict=OnConflict.REPLACE))
async def by_function(to: str) -> None: ...


@router.job(unique=Unique("only", until=timedelta(hours=1)))
async def by_text(to: str) -> None: ...


@router.every(3600)
async def hourly() -> None: ...


class Told(MemoryDriver):
    """A store that can be told of jobs."""

    def __init__(self) -> None:
        super().__init__()
        self.puts: asyncio.Queue[tuple[str, list[Definition]]] = asyncio.Queue()

    async def put_definitions(self, prefix: str, definitions: Sequence[Definition]) -> None:
        self.puts.put_nowait((prefix, list(definitions)))


async def told_by(app: Stoker[Any], driver: Told) -> list[Definition]:
    """Let the app tell its store, and return what of."""
    async with app:
        await app.store_definitions()
    prefix, definitions = driver.puts.get_nowait()
    assert prefix == app.queue_prefix
    return definitions


async def test_a_definition_is_what_a_call_without_options_stores() -> None:
    driver = Told()
    definitions = await told_by(Stoker(driver, jobs=[router], prefix="tenant"), driver)
    assert [one.name for one in definitions] == [
        "mail.send",
        "mail.by_function",
        "mail.by_text",
        "mail.hourly",
    ]
    assert definitions[0] == Definition(
        name="mail.send",
        queue="letters",
        priority=7,
        max_attempts=3,
        max_crashes=2,
        expires=After(timedelta(seconds=60)),
        timeout=timedelta(seconds=5),
        keep=KeepFor(completed=timedelta(0)),
        tags=("mail",),
        metadata={"team": "a"},
    )


async def test_a_key_that_is_made_from_the_payload_is_left_empty() -> None:
    driver = Told()
    _, by_function_, by_text_, _ = await told_by(Stoker(driver, jobs=[router]), driver)
    assert by_function_.unique == UniqueKey("", Until.START, OnConflict.REPLACE)
    assert by_text_.unique == UniqueKey("mail.by_text:only", After(timedelta(hours=1)))


async def test_a_worker_tells_its_store_when_it_starts() -> None:
    driver = Told()
    async with Stoker(driver, jobs=[router], autostart_worker=True), asyncio.timeout(10):
        prefix, definitions = await driver.puts.get()
    assert (prefix, len(definitions)) == ("", 4)
    assert driver.puts.empty()


async def test_what_runs_jobs_in_a_test_tells_the_store_too() -> None:
    driver = Told()
    async with Stoker(driver, jobs=[router]) as app:
        await app.run_until_idle()
    assert driver.puts.qsize() == 1


async def test_opening_an_app_writes_nothing() -> None:
    driver = Told()
    async with Stoker(driver, jobs=[router]):
        pass
    assert driver.puts.empty()


async def test_an_app_without_jobs_has_nothing_to_tell() -> None:
    driver = Told()
    async with Stoker(driver, jobs=[]) as app:
        await app.store_definitions()
    assert driver.puts.empty()


async def test_a_store_that_cannot_schedule_by_itself_is_named() -> None:
    async with Stoker(MemoryDriver(), jobs=[router]) as app:
        await app.run_until_idle()
        with pytest.raises(Unsupported, match="memory has no place for definitions"):
            await app.store_definitions()
