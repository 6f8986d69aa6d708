"""The matrix as data: a row a saboteur, and in it the cases that are red."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from inspect import getdoc
from pathlib import Path
from typing import Final

from saboteurs import SABOTEURS

from stoker.driver import Driver
from stoker_conformance import Case
from stoker_conformance.catalog import CASES

__all__ = [
    "MATRIX",
    "Row",
    "cases",
    "complaints",
    "defect_of",
    "kills",
    "load",
    "lost",
    "name_of",
    "saboteurs",
    "text_of",
]

MATRIX: Final = Path(__file__).parents[2] / "kill-matrix.json"

_ABOUT_HARNESSES: Final = "HAR"
_MAY_BE_IDLE: Final = ("SHP", "RT-", "WAK-02", "WAK-07")
"""Cases that need not kill: they are about the form, about a clock, or a red one takes too long."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one saboteur."""

    defect: str
    """What is wrong with it, in one sentence."""
    listed: tuple[str, ...]
    """The cases that have to be red, as the table of saboteurs says."""
    red: tuple[str, ...]
    """The cases that are red whenever they are run, in the order of the catalog."""


Matrix = Mapping[str, Row]
"""By the name of the saboteur."""


def saboteurs() -> dict[str, type[Driver]]:
    """Return all saboteurs by name."""
    return {name_of(cls): cls for cls in SABOTEURS}


def name_of(cls: type[Driver]) -> str:
    """Return the name of a saboteur: its class, behind the module that it is in."""
    return f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}"


def defect_of(cls: type[Driver]) -> str:
    """Return what is wrong with a saboteur: the first line of its docstring."""
    return (getdoc(cls) or "").partition("\n")[0]


def cases() -> list[Case]:
    """Return the cases that are run: those about harnesses have other saboteurs."""
    return [case for case in CASES if not case.id.startswith(_ABOUT_HARNESSES)]


def in_order(ids: Iterable[str]) -> tuple[str, ...]:
    """Return ids of cases in the order of the catalog."""
    wanted = set(ids)
    return tuple(case.id for case in CASES if case.id in wanted)


def load() -> dict[str, Row]:
    """Return the matrix that is kept with the sources; an empty one before the first."""
    if not MATRIX.exists():
        return {}
    rows = json.loads(MATRIX.read_text("utf-8"))["saboteurs"]
    return {
        name: Row(row["defect"], tuple(row["listed"]), tuple(row["red"]))
        for name, row in rows.items()
    }


def text_of(matrix: Matrix) -> str:
    """Return the matrix as JSON, for `load`."""
    ids = [case.id for case in cases()]
    rows = {name: asdict(matrix[name]) for name in sorted(matrix)}
    return json.dumps({"cases": ids, "saboteurs": rows}, indent=1, ensure_ascii=False) + "\n"


def kills(matrix: Matrix) -> dict[str, list[str]]:
    """Return the saboteurs that each case kills."""
    killed: dict[str, list[str]] = {case.id: [] for case in cases()}
    for name in sorted(matrix):
        for case_id in matrix[name].red:
            killed.setdefault(case_id, []).append(name)
    return killed


def lost(matrix: Matrix) -> list[str]:
    """Return the kills that the table of saboteurs promises and the matrix does not have."""
    return [
        f"{name} survives {case_id}"
        for name, row in sorted(matrix.items())
        for case_id in row.listed
        if case_id not in row.red
    ]


def complaints(matrix: Matrix) -> list[str]:
    """Return what is wrong with a matrix, against the saboteurs and cases that there are now."""
    there = saboteurs()
    known = {case.id for case in CASES}
    idle = [
        case_id
        for case_id, names in kills(matrix).items()
        if not names and not case_id.startswith(_MAY_BE_IDLE)
    ]
    return [
        *(f"{name} is not in the matrix" for name in sorted(there.keys() - matrix.keys())),
        *(f"there is no saboteur {name}" for name in sorted(matrix.keys() - there.keys())),
        *(f"there is no case {one}" for one in sorted(set(kills(matrix)) - known)),
        *(f"{case_id} kills nobody" for case_id in idle),
        *(
            f"the matrix has not the defect or the killers of {name}"
            for name, cls in sorted(there.items())
            if name in matrix
            and (matrix[name].defect, matrix[name].listed) != (defect_of(cls), SABOTEURS[cls])
        ),
        *lost(matrix),
    ]
