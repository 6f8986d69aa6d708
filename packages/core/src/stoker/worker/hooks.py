"""Calling hooks: in order, and never at the cost of the job."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import Any, Final

from stoker.driver import JobState
from stoker.router import Entry, Event, JobRun

__all__ = ["events_for", "tell"]

log: Final = logging.getLogger("stoker.worker")


def events_for(state: JobState, *, retried: bool) -> tuple[Event, ...]:
    """Return what the hooks are told when a run led to `state`.

    `retried`: the state came of a failed attempt, not of a snooze or a release.
    """
    match state:
        case JobState.COMPLETED:
            return (Event.SUCCESS, Event.COMPLETE)
        case JobState.FAILED:
            return (Event.FAILURE, Event.COMPLETE)
        case JobState.CANCELLED:
            return (Event.COMPLETE,)
        case _:
            return (Event.RETRY,) if retried else ()


async def tell(entry: Entry, event: Event, run: JobRun, *details: Any) -> None:
    """Call the hooks for `event`; their errors are logged and go no further."""
    for hook in entry.hooks.get(event, ()):
        try:
            answer = hook(run, *details)
            if inspect.isawaitable(answer):
                await answer
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise
            log.exception("a hook for %s of job %s (%s) failed", event.value, run.id, run.name)


def _is_cancelled() -> bool:
    """Whether somebody has cancelled this task, and not only something that a hook awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
