"""Background jobs for Python: one small core, drivers in separate packages."""

from stoker import jobs
from stoker.app import JobHandle, Stoker
from stoker.clock import Clock, SystemClock
from stoker.driver import (
    Capability,
    Changed,
    ChangeStatus,
    JobRecord,
    Keep,
    OnConflict,
    Page,
    QueueStats,
    Retention,
    Until,
)
from stoker.errors import StokerError
from stoker.job import JobKey, JobState
from stoker.outcome import Cancel, Fail, Snooze
from stoker.retry import Backoff, Delays, Exponential, Fixed, Linear
from stoker.router import (
    CallOptions,
    Job,
    JobCall,
    JobOptions,
    JobRun,
    Progress,
    Router,
    Tick,
    Unique,
)
from stoker.schedule import Cron, Every
from stoker.worker import WorkerOptions

__all__ = [
    "Backoff",
    "CallOptions",
    "Cancel",
    "Capability",
    "ChangeStatus",
    "Changed",
    "Clock",
    "Cron",
    "Delays",
    "Every",
    "Exponential",
    "Fail",
    "Fixed",
    "Job",
    "JobCall",
    "JobHandle",
    "JobKey",
    "JobOptions",
    "JobRecord",
    "JobRun",
    "JobState",
    "Keep",
    "Linear",
    "OnConflict",
    "Page",
    "Progress",
    "QueueStats",
    "Retention",
    "Router",
    "Snooze",
    "Stoker",
    "StokerError",
    "SystemClock",
    "Tick",
    "Unique",
    "Until",
    "WorkerOptions",
    "jobs",
]
