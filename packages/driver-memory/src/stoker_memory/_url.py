"""`memory://` and `memory://name`."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from stoker.driver.checks import check_text
from stoker.errors import InvalidInput

__all__ = ["store_name"]

_PARAMETERS: Final[frozenset[str]] = frozenset()


def store_name(url: str) -> str | None:
    """Return the name of the store that `url` means; `None` for a private one.

    Raises:
        InvalidInput: it is not a `memory://` URL, or says more than a name.
    """
    parts = urlsplit(url)
    if parts.scheme != "memory" or not url[len("memory:") :].startswith("//"):
        raise InvalidInput(f"{url!r} is not a URL of this driver: memory:// or memory://name")
    if parts.path not in ("", "/") or parts.fragment:
        raise InvalidInput(f"{url!r} says more than a name: memory:// or memory://name")
    unknown = sorted({name for name, _ in parse_qsl(parts.query, keep_blank_values=True)})
    if unknown:
        raise InvalidInput(
            f"{url!r} has unknown parameters: {', '.join(unknown)}; "
            "known are none, a memory:// URL takes no parameters"
        )
    name = unquote(parts.netloc)
    if not name:
        return None
    check_text("the name of a store", name)
    return name
