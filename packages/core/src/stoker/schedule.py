"""Recurring times: when the next tick is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from stoker._units import Seconds, duration
from stoker.errors import InvalidOption

__all__ = ["Cron", "Every", "Recurrence"]


class Recurrence(Protocol):
    """A rule that tells ticks; drivers never see it, they store the next tick."""

    def describe(self) -> dict[str, object]:
        """Return what identifies the rule, as JSON: a change of it restarts the schedule."""
        ...

    def first(self, now: datetime) -> datetime | None:
        """Return the first tick after `now`; `None` when there is none."""
        ...

    def following(self, tick: datetime, now: datetime) -> datetime | None:
        """Return the tick after `tick` that is later than `now`; missed ones are not made up."""
        ...


class Cron:
    """Ticks by a cron expression of five fields, or six with seconds in front.

    The fields are evaluated in the time zone `tz`. A job at 02:30 in the night that skips 02:30
    runs at 03:00; in the night that has it twice, it runs once.

    Raises:
        InvalidOption: if the expression or the time zone is not one.

    Example::

        Cron("0 9 * * 1-5", tz="Europe/Berlin")
    """

    __slots__ = ("expression", "tz")

    def __init__(self, expression: str, *, tz: str | tzinfo = "UTC") -> None:
        self.expression: str = expression
        self.tz: tzinfo = _zone(tz)
        try:
            CronSim(expression, datetime(2000, 1, 1, tzinfo=self.tz))
        except (CronSimError, AttributeError) as error:
            raise InvalidOption(
                f"{expression!r} is not a cron expression ({error}): give five fields, "
                "minute hour day month weekday, for example '0 9 * * 1-5'"
            ) from error

    def describe(self) -> dict[str, object]:
        """Return the expression and the name of its time zone."""
        return {"cron": self.expression, "tz": str(self.tz)}

    def first(self, now: datetime) -> datetime | None:
        """Return the first tick after `now`."""
        for tick in CronSim(self.expression, now.astimezone(self.tz)):
            moment: datetime = tick.astimezone(UTC)
            # In the hour that comes twice, the clock on the wall is not enough to tell.
            if moment > now:
                return moment
        return None

    def following(self, tick: datetime, now: datetime) -> datetime | None:
        """Return the first tick after both `tick` and `now`."""
        return self.first(max(tick, now))


class Every:
    """Ticks at a fixed distance, the first one an interval after the schedule is stored.

    Raises:
        InvalidOption: if the interval is not longer than zero.
    """

    __slots__ = ("interval",)

    def __init__(self, interval: Seconds) -> None:
        self.interval: timedelta = duration("every", interval, positive=True)

    def describe(self) -> dict[str, object]:
        """Return the interval in seconds."""
        return {"every": self.interval.total_seconds()}

    def first(self, now: datetime) -> datetime:
        """Return one interval after `now`."""
        return now + self.interval

    def following(self, tick: datetime, now: datetime) -> datetime:
        """Return the next multiple of the interval after `tick` that is later than `now`."""
        steps = max((now - tick) // self.interval, 0) + 1
        following: datetime = tick + self.interval * steps
        return following


def _zone(tz: str | tzinfo) -> tzinfo:
    if isinstance(tz, tzinfo):
        return tz
    try:
        return UTC if tz == "UTC" else ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InvalidOption(
            f"tz={tz!r} is not a time zone known here: give a name such as 'Europe/Berlin' "
            "(on systems without a time zone database: pip install tzdata)"
        ) from error
