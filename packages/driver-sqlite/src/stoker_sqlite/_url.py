"""`sqlite:///relative.db` and `sqlite:////absolute/path.db`."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from stoker.errors import InvalidInput

__all__ = ["SYNCHRONOUS", "Place", "check_path", "place"]

SYNCHRONOUS: Final = ("full", "normal")
"""The first is the default."""

_FORMS: Final = "sqlite:///relative.db or sqlite:////absolute/path.db"
_KNOWN: Final = {"synchronous": SYNCHRONOUS}


class Place(NamedTuple):
    """What a URL says."""

    path: str
    synchronous: str


def place(url: str) -> Place:
    """Return the file and the options that `url` names.

    Raises:
        InvalidInput: it is not a `sqlite://` URL, or has parameters that are not known.
    """
    parts = urlsplit(url)
    if parts.scheme != "sqlite":
        raise InvalidInput(f"{url!r} is not a URL of this driver: {_FORMS}")
    if parts.netloc or not parts.path.startswith("/"):
        raise InvalidInput(f"{url!r} names a host, or no file: {_FORMS} (count the slashes)")
    if parts.fragment:
        raise InvalidInput(f"{url!r} has a fragment; write a # in a file's name as %23")
    options = {"synchronous": SYNCHRONOUS[0]}
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _KNOWN:
            raise InvalidInput(f"{url!r} has an unknown parameter {name!r}; known: synchronous")
        if text not in _KNOWN[name]:
            raise InvalidInput(f"{name}={text!r} in {url!r}: one of {', '.join(_KNOWN[name])}")
        options[name] = text
    path = unquote(parts.path[1:])
    check_path(path)
    return Place(path, options["synchronous"])


def check_path(path: str | Path) -> None:
    """Refuse what SQLite would take for a private database, gone with its connection."""
    text = str(path)
    if not text or text == "." or ":memory:" in text or text.startswith("file:"):
        raise InvalidInput(
            f"{text!r} is not a file: the clients of a store share one. "
            "For a store in memory use memory://, for a file " + _FORMS
        )
    if "\0" in text:
        raise InvalidInput("the name of a file cannot hold a NUL")
