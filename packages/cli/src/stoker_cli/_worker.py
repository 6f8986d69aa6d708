"""`stoker worker`: its options, and what they mean."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from stoker import Stoker, WorkerOptions
from stoker.driver import Scope
from stoker.errors import ConfigurationError, InvalidOption, StokerError
from stoker_cli import _logs
from stoker_cli._failures import failure
from stoker_cli._options import app_dir_option, application
from stoker_cli._running import run

__all__ = ["worker"]

_DEFAULT: Final = WorkerOptions()


@click.command(short_help="Run jobs until stopped.")
@click.argument("app", metavar="MODULE:APP")
@click.option(
    "--queues",
    "-q",
    multiple=True,
    metavar="NAME[=LIMIT]",
    help="A queue to serve, and how many of its jobs may run at a time; may be repeated. "
    "[default: every queue that the app's jobs name]",
)
@click.option(
    "--concurrency",
    "-c",
    type=int,
    default=_DEFAULT.concurrency,
    show_default=True,
    help="How many jobs run at a time.",
)
@click.option(
    "--grace",
    type=float,
    default=_DEFAULT.grace,
    show_default=True,
    metavar="SECONDS",
    help="How long running jobs may finish when the worker stops.",
)
@click.option(
    "--lease",
    type=float,
    default=_DEFAULT.lease,
    show_default=True,
    metavar="SECONDS",
    help="How long a job may show no sign of life before another worker gets it.",
)
@click.option(
    "--heartbeat",
    type=float,
    default=None,
    show_default="a third of the lease",
    metavar="SECONDS",
    help="Time between signs of life.",
)
@click.option(
    "--park",
    type=float,
    default=_DEFAULT.park,
    show_default=True,
    metavar="SECONDS",
    help="How long a job that this code cannot run waits for code that can, before it fails.",
)
@click.option(
    "--log-level",
    type=click.Choice(_logs.LEVELS, case_sensitive=False),
    default="info",
    show_default=True,
    help="Of Stoker's messages; debug logs every run.",
)
@click.option(
    "--log-format",
    type=click.Choice(_logs.FORMATS, case_sensitive=False),
    default="text",
    show_default=True,
    help="Lines for people, or one JSON object a line.",
)
@app_dir_option
def worker(
    app: str,
    queues: Sequence[str],
    concurrency: int,
    grace: float,
    lease: float,
    heartbeat: float | None,
    park: float,
    log_level: str,
    log_format: str,
    app_dir: Path,
) -> None:
    """Run the jobs of an application until stopped.

    MODULE:APP names the application: `jobs:app` is the variable `app` in jobs.py. A function
    without parameters that returns the application will do as well. An `autostart_worker` of the
    application is not started.

    SIGTERM or Ctrl-C stops gracefully: no job is begun any more, running ones may finish within
    --grace. A second signal ends at once; jobs that were running then run again, here or
    elsewhere, when their leases have expired.

    \b
    Examples:
      stoker worker jobs:app
      stoker worker jobs:app -c 50 -q emails -q reports=2
      stoker worker shop.jobs:make_app --app-dir src --log-format json

    \b
    Exit codes:
      0     stopped as it was asked to
      1     a part of the worker died, or the store could not be reached
      2     the command or the application is put together wrongly
      130, 143  a second signal ended it
    """
    try:
        options = WorkerOptions(
            concurrency=concurrency,
            queues=limits(queues, concurrency) or None,
            lease=lease,
            heartbeat=heartbeat,
            grace=grace,
            park=park,
        )
        # Before the application is imported: what it says then is to be seen, and what it sets
        # up for logging has the last word.
        _logs.configure(log_level, log_format)
        loaded = application(app, app_dir)
        _refuse_private_store(loaded)
        exit_code = run(loaded, options)
    except StokerError as error:
        raise failure(error) from error
    sys.exit(exit_code)


def limits(queues: Sequence[str], concurrency: int) -> dict[str, int]:
    """Return queues with their limits; one without a limit may take all places.

    Raises:
        InvalidOption: for a limit that is no number, and a queue that is named twice.
    """
    found: dict[str, int] = {}
    for text in queues:
        name, equals, limit = text.partition("=")
        if name in found:
            raise InvalidOption(f"--queues names {name!r} twice")
        if not equals:
            found[name] = concurrency
            continue
        try:
            found[name] = int(limit)
        except ValueError:
            raise InvalidOption(
                f"--queues {text!r}: write NAME or NAME=LIMIT, for example emails=5"
            ) from None
    return found


def _refuse_private_store(app: Stoker[Any]) -> None:
    info = app.driver.info
    if info.scope is Scope.PROCESS:
        raise ConfigurationError(
            f"the driver {info.name} keeps jobs inside of one process, so this worker would never "
            "see any: let the worker run inside of the application, with "
            "Stoker(..., autostart_worker=True)"
        )
