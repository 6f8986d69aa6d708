"""The contract of everything that runs inside a worker."""

import asyncio
from typing import ClassVar

import pytest
from packages.core.tests.support import soon, until

from stoker.worker.service import Service


class Loop(Service):
    name: ClassVar[str] = "loop"

    def __init__(self, error: BaseException | None = None, *, ends: bool = False) -> None:
        super().__init__()
        self.error = error
        self.ends = ends
        self.cleaned = False

    async def run(self) -> None:
        try:
            if self.error is not None:
                raise self.error
            if not self.ends:
                await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.cleaned = True


Deaths = list[tuple[str, BaseException | None]]


async def test_a_stopped_service_has_ended_and_is_no_death() -> None:
    deaths: Deaths = []
    service = Loop()
    service.start(lambda name, error: deaths.append((name, error)))
    await asyncio.sleep(0)
    await soon(service.stop())
    assert service.cleaned
    assert deaths == []


@pytest.mark.parametrize("error", [ValueError("a defect"), None])
async def test_a_service_that_ends_by_itself_is_a_death_with_its_error(
    error: Exception | None,
) -> None:
    deaths: Deaths = []
    service = Loop(error, ends=True)
    service.start(lambda name, error: deaths.append((name, error)))
    await until(lambda: deaths)
    assert deaths == [("loop", error)]
    await soon(service.stop())
    assert len(deaths) == 1


async def test_stopping_twice_or_before_the_start_does_nothing() -> None:
    service = Loop()
    await soon(service.stop())
    service.start(lambda *_: None)
    await soon(service.stop())
    await soon(service.stop())


async def test_a_service_can_be_started_again() -> None:
    service = Loop()
    for _ in range(2):
        service.start(lambda *_: None)
        await asyncio.sleep(0)
        await soon(service.stop())
        assert service.cleaned
        service.cleaned = False
