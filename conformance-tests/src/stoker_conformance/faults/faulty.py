"""A driver whose operations fail when they are told to, around any driver.

It serves applications as well: what does mine do when the store is away, or an answer is lost?
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import Enum, auto
from functools import wraps
from inspect import getmembers, iscoroutinefunction
from typing import Any, Final, TypeVar, cast

from stoker.driver import Driver, Presence, Schedules, Transactional, Wakeup
from stoker.errors import DriverUnavailable

__all__ = ["OPERATIONS", "FailPoint", "Failures", "FaultyDriver"]

D = TypeVar("D", bound=Driver)

OPERATIONS: Final = frozenset(
    name
    for protocol in (Driver, Wakeup, Schedules, Presence, Transactional)
    for name, _ in getmembers(protocol, iscoroutinefunction)
    if not name.startswith("_")
) - {"close"} | {"transaction"}
"""Everything that can fail; of `transaction` it is the commit."""


class FailPoint(Enum):
    """Where an operation fails: what has happened by then, and what the error says of it."""

    REFUSED = auto()
    """Before the request was sent: not applied, `maybe_applied=False`."""
    REQUEST_LOST = auto()
    """On its way to the store: not applied, `maybe_applied=True`."""
    REPLY_LOST = auto()
    """On its way back: applied, `maybe_applied=True`."""


class Failures:
    """Which calls fail, of all drivers that share this plan."""

    def __init__(self) -> None:
        self._plan: dict[tuple[str, int], FailPoint] = {}
        self._always: dict[str, FailPoint] = {}
        self.calls: Counter[str] = Counter()
        """How often each operation was called, failed or not."""
        self.happened: Counter[tuple[str, FailPoint]] = Counter()
        """How often each operation has failed, and where."""

    def fail(self, operation: str, point: FailPoint, *, nth: int = 1) -> None:
        """Let the `nth` call of an operation from now on fail; may be said for several.

        Raises:
            ValueError: there is no such operation, or `nth` is less than 1.
        """
        _check(operation)
        if nth < 1:
            raise ValueError(f"nth={nth}: the next call is 1")
        self._plan[operation, self.calls[operation] + nth] = point

    def fail_always(self, operation: str, point: FailPoint) -> None:
        """Let all calls of an operation fail, until `stop`.

        Raises:
            ValueError: there is no such operation.
        """
        _check(operation)
        self._always[operation] = point

    def stop(self) -> None:
        """Let no further call fail."""
        self._plan.clear()
        self._always.clear()

    def point(self, operation: str) -> FailPoint | None:
        """Count a call, and return where it is to fail; for the driver."""
        self.calls[operation] += 1
        planned = self._plan.pop((operation, self.calls[operation]), None)
        point = planned or self._always.get(operation)
        if point is not None:
            self.happened[operation, point] += 1
        return point


class FaultyDriver:
    """A driver that hands every call to another one, and fails those that the plan names.

    It has exactly the operations and capabilities of the other. Its clones share the plan. With a
    fail point after the operation, an operation that raises by itself raises that error.

        failures = Failures()
        app = App(driver=FaultyDriver.around(SqliteDriver("jobs.db"), failures))
        failures.fail("settle", FailPoint.REPLY_LOST)  # the next one
    """

    def __init__(self, driver: Driver, failures: Failures) -> None:
        self._driver = driver
        self._failures = failures

    @classmethod
    def around(cls, driver: D, failures: Failures) -> D:
        """Return a faulty driver that has, for a type checker too, the type of `driver`."""
        return cast(D, cls(driver, failures))

    def __repr__(self) -> str:
        return f"FaultyDriver({self._driver!r})"

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._driver, name)
        if name == "transaction":
            return self._faulty_block(member)
        return self._faulty_call(name, member) if name in OPERATIONS else member

    def clone(self) -> FaultyDriver:
        """Return a faulty driver around a clone of the other."""
        return type(self)(self._driver.clone(), self._failures)

    def _faulty_call(self, name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(operation)
        async def call(*args: Any, **kwargs: Any) -> Any:
            point = self._failures.point(name)
            if point is None:
                return await operation(*args, **kwargs)
            if point is FailPoint.REPLY_LOST:
                await operation(*args, **kwargs)
            raise _failure(name, point)

        return call

    def _faulty_block(
        self, transaction: Callable[..., AbstractAsyncContextManager[Any]]
    ) -> Callable[..., AbstractAsyncContextManager[Any]]:
        @wraps(transaction)
        @asynccontextmanager
        async def block(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            point: FailPoint | None = None
            async with transaction(*args, **kwargs) as connection:
                yield connection
                point = self._failures.point("transaction")
                if point in (FailPoint.REFUSED, FailPoint.REQUEST_LOST):
                    raise _failure("transaction", point)  # and so the block is rolled back
            if point is not None:
                raise _failure("transaction", point)

        return block


def _check(operation: str) -> None:
    if operation not in OPERATIONS:
        raise ValueError(f"{operation!r} is no operation of a driver")


def _failure(operation: str, point: FailPoint) -> DriverUnavailable:
    text = f"injected: {operation} failed ({point.name.lower().replace('_', ' ')})"
    return DriverUnavailable(text, maybe_applied=point is not FailPoint.REFUSED)
