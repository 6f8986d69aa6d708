"""What a handler's signature says: how many parameters, of which types."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Collection, Mapping
from types import SimpleNamespace
from typing import Any, Final, get_type_hints

from stoker._value import value
from stoker.errors import InvalidHandler
from stoker.router.run import JobRun

__all__ = ["Handler", "inspect_handler"]

_EXPECTED: Final = "a handler takes (), (payload), (payload, context) or (payload, context, job)"
_POSITIONAL: Final = frozenset(
    {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
)


@value
class Handler:
    """A function that runs jobs, and what its signature says."""

    function: Callable[..., Any]
    arity: int
    """0 to 3: how many of (payload, context, job) it takes."""
    is_async: bool
    payload: Any
    """The annotation of its payload; `None` when it takes none."""
    result: Any
    """Its return annotation; `Any` when it has none."""

    @property
    def wants_context(self) -> bool:
        """Whether the application's context is passed to it."""
        return self.arity >= 2


def inspect_handler(function: Callable[..., Any], name: str) -> Handler:
    """Read the signature of `function`.

    Raises:
        InvalidHandler: if it takes more than three parameters, or others than positional ones, or
            an annotation cannot be resolved.
    """
    if not callable(function):
        raise InvalidHandler(f"the handler of {name} is {function!r}: give a function")
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError as error:
        raise InvalidHandler(f"the signature of {name} cannot be read: {error}") from error
    required = [p for p in parameters if p.default is p.empty]
    odd = [p.name for p in required if p.kind not in _POSITIONAL]
    if odd:
        raise InvalidHandler(f"{name} has a parameter {odd[0]!r} that nobody passes: {_EXPECTED}")
    if len(required) > 3:
        raise InvalidHandler(f"{name} takes {len(required)} parameters: {_EXPECTED}")
    positional = [p for p in parameters if p.kind in _POSITIONAL]
    # A payload may have a default, for calls by hand; what else has one is the handler's own.
    taken = required or positional[:1]
    hints = _annotations(function, name, [*(p.name for p in taken[:1]), "return"])
    for parameter in taken[:2]:
        if parameter.annotation in (JobRun, "JobRun"):
            raise InvalidHandler(f"{name} takes its JobRun as {parameter.name!r}: {_EXPECTED}")
    return Handler(
        function=function,
        arity=len(taken),
        is_async=_is_async(function),
        payload=hints.get(taken[0].name, Any) if taken else None,
        result=hints.get("return", Any),
    )


def _is_async(function: Callable[..., Any]) -> bool:
    call = getattr(function, "__call__", None)  # noqa: B004  the method itself is wanted
    return inspect.iscoroutinefunction(inspect.unwrap(function)) or inspect.iscoroutinefunction(
        call
    )


def _annotations(
    function: Callable[..., Any], name: str, wanted: Collection[str]
) -> dict[str, Any]:
    """Return those annotations of `function` that matter; others may be for type checkers only."""
    target: Any = function
    while isinstance(target, functools.partial):
        target = target.func
    if not inspect.isroutine(target):
        target = type(target).__call__
    target = inspect.unwrap(target)
    given = getattr(target, "__annotations__", {})
    holder = SimpleNamespace(__annotations__={key: given[key] for key in wanted if key in given})
    names = getattr(target, "__globals__", {})
    try:
        try:
            return get_type_hints(holder, names, include_extras=True)
        except NameError:
            # Postponed annotations may name classes that live in the function around the handler.
            return get_type_hints(holder, names, dict(_caller_locals()), include_extras=True)
    except Exception as error:
        raise InvalidHandler(
            f"an annotation of {name} cannot be resolved ({error}): import it, or define it, "
            "before the handler"
        ) from error


def _caller_locals() -> Mapping[str, Any]:
    frame = sys._getframe()  # noqa: SLF001  the documented way to a caller's names
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("stoker."):
        frame = frame.f_back
    return frame.f_locals
