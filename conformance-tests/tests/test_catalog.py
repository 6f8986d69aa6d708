"""Cases and clauses belong together, and each is fit to be read by a stranger."""

import re
from collections import Counter

from stoker_conformance import CLAUSES
from stoker_conformance.catalog import CASES, FAMILIES, case_by_id

KNOWN = {clause.id: clause for clause in CLAUSES}


def test_every_clause_has_a_case_and_every_case_a_clause() -> None:
    named = {clause_id for case in CASES for clause_id in case.clauses}
    assert named == set(KNOWN)
    assert [case.id for case in CASES if not case.clauses] == []


def test_ids_are_unique_and_well_formed() -> None:
    ids = Counter(case.id for case in CASES)
    assert [case_id for case_id, number in ids.items() if number > 1] == []
    assert [case_id for case_id in ids if not re.fullmatch(r"[A-Z0-9]{2,3}-\d\d", case_id)] == []
    assert len(KNOWN) == len(CLAUSES)


def test_a_clause_of_a_capability_is_checked_only_by_cases_that_need_it() -> None:
    wrong = [
        (case.id, clause_id)
        for case in CASES
        for clause_id in case.clauses
        if (capability := KNOWN[clause_id].capability) and capability not in case.needs
    ]
    assert wrong == []


def test_every_case_has_a_title_and_says_how_to_fix() -> None:
    for case in CASES:
        assert case.title.endswith("."), case.id
        assert len(case.title) < 110, case.id
        assert case.fix.endswith("."), case.id


def test_every_family_has_one_prefix() -> None:
    for family in FAMILIES:
        cases = [case for case in CASES if case.body.__module__ == family.__name__]
        prefixes = {case.id.partition("-")[0] for case in cases}
        assert len(prefixes) == 1, family.__name__


def test_cases_are_found_by_id() -> None:
    assert case_by_id("FNC-01").clauses == ("settle.fenced",)
