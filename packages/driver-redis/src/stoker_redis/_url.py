"""`redis://user:password@host:port/database?prefix=stoker`, and its kin."""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from redis.asyncio.connection import parse_url

from stoker.errors import InvalidInput
from stoker_redis._connection import Address

__all__ = ["Place", "parted", "place"]

_FORMS: Final = (
    "redis://user:password@host:6379/0, redis+cluster://host:6379,host:6380 "
    "or redis+sentinel://host:26379,host:26379/service/0"
)
"""What messages show as examples."""

_SCHEMES: Final = {
    "redis": ("redis", "single"),
    "rediss": ("rediss", "single"),
    "valkey": ("redis", "single"),
    "valkeys": ("rediss", "single"),
    "redis+cluster": ("redis", "cluster"),
    "rediss+cluster": ("rediss", "cluster"),
    "redis+sentinel": ("redis", "sentinel"),
    "rediss+sentinel": ("rediss", "sentinel"),
}
"""How the library calls it, and what stands there."""

_PORTS: Final = {"single": 6379, "cluster": 6379, "sentinel": 26379}

_NUMBERS: Final = ("pool_size", "replicas")
_TEXTS: Final = ("prefix", "persistence")
"""The options of the driver."""

_SENTINEL: Final = ("sentinel_username", "sentinel_password")
_LIBRARY: Final = (
    "client_name",
    "db",
    "protocol",
    "socket_connect_timeout",
    "socket_keepalive",
)
"""Parameters of the library that may be given, besides those that begin with `ssl_`. Its others say
how often a command is sent again, how long a read may take, or what becomes of an answer."""


class Place(NamedTuple):
    """What a URL says: where the servers are, and how to connect."""

    kind: str
    """`single`, `cluster` or `sentinel`."""
    addresses: list[Address]
    service: str
    """With `sentinel`: the name of the primary."""
    settings: dict[str, Any]
    """The library's, without an address."""
    login: dict[str, str]
    """With `sentinel`: user name and password there."""


def parted(url: str) -> tuple[str, dict[str, Any]]:
    """Return a URL without the options of the driver, and these.

    Raises:
        InvalidInput: an option is no number where it has to be one.
    """
    before, mark, query = url.partition("?")
    options: dict[str, Any] = {}
    others: list[tuple[str, str]] = []
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name in _NUMBERS:
            if not text.isdecimal():
                raise InvalidInput(f"{name}={text!r}: a whole number")
            options[name] = int(text)
        elif name in _TEXTS:
            options[name] = text
        else:
            others.append((name, text))
    return (before + mark + urlencode(others, quote_via=quote)).removesuffix("?"), options


def place(url: str) -> Place:
    """Return what `url` says.

    Raises:
        InvalidInput: it is no URL of this driver, or has a parameter that is none.
    """
    try:
        parts = urlsplit(url)
        scheme, kind = _SCHEMES[parts.scheme]
    except (KeyError, ValueError):
        raise _wrong(url, "is not a URL of this driver") from None
    login, at, hosts = parts.netloc.rpartition("@")
    addresses = [_address(url, host, _PORTS[kind]) for host in hosts.split(",")]
    if len(addresses) > 1 and kind == "single":
        raise _wrong(url, "names several servers: it is redis+cluster:// or redis+sentinel://")
    service, database = _path(url, parts.path, kind)
    login_there, others = _parameters(url, parts.query)
    query = urlencode(others, quote_via=quote)
    try:
        settings = dict(parse_url(f"{scheme}://{login}{at}host/{database}?{query}"))
    except ValueError as error:
        raise _wrong(url, str(error)) from error
    del settings["host"]
    if kind == "cluster" and settings.get("db"):
        raise _wrong(url, "names a database: a cluster has only the first")
    return Place(kind, addresses, service, settings, login_there)


def _without_password(url: str) -> str:
    """Return `url` as it may be shown: a password is no text for messages and logs."""
    before, separator, rest = url.partition("://")
    rest = rest.partition("?")[0]
    login, at, host = rest.rpartition("@")
    return f"{before}{separator}{login.partition(':')[0]}{at}{host}"


def _wrong(url: str, why: str) -> InvalidInput:
    return InvalidInput(f"{_without_password(url)!r} {why}: write for example {_FORMS}")


def _address(url: str, host: str, port: int) -> Address:
    try:
        found = urlsplit(f"//{host}")
        return found.hostname or "localhost", found.port or port
    except ValueError as error:
        raise _wrong(url, f"has an address that is none ({error})") from None


def _path(url: str, path: str, kind: str) -> tuple[str, str]:
    """Return the service and the database."""
    words = path.strip("/").split("/") if path.strip("/") else []
    service = ""
    if kind == "sentinel":
        if not words:
            raise _wrong(url, "does not say which service the Sentinels are to be asked for")
        service = words.pop(0)
    database = words.pop(0) if words else ""
    if words or not (database.isdecimal() or not database):
        raise _wrong(url, "has a path that is no number of a database")
    return service, database


def _parameters(url: str, query: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return the login for Sentinels, and what the library is given."""
    login: dict[str, str] = {}
    others: list[tuple[str, str]] = []
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name in _SENTINEL:
            login[name.removeprefix("sentinel_")] = text
        elif name in _LIBRARY or name.startswith("ssl_"):
            others.append((name, text))
        elif name in (*_NUMBERS, *_TEXTS):
            raise InvalidInput(
                f"{_without_password(url)!r} has the option {name!r} of the driver: pass it as an "
                "argument, or the whole URL to RedisDriver.from_url"
            )
        else:
            known = ", ".join((*_NUMBERS, *_TEXTS, *_SENTINEL, *_LIBRARY, "ssl_..."))
            raise InvalidInput(
                f"{_without_password(url)!r} has the parameter {name!r}; known are {known}. "
                "The driver sets itself how often something is sent and how long an answer takes"
            )
    return login, others
