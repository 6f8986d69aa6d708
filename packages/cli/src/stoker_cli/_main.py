"""The group that the commands belong to."""

from __future__ import annotations

import platform
from importlib.metadata import version

import click

from stoker_cli._migrate import migrate
from stoker_cli._status import status
from stoker_cli._worker import worker

__all__ = ["main"]


@click.group(name="stoker", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    version("stoker-cli"),
    message=f"stoker-cli %(version)s, stoker {version('stoker')}, Python "
    f"{platform.python_version()}",
)
def main() -> None:
    """Background jobs: run workers, look at queues, bring stores up to date.

    \b
    Examples:
      stoker worker jobs:app            run the jobs of `app` in jobs.py
      stoker status jobs:app            what its store holds
      stoker status sqlite:///jobs.db   the same, without the application
      stoker migrate jobs:app           brings its schema up to date
    """


main.add_command(worker)
main.add_command(status)
main.add_command(migrate)
