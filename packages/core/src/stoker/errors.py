"""Every error that Stoker raises, in one tree.

StokerError
├── ConfigurationError            the application is put together wrongly
│   ├── InvalidOption             an option out of range, or two that exclude each other
│   ├── InvalidHandler            a function that cannot be a handler or a hook
│   ├── DuplicateName             two jobs, or two routers, with one name
│   ├── MissingContext            a handler wants the context and the app has none
│   ├── MissingCapability         the app needs something that the driver cannot do
│   ├── UnknownScheme             no installed driver for this URL
│   └── ImportFailed              `module:app` does not lead to an application
├── NotOpen                       the app is used outside `async with app:`
├── UnknownJob                    no job of that name in this app
├── InvalidPayload                the payload does not validate, or cannot be serialised
├── InvalidTime                   a naive datetime, a negative delay, or both delay and at
├── PartlyScheduled               some of a bulk was stored before an error
├── ResultError                   `handle.result()` has no value to return
│   ├── JobFailed
│   ├── JobCancelled
│   ├── JobGone
│   └── ResultTimeout
├── UnserializableResult          a handler returned what its annotation does not allow
├── LeaseLost                     another worker may run this job now
│   └── TransactionTooLong        a transaction held the only writer for too long
├── WorkerCrashed                 a service of the worker died; its cause is attached
└── DriverError                   the closed set that a driver may raise
    ├── Unsupported
    ├── DriverClosed
    ├── InvalidInput
    │   └── PayloadTooLarge
    ├── IncompatibleStore
    └── DriverUnavailable
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = [
    "ConfigurationError",
    "DriverClosed",
    "DriverError",
    "DriverUnavailable",
    "DuplicateName",
    "ImportFailed",
    "IncompatibleStore",
    "InvalidHandler",
    "InvalidInput",
    "InvalidOption",
    "InvalidPayload",
    "InvalidTime",
    "JobCancelled",
    "JobFailed",
    "JobGone",
    "LeaseLost",
    "MissingCapability",
    "MissingContext",
    "NotOpen",
    "PartlyScheduled",
    "PayloadTooLarge",
    "ResultError",
    "ResultTimeout",
    "StokerError",
    "TransactionTooLong",
    "UnknownJob",
    "UnknownScheme",
    "UnserializableResult",
    "Unsupported",
    "WorkerCrashed",
]


class StokerError(Exception):
    """Base of every error that Stoker raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickled errors are made anew by their message alone, and some want more than that.
        return _unpickled, (type(self), self.args), vars(self)


def _unpickled(kind: type[StokerError], args: tuple[Any, ...]) -> StokerError:
    """Make an error without its `__init__`; what that sets comes with the state."""
    error = kind.__new__(kind, *args)
    error.args = args
    return error


class ConfigurationError(StokerError):
    """The application is put together wrongly; nothing was stored and nothing was started."""


class InvalidOption(ConfigurationError, ValueError):
    """An option is out of range, or two options exclude each other."""


class InvalidHandler(ConfigurationError, TypeError):
    """A function cannot serve as a handler or a hook: its parameters or annotations do not fit."""


class DuplicateName(ConfigurationError):
    """Two jobs of a router, two routers of an app, or two schedules share a name."""


class MissingContext(ConfigurationError):
    """A handler asks for the application's context, and the app was given none."""


class MissingCapability(ConfigurationError):
    """The application needs a capability that its driver does not declare."""


class UnknownScheme(ConfigurationError):
    """No installed driver answers to the scheme of this URL."""


class ImportFailed(ConfigurationError):
    """A `module:app` reference does not lead to a Stoker application."""


class NotOpen(StokerError):
    """The app was used before it was opened, or after it was closed."""


class UnknownJob(StokerError, LookupError):
    """The app has no job of that name, or the job object belongs to no router of the app."""


class InvalidPayload(StokerError, ValueError):
    """The payload does not validate against the job's input type, or cannot be serialised.

    The cause (`__cause__`) is the validation error of pydantic, where there is one.
    """


class InvalidTime(StokerError, ValueError):
    """A naive datetime, a negative delay, or both `delay` and `at`."""


class PartlyScheduled(StokerError):
    """An error came in the middle of a bulk; `stored` holds the handles of what was stored.

    The cause (`__cause__`) is the driver's error. Scheduling the rest again is safe; scheduling
    everything again is safe only for calls that were given a `job_id`.
    """

    def __init__(self, message: str, stored: Sequence[Any]) -> None:
        super().__init__(message)
        self.stored = stored


class ResultError(StokerError):
    """A job has no result to return; `record` is what the store still knows of it, or `None`."""

    def __init__(self, message: str, record: Any = None) -> None:
        super().__init__(message)
        self.record = record


class JobFailed(ResultError):
    """The job ended as failed; the message carries the stored error."""


class JobCancelled(ResultError):
    """The job was cancelled; the message carries the reason."""


class JobGone(ResultError):
    """The job's record is not in the store: never there, removed, or not kept."""


class ResultTimeout(ResultError, TimeoutError):
    """The job did not end within the time given to `result(timeout=...)`."""


class UnserializableResult(StokerError):
    """A handler returned a value that its return annotation, or JSON, does not allow.

    The attempt fails at once and is not repeated: the handler's work is done, and doing it again
    would not make the value serialisable.
    """


class LeaseLost(StokerError):
    """The lease of this run ended elsewhere; whatever the handler does now must not count."""


class TransactionTooLong(LeaseLost):
    """A `job.transaction()` block held the only writer of its store for too long."""


class WorkerCrashed(StokerError):
    """A service of the worker died unexpectedly; the cause (`__cause__`) is what killed it."""


class DriverError(StokerError):
    """Base of the closed set of errors that a driver raises.

    The client library's own error, where there is one, is the `__cause__`.
    """


class Unsupported(DriverError):
    """The driver does not have this power; nothing was changed."""


class DriverClosed(DriverError):
    """The driver was used before `open()` or after `close()`."""


class InvalidInput(DriverError, ValueError):
    """The request itself is wrong, and would be wrong again; nothing was changed."""


class PayloadTooLarge(InvalidInput):
    """A payload is larger than the driver's `info.max_payload`; nothing was changed."""


class IncompatibleStore(DriverError):
    """The store cannot be used by this version of the driver: what it found, and what to do."""


class DriverUnavailable(DriverError):
    """The store could not be reached, or did not answer.

    `maybe_applied` tells whether the request may have taken effect all the same. Deadlocks, lock
    time-outs and serialisation failures are `maybe_applied=False`.
    """

    def __init__(self, message: str, *, maybe_applied: bool) -> None:
        super().__init__(message)
        self.maybe_applied = maybe_applied
