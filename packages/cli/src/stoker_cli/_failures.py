"""What goes wrong, as one clear line on stderr and an exit code."""

from __future__ import annotations

from typing import ClassVar, Final

import click

from stoker.errors import (
    ConfigurationError,
    IncompatibleStore,
    InvalidInput,
    StokerError,
    Unsupported,
)
from stoker.registry import mask

__all__ = ["FAILED", "MISUSED", "failure"]

FAILED: Final = 1
"""Exit code: something broke while it ran, or the store could not be reached."""
MISUSED: Final = 2
"""Exit code: the command or the application is put together wrongly; trying again is of no use."""

_OF_NO_USE_AGAIN = (ConfigurationError, IncompatibleStore, InvalidInput, Unsupported)


class _Failed(click.ClickException):
    exit_code: ClassVar[int] = FAILED


class _Misused(click.ClickException):
    exit_code: ClassVar[int] = MISUSED


def failure(error: StokerError, where: str = "") -> click.ClickException:
    """Return an error of Stoker as click shows it: one message, no traceback, no password.

    Args:
        error: what was raised.
        where: what it is about, put in front.
    """
    text = ": ".join(mask(part) for part in (where, str(error)) if part)
    return _Misused(text) if isinstance(error, _OF_NO_USE_AGAIN) else _Failed(text)
