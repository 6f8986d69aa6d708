"""A peer's program as the harness sees it: a process that answers requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

__all__ = ["Asked", "Participant", "PeerFailed", "running"]

_ROOT: Final = Path(__file__).resolve().parents[2]
_ANSWER_SECONDS: Final = 600.0
"""No request takes longer, however slow the peer."""
_END_SECONDS: Final = 20.0
_LONGEST_LINE: Final = 2**28


class PeerFailed(Exception):
    """A peer's program answered with an error, or did not answer."""


@dataclass(frozen=True)
class Participant:
    """A peer in one configuration."""

    name: str
    program: Sequence[str]
    """What is started in the root of the repository, followed by `--url`, `--concurrency` and,
    perhaps, `--uvloop`."""
    measures: frozenset[str]
    """What of it is measured."""
    keeps: bool = True
    """Whether it keeps completed jobs, so that they can be counted."""
    share: int = 1
    """It gets one in so many of the jobs: for those that would take minutes for all."""


class Asked(Protocol):
    """Somebody who answers requests."""

    async def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Send a request and return the answer.

        Raises:
            PeerFailed: the answer is an error, or there is none.
        """
        ...


class _Process:
    """One process of a peer."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self._name = name
        self._process = process

    async def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Send a request and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write((json.dumps({"do": do, **arguments}) + "\n").encode())
            await self._process.stdin.drain()
            line = await asyncio.wait_for(self._process.stdout.readline(), _ANSWER_SECONDS)
        except (TimeoutError, ConnectionError) as error:
            raise PeerFailed(f"{self._name} does not answer {do!r}") from error
        if not line:
            raise PeerFailed(f"{self._name} ended when it was asked to {do!r}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerFailed(f"{self._name} failed to {do!r}:\n{answer['error']}")
        return answer

    async def end(self) -> None:
        """End the program, which is done when its input ends."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _END_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise PeerFailed(f"{self._name} does not end by itself") from None


@asynccontextmanager
async def running(name: str, command: Sequence[str]) -> AsyncIterator[Asked]:
    """Run the program of a peer for the time of a block."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=_ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
    )
    peer = _Process(name, process)
    try:
        yield peer
    except BaseException:
        if process.returncode is None:
            process.kill()
        await process.wait()
        raise
    await peer.end()
