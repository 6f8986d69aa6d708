"""Where the servers are and how to connect to them: said by a URL, or by a user's client.

A client of the user says what a URL says: addresses, credentials, encryption, protocol. Its
connections stay its own, since a client sends commands again after they may have been applied,
gives up reads that are meant to wait, and may decode what it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.client import Pipeline
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import ConnectionError as LibraryConnectionError
from redis.exceptions import RedisError, ResponseError

from stoker.errors import InvalidInput
from stoker_redis._cluster import Cluster
from stoker_redis._connection import Address, Link, Settings, end, talk
from stoker_redis._errors import FAILURES
from stoker_redis._nodes import Nodes, Single
from stoker_redis._url import Place, place

__all__ = ["AnyClient", "Source", "source_of"]

AnyClient = Redis | RedisCluster
"""What a user may pass in."""

_SECONDS: Final = 5.0
"""How long a Sentinel may take to answer."""

_NOT_LENT: Final = frozenset(
    {
        "connection_pool",
        "event_dispatcher",
        "himport_registry",
        "max_connections",
        "parser_class",
        "response_callbacks",
        "retry",
        "retry_on_error",
    }
)
"""What belongs to a client's own connections, besides what it keeps for the maintenance of a server
(`maint_...` and the like)."""

_MAINTENANCE: Final = ("maint_", "maintenance_", "orig_", "oss_cluster_")


class Source:
    """Makes what connects to a server, a cluster, or whatever the Sentinels call the primary."""

    def __init__(self, where: str, nodes: Callable[[int], Nodes], *, users: bool) -> None:
        self.where = where
        """Fit for messages."""
        self.nodes = nodes
        """Returns connections, so many at most for each node; none is open yet."""
        self.is_users = users
        """Whether a client of the user has said it."""


def source_of(server: object) -> Source:
    """Return the source that a URL or a client names.

    Raises:
        InvalidInput: it is neither, or is something that cannot be used.
    """
    if isinstance(server, str):
        return _from_place(place(server))
    if isinstance(server, RedisCluster):
        return _from_cluster(server)
    if isinstance(server, Redis) and not isinstance(server, Pipeline):
        return _from_client(server)
    raise InvalidInput(
        f"a URL, a redis.asyncio.Redis or a redis.asyncio.RedisCluster is needed, "
        f"not {type(server).__module__}.{type(server).__qualname__}"
    )


def _from_place(found: Place) -> Source:
    kind: type[AbstractConnection] = found.settings.pop("connection_class", Connection)
    settings = _checked(kind, found.settings)
    where = ",".join(f"{host}:{port}" for host, port in found.addresses)
    if found.kind == "cluster":
        return Source(where, lambda size: Cluster(settings, found.addresses, size), users=False)
    if found.kind == "sentinel":
        kept = {name: found.settings[name] for name in found.settings if name.startswith("ssl_")}
        sentinels = _checked(kind, kept | found.login)
        find = _Sentinels(sentinels, found.addresses, found.service).primary
        where = f"{found.service!r} of {where}"
        return Source(where, lambda size: Single(_via(find, settings), size, where), users=False)
    [address] = found.addresses
    return Source(
        where, lambda size: Single(lambda: settings.connect(address), size, where), users=False
    )


def _from_client(client: Redis) -> Source:
    pool = client.connection_pool
    lent = _lent(pool.connection_kwargs)
    if isinstance(pool, SentinelConnectionPool):
        if not pool.is_master:
            raise InvalidInput("this client is for replicas: pass one of Sentinel.master_for(...)")
        encrypted = issubclass(pool.connection_class, SSLConnection)
        settings = _checked(SSLConnection if encrypted else Connection, lent)

        async def find() -> Address:
            host, port = await pool.sentinel_manager.discover_master(pool.service_name)
            return host, int(port)

        where = f"the primary of {pool.service_name!r}"
        return Source(where, lambda size: Single(_via(find, settings), size, where), users=True)
    settings = _checked(pool.connection_class, lent)
    where = settings.where()
    return Source(where, lambda size: Single(settings.connect, size, where), users=True)


def _from_cluster(client: RedisCluster) -> Source:
    lent = _lent(client.connection_kwargs)
    kind: type[AbstractConnection] = lent.pop("connection_class", Connection)
    lent.pop("redis_connect_func", None)  # lets a connection read from replicas
    settings = _checked(kind, lent)
    known = client.nodes_manager.startup_nodes.values()
    seeds = [(node.host, int(node.port)) for node in known]
    remap = client.nodes_manager.remap_host_port
    where = ",".join(f"{host}:{port}" for host, port in seeds)
    return Source(where, lambda size: Cluster(settings, seeds, size, remap), users=True)


def _lent(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a client's settings is about the server."""
    return {
        name: value
        for name, value in options.items()
        if name not in _NOT_LENT and not name.startswith(_MAINTENANCE)
    }


def _checked(kind: type[AbstractConnection], options: Mapping[str, Any]) -> Settings:
    """Return settings of which the library can make a connection."""
    settings = Settings(kind, options)
    try:
        kind(**settings.options)
    except (TypeError, ValueError, RedisError) as error:
        raise InvalidInput(f"no connection can be made with these settings: {error}") from error
    return settings


def _via(find: Callable[[], Any], settings: Settings) -> Callable[[], Any]:
    async def dial() -> Link:
        return await settings.connect(await find())

    return dial


class _Sentinels:
    """Asks one Sentinel after the other where the primary is."""

    def __init__(self, settings: Settings, addresses: list[Address], service: str) -> None:
        self._settings = settings
        self._addresses = addresses
        self._service = service

    async def primary(self) -> Address:
        """Return the address that the first Sentinel to answer gives.

        Raises:
            RedisError: none answers, or none knows the service.
        """
        problems: list[str] = []
        for address in self._addresses:
            try:
                if found := await self._ask(address):
                    return found
                problems.append(f"{address[0]}:{address[1]} does not know it")
            except FAILURES as error:
                problems.append(f"{address[0]}:{address[1]}: {error}")
        raise LibraryConnectionError(
            f"no Sentinel tells where {self._service!r} is ({'; '.join(problems)})"
        )

    async def _ask(self, address: Address) -> Address | None:
        link = await self._settings.connect(address, primary=False)
        try:
            command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
            [answer] = await talk(link, [command], _SECONDS)
        finally:
            await end(link)
        if isinstance(answer, ResponseError):
            raise answer
        return None if answer is None else (answer[0].decode(), int(answer[1]))
