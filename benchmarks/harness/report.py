"""The results as JSON, with every single run, and as tables in Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness.bench import Plan
from benchmarks.harness.figures import Results
from benchmarks.harness.goals import Goal

__all__ = ["Column", "Report", "table"]


@dataclass(frozen=True)
class Column:
    """A column of a table: one figure of one measure."""

    title: str
    measure: str
    figure: str
    digits: int = 0


@dataclass(frozen=True)
class Report:
    """All that there is to say of one run of a benchmark."""

    title: str
    participants: Sequence[str]
    """In the order of the tables; the ratios are to the first."""
    tables: Mapping[str, Sequence[Column]]
    goals: Sequence[Goal]
    results: Results
    plan: Plan
    repetitions: int
    environment: Mapping[str, Any]
    """Machine, interpreter, versions."""
    configurations: Mapping[str, str] = field(default_factory=dict)

    def write(self, place: Path) -> None:
        """Write `place`.json and `place`.md."""
        place.parent.mkdir(parents=True, exist_ok=True)
        place.with_suffix(".json").write_text(json.dumps(self._data(), indent=1) + "\n")
        place.with_suffix(".md").write_text(self.markdown())

    def markdown(self) -> str:
        """Return the tables."""
        return "\n".join(self._lines()) + "\n"

    def _data(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "environment": self.environment,
            "plan": {**asdict(self.plan), "repetitions": self.repetitions},
            "configurations": self.configurations,
            "goals": [goal.row(self.results) for goal in self.goals],
            "runs": [asdict(run) for run in self.results.runs],
        }

    def _lines(self) -> Iterator[str]:
        plan = self.plan
        yield f"# {self.title}"
        yield ""
        yield (
            f"{plan.jobs:,} no-op jobs with a small payload ({plan.singles:,} one by one), "
            f"concurrency {plan.concurrency}, medians of {self.repetitions} turns that all took "
            "one after the other. Absolute figures are of this machine at that hour, which did "
            "other things too: **what counts is the ratio in one run**; no more is promised."
        )
        yield ""
        yield from (f"- {name}: {value}" for name, value in self.environment.items())
        yield ""
        yield from (f"- {name}: {how}" for name, how in self.configurations.items())
        for failure in self.results.failures:
            yield ""
            yield f"**{failure.participant}, {failure.measure}, failed:** {failure.failure}"
        if self.goals:
            yield from ["", "## Goals", ""]
            rows = [goal.row(self.results) for goal in self.goals]
            yield from table(["", "goal", "found", "reached"], rows)
        for title, columns in self.tables.items():
            yield from ["", f"## {title}", ""]
            yield from self._table(columns)
            yield from ["", f"Divided by that of {self.participants[0]} in the same turn:", ""]
            yield from self._ratios(columns)

    def _table(self, columns: Sequence[Column]) -> Iterator[str]:
        rows = [
            [who, *(self._cell(who, column) for column in columns)] for who in self.participants
        ]
        return table(["", *(column.title for column in columns)], rows)

    def _cell(self, who: str, column: Column) -> str:
        if self.results.failed(who, column.measure):
            return "failed"
        value = self.results.median(who, column.measure, column.figure)
        return "" if value is None else f"{value:,.{column.digits}f}"

    def _ratios(self, columns: Sequence[Column]) -> Iterator[str]:
        rows = []
        first, *others = self.participants
        for who in others:
            ratios = [
                self.results.ratio((who, column.measure), (first, column.measure), column.figure)
                for column in columns
            ]
            rows.append([who, *("" if ratio is None else f"{ratio:.2f}" for ratio in ratios)])
        return table(["", *(column.title for column in columns)], rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Return the lines of a Markdown table; all columns but the first are set to the right."""
    yield f"| {' | '.join(head)} |"
    yield "|---" + "|--:" * (len(head) - 1) + "|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
