"""Routers and the jobs that they define."""

from stoker.router.catalogue import Catalogue, Entry, Routers
from stoker.router.decorators import JobDecorator, NamedOptions, TickDecorator, define
from stoker.router.definition import Job, JobCall
from stoker.router.hooks import Event, Hook, Hooks
from stoker.router.options import CallOptions, JobOptions, Settings, Unique, merge, settings_of
from stoker.router.router import Router
from stoker.router.run import JobLogger, JobRun, Progress, RunPort, Tick
from stoker.router.scheduling import Scheduled, Scheduling

__all__ = [
    "CallOptions",
    "Catalogue",
    "Entry",
    "Event",
    "Hook",
    "Hooks",
    "Job",
    "JobCall",
    "JobDecorator",
    "JobLogger",
    "JobOptions",
    "JobRun",
    "NamedOptions",
    "Progress",
    "Router",
    "Routers",
    "RunPort",
    "Scheduled",
    "Scheduling",
    "Settings",
    "Tick",
    "TickDecorator",
    "Unique",
    "define",
    "merge",
    "settings_of",
]
