"""The rights that the README lists are all that any operation needs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from postgres_harness import RoleOfTheReadme

from stoker_conformance import Case, run_case
from stoker_conformance.catalog import CASES

FAMILIES = (
    *("ADM", "CAN", "DLY", "ENQ", "INS", "LSE", "PRS", "RES", "RPR", "RTY", "SCH", "TXN", "UNQ"),
    "WAK",
)
"""Together they run every statement, in one way at least; races and crashes ask for no rights."""


@pytest.fixture(scope="module")
def harness() -> Iterator[RoleOfTheReadme]:
    """A server with such a role."""
    harness = RoleOfTheReadme()
    try:
        asyncio.run(harness.setup())
        yield harness
    finally:
        asyncio.run(harness.teardown())


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.id) for case in CASES if case.id[:3] in FAMILIES]
)
async def test_a_case_passes_with_the_rights_of_the_readme(
    harness: RoleOfTheReadme, case: Case
) -> None:
    await run_case(case, harness)
