"""What a server has to be for the driver, and what an operator should know of its settings."""

from __future__ import annotations

import logging
from typing import Any, Final, NamedTuple

from redis.exceptions import ResponseError

from stoker.errors import IncompatibleStore, InvalidInput
from stoker_redis._connection import Link, greet, talk

__all__ = ["PERSISTENCE", "check", "check_persistence"]

_log: Final = logging.getLogger(__name__)

PERSISTENCE: Final = ("none", "everysec", "always")
"""What a user may say of the append-only file of the server, from weak to strong."""

_OLDEST: Final = (7, 0)
_SECONDS: Final = 10.0
_HARMLESS: Final = "noeviction"


class _Facts(NamedTuple):
    """What a server tells of its settings; `None` is what it does not tell."""

    eviction: str | None
    memory_limit: int | None
    aof: bool | None
    fsync: str | None


def check_persistence(persistence: str) -> None:
    """Refuse what is none of `PERSISTENCE`."""
    if persistence not in PERSISTENCE:
        raise InvalidInput(f"persistence={persistence!r}: one of {', '.join(PERSISTENCE)}")


async def check(link: Link, *, cluster: bool, persistence: str, where: str) -> None:
    """Refuse a server that cannot be used, and warn of one that may lose jobs.

    Raises:
        IncompatibleStore: it is too old, is a node of a cluster that is not used as such, or does
            not keep what it should; says what to do.
    """
    greeting = await greet(link)
    if greeting.version < _OLDEST:
        raise IncompatibleStore(
            f"the server at {where} has version {_dotted(greeting.version)}: "
            f"Valkey, or Redis {_dotted(_OLDEST)} and later, is needed"
        )
    if greeting.mode == "cluster" and not cluster:
        raise IncompatibleStore(
            f"the server at {where} is a node of a cluster: write redis+cluster://, or pass a "
            "redis.asyncio.RedisCluster"
        )
    facts = await _ask(link)
    _check_kept(facts, persistence, where)
    _warn_of_eviction(facts, where)


async def _ask(link: Link) -> _Facts:
    questions = (("INFO", "memory"), ("INFO", "persistence"), ("CONFIG", "GET", "appendfsync"))
    memory, persistence, fsync = await talk(link, questions, _SECONDS)
    about = {**_lines(memory), **_lines(persistence)}
    limit, aof = about.get("maxmemory"), about.get("aof_enabled")
    return _Facts(
        eviction=about.get("maxmemory_policy"),
        memory_limit=None if limit is None else int(limit),
        aof=None if aof is None else aof == "1",
        fsync=_second(fsync),
    )


def _lines(answer: Any) -> dict[str, str]:
    """Return what INFO says; nothing where it may not be asked."""
    if isinstance(answer, ResponseError):
        return {}
    text = answer.decode(errors="replace")
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value for name, colon, value in pairs if colon}


def _second(answer: Any) -> str | None:
    """Return the value that CONFIG GET gives, a list in RESP2 and a dictionary in RESP3."""
    if isinstance(answer, ResponseError):
        return None
    values = list(answer.values()) if isinstance(answer, dict) else answer[1::2]
    return values[0].decode() if values else None


def _check_kept(facts: _Facts, persistence: str, where: str) -> None:
    """Compare what the driver promises with what the server does."""
    if persistence == "none":
        return
    if facts.aof is False:
        raise IncompatibleStore(
            f"persistence={persistence!r}, but the server at {where} keeps no append-only file: "
            "set 'appendonly yes' there, or leave the option out"
        )
    if persistence == "always" and facts.fsync not in ("always", None):
        raise IncompatibleStore(
            f"persistence='always', but the server at {where} has 'appendfsync {facts.fsync}': "
            "set 'appendfsync always' there, or say persistence='everysec'"
        )
    if facts.aof is None or (persistence == "always" and facts.fsync is None):
        _log.warning(
            "whether the server at %s keeps what it acknowledges (persistence=%r) cannot be seen: "
            "the user may not ask for INFO and CONFIG GET",
            where,
            persistence,
        )


def _warn_of_eviction(facts: _Facts, where: str) -> None:
    """Warn, once for a client, of a server that would delete jobs to make room."""
    if facts.eviction in (_HARMLESS, None):
        return
    limit = (
        "it has no 'maxmemory' yet, so nothing is lost until one is set"
        if facts.memory_limit == 0
        else f"it does so when it uses {facts.memory_limit} bytes"
    )
    # The keys of the driver never expire, so only the policies for all keys touch them.
    if facts.eviction.startswith("allkeys"):
        _log.warning(
            "the server at %s may delete jobs to make room ('maxmemory-policy %s'; %s): "
            "set 'maxmemory-policy noeviction' there",
            where,
            facts.eviction,
            limit,
        )


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
