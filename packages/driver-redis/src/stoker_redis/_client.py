"""What an open driver holds: connections, a listener, and what it knows of its server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from redis.exceptions import NoScriptError, ReadOnlyError, ResponseError

from stoker_redis._connection import Command, talk
from stoker_redis._errors import FAILURES, refused, translated
from stoker_redis._pool import Pool
from stoker_redis._scripts import Script

__all__ = ["Call", "Client"]

_GRACE_SECONDS: Final = 5.0
"""How long a close lets operations in flight go on."""
_ANSWER_SECONDS: Final = 10.0
"""How long an answer may take. Scripts work in small steps, so a server that says nothing for so
long is not there any more, or busy with something else."""


class Call(NamedTuple):
    """A script, with the keys that decide where it runs, and its arguments."""

    script: Script
    keys: Sequence[bytes]
    args: Sequence[str | bytes | int]


class Client:
    """Runs scripts, each by its name in one round trip."""

    def __init__(self, pool: Pool, prefix: str) -> None:
        self.prefix = prefix
        self._pool = pool
        self._process = os.getpid()
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def is_inherited(self) -> bool:
        """Whether this process is a fork of the one that opened the client."""
        return self._process != os.getpid()

    async def call(
        self, script: Script, keys: Sequence[bytes], args: Sequence[str | bytes | int]
    ) -> Any:
        """Run a script and return its answer."""
        with self._under_way():
            [answer] = await run(self._pool, [Call(script, keys, args)])
            return answer

    async def pipeline(self, calls: Sequence[Call]) -> list[Any]:
        """Run several scripts, in one round trip a node, and return their answers."""
        if not calls:
            return []
        with self._under_way():
            return await run(self._pool, calls)

    async def close(self) -> None:
        """Let operations in flight end, then fail them, and free everything."""
        try:
            async with asyncio.timeout(_GRACE_SECONDS):
                await self._idle.wait()
        except TimeoutError:
            pass
        await self._pool.close()

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        self._in_flight += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()


async def run(pool: Pool, calls: Sequence[Call]) -> list[Any]:
    """Run scripts on one node; the first refusal among their answers is raised."""
    names = ", ".join({call.script.name: None for call in calls})
    async with pool.link() as link:
        try:
            answers = await talk(link, [_by_name(call) for call in calls], _ANSWER_SECONDS)
            unknown = [i for i, found in enumerate(answers) if isinstance(found, NoScriptError)]
            if unknown:
                # The server was restarted, or another one took over: nothing has run yet.
                again = [part for i in unknown for part in _with_source(calls[i])]
                found = await talk(link, again, _ANSWER_SECONDS)
                for place, answer in zip(unknown, found[1::2], strict=True):
                    answers[place] = answer
        except FAILURES as error:
            raise translated(error, names) from error
    for answer in answers:
        if isinstance(answer, ResponseError):
            if isinstance(answer, ReadOnlyError):
                await pool.forget()
            raise refused(answer, names) from answer
    return answers


def _by_name(call: Call) -> Command:
    return ("EVALSHA", call.script.sha, len(call.keys), *call.keys, *call.args)


def _with_source(call: Call) -> tuple[Command, Command]:
    return ("SCRIPT", "LOAD", call.script.text), _by_name(call)
