"""What a benchmark is to show: a figure, or a ratio of two, and where it has to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from benchmarks.harness.figures import Results

__all__ = ["Goal", "Least", "Median", "Ratio"]


class Found(Protocol):
    """Something that can be read off the results."""

    def of(self, results: Results) -> float | None:
        """Return it; `None` if it was not measured, or the measure failed."""
        ...


@dataclass(frozen=True)
class Median:
    """A figure of one participant."""

    participant: str
    measure: str
    figure: str

    def of(self, results: Results) -> float | None:
        """Return the median over all repetitions."""
        return results.median(self.participant, self.measure, self.figure)


@dataclass(frozen=True)
class Ratio:
    """A figure divided by another one of the same repetition."""

    one: tuple[str, str]
    """Participant and measure of the dividend."""
    other: tuple[str, str]
    """Those of the divisor."""
    figure: str = "jobs_per_second"

    def of(self, results: Results) -> float | None:
        """Return the median of the ratios."""
        return results.ratio(self.one, self.other, self.figure)


@dataclass(frozen=True)
class Least:
    """The least of several: of ratios, that to the best of the others."""

    all: tuple[Found, ...]

    def of(self, results: Results) -> float | None:
        """Return the least; `None` if any is missing, which may have been that one."""
        found = [one.of(results) for one in self.all]
        known = [value for value in found if value is not None]
        return min(known) if known and len(known) == len(found) else None


@dataclass(frozen=True)
class Goal:
    """One line of the table of goals; exactly one of the limits is given."""

    what: str
    found: Found
    at_least: float | None = None
    at_most: float | None = None

    def row(self, results: Results) -> tuple[str, str, str, str]:
        """Return what it is, the limit, what was found, and whether it is reached."""
        if self.at_most is None:
            limit = f"at least {self.at_least:g}"
        else:
            limit = f"at most {self.at_most:g}"
        value = self.found.of(results)
        if value is None:
            return self.what, limit, "not measured", ""
        reached = (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )
        return self.what, limit, f"{value:.3g}", "yes" if reached else "**no**"
