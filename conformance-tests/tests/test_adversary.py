"""No case demands more than the contract: a driver that uses all its freedom passes them all."""

from functools import partial

import pytest
from adversary import LegalAdversary
from saboteurs import harness_of

from stoker.driver import Scope
from stoker_conformance import Case, NotRequired, run_case
from stoker_conformance.catalog import CASES


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
async def test_the_legal_adversary_passes(case: Case) -> None:
    for seed in range(3):
        try:
            await run_case(case, harness_of(partial(LegalAdversary, seed=seed)))
        except NotRequired:
            beyond = case.scope is not Scope.PROCESS
            assert beyond or case.id.startswith(("TXN", "WAK-04", "RT-03"))
