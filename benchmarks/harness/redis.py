"""The store of the Redis benchmark: an empty database for each run, and the server's counters."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from itertools import cycle
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from redis.asyncio import Redis
from tools.servers.valkey import ValkeyServer

__all__ = ["SETTINGS", "RedisStore"]

SETTINGS: Final = {"appendonly": "no"}
"""Nothing is written to disk: what is compared are queues, not disks."""
_LEAST: Final = 6
"""Databases that are used, one after the other: `--backlog` uses so many side by side."""
_SCRIPTS: Final = ("eval", "evalsha", "evalsha_ro", "eval_ro", "fcall", "fcall_ro")
_SECONDS: Final = ("used_cpu_user_main_thread", "used_cpu_sys_main_thread")
_MICROSECONDS: Final = 1_000_000


class RedisStore:
    """A server: the one at `url`, or a Valkey of its own that keeps everything in memory.

    Of the server at `url` only a few databases that were empty at the beginning are used, and these
    are empty at the end. The counters are of the whole server, so nobody else should use it
    meanwhile.
    """

    def __init__(self, url: str | None = None) -> None:
        self._url = url
        self._own = url is None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if self._url is None:
            server = await asyncio.to_thread(self._stack.enter_context, ValkeyServer(SETTINGS))
            self._url = server.url
        try:
            self._admin = Redis.from_url(self._at(0))
            self._stack.push_async_callback(self._admin.aclose)
            self._empty = await self._find_empty()
            self._stack.push_async_callback(self._clean)
        except BaseException:
            await self._stack.aclose()
            raise
        self._next = cycle(self._empty)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def fresh(self) -> str:
        """Empty the database that was used longest ago, and return its URL."""
        number = next(self._next)
        await self._flush(number)
        return self._at(number)

    async def work(self, url: str) -> dict[str, float]:
        """Return what the server has done so far.

        `commands` are those that clients sent and those that scripts called; `reads`, how often the
        server read from a connection: what is sent in one piece is read at once, up to 16 KiB.
        """
        found = await self._admin.info("everything")
        scripts = [found[key] for name in _SCRIPTS if (key := f"cmdstat_{name}") in found]
        return {
            "commands": float(found["total_commands_processed"]),
            "reads": float(found["total_reads_processed"]),
            "scripts": float(sum(script["calls"] for script in scripts)),
            "script_us": float(sum(script["usec"] for script in scripts)),
            "server_us": sum(float(found[name]) for name in _SECONDS) * _MICROSECONDS,
        }

    async def version(self) -> str:
        """Return which server it is."""
        found = await self._admin.info("server")
        name = "Valkey" if "valkey_version" in found else "Redis"
        number = found.get("valkey_version", found["redis_version"])
        return f"{name} {number}, nothing on disk" if self._own else f"{name} {number}"

    def _at(self, number: int) -> str:
        assert self._url is not None
        return urlsplit(self._url)._replace(path=f"/{number}").geturl()

    async def _find_empty(self) -> list[int]:
        count: Any = await self._admin.config_get("databases")
        keyspace = await self._admin.info("keyspace")
        empty = [n for n in range(int(count["databases"])) if f"db{n}" not in keyspace]
        if len(empty) < _LEAST:
            raise RuntimeError(
                f"{len(empty)} databases of the server are empty, {_LEAST} are needed: "
                "use a server for the benchmark alone"
            )
        return empty[:_LEAST]

    async def _flush(self, number: int) -> None:
        async with Redis.from_url(self._at(number)) as client:
            # At once: a server that frees memory in the background would be slower meanwhile.
            await client.execute_command("FLUSHDB", "SYNC")  # type: ignore[no-untyped-call]

    async def _clean(self) -> None:
        for number in self._empty:
            await self._flush(number)
