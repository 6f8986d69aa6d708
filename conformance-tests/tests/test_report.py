"""A run as data, as JSON, as a page, as a certificate."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from stoker.driver import Capability, ClockSource, DriverInfo, Durability, Scope
from stoker_conformance.catalog import CASES
from stoker_conformance.cli._run import exit_code
from stoker_conformance.report import CaseOutcome, CaseResult, DriverFacts, Report, Result
from stoker_conformance.report.certificate import NotACertificate, certificate, read_certificate
from stoker_conformance.report.encoding import as_json, encode, schema
from stoker_conformance.report.matrix import matrix
from stoker_conformance.report.model import ClauseState, every_case
from stoker_conformance.report.outcomes import conclude
from stoker_conformance.report.page import page
from stoker_conformance.report.red import red_text
from stoker_conformance.report.writing import write_report

PASSED, FAILED, ERROR, NOT_REQUIRED, DEVIATION, UNEXPECTED, UNKNOWN, NOT_RUN = CaseOutcome
FACTS = DriverFacts.of(
    DriverInfo(
        name="paper",
        version="1.2.3",
        capabilities=frozenset({Capability.UNIQUE, Capability.PRIORITY}),
        scope=Scope.HOST,
        clock=ClockSource.PROCESS,
        durability=Durability.DURABLE,
    )
)
RED = CaseResult(
    "LSE-01",
    FAILED,
    seconds=0.25,
    message="the state | after",
    expected="ready",
    seen="gone",
    detail="```\nfences of its own",
)


def outcome_of(case_id: str) -> CaseOutcome:
    needs = next(case.needs for case in CASES if case.id == case_id)
    return PASSED if set(map(str, needs)) <= set(FACTS.capabilities) else NOT_REQUIRED


def report_of(*others: CaseResult, level: str = "full", driver: Any = FACTS) -> Report:
    """A run in which all is well, but for the cases given."""
    fine = [CaseResult(case.id, outcome_of(case.id), seconds=0.01) for case in CASES]
    return Report(
        harness="paper.conformance:PaperHarness",
        level=level,
        driver=driver,
        cases=every_case([*fine, *others]),
        suite_version="0.1.0",
        python="3.11.7",
        platform="Paper",
        started=datetime(2031, 3, 14, 12, tzinfo=UTC),
        seconds=12.5,
        rerun="stoker-conformance run paper.conformance:PaperHarness -k {case}",
    )


@pytest.mark.parametrize(
    ("outcomes", "result"),
    [
        ([PASSED, NOT_REQUIRED], Result.SUCCESS),
        ([PASSED, DEVIATION], Result.PARTIAL),
        ([PASSED, UNKNOWN], Result.PARTIAL),
        ([PASSED, NOT_RUN], Result.PARTIAL),
        ([], Result.PARTIAL),
        ([PASSED, FAILED, NOT_RUN], Result.FAILURE),
        ([PASSED, ERROR], Result.FAILURE),
        ([PASSED, UNEXPECTED], Result.FAILURE),
    ],
)
def test_only_what_was_shown_is_a_success(outcomes: Sequence[CaseOutcome], result: Result) -> None:
    assert conclude(outcomes) is result


REPORTS = {
    "success": report_of(),
    "failure": report_of(RED, CaseResult("CLM-01", ERROR, message="`discard` failed")),
    "partial": report_of(
        CaseResult("CLM-01", DEVIATION, message="m", reason="slow", link="issue 7"),
        CaseResult("CLM-02", UNKNOWN, message="no race was seen"),
        CaseResult("CLM-03", NOT_RUN),
        replace(RED, outcome=PASSED, remarks=("in one process",)),
    ),
    "no driver": report_of(CaseResult("HAR-01", ERROR, message="no server"), driver=None),
}


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS.keys())
def test_a_report_is_as_its_schema_says(report: Report) -> None:
    jsonschema.validate(json.loads(as_json(encode(report))), schema("report"))


@pytest.mark.parametrize("name", ["success", "failure", "partial"])
def test_a_certificate_is_as_its_schema_says(name: str) -> None:
    jsonschema.validate(json.loads(as_json(certificate(REPORTS[name]))), schema("certificate"))


@pytest.mark.parametrize("change", [{"result": "fine"}, {"started": None}, {"more": 1}])
def test_the_schema_refuses_what_is_wrong(change: dict[str, Any]) -> None:
    content = json.loads(as_json(encode(REPORTS["success"]))) | change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, schema("report"))


@pytest.mark.parametrize(("name", "code"), [("success", 0), ("partial", 1), ("failure", 1)])
def test_the_exit_code_is_0_for_a_success_only(name: str, code: int) -> None:
    assert REPORTS[name].result == name
    assert exit_code(REPORTS[name]) == code


def test_a_case_without_a_result_did_not_run() -> None:
    cases = every_case([CaseResult("CLM-01", PASSED)])
    assert len(cases) == len(CASES)
    assert {found.id for found in cases if found.outcome is not NOT_RUN} == {"CLM-01"}


def test_capabilities_have_verdicts_of_their_own() -> None:
    verdicts = {one.name: one for one in report_of(CaseResult("UNQ-01", FAILED)).capabilities}
    assert verdicts["core"].result is Result.SUCCESS
    assert verdicts["unique"].result is Result.FAILURE
    assert verdicts["unique"].passed == verdicts["unique"].required - 1
    assert verdicts["schedule"].result is None


def test_clauses_are_kept_broken_or_not_required() -> None:
    states = {clause.id: state for clause, state in REPORTS["failure"].clauses}
    broken = {one for found in REPORTS["failure"].red for one in found.case.clauses}
    assert {one for one, state in states.items() if state is ClauseState.BROKEN} == broken
    assert states["schedule.once"] is ClauseState.NOT_REQUIRED
    assert states["unique.start"] is ClauseState.KEPT
    partial = {clause.id: state for clause, state in REPORTS["partial"].clauses}
    assert partial["claim.limit"] is ClauseState.UNPROVEN


def test_red_cases_that_say_the_same_are_one_cause() -> None:
    same = [CaseResult(name, FAILED, message="no claim") for name in ("DLY-01", "CLM-01", "FNC-01")]
    first, second = report_of(RED, *same).causes
    assert (first.message, [found.id for found in first.cases]) == (
        "no claim",
        ["CLM-01", "DLY-01", "FNC-01"],
    )
    assert second.cases == (RED,)


def test_the_page_says_what_to_do() -> None:
    text = page(REPORTS["failure"])
    assert text.startswith("# paper 1.2.3: failure\n")
    for wanted in (
        "## What to repair, in this order",
        "### LSE-01",
        "  expected: ready\n  seen:     gone",
        f"**How to fix.** {RED.case.fix}",
        "`lease.held`",
        "stoker_conformance/families/leases.py:",
        "stoker-conformance run paper.conformance:PaperHarness -k LSE-01",
        "````text\n```\nfences of its own\n````",
    ):
        assert wanted in text
    assert text.index("What to repair") < text.index("## Capabilities") < text.index("## All cases")


def test_the_page_of_a_partial_run_says_what_is_open() -> None:
    text = page(REPORTS["partial"])
    assert "| CLM-01 | deviation | slow (issue 7) |" in text
    assert "| CLM-02 | unknown | no race was seen |" in text
    assert "in one process |" in text
    assert "What failed" not in text


def test_a_red_case_is_not_the_drivers_when_the_harness_failed() -> None:
    text = red_text(CaseResult("CLM-01", ERROR, message="`discard` failed"), "again")
    assert "about the harness" in text
    assert "Repair the harness" in text
    assert "Run it again: again" in text


def test_an_operation_that_is_missing_comes_before_the_advice_of_the_case() -> None:
    missing = replace(RED, message="Unsupported: claim is not written yet")
    assert "write it first" in red_text(missing, "again")
    assert "write it first" not in red_text(RED, "again")


def test_a_certificate_has_no_time_and_no_machine() -> None:
    later = replace(
        REPORTS["success"],
        started=datetime(2032, 1, 1, tzinfo=UTC),
        seconds=99.0,
        python="3.13.0",
        platform="Stone",
        harness="other:Harness",
    )
    assert as_json(certificate(later)) == as_json(certificate(REPORTS["success"]))


def test_a_run_at_level_fast_leaves_no_certificate(tmp_path: Path) -> None:
    assert len(write_report(report_of(), tmp_path)) == 3
    assert len(write_report(report_of(level="fast"), tmp_path)) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "report.md"]


def test_certificates_become_a_matrix() -> None:
    other = replace(FACTS, name="stone", capabilities=("priority", "schedule", "unique"))
    stone = report_of(CaseResult("UNQ-01", FAILED), driver=other)
    lines = matrix([certificate(report_of()), certificate(stone)]).splitlines()
    assert lines[0] == "|  | paper | stone |"
    assert lines[2] == "| conformance | **success** (full) | failure (full) |"
    assert "| unique | yes | declared, failure |" in lines
    assert "| wakeup | no | no |" in lines


@pytest.mark.parametrize(
    ("text", "problem"),
    [("{", "not JSON"), ("[]", "level full"), ('{"kind": "x"}', "level full")],
)
def test_other_files_are_no_certificates(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(NotACertificate, match=problem):
        read_certificate(path)


def test_a_certificate_of_another_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(as_json(certificate(report_of()) | {"schema_version": 2}))
    with pytest.raises(NotACertificate, match="certify the driver again"):
        read_certificate(path)
