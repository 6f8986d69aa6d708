"""What the client library raises, as the closed set of errors that a driver may raise."""

from __future__ import annotations

from ssl import SSLCertVerificationError
from typing import Final

from redis import exceptions

from stoker.errors import DriverError, DriverUnavailable, IncompatibleStore
from stoker_redis._connection import UnsuitableServer

__all__ = ["FAILURES", "refused", "translated", "unreachable"]

FAILURES: Final = (
    exceptions.RedisError,
    OSError,  # includes time-outs
)
"""Whatever the client library may raise for reasons outside of this program."""

_NOT_DONE: Final = (
    exceptions.BusyLoadingError,
    exceptions.ClusterDownError,
    exceptions.MasterDownError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.TryAgainError,
)
_NOT_DONE_CODES: Final = (
    "BUSY ",
    "LOADING ",
    "MISCONF ",
    "NOREPLICAS ",
    "UNBLOCKED ",
)
"""A script is refused with these before it has written anything, and may be taken later."""

_KILLED: Final = "Script killed by user"
"""An operator has ended a script (SCRIPT KILL): it has not written anything, or it could not be."""


def refused(error: exceptions.ResponseError, what: str) -> DriverError:
    """Return what to raise when the server answered with an error."""
    text = str(error)
    if isinstance(error, _NOT_DONE) or text.startswith(_NOT_DONE_CODES) or _KILLED in text:
        return DriverUnavailable(f"the server refuses {what} for now: {text}", maybe_applied=False)
    if isinstance(error, exceptions.NoPermissionError):
        return IncompatibleStore(
            f"the user lacks a right that the driver needs ({text}): see the README for the rights"
        )
    if "WRONGTYPE" in text:
        return IncompatibleStore(
            f"a key of another type stands where {what} has its own ({text}): "
            "give the driver a prefix that nothing else uses"
        )
    return IncompatibleStore(f"the server refuses {what}: {text}")


def translated(error: Exception, what: str) -> DriverError:
    """Return what to raise when a command failed; `error` becomes its cause."""
    if isinstance(error, _NOT_DONE):  # some of them count as lost connections in the library
        return DriverUnavailable(f"the server refuses {what} for now: {error}", maybe_applied=False)
    if isinstance(error, exceptions.ResponseError):
        return refused(error, what)
    if isinstance(error, exceptions.AuthenticationError):
        return _unwelcome(error)
    return DriverUnavailable(
        f"no answer from the server to {what}: {_text(error)}", maybe_applied=True
    )


def unreachable(error: Exception, where: str) -> DriverError:
    """Return what to raise when there was no connection to send anything on."""
    if isinstance(error, exceptions.AuthenticationError | exceptions.NoPermissionError):
        return _unwelcome(error)
    if isinstance(error, UnsuitableServer):
        return IncompatibleStore(f"{where}: {error}")
    if (doubt := _doubt(error)) is not None:
        return IncompatibleStore(
            f"the certificate of {where} is not to be trusted ({doubt}): name the file of the "
            "authority that has signed it (ssl_ca_certs=), and the server as its certificate does"
        )
    if isinstance(error, exceptions.ResponseError):  # to what a connection begins with
        found = refused(error, f"a connection to {where}")
        if isinstance(found, IncompatibleStore):
            return found
    return DriverUnavailable(f"no connection to {where}: {_text(error)}", maybe_applied=False)


def _doubt(error: BaseException | None) -> str | None:
    """Return what is wrong with a certificate, if that was the reason of an error."""
    while error is not None:
        if isinstance(error, SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__  # the library does not name the cause
    return None


def _unwelcome(error: Exception) -> IncompatibleStore:
    return IncompatibleStore(
        f"the server does not let this user in ({_text(error)}): check user name and password"
    )


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
