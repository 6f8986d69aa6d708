"""From a program that fails to the simplest one that still does.

Hypothesis can do that too, for values of any kind. It needs thousands of runs for what a few dozen
do here, where it is known what a program is: steps that can be left out, and requests that are
plain when their fields have their defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, fields, is_dataclass, replace
from typing import Any, Final, TypeAlias

__all__ = ["Step", "reduced"]

Step: TypeAlias = tuple[str, dict[str, Any]]
"""The name of a step, and its arguments."""

_Fails: TypeAlias = Callable[[Sequence[Step]], bool]

_MOST: Final = 500
"""How many programs are run at most."""


def reduced(steps: Sequence[Step], fails: _Fails) -> Sequence[Step]:
    """Return the simplest program found that fails.

    Args:
        steps: a program that fails.
        fails: runs a program, and says whether it fails.
    """
    left = _MOST

    def still_fails(shorter: Sequence[Step]) -> bool:
        nonlocal left
        left -= 1
        return left >= 0 and fails(shorter)

    return _fewer(_simpler(_fewer(steps, still_fails), still_fails), still_fails)


def _fewer(steps: Sequence[Step], fails: _Fails) -> Sequence[Step]:
    """Leave out half of the steps at once where it can be, then less, at last single ones."""
    length = max(len(steps) // 2, 1)
    while True:
        shorter = next(filter(fails, _without_a_piece(steps, length)), None)
        if shorter is not None:
            steps = shorter
        elif length == 1:
            return steps
        else:
            length //= 2


def _without_a_piece(steps: Sequence[Step], length: int) -> Iterator[Sequence[Step]]:
    for start in range(0, len(steps), length):
        yield [*steps[:start], *steps[start + length :]]


def _simpler(steps: Sequence[Step], fails: _Fails) -> Sequence[Step]:
    """Make the arguments of each step as plain as possible."""
    for place in range(len(steps)):
        while True:
            plainer = next(filter(fails, _with_a_plainer_step(steps, place)), None)
            if plainer is None:
                break
            steps = plainer
    return steps


def _with_a_plainer_step(steps: Sequence[Step], place: int) -> Iterator[Sequence[Step]]:
    name, arguments = steps[place]
    for argument, value in arguments.items():
        for plainer in _plainer(value):
            step = (name, arguments | {argument: plainer})
            yield [*steps[:place], step, *steps[place + 1 :]]


def _plainer(value: Any) -> Iterator[Any]:
    """Yield values that are a little plainer than this one."""
    if isinstance(value, list):
        yield from _plainer_lists(value)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _plainer_records(value)


def _plainer_lists(items: list[Any]) -> Iterator[list[Any]]:
    for place in range(len(items)):
        if len(items) > 1:
            yield [*items[:place], *items[place + 1 :]]
        for plainer in _plainer(items[place]):
            yield [*items[:place], plainer, *items[place + 1 :]]


def _plainer_records(record: Any) -> Iterator[Any]:
    for field in fields(record):
        value = getattr(record, field.name)
        if field.default is not MISSING and value != field.default:
            yield replace(record, **{field.name: field.default})
        for plainer in _plainer(value):
            yield replace(record, **{field.name: plainer})
