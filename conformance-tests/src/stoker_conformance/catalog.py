"""All cases, in the order in which they teach: what comes first is what the rest stands on."""

from __future__ import annotations

from typing import Final

from stoker_conformance.case import Case, cases_of
from stoker_conformance.families import (
    admin,
    cancelling,
    claiming,
    delays,
    enqueueing,
    fencing,
    harnessing,
    inspecting,
    leases,
    ordering,
    presence,
    purging,
    reaping,
    requests,
    results,
    retrying,
    schedules,
    shape,
    transactions,
    uniqueness,
    wakeups,
)

__all__ = ["CASES", "FAMILIES", "case_by_id"]

FAMILIES: Final = (
    harnessing,
    shape,
    enqueueing,
    requests,
    claiming,
    delays,
    ordering,
    leases,
    fencing,
    reaping,
    retrying,
    cancelling,
    admin,
    inspecting,
    purging,
    uniqueness,
    results,
    wakeups,
    schedules,
    presence,
    transactions,
)

CASES: Final[tuple[Case, ...]] = tuple(found for family in FAMILIES for found in cases_of(family))


def case_by_id(case_id: str) -> Case:
    """Return the case with this id; `KeyError` without one."""
    return {found.id: found for found in CASES}[case_id]
