"""Transactions on connections of psycopg and SQLAlchemy: the suite's cases, on each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from libraries import LIBRARIES, LibraryHarness

from stoker_conformance.case import Case
from stoker_conformance.catalog import CASES
from stoker_conformance.runner import run_case

JOINING = {case.id: case for case in CASES if case.id.startswith("TXN") or case.id == "WAK-04"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def harness() -> AsyncIterator[LibraryHarness]:
    """One server for all of them."""
    harness = LibraryHarness()
    await harness.setup()
    yield harness
    await harness.teardown()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", JOINING.values(), ids=JOINING.keys())
@pytest.mark.parametrize("library", LIBRARIES)
async def test_a_case_of_the_suite_passes(
    harness: LibraryHarness, library: str, case: Case
) -> None:
    harness.library = LIBRARIES[library]
    await run_case(case, harness)
