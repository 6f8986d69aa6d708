"""What several commands take: an application, and where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stoker import Stoker
from stoker.errors import ImportFailed
from stoker_cli._loading import load, user_traceback

__all__ = ["app_dir_option", "application"]

app_dir_option = click.option(
    "--app-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    show_default="the current folder",
    help="Where the application's module is.",
)


def application(reference: str, app_dir: Path) -> Stoker[Any]:
    """Load an application; if its own code is what fails, show where, in full.

    Raises:
        ConfigurationError: as `load` does.
    """
    try:
        return load(reference, app_dir)
    except ImportFailed as error:
        if error.__cause__ is not None:
            click.echo(user_traceback(error.__cause__), err=True, nl=False)
        raise
