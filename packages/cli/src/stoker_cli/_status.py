"""`stoker status`: its options, and what it prints."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console

from stoker.driver import Driver, Scope
from stoker.errors import ConfigurationError, StokerError
from stoker.registry import driver_for
from stoker_cli._failures import failure
from stoker_cli._options import app_dir_option, application
from stoker_cli._snapshot import Snapshot, take
from stoker_cli._tables import tables

__all__ = ["status"]


@click.command(short_help="Show queues, workers and schedules.")
@click.argument("target", metavar="MODULE:APP|URL")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for machines.")
@app_dir_option
def status(target: str, as_json: bool, app_dir: Path) -> None:
    """Show what a store holds: queues, workers that are alive, schedules.

    The store is that of an application, MODULE:APP, or any other named by its URL. An application
    with a prefix sees only its own queues; by its URL the whole store is seen.

    \b
    Examples:
      stoker status jobs:app
      stoker status sqlite:///jobs.db
      stoker status jobs:app --json
    """
    try:
        driver, prefix, now = _store(target, app_dir)
        snapshot = asyncio.run(_look(driver, prefix, now))
    except StokerError as error:
        raise failure(error, where=target if "://" in target else "") from error
    if as_json:
        click.echo(snapshot.model_dump_json(indent=2))
        return
    console = Console()
    for place, part in enumerate(tables(snapshot)):
        if place:
            console.print()
        console.print(part)


def _store(target: str, app_dir: Path) -> tuple[Driver, str, datetime | None]:
    """The driver to ask, the prefix of its queues, and the time to ask with."""
    if "://" in target:
        driver, prefix, now = driver_for(target), "", None
    else:
        app = application(target, app_dir)
        driver, prefix, now = app.driver, app.queue_prefix, app.clock.given()
    if driver.info.scope is Scope.PROCESS:
        raise ConfigurationError(
            f"the driver {driver.info.name} keeps jobs inside of one process, so there is nothing "
            "to see from another one"
        )
    return driver, prefix, now


async def _look(driver: Driver, prefix: str, now: datetime | None) -> Snapshot:
    await driver.open()
    try:
        return await take(driver, prefix, now)
    finally:
        await driver.close()
