"""The command `matrix`: which driver does what, from certificates."""

from __future__ import annotations

from pathlib import Path

import click

from stoker_conformance.report.certificate import NotACertificate, read_certificate
from stoker_conformance.report.matrix import matrix as table

__all__ = ["matrix"]


@click.command()
@click.argument(
    "certificates",
    metavar="CERTIFICATE...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
def matrix(certificates: tuple[Path, ...]) -> None:
    """Print certificates as a table of Markdown, a column a driver."""
    try:
        contents = [read_certificate(path) for path in certificates]
    except NotACertificate as error:
        raise click.UsageError(str(error)) from error
    click.echo(table(contents), nl=False)
