"""The decorators that turn functions into jobs, typed so that every later call is checked.

The overloads go from three parameters to none, and from `async def` to `def`: a type checker takes
the first that fits.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeAlias, overload

from typing_extensions import TypeVar, Unpack

from stoker.errors import InvalidHandler
from stoker.router.definition import Job
from stoker.router.handler import inspect_handler
from stoker.router.options import JobOptions
from stoker.router.run import JobRun
from stoker.schedule import Recurrence

__all__ = ["JobDecorator", "TickDecorator", "define"]

P = TypeVar("P")
R = TypeVar("R")
C_contra = TypeVar("C_contra", contravariant=True, default=object)
Co: TypeAlias = Coroutine[Any, Any, R]


class NamedOptions(JobOptions, total=False):
    """Options of a definition: those of the job, and its name."""

    name: str
    """The job's name within its router; the function's name if left out."""


def define(
    function: Callable[..., Any],
    options: NamedOptions,
    *,
    recurrence: Recurrence | None = None,
    input_type: Any = ...,
) -> Job[Any, Any, ..., Any]:
    """Make a job of a function; `input_type` stands in for the annotation of its payload.

    Raises:
        InvalidHandler: if the function cannot be a handler.
        InvalidOption: if an option is out of range.
    """
    rest = dict(options)
    name = str(rest.pop("name", "") or getattr(function, "__name__", ""))
    handler = inspect_handler(function, name)
    return Job(
        handler,
        name=name,
        options=JobOptions(**rest),  # type: ignore[typeddict-item]  # merge() refuses other names
        input_type=handler.payload if input_type is ... else input_type,
        recurrence=recurrence,
    )


def check_name(what: str, name: str) -> None:
    """Refuse a name that could not be told apart in `namespace.job`.

    Raises:
        InvalidHandler: if it is empty, or not made of letters, digits, `_` and `-`.
    """
    fits = name.replace("_", "a").replace("-", "a").isalnum() and len(name.encode()) <= 100
    if not fits:
        raise InvalidHandler(
            f"{name!r} cannot be the name of a {what}: use letters, digits, '_' and '-', at most "
            "100 bytes"
        )


class JobDecorator(Generic[C_contra]):
    """Makes jobs; bare (`@emails.job`) or with options (`@emails.job(attempts=3)`)."""

    __slots__ = ("_options", "_register")

    def __init__(self, register: Callable[[Any], Any], options: NamedOptions) -> None:
        self._register = register
        self._options = options

    @overload
    def __call__(
        self, fn: Callable[[P, C_contra, JobRun], Co[R]], /
    ) -> Job[P, R, [P, C_contra, JobRun], Co[R]]: ...
    @overload
    def __call__(
        self, fn: Callable[[P, C_contra], Co[R]], /
    ) -> Job[P, R, [P, C_contra], Co[R]]: ...
    @overload
    def __call__(self, fn: Callable[[P], Co[R]], /) -> Job[P, R, [P], Co[R]]: ...
    @overload
    def __call__(self, fn: Callable[[], Co[R]], /) -> Job[None, R, [], Co[R]]: ...
    @overload
    def __call__(
        self, fn: Callable[[P, C_contra, JobRun], R], /
    ) -> Job[P, R, [P, C_contra, JobRun], R]: ...
    @overload
    def __call__(self, fn: Callable[[P, C_contra], R], /) -> Job[P, R, [P, C_contra], R]: ...
    @overload
    def __call__(self, fn: Callable[[P], R], /) -> Job[P, R, [P], R]: ...
    @overload
    def __call__(self, fn: Callable[[], R], /) -> Job[None, R, [], R]: ...
    @overload
    def __call__(self, **options: Unpack[NamedOptions]) -> JobDecorator[C_contra]: ...
    def __call__(self, fn: Any = None, **options: Any) -> Any:
        """Make a job of `fn`, or return a decorator with these options."""
        if fn is None:
            return JobDecorator(self._register, {**self._options, **options})  # type: ignore[typeddict-item]
        if options:
            raise InvalidHandler("give the options first: @router.job(attempts=3)")
        return self._register(define(fn, self._options))


class TickDecorator(Generic[C_contra]):
    """Makes jobs that recur by themselves: their handlers get no input, or `None`."""

    __slots__ = ("_options", "_recurrence", "_register")

    def __init__(
        self, register: Callable[[Any], Any], recurrence: Recurrence, options: NamedOptions
    ) -> None:
        self._register = register
        self._recurrence = recurrence
        self._options = options

    @overload
    def __call__(
        self, fn: Callable[[None, C_contra, JobRun], Co[R]], /
    ) -> Job[None, R, [None, C_contra, JobRun], Co[R]]: ...
    @overload
    def __call__(
        self, fn: Callable[[None, C_contra], Co[R]], /
    ) -> Job[None, R, [None, C_contra], Co[R]]: ...
    @overload
    def __call__(self, fn: Callable[[None], Co[R]], /) -> Job[None, R, [None], Co[R]]: ...
    @overload
    def __call__(self, fn: Callable[[], Co[R]], /) -> Job[None, R, [], Co[R]]: ...
    @overload
    def __call__(
        self, fn: Callable[[None, C_contra, JobRun], R], /
    ) -> Job[None, R, [None, C_contra, JobRun], R]: ...
    @overload
    def __call__(
        self, fn: Callable[[None, C_contra], R], /
    ) -> Job[None, R, [None, C_contra], R]: ...
    @overload
    def __call__(self, fn: Callable[[None], R], /) -> Job[None, R, [None], R]: ...
    @overload
    def __call__(self, fn: Callable[[], R], /) -> Job[None, R, [], R]: ...
    def __call__(self, fn: Any, /) -> Any:
        """Make a recurring job of `fn`."""
        job = define(fn, self._options, recurrence=self._recurrence)
        if job.takes_payload and job.handler.payload is not Any:
            raise InvalidHandler(
                f"{job.name} recurs by itself, so there is no input to give it: annotate its "
                "first parameter with None"
            )
        return self._register(job)
