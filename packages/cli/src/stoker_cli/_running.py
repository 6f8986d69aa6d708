"""A worker's process, from its first line to its exit code."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from collections.abc import Callable
from typing import Any

from stoker import Stoker, WorkerOptions
from stoker.errors import StokerError, WorkerCrashed
from stoker_cli._failures import FAILED
from stoker_cli._signals import stopped_by_signals
from stoker_cli._watchdog import end_within

__all__ = ["run"]

log = logging.getLogger("stoker.worker")


def run(app: Stoker[Any], options: WorkerOptions) -> int:
    """Run jobs until a signal comes, and return the exit code.

    Raises:
        StokerError: if the worker could not start.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(app, options))


async def _run(app: Stoker[Any], options: WorkerOptions) -> int:
    stop = asyncio.Event()
    exit_code = FAILED
    with stopped_by_signals(asyncio.get_running_loop(), stop):
        try:
            await app.run_worker(options, stop=stop)
            exit_code = 0
        except WorkerCrashed as crash:
            # Its traceback is in the log already, from the moment when it happened.
            log.critical("the worker has ended: %s", crash)
        except StokerError:
            raise
        except Exception:
            log.critical("the worker has ended because of an error", exc_info=True)
        end_within(exit_code)
    return exit_code


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop  # noqa: PLC0415 - an extra of this package

    return uvloop.new_event_loop
