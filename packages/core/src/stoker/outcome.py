"""What a handler may raise to decide how its run ends."""

from __future__ import annotations

from datetime import timedelta

from stoker._units import Seconds, duration

__all__ = ["Cancel", "Fail", "Snooze", "Verdict"]


class Verdict(Exception):
    """Base of the exceptions by which a handler decides how its run ends."""


class Fail(Verdict):
    """Give up now: the job fails, however many attempts are left.

    The stored error is the cause, where there is one::

        except CardDeclined as declined:
            raise Fail("the bank said no") from declined
    """


class Snooze(Verdict):
    """Try again later, without using up an attempt.

    Example::

        if not report.ready:
            raise Snooze(60)
    """

    def __init__(self, delay: Seconds) -> None:
        super().__init__(f"snoozed for {delay}")
        self.delay: timedelta = duration("Snooze", delay)


class Cancel(Verdict):
    """End the job as cancelled, with a reason: there is nothing left to do."""

    def __init__(self, reason: str = "cancelled by its handler") -> None:
        super().__init__(reason)
        self.reason: str = str(reason)
