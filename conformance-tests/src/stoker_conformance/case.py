"""A case: one small async function that a driver passes or fails, and what is known about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import getdoc
from types import ModuleType
from typing import Final, TypeAlias

from stoker.driver import Capability, Scope
from stoker_conformance.bench import Bench

__all__ = ["Body", "Case", "case", "cases_of"]

Body: TypeAlias = Callable[[Bench], Awaitable[None]]

_ATTRIBUTE: Final = "__stoker_case__"


@dataclass(frozen=True, slots=True)
class Case:
    """One check of the contract. Its id is permanent: never reused, never of another meaning."""

    id: str
    title: str
    """One sentence: what a driver that passes does."""
    clauses: tuple[str, ...]
    """The ids of the clauses that it checks."""
    needs: tuple[Capability, ...]
    """The case is required of drivers that declare all of these."""
    scope: Scope
    """The case is required of drivers of this scope or a wider one."""
    fix: str
    """What to look at when it is red."""
    bound: float
    """The most seconds that it may take; longer is a failure."""
    body: Body


def case(
    case_id: str,
    *,
    clauses: tuple[str, ...],
    fix: str,
    needs: tuple[Capability, ...] = (),
    scope: Scope = Scope.PROCESS,
    bound: float = 30.0,
) -> Callable[[Body], Body]:
    """Tag an async function as a case; the first line of its docstring is the title."""

    def tag(body: Body) -> Body:
        title = (getdoc(body) or "").partition("\n")[0]
        setattr(body, _ATTRIBUTE, Case(case_id, title, clauses, needs, scope, fix, bound, body))
        return body

    return tag


def cases_of(module: ModuleType) -> list[Case]:
    """Return the cases that a module defines, in the order of their definition."""
    return [
        getattr(body, _ATTRIBUTE) for body in vars(module).values() if hasattr(body, _ATTRIBUTE)
    ]
