"""What the tests of actors have them run, in a module that another process can import."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from harnesses import SqliteHarness

from stoker.driver import Driver
from stoker.errors import DriverUnavailable
from stoker_sqlite import SqliteDriver


async def add(driver: Driver, one: int, other: int = 0) -> int:
    return one + other


async def where(driver: Driver) -> int:
    return os.getpid()


async def numbers(driver: Driver, end: int) -> AsyncGenerator[int, None]:
    for number in range(end):
        yield number


async def numbers_and_trouble(driver: Driver, end: int) -> AsyncGenerator[int, None]:
    for number in range(end):
        yield number
    raise DriverUnavailable("the store is gone", maybe_applied=True)


async def numbers_and_sleep(driver: Driver, end: int) -> AsyncGenerator[int, None]:
    for number in range(end):
        yield number
    await asyncio.Event().wait()


async def fail(driver: Driver) -> None:
    try:
        raise ConnectionResetError(104, "reset by peer")
    except ConnectionResetError as error:
        raise DriverUnavailable("the store is gone", maybe_applied=True) from error


async def answer_with_a_lambda(driver: Driver) -> Any:
    return lambda: None


async def chat(driver: Driver) -> str:
    sys.stdout.write("to the standard output\n")
    sys.stdout.flush()
    os.write(1, b"and below it\n")
    return sys.stdin.read()


async def die(driver: Driver) -> None:
    os.write(2, b"Segmentation fault, so to say\n")
    os._exit(3)


class StillbornHarness(SqliteHarness):
    """Its clients cannot reach their store."""

    async def connect(self, namespace: Path) -> Driver:
        return _Stillborn(namespace)


class _Stillborn(SqliteDriver):
    async def open(self) -> None:
        raise DriverUnavailable("no such host", maybe_applied=False)


class DyingHarness(SqliteHarness):
    """The processes of its clients die when they connect."""

    def __init__(self) -> None:
        self.home = os.getpid()

    async def connect(self, namespace: Path) -> Driver:
        if os.getpid() != self.home:
            sys.exit("I would rather not")
        return await super().connect(namespace)
