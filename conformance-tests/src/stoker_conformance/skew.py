"""A wrong clock for the code of one driver: its process seems to live an hour off.

`time.time`, `time.time_ns` and the class `datetime` are replaced for a while, in their own modules
and in those of the driver's modules that have imported them by name. The event loop is not touched:
it goes by a monotonic clock.
"""

from __future__ import annotations

import datetime as dt
import sys
import time as time_module
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from types import ModuleType
from typing import Any, Final

__all__ = ["skewed_clock"]

_right_time: Final = time_module.time
_right_time_ns: Final = time_module.time_ns
_NOT_OF_DRIVERS: Final = frozenset({"abc", "builtins", "collections", "enum", "typing"})


@contextmanager
def skewed_clock(subject: object, skew: timedelta) -> Iterator[None]:
    """Let the process's clock be off by `skew` for the packages that `subject`'s classes are from.

    Args:
        subject: a driver.
        skew: how far the clock is ahead; negative: behind.
    """
    wrong = _wrong_clocks(skew)
    undo: list[tuple[ModuleType, str, object]] = []
    try:
        for module in _modules_of(subject):
            for name, right in list(vars(module).items()):
                if id(right) in wrong:
                    undo.append((module, name, right))
                    setattr(module, name, wrong[id(right)])
        yield
    finally:
        for module, name, right in undo:
            setattr(module, name, right)


def _modules_of(subject: object) -> list[ModuleType]:
    packages = {cls.__module__.partition(".")[0] for cls in type(subject).__mro__}
    packages -= _NOT_OF_DRIVERS
    loaded = sorted(name for name in sys.modules if name.partition(".")[0] in packages)
    return [time_module, dt, *(sys.modules[name] for name in loaded)]


def _wrong_clocks(skew: timedelta) -> dict[int, object]:
    """Return what to put in place of the right clocks, by the identity of those."""
    nanoseconds = skew // timedelta(microseconds=1) * 1_000

    def time() -> float:
        return _right_time() + skew.total_seconds()

    def time_ns() -> int:
        return _right_time_ns() + nanoseconds

    return {
        id(_right_time): time,
        id(_right_time_ns): time_ns,
        id(datetime): _wrong_datetime(skew),
    }


def _wrong_datetime(skew: timedelta) -> type[datetime]:
    """Return a class like `datetime` that tells a wrong `now`; what it makes is of the real one."""

    class Meta(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, datetime)

    class WrongDatetime(datetime, metaclass=Meta):
        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            return datetime(*args, **kwargs)  # noqa: DTZ001 - as it was asked for

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + skew

        @classmethod
        def utcnow(cls) -> Any:
            return datetime.now(UTC).replace(tzinfo=None) + skew

    return WrongDatetime
