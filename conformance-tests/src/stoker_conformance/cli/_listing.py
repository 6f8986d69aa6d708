"""The commands `cases`, `clauses` and `show`: what the suite checks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from stoker_conformance.case import Case
from stoker_conformance.catalog import CASES
from stoker_conformance.clauses import CLAUSES, Clause
from stoker_conformance.cli._contract import contract_page
from stoker_conformance.report.red import sentence
from stoker_conformance.source import location, place

__all__ = ["cases", "clauses", "show"]

_json_option = click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")


@click.command()
@_json_option
def cases(as_json: bool) -> None:
    """List the cases, in the order in which a driver is best written."""
    if as_json:
        _print_json([_case(case) for case in CASES])
        return
    _print_table(
        ("case", "required of", "title"), [(case.id, _required(case), case.title) for case in CASES]
    )


@click.command()
@_json_option
@click.option("--markdown", is_flag=True, help="As a page, with the cases of each clause.")
def clauses(as_json: bool, markdown: bool) -> None:
    """List the clauses of the contract, and the cases that check them."""
    if as_json:
        _print_json([_clause(clause) for clause in CLAUSES])
    elif markdown:
        click.echo(contract_page(), nl=False)
    else:
        rows = [(clause.id, clause.sentence, " ".join(_cases_of(clause))) for clause in CLAUSES]
        _print_table(("clause", "sentence", "cases"), rows)


@click.command()
@click.argument("case_id", metavar="ID")
def show(case_id: str) -> None:
    """Show one case: its clauses, what to do when it is red, and where it is written."""
    case = next((case for case in CASES if case.id == case_id.upper()), None)
    if case is None:
        raise click.UsageError(
            f"there is no case {case_id}: `stoker-conformance cases` lists their ids"
        )
    path, line = place(case)
    click.echo(f"{case.id}  {case.title}\n")
    click.echo(f"Required of {_required(case)}.\n")
    click.echo("The contract says:")
    for clause_id in case.clauses:
        click.echo(f"  {sentence(clause_id)} ({clause_id})")
    click.echo(f"\nIf it is red: {case.fix}\n")
    click.echo(f"Run it: stoker-conformance run MODULE:CLASS -k {case.id}")
    click.echo(f"The case: {path}:{line}")


def _required(case: Case) -> str:
    """Return of whom a case is required, in words."""
    words = [str(need) for need in case.needs]
    if case.scope != "process":
        words.append(f"scope {case.scope}")
    return ", ".join(words) or "every driver"


def _case(case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "title": case.title,
        "clauses": case.clauses,
        "needs": case.needs,
        "scope": case.scope,
        "fix": case.fix,
        "location": location(case),
    }


def _clause(clause: Clause) -> dict[str, Any]:
    return {
        "id": clause.id,
        "sentence": clause.sentence,
        "capability": clause.capability,
        "since": clause.since,
        "cases": _cases_of(clause),
    }


def _cases_of(clause: Clause) -> list[str]:
    return [case.id for case in CASES if clause.id in case.clauses]


def _print_json(content: list[dict[str, Any]]) -> None:
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))


def _print_table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table; where it does not go to a terminal, with a tab between the cells."""
    console = Console()
    if not console.is_terminal:
        for row in rows:
            click.echo("\t".join(row))
        return
    table = Table(*header, box=None, padding=(0, 2, 0, 0), header_style="dim")
    for row in rows:
        table.add_row(*row)
    console.print(table)
