"""Run saboteurs in parallel, each in a process of its own, and write the matrix."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from saboteurs import SABOTEURS

from matrix.page import PAGE, page_of
from matrix.rows import red_cases
from matrix.table import (
    MATRIX,
    Row,
    cases,
    complaints,
    defect_of,
    in_order,
    load,
    saboteurs,
    text_of,
)

_LONGEST: Final = 1_800
"""The most seconds for one saboteur: one that holds its process up is ended then."""


def main() -> int:
    """Run what is asked for; return 0 when the matrix is as good as it has to be."""
    arguments = _parser().parse_args()
    if arguments.row:
        _say(json.dumps(_run_row(arguments.row, arguments.case)))
        return 0
    names = arguments.only or sorted(saboteurs())
    before = after = load()

    def keep(name: str, red: Sequence[str]) -> None:
        nonlocal after
        after = _with_row(after, name, red, arguments.case)
        _write(after)  # at once: it takes long, and may be interrupted

    unfinished = asyncio.run(_run_rows(names, arguments.case, keep))
    after = {name: row for name, row in after.items() if name in saboteurs()}
    _write(after)
    _tell("no longer red", _pairs(before) - _pairs(after))
    _tell("newly red", _pairs(after) - _pairs(before))
    wrong = [*unfinished, *complaints(after)]
    _say("\n".join(wrong) if wrong else "the matrix is complete")
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m matrix", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="run these saboteurs only")
    parser.add_argument("--case", nargs="+", metavar="ID", help="run these cases only")
    parser.add_argument("--row", metavar="NAME", help=argparse.SUPPRESS)
    return parser


def _run_row(name: str, only: Sequence[str] | None) -> list[str]:
    """Run one saboteur, in this process."""
    recorded = load().get(name)
    chosen = [case for case in cases() if not only or case.id in only]
    return red_cases(saboteurs()[name], chosen, recorded.red if recorded else ())


async def _run_rows(
    names: Sequence[str],
    only: Sequence[str] | None,
    keep: Callable[[str, Sequence[str]], None],
) -> list[str]:
    """Run saboteurs, as many at once as there are processors, and keep what is red for each.

    Returns what went wrong with those that did not finish.
    """
    free = asyncio.Semaphore(os.cpu_count() or 1)
    done = 0
    unfinished: list[str] = []

    async def run(name: str) -> None:
        nonlocal done
        async with free:
            try:
                red = await _in_a_process(name, only)
                keep(name, red)
            except _Unfinished as error:
                red = ["not finished"]
                unfinished.append(f"{name} {error}")
        done += 1
        _say(f"{done} of {len(names)}  {name}: {' '.join(red)}")

    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(run(name))
    return unfinished


class _Unfinished(Exception):
    """A process that did not tell which cases are red."""


async def _in_a_process(name: str, only: Sequence[str] | None) -> list[str]:
    chosen = ["--case", *only] if only else []
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "matrix", "--row", name, *chosen),
        cwd=Path(__file__).parents[1],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, errors = await asyncio.wait_for(process.communicate(), _LONGEST)
    except TimeoutError:
        raise _Unfinished(f"took longer than {_LONGEST} seconds") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise _Unfinished(f"did not come to an end\n{errors.decode(errors='replace')}")
    red: list[str] = json.loads(out.decode().splitlines()[-1])
    return red


def _with_row(
    matrix: dict[str, Row], name: str, red: Sequence[str], only: Sequence[str] | None
) -> dict[str, Row]:
    """Return the matrix with a row, or a part of a row, that was run."""
    cls = saboteurs()[name]
    known = {case.id for case in cases()}
    kept = set(matrix[name].red) - set(only) if only and name in matrix else set()
    row = Row(defect_of(cls), SABOTEURS[cls], in_order(known & (kept | set(red))))
    return matrix | {name: row}


def _write(matrix: dict[str, Row]) -> None:
    MATRIX.write_text(text_of(matrix), "utf-8")
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page_of(matrix), "utf-8")


def _pairs(matrix: dict[str, Row]) -> set[tuple[str, str]]:
    return {(name, case_id) for name, row in matrix.items() for case_id in row.red}


def _tell(what: str, pairs: Iterable[tuple[str, str]]) -> None:
    for name, case_id in sorted(pairs):
        _say(f"{what}: {case_id} for {name}")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a program, which talks to its reader


if __name__ == "__main__":
    sys.exit(main())
