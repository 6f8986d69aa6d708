"""Medians, percentiles and ratios."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

__all__ = ["Result", "Results", "percentile"]


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Return the smallest of the values that at least `percent` of them do not exceed."""
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


@dataclass(frozen=True)
class Result:
    """What one run gave: figures, or why it has none."""

    participant: str
    measure: str
    repetition: int
    figures: Mapping[str, float] = field(default_factory=dict)
    failure: str | None = None
    load: float = 0.0
    """The load average of the machine when the run began."""


class Results:
    """All runs of a benchmark."""

    def __init__(self, runs: Iterable[Result] = ()) -> None:
        self.runs = list(runs)

    @property
    def failures(self) -> list[Result]:
        """The runs that failed."""
        return [run for run in self.runs if run.failure is not None]

    def failed(self, participant: str, measure: str) -> bool:
        """Whether any run of these failed: then there is no figure of it."""
        return any(
            run.participant == participant and run.measure == measure for run in self.failures
        )

    def median(self, participant: str, measure: str, figure: str) -> float | None:
        """Return the median of a figure over all repetitions; `None` without one."""
        values = self._by_repetition(participant, measure, figure).values()
        return median(values) if values else None

    def ratio(self, one: tuple[str, str], other: tuple[str, str], figure: str) -> float | None:
        """Return the median, over repetitions, of one figure divided by another of the same one.

        Args:
            one: participant and measure of the dividend.
            other: those of the divisor.
            figure: which figure of both.
        """
        above = self._by_repetition(*one, figure)
        below = self._by_repetition(*other, figure)
        ratios = [above[turn] / below[turn] for turn in above if below.get(turn)]
        return median(ratios) if ratios else None

    def _by_repetition(self, participant: str, measure: str, figure: str) -> dict[int, float]:
        if self.failed(participant, measure):
            return {}
        return {
            run.repetition: run.figures[figure]
            for run in self.runs
            if run.participant == participant and run.measure == measure and figure in run.figures
        }
