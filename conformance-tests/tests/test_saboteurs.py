"""Each saboteur is caught by the cases that its line in the table names."""

from contextlib import suppress

import pytest
from harnesses import MemoryHarness
from saboteurs import SABOTEURS, Saboteur, harness_of, run_against, strict_of
from saboteurs.shapes import Modest

from stoker.driver import Scope
from stoker.errors import DriverError
from stoker_conformance import Case, NotRequired, Violation, run_case
from stoker_conformance.catalog import CASES, case_by_id

_KILLS = [(cls, case_id) for cls, killers in SABOTEURS.items() for case_id in killers]

# HAR is about harnesses (below); a wait that does not end would keep these tests for its bound.
_WITHOUT_SABOTEUR = ("HAR", "WAK-02", "WAK-07")


class OneForAll(MemoryHarness):
    """A harness whose namespaces are all the same."""

    async def namespace(self) -> str:
        return "one for all"


@pytest.mark.parametrize(
    ("saboteur", "case_id"), _KILLS, ids=[f"{cls.__name__}-{case_id}" for cls, case_id in _KILLS]
)
async def test_its_killer_catches_the_saboteur(saboteur: type[Saboteur], case_id: str) -> None:
    case = case_by_id(case_id)
    with suppress(NotRequired):  # a saboteur may declare more than the strict driver
        await run_against(strict_of(saboteur), case)
    with pytest.raises((Violation, DriverError)):
        await run_against(saboteur, case)


@pytest.mark.parametrize("case_id", ["HAR-01", "HAR-02"])
async def test_a_harness_without_isolation_is_caught(case_id: str) -> None:
    with pytest.raises(Violation):
        await run_case(case_by_id(case_id), OneForAll())


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
async def test_a_driver_without_capabilities_passes(case: Case) -> None:
    try:
        await run_case(case, harness_of(Modest))
    except NotRequired:
        assert case.needs or case.scope is not Scope.PROCESS or case.id == "RT-03"


def test_every_case_is_the_killer_of_a_saboteur() -> None:
    killers = {case_id for _, case_id in _KILLS}
    idle = [case.id for case in CASES if case.id not in killers]
    assert [case_id for case_id in idle if not case_id.startswith(_WITHOUT_SABOTEUR)] == []


def test_every_saboteur_is_in_the_table() -> None:
    def below(cls: type[Saboteur]) -> set[type[Saboteur]]:
        return {cls} | {deeper for sub in cls.__subclasses__() for deeper in below(sub)}

    defective = {cls for cls in below(Saboteur) - {Saboteur} if not cls.__name__.startswith("_")}
    assert {cls for cls in SABOTEURS if issubclass(cls, Saboteur)} == defective - {Modest}
