"""The seam between the core and a datastore: the driver contract, version 1.

A driver is one client of one store. It implements the four roles of `Driver` and, where it can,
the capabilities `Wakeup`, `Schedules`, `Presence` and `Transactional`; `DriverInfo` says which. Two
more may be there and promise nothing: `Migrates`, for tools, of a driver whose store has a schema,
and `Definitions`, of one whose store enqueues jobs by itself.

Everything above this seam (retry policy, backoff, batching, heartbeats, cron arithmetic,
validation, hooks, codecs) lives once, in the core. Everything below it is one datastore's way of
doing a few small, batched, atomic operations.

The docstrings of this package are the normative text. A driver imports this package, `stoker.job`,
`stoker.clock` and `stoker.errors`, and nothing else of the core. Three modules are there to help:
`stoker.driver.checks` refuses bad input, with the same words in every driver, `stoker.driver.times`
does the arithmetic of time, and `stoker.driver.latch` keeps hints until somebody waits for them.

An application names a driver by a URL. The entry-point group `stoker.drivers` leads from the scheme
to a class, whose class method `from_url(url)` returns a client that is not yet open, or raises
`InvalidInput`.
"""

from stoker.driver.answers import (
    Changed,
    ChangeStatus,
    Claimed,
    Enqueued,
    EnqueueStatus,
    Promoted,
    Reaped,
    Want,
)
from stoker.driver.capabilities import (
    Fired,
    FireStatus,
    Presence,
    Schedule,
    ScheduleBook,
    Schedules,
    Transactional,
    Wake,
    Wakeup,
    WorkerPresence,
)
from stoker.driver.definitions import Definition, Definitions
from stoker.driver.info import (
    PROTOCOL_VERSION,
    Capability,
    ClockSource,
    DriverInfo,
    Durability,
    Scope,
)
from stoker.driver.jobs import JobRecord, KeepFor, Lease, NewJob, OnConflict, Unique, Until
from stoker.driver.migrations import Migrates, Migration
from stoker.driver.protocol import (
    Admin,
    Consumer,
    Driver,
    Inspector,
    Producer,
    missing_operations,
)
from stoker.driver.queries import JobQuery, Keep, Page, QueueStats, Retention
from stoker.driver.settlements import (
    Cancel,
    Complete,
    Extended,
    ExtendStatus,
    Extension,
    Fail,
    Outcome,
    Release,
    Retry,
    Settled,
    Settlement,
    SettleStatus,
    Snooze,
)
from stoker.driver.times import IMMEDIATELY, After, At, When, from_micros, resolve, to_micros
from stoker.job import JobKey, JobState, Token

__all__ = [
    "IMMEDIATELY",
    "PROTOCOL_VERSION",
    "Admin",
    "After",
    "At",
    "Cancel",
    "Capability",
    "ChangeStatus",
    "Changed",
    "Claimed",
    "ClockSource",
    "Complete",
    "Consumer",
    "Definition",
    "Definitions",
    "Driver",
    "DriverInfo",
    "Durability",
    "EnqueueStatus",
    "Enqueued",
    "ExtendStatus",
    "Extended",
    "Extension",
    "Fail",
    "FireStatus",
    "Fired",
    "Inspector",
    "JobKey",
    "JobQuery",
    "JobRecord",
    "JobState",
    "Keep",
    "KeepFor",
    "Lease",
    "Migrates",
    "Migration",
    "NewJob",
    "OnConflict",
    "Outcome",
    "Page",
    "Presence",
    "Producer",
    "Promoted",
    "QueueStats",
    "Reaped",
    "Release",
    "Retention",
    "Retry",
    "Schedule",
    "ScheduleBook",
    "Schedules",
    "Scope",
    "SettleStatus",
    "Settled",
    "Settlement",
    "Snooze",
    "Token",
    "Transactional",
    "Unique",
    "Until",
    "Wake",
    "Wakeup",
    "Want",
    "When",
    "WorkerPresence",
    "from_micros",
    "missing_operations",
    "resolve",
    "to_micros",
]
