"""The command `init`: a package to start a driver from."""

from __future__ import annotations

from pathlib import Path

import click

from stoker_conformance.cli._scaffold import BadName, Names, write_package

__all__ = ["init"]


@click.command()
@click.argument("name")
@click.argument(
    "folder", metavar="[DIR]", required=False, type=click.Path(file_okay=False, path_type=Path)
)
def init(name: str, folder: Path | None) -> None:
    """Write a package to start a driver from: it runs, and its first run says what is missing.

    NAME is the scheme of its URLs, such as lmdb for lmdb:// and the package stoker-lmdb. It is
    written into DIR, by default the folder stoker-NAME, which must not hold anything yet.
    """
    try:
        names = Names.of(name)
    except BadName as error:
        raise click.UsageError(str(error)) from error
    target = folder or Path(names.project)
    if target.exists() and any(target.iterdir()):
        raise click.UsageError(f"{target} is not empty: name a folder that is new or empty")
    written = write_package(names, target)
    click.echo(f"{names.project} is written:\n")
    for path in written:
        click.echo(f"  {target / path}")
    click.echo(
        f"\nNow run its cases, and write what the end of the list asks for:\n\n"
        f"  cd {target}\n"
        f'  pip install -e ".[test]"\n'
        f"  stoker-conformance run {names.package}.conformance:{names.cls}Harness\n"
    )
