"""A run of the suite on one driver: its cases, and the verdicts that follow from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from stoker.driver import PROTOCOL_VERSION, Capability
from stoker_conformance.case import Case
from stoker_conformance.catalog import CASES, case_by_id
from stoker_conformance.clauses import CLAUSES, Clause
from stoker_conformance.report.facts import DriverFacts
from stoker_conformance.report.outcomes import RED, CaseOutcome, Result, conclude

__all__ = [
    "CORE",
    "CapabilityVerdict",
    "CaseResult",
    "Cause",
    "ClauseState",
    "Report",
    "every_case",
]

CORE: Final = "core"
"""What every driver has to keep, beside the capabilities."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of one case."""

    id: str
    outcome: CaseOutcome
    seconds: float = 0.0
    remarks: tuple[str, ...] = ()
    """How it was run, where that matters: "in one process"."""
    message: str | None = None
    """What was looked at, which error came, or why the case did not run; one line."""
    expected: str | None = None
    seen: str | None = None
    detail: str | None = None
    """Notes and a traceback, where there are some; many lines."""
    reason: str | None = None
    """With a deviation: why the driver is known to fail the case."""
    link: str | None = None
    """With a deviation: where it is discussed."""

    @property
    def case(self) -> Case:
        """The case itself, with its title, clauses and advice."""
        return case_by_id(self.id)

    @property
    def is_red(self) -> bool:
        """Whether it makes the run a failure."""
        return self.outcome in RED


class ClauseState(StrEnum):
    """What a run has shown of one clause."""

    KEPT = "kept"
    BROKEN = "broken"
    UNPROVEN = "unproven"
    """A case of it did not run, was inconclusive, or deviates."""
    NOT_REQUIRED = "not_required"


@dataclass(frozen=True, slots=True)
class CapabilityVerdict:
    """How a driver does at one capability, or at the core."""

    name: str
    declared: bool
    result: Result | None
    """`None` when it is not declared."""
    passed: int
    required: int


@dataclass(frozen=True, slots=True)
class Cause:
    """Red cases that say the same: most often one thing to repair."""

    message: str
    cases: tuple[CaseResult, ...]
    """In teaching order."""


@dataclass(frozen=True, slots=True)
class Report:
    """One run of the suite on one driver."""

    harness: str
    """How the harness was named: `module:Class`, or the name of a `Suite`."""
    level: str
    driver: DriverFacts | None
    """`None` when the harness could not be set up."""
    cases: tuple[CaseResult, ...]
    """Every case of the catalog, in its order."""
    suite_version: str
    python: str
    platform: str
    started: datetime
    seconds: float
    """From the start of the run to its end."""
    rerun: str
    """The command that runs one case again, with `{case}` in the place of its id."""
    protocol: int = PROTOCOL_VERSION

    @property
    def result(self) -> Result:
        """What the run is worth."""
        return conclude(found.outcome for found in self.cases)

    @property
    def counts(self) -> Mapping[CaseOutcome, int]:
        """How many cases have each outcome; every outcome is present."""
        seen = Counter(found.outcome for found in self.cases)
        return {outcome: seen[outcome] for outcome in CaseOutcome}

    @property
    def red(self) -> tuple[CaseResult, ...]:
        """The cases that make the run a failure, in teaching order."""
        return tuple(found for found in self.cases if found.is_red)

    def with_outcome(self, *outcomes: CaseOutcome) -> tuple[CaseResult, ...]:
        """Return the cases with one of these outcomes."""
        return tuple(found for found in self.cases if found.outcome in outcomes)

    @property
    def capabilities(self) -> tuple[CapabilityVerdict, ...]:
        """The verdict on the core, and on every capability that there is."""
        declared = self.driver.capabilities if self.driver else ()
        return (
            _verdict(CORE, True, [found for found in self.cases if not found.case.needs]),
            *(
                _verdict(
                    str(power),
                    str(power) in declared,
                    [found for found in self.cases if power in found.case.needs],
                )
                for power in Capability
            ),
        )

    @property
    def clauses(self) -> Iterator[tuple[Clause, ClauseState]]:
        """Every clause of the contract, and what the run has shown of it."""
        for clause in CLAUSES:
            about = [found.outcome for found in self.cases if clause.id in found.case.clauses]
            yield clause, _state(about)

    @property
    def causes(self) -> tuple[Cause, ...]:
        """The red cases, those together that say the same; in the order to repair them."""
        together: dict[str, list[CaseResult]] = {}
        for found in self.red:
            together.setdefault(found.message or "", []).append(found)
        return tuple(Cause(message, tuple(cases)) for message, cases in together.items())


def every_case(results: Iterable[CaseResult]) -> tuple[CaseResult, ...]:
    """Return a result for each case of the catalog, in its order; what is missing did not run."""
    by_id = {found.id: found for found in results}
    return tuple(by_id.get(case.id) or CaseResult(case.id, CaseOutcome.NOT_RUN) for case in CASES)


def _verdict(name: str, declared: bool, cases: list[CaseResult]) -> CapabilityVerdict:
    outcomes = [found.outcome for found in cases]
    required = len(outcomes) - outcomes.count(CaseOutcome.NOT_REQUIRED) if declared else 0
    return CapabilityVerdict(
        name=name,
        declared=declared,
        result=conclude(outcomes) if declared else None,
        passed=outcomes.count(CaseOutcome.PASSED),
        required=required,
    )


def _state(outcomes: list[CaseOutcome]) -> ClauseState:
    seen = set(outcomes)
    if seen & RED:
        return ClauseState.BROKEN
    if seen == {CaseOutcome.NOT_REQUIRED}:
        return ClauseState.NOT_REQUIRED
    proven = seen and seen <= {CaseOutcome.PASSED, CaseOutcome.NOT_REQUIRED}
    return ClauseState.KEPT if proven else ClauseState.UNPROVEN
