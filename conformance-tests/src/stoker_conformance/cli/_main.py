"""The group that the commands belong to."""

from __future__ import annotations

import platform
from importlib.metadata import version

import click

from stoker.driver import PROTOCOL_VERSION
from stoker_conformance.cli._init import init
from stoker_conformance.cli._listing import cases, clauses, show
from stoker_conformance.cli._matrix import matrix
from stoker_conformance.cli._run import run

__all__ = ["main"]


@click.group(name="stoker-conformance", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    version("stoker-conformance"),
    message=f"stoker-conformance %(version)s, contract {PROTOCOL_VERSION}, Python "
    f"{platform.python_version()}",
)
def main() -> None:
    """Write and certify a driver of Stoker.

    \b
    Examples:
      stoker-conformance init lmdb                          a package to start from
      stoker-conformance run stoker_lmdb.conformance:LmdbHarness
      stoker-conformance show LSE-01                        one case, and its clauses
      stoker-conformance matrix certificates/*.json         which driver does what
    """


for command in (init, run, show, cases, clauses, matrix):
    main.add_command(command)
