"""Takes all measures of all participants, turn by turn."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from benchmarks.harness.bench import Bench
from benchmarks.harness.checks import Wrong
from benchmarks.harness.figures import Result, Results
from benchmarks.harness.measures import Measure
from benchmarks.harness.peer import Participant, PeerFailed

__all__ = ["run"]


async def run(
    bench: Bench,
    participants: Sequence[Participant],
    measures: dict[str, Measure],
    repetitions: int,
    say: Callable[[str], None],
) -> Results:
    """Measure, and return what every single run gave.

    Participants take turns within each measure, so that what else the machine does meets all of
    them; who goes first changes with each repetition. A run that fails is a result as well.
    """
    results = Results()
    for repetition in range(repetitions):
        first = repetition % len(participants)
        turns = [*participants[first:], *participants[:first]]
        for name, measure in measures.items():
            for who in turns:
                if name in who.measures:
                    result = await _one(bench, who, name, measure, repetition)
                    results.runs.append(result)
                    say(_line(result))
    return results


async def _one(
    bench: Bench, who: Participant, name: str, measure: Measure, repetition: int
) -> Result:
    load = os.getloadavg()[0]
    try:
        figures = await measure(bench, who)
    except (Wrong, PeerFailed) as error:
        return Result(who.name, name, repetition, failure=str(error), load=load)
    return Result(who.name, name, repetition, figures, load=load)


def _line(result: Result) -> str:
    found = result.failure or ", ".join(f"{k} {v:,.3g}" for k, v in result.figures.items())
    return f"{result.repetition + 1}. {result.measure}: {result.participant}: {found}"
