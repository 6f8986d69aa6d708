"""`stoker migrate`: its options, and what it prints."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from stoker.driver import Driver, Migrates
from stoker.errors import StokerError
from stoker.registry import driver_for
from stoker_cli._failures import failure
from stoker_cli._options import app_dir_option, application

__all__ = ["migrate"]


@click.command(short_help="Bring the schema of a store up to date.")
@click.argument("target", metavar="MODULE:APP|URL")
@click.option(
    "--dry-run", is_flag=True, help="Print what would run, as a script, and change nothing."
)
@app_dir_option
def migrate(target: str, dry_run: bool, app_dir: Path) -> None:
    """Bring the schema of a store to the version that its driver needs.

    The store is that of an application, MODULE:APP, or any other named by its URL: for example with
    another role than the application's, which may change the schema. All missing steps are applied,
    or none. When several processes migrate one store at once, one of them does it.

    \b
    Examples:
      stoker migrate jobs:app
      stoker migrate jobs:app --dry-run > schema.sql
      stoker migrate postgresql://owner@db.example/app

    \b
    Exit codes:
      0   the schema is up to date now; or with --dry-run, it was told what is missing
      1   the store could not be reached
      2   the store cannot be migrated: one line says why, a missing right for example
    """
    try:
        driver = _driver(target, app_dir)
        if not isinstance(driver, Migrates):
            click.echo(f"the driver {driver.info.name} has no schema to migrate", err=dry_run)
            return
        steps = asyncio.run(driver.pending_migrations() if dry_run else driver.migrate())
    except StokerError as error:
        raise failure(error, where=target if "://" in target else "") from error
    if dry_run:
        click.echo("\n\n".join(step.script for step in steps), nl=bool(steps))
    verb = "to be applied:" if dry_run else "applied"
    for step in steps:
        click.echo(f"{verb} {step.name}", err=dry_run)
    if not steps:
        click.echo("the schema is up to date", err=dry_run)


def _driver(target: str, app_dir: Path) -> Driver:
    return driver_for(target) if "://" in target else application(target, app_dir).driver
