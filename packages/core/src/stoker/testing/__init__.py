"""Testing applications: time that is turned by hand, and assertions on what was scheduled.

With pytest, the fixtures `manual_clock` and `stoker_app` come with the installed package.
"""

from stoker.testing.assertions import assert_not_scheduled, assert_scheduled
from stoker.testing.clock import ManualClock

__all__ = ["ManualClock", "assert_not_scheduled", "assert_scheduled"]
