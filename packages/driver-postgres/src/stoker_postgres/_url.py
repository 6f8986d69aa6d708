"""`postgresql://user:password@host:port/database?schema=stoker`."""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from stoker.errors import InvalidInput

__all__ = ["Place", "check_schema", "place", "without_password"]

_SCHEMES: Final = ("postgresql", "postgres")
_OURS: Final = ("schema", "pool_size", "pooler", "migrate", "command_timeout")
_FLAGS: Final = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
_LONGEST_SCHEMA: Final = 50
"""PostgreSQL's names end after 63 bytes, and the channel is called after the schema."""


class Place(NamedTuple):
    """What a URL says: where the server is, and the options of the driver."""

    dsn: str
    options: dict[str, Any]


def place(url: str) -> Place:
    """Return what `url` says.

    Raises:
        InvalidInput: it is no URL of this driver, or an option is out of its range.
    """
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        raise InvalidInput(
            f"{without_password(url)!r} is not a URL of this driver: "
            "postgresql://user:password@host:port/database"
        )
    options: dict[str, Any] = {}
    others: list[tuple[str, str]] = []
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        if name in _OURS:
            options[name] = _option(name, text)
        else:
            others.append((name, text))
    query = urlencode(others, quote_via=quote)
    return Place(urlunsplit(parts._replace(query=query)), options)


def check_schema(schema: str) -> None:
    """Refuse what cannot be the name of a schema of the driver's own."""
    if schema.startswith("pg_") or schema in ("public", "information_schema"):
        raise InvalidInput(f"schema={schema!r}: the driver needs a schema of its own")
    is_fit = schema.isprintable() and 1 <= len(schema.encode()) <= _LONGEST_SCHEMA
    if not is_fit or any(sign in schema for sign in "'$"):  # the ends of texts in our SQL
        raise InvalidInput(
            f"schema={schema!r}: 1 to {_LONGEST_SCHEMA} bytes of printable text without ' and $"
        )


def without_password(url: str) -> str:
    """Return `url` as it may be shown: a password is no text for messages and logs."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if at:
        host = f"{user.partition(':')[0]}@{host}"
    return urlunsplit(parts._replace(netloc=host, query="", fragment=""))


def _option(name: str, text: str) -> str | int | float | bool:
    if name == "schema":
        return text
    if name == "pool_size":
        if not text.isdecimal():
            raise InvalidInput(f"pool_size={text!r}: a whole number")
        return int(text)
    if name == "command_timeout":
        try:
            return float(text)
        except ValueError:
            raise InvalidInput(f"command_timeout={text!r}: a number of seconds") from None
    if text.lower() not in _FLAGS:
        raise InvalidInput(f"{name}={text!r}: on or off")
    return _FLAGS[text.lower()]
