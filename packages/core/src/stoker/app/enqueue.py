"""Sends jobs to the store, in chunks that it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from stoker.driver import DriverInfo, Enqueued, NewJob
from stoker.driver.batches import batches, size_of_job
from stoker.errors import DriverError, DriverUnavailable

__all__ = ["Interrupted", "enqueue"]

Send: TypeAlias = Callable[[Sequence[NewJob]], Awaitable[list[Enqueued]]]

_WAITS: Final = (0.05, 0.25, 1.0)
"""Seconds before each further try: a blip passes unnoticed, an outage is an error soon."""


class Interrupted(Exception):
    """An error came after some chunks were stored: `answers` are those of the first jobs."""

    def __init__(self, answers: list[Enqueued], error: DriverError) -> None:
        super().__init__(str(error))
        self.answers = answers
        self.error = error


async def enqueue(
    jobs: Sequence[NewJob], send: Send, info: DriverInfo, *, again: bool
) -> list[Enqueued]:
    """Send all jobs and return the answers in their order.

    Args:
        jobs: what to store, any number.
        send: sends one chunk.
        info: the limits of the driver.
        again: whether a chunk is sent again when the store cannot be reached; safe because ids
            and nonces tell a re-send, but not inside of a user's transaction.

    Raises:
        DriverError: if nothing was stored.
        Interrupted: if something was.
    """
    answers: list[Enqueued] = []
    for chunk in batches(jobs, size_of_job, info):
        try:
            answers += await _send(chunk, send, again=again)
        except DriverError as error:
            if not answers:
                raise
            raise Interrupted(answers, error) from error
    return answers


async def _send(jobs: Sequence[NewJob], send: Send, *, again: bool) -> list[Enqueued]:
    for wait in _WAITS if again else ():
        try:
            return await send(jobs)
        except DriverUnavailable:
            await asyncio.sleep(wait)
    return await send(jobs)
