"""From a URL to a driver, through the entry points of installed packages."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from typing import Any, Final

from stoker.driver import Driver, missing_operations
from stoker.errors import ConfigurationError, UnknownScheme

__all__ = ["ENTRY_POINTS", "check_driver", "driver_for", "installed_schemes", "mask"]

ENTRY_POINTS: Final = "stoker.drivers"
"""The entry-point group: the name is a URL scheme, the object a class with `from_url(url)`."""

_FIRST_PARTY: Final = {
    "memory": "stoker-memory",
    "sqlite": "stoker-sqlite",
    "postgres": "stoker-postgres",
    "postgresql": "stoker-postgres",
    "redis": "stoker-redis",
    "rediss": "stoker-redis",
    "redis+cluster": "stoker-redis",
    "rediss+cluster": "stoker-redis",
    "redis+sentinel": "stoker-redis",
    "rediss+sentinel": "stoker-redis",
    "valkey": "stoker-redis",
    "valkeys": "stoker-redis",
}


def driver_for(url: str) -> Driver:
    """Return a driver, not yet open, for a URL such as `sqlite:///jobs.db`.

    Raises:
        UnknownScheme: if no installed package answers to the scheme; the message says which are
            installed and what to install.
        InvalidInput: from the driver, if it cannot read the rest of the URL.
    """
    scheme, separator, _ = url.partition("://")
    if not separator:
        raise UnknownScheme(
            f"{mask(url)!r} is not a URL: write for example 'sqlite:///jobs.db', or pass a driver"
        )
    found = entry_points(group=ENTRY_POINTS, name=scheme)
    if not found:
        raise UnknownScheme(_advice(scheme))
    factory: Any = next(iter(found)).load()
    return check_driver(factory.from_url(url))


def check_driver(candidate: Any) -> Driver:
    """Return `candidate` if it has every operation of a driver.

    Raises:
        ConfigurationError: if it has not; the message says what is missing.
    """
    missing = missing_operations(candidate)
    if missing:
        raise ConfigurationError(f"{candidate!r} is no driver: it lacks {', '.join(missing)}")
    driver: Driver = candidate
    return driver


def installed_schemes() -> list[str]:
    """Return the URL schemes that installed drivers answer to."""
    return sorted({point.name for point in entry_points(group=ENTRY_POINTS)})


def mask(url: str) -> str:
    """Return a URL without its password, fit for logs and errors."""
    url = re.sub(r"(:/{1,2}[^/:@\s]*):\S*@", r"\1:***@", url)
    return re.sub(r"(?i)([?&][^=&\s]*(?:password|secret|token)=)[^&\s]*", r"\1***", url)


def _advice(scheme: str) -> str:
    installed = ", ".join(f"{name}://" for name in installed_schemes()) or "none"
    package = _FIRST_PARTY.get(scheme)
    remedy = f"pip install {package}" if package else "install the package of that driver"
    return f"no installed driver answers to {scheme}:// (installed: {installed}): {remedy}"
