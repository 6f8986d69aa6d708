"""What the client library raises, as the closed set of errors that a driver may raise."""

from __future__ import annotations

from ssl import SSLCertVerificationError
from typing import Final

import asyncpg

from stoker.errors import (
    DriverError,
    DriverUnavailable,
    IncompatibleStore,
    InvalidInput,
    StokerError,
)

__all__ = ["FAILURES", "translated", "unreachable"]

FAILURES: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # includes time-outs
)
"""Whatever a call of the client library may raise for reasons outside of this program."""

_MISSING: Final = frozenset({"3F000", "42P01", "42883", "42703", "42704"})
"""SQLSTATEs for a schema, table, function, column or type that is not there."""

_UNKNOWN_SETTING: Final = frozenset({"42704", "22023"})
"""States of a connection that is refused for one of its parameters: its name, or its value."""

_FORBIDDEN: Final = frozenset({"42501"})
_UNWELCOME: Final = ("28", "3D")
"""Classes: wrong password or role, no such database."""

_CANCELLED: Final = "57014"
_ROLLED_BACK: Final = ("40", "53", "55", "25006", "25P03")
"""Classes and states of errors after which the transaction certainly is not committed: deadlock and
serialisation failure, no resources, locks that were waited for too long, a server that only reads,
a transaction that was idle for too long."""


def translated(error: Exception, schema: str) -> DriverError:
    """Return what to raise when a statement failed; `error` becomes its cause."""
    state = getattr(error, "sqlstate", None)
    if isinstance(error, TimeoutError):
        return DriverUnavailable(
            "the server did not answer in time (command_timeout): it or the network may be down",
            maybe_applied=True,
        )
    if not isinstance(error, asyncpg.PostgresError) or not isinstance(state, str):
        return DriverUnavailable(f"no answer from the server: {_text(error)}", maybe_applied=True)
    if state in _MISSING:
        return IncompatibleStore(
            f"the schema {schema!r} is missing, or not the one this version needs ({error}): "
            "open the driver with a role that may create it, or apply the migrations by hand"
        )
    if state in _FORBIDDEN:
        return IncompatibleStore(
            f"the role lacks a right that the driver needs in the schema {schema!r} ({error}): "
            "see the rights listed in the README"
        )
    if state.startswith(_UNWELCOME):
        return IncompatibleStore(
            f"the server does not let this role in ({error}): check user, password and database"
        )
    if state == _CANCELLED:
        return DriverUnavailable(
            f"{error}: it took longer than command_timeout, or an administrator ended it",
            maybe_applied=False,
        )
    if state.startswith(_ROLLED_BACK):
        return DriverUnavailable(f"the server gave up: {error}", maybe_applied=False)
    if state.startswith(("08", "57", "58", "XX")):
        return DriverUnavailable(f"the server ended the connection: {error}", maybe_applied=True)
    return IncompatibleStore(f"the server refuses a statement of this driver: {error}")


def unreachable(error: Exception, schema: str) -> StokerError:
    """Return what to raise when there was no connection to send anything on."""
    if isinstance(error, SSLCertVerificationError):  # which is a ValueError too
        return IncompatibleStore(
            f"the certificate of the server is not to be trusted ({error.verify_message}): name "
            "the file of the authority that has signed it (sslrootcert=), and the server as its "
            "certificate does"
        )
    if isinstance(error, ValueError):
        return InvalidInput(f"the URL of the server is wrong: {error}")
    if getattr(error, "sqlstate", None) in _UNKNOWN_SETTING:
        return InvalidInput(f"the URL has a parameter that nobody knows: {error}")
    found = translated(error, schema)
    if isinstance(found, DriverUnavailable):
        return DriverUnavailable(
            f"no connection to the server: {_text(error)}", maybe_applied=False
        )
    return found


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
