"""A job's definition: pure data, bound to no driver, no app and no global."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, ParamSpec, TypeAlias, TypeVar, overload

from typing_extensions import Unpack

from stoker._value import value
from stoker.codec import PayloadCodec, ResultCodec
from stoker.errors import InvalidPayload
from stoker.router.handler import Handler
from stoker.router.hooks import Event, Hooks
from stoker.router.options import CallOptions, JobOptions, merge, settings_of
from stoker.router.run import JobRun, Progress
from stoker.schedule import Recurrence

__all__ = ["Job", "JobCall"]

P = TypeVar("P")
R = TypeVar("R")
T = TypeVar("T")
Q = ParamSpec("Q")
R_co = TypeVar("R_co", covariant=True)

Told: TypeAlias = Awaitable[None] | None


class Job(Generic[P, R, Q, T]):
    """A handler with a name, an input type, options and hooks; made by a router's decorators.

    It stays callable as the function that it was made from, so that a unit test needs nothing
    else: `await send_welcome_email(Welcome(...), fake_app, job)`.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        name: str,
        options: JobOptions,
        input_type: Any,
        recurrence: Recurrence | None = None,
    ) -> None:
        self.handler = handler
        """What is called, and how."""
        self.name = name
        """The job's name within its router."""
        self.options: JobOptions = merge(options)
        """The options given for this job, not merged with anything."""
        settings_of(self.options)
        self.recurrence = recurrence
        """When the job recurs by itself; `None` for jobs that are scheduled by hand."""
        self.takes_payload: bool = input_type not in (None, type(None))
        """Whether the job has an input."""
        self.payload_codec: PayloadCodec[P] = PayloadCodec(name, input_type)
        self.result_codec: ResultCodec[R] = ResultCodec(name, handler.result)
        self.hooks: Hooks = Hooks()
        self.__doc__ = handler.function.__doc__
        self.__name__: str | None = getattr(handler.function, "__name__", name)
        self.__wrapped__: Callable[..., Any] = handler.function

    def __call__(self, *args: Q.args, **kwargs: Q.kwargs) -> T:
        """Call the handler itself, with nothing around it."""
        result: T = self.handler.function(*args, **kwargs)
        return result

    def __repr__(self) -> str:
        return f"<Job {self.name}>"

    @overload
    def call(self: Job[None, R, Q, T], /, **options: Unpack[CallOptions]) -> JobCall[R]: ...
    @overload
    def call(self, payload: P, /, **options: Unpack[CallOptions]) -> JobCall[R]: ...
    def call(self, payload: Any = None, /, **options: Unpack[CallOptions]) -> JobCall[R]:
        """Return a call of this job, to be passed to `schedule` or `schedule_many`.

        Nothing is stored and nothing is checked before it is scheduled.

        Example::

            await app.schedule_many(send.call(Welcome(user_id=i), delay=5) for i in ids)
        """
        return JobCall(self, payload, options)

    def encode(self, payload: Any) -> tuple[Any, bytes]:
        """Return the payload as it is to be used for unique keys, and as JSON text.

        Raises:
            InvalidPayload: if it does not validate.
        """
        if not self.takes_payload and payload is not None:
            raise InvalidPayload(f"{self.name} takes no input, and was given {payload!r:.80}")
        return self.payload_codec.encode(payload)

    def on_start(self, hook: Callable[[JobRun], Told], /) -> Callable[[JobRun], Told]:
        """Call `hook(job)` when a run starts, before its handler. Usable as a decorator."""
        self.hooks.add(Event.START, hook)
        return hook

    def on_progress(
        self, hook: Callable[[JobRun, Progress], Told], /
    ) -> Callable[[JobRun, Progress], Told]:
        """Call `hook(job, progress)` when a run reports progress."""
        self.hooks.add(Event.PROGRESS, hook)
        return hook

    def on_success(self, hook: Callable[[JobRun, R], Told], /) -> Callable[[JobRun, R], Told]:
        """Call `hook(job, result)` when the job is completed."""
        self.hooks.add(Event.SUCCESS, hook)
        return hook

    def on_failure(
        self, hook: Callable[[JobRun, BaseException], Told], /
    ) -> Callable[[JobRun, BaseException], Told]:
        """Call `hook(job, error)` when the job failed for good."""
        self.hooks.add(Event.FAILURE, hook)
        return hook

    def on_retry(
        self, hook: Callable[[JobRun, BaseException], Told], /
    ) -> Callable[[JobRun, BaseException], Told]:
        """Call `hook(job, error)` when an attempt failed and another one follows."""
        self.hooks.add(Event.RETRY, hook)
        return hook

    def on_complete(self, hook: Callable[[JobRun], Told], /) -> Callable[[JobRun], Told]:
        """Call `hook(job)` when the job has ended: completed, failed or cancelled."""
        self.hooks.add(Event.COMPLETE, hook)
        return hook


@value
class JobCall(Generic[R_co]):
    """A job with its payload and the options of this call: all that scheduling needs."""

    job: Job[Any, R_co, ..., Any]
    payload: Any
    options: CallOptions
