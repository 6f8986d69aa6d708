"""All cases, in the order in which they teach: what comes first is what the rest stands on."""

from __future__ import annotations

from typing import Final

from stoker_conformance.case import Case, cases_of
from stoker_conformance.families import (
    admin,
    cancelling,
    claiming,
    committing,
    contending,
    delays,
    durability,
    end_to_end,
    enqueueing,
    fencing,
    harnessing,
    histories,
    hygiene,
    inspecting,
    isolation,
    leases,
    limits,
    ordering,
    outages,
    presence,
    purging,
    real_clock,
    reaping,
    requests,
    resending,
    restarts,
    results,
    retrying,
    schedules,
    shape,
    storms,
    transactions,
    uniqueness,
    wakeups,
)

__all__ = ["CASES", "FAMILIES", "case_by_id"]

FAMILIES: Final = (
    harnessing,
    shape,
    hygiene,
    enqueueing,
    requests,
    limits,
    claiming,
    contending,
    delays,
    ordering,
    leases,
    fencing,
    reaping,
    durability,
    storms,
    resending,
    outages,
    restarts,
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
    committing,
    isolation,
    real_clock,
    end_to_end,
    histories,
)

CASES: Final[tuple[Case, ...]] = tuple(found for family in FAMILIES for found in cases_of(family))


def case_by_id(case_id: str) -> Case:
    """Return the case with this id; `KeyError` without one."""
    return {found.id: found for found in CASES}[case_id]
