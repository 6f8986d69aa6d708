"""The options of a job: who may set them, how they merge, and what they mean for the store.

Options merge field by field, the later the stronger: app, router, job, call. An option that is
left out is not the same as one that is `None`: that is why they are dictionaries with optional
keys, so that merging is `{**app, **router, **job, **call}` and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sized
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias, TypedDict, TypeVar, cast

from stoker._units import Seconds, duration, moment
from stoker._value import value
from stoker.driver import IMMEDIATELY, After, At, KeepFor, OnConflict, Until, When
from stoker.driver import Unique as UniqueKey
from stoker.driver.checks import check_text, check_value
from stoker.errors import InvalidInput, InvalidOption, InvalidPayload, InvalidTime
from stoker.job import DEFAULT_PRIORITY, HIGHEST_PRIORITY, LOWEST_PRIORITY
from stoker.retry import Backoff, Exponential

__all__ = ["CallOptions", "JobOptions", "Settings", "Unique", "merge", "settings_of", "when_of"]

S = TypeVar("S", bound=Sized)

ErrorTypes: TypeAlias = type[BaseException] | tuple[type[BaseException], ...]


@value
class Unique:
    """At most one job with this key at a time; the key is scoped to the job's name and queue.

    Args:
        key: the key, or a function of the validated payload that returns it; left out, it is made
            from the whole payload.
        until: how long the key is held: `Until.FINISH` (the default), `Until.START`, or a time:
            seconds from now or a datetime, which holds even when the job has long ended.
        on_conflict: what a second schedule does: `OnConflict.KEEP` the first job (the handle that
            comes back is the first job's), `REPLACE` it, or `RESCHEDULE` it to the new time.

    Example::

        @emails.job(unique=Unique(lambda p: p.user_id, until=timedelta(hours=1)))
    """

    key: str | Callable[[Any], str] | None = None
    until: Until | Seconds | datetime = Until.FINISH
    on_conflict: OnConflict = OnConflict.KEEP

    def __post_init__(self) -> None:
        if not (self.key is None or isinstance(self.key, str) or callable(self.key)):
            raise InvalidOption(f"Unique({self.key!r}): give text, or a function of the payload")
        self._until()

    def of(self, name: str, payload: Any, data: bytes) -> UniqueKey:
        """Return what the store keeps for a job `name` with this payload."""
        if self.key is None:
            key = hashlib.sha256(data).hexdigest()
        else:
            made: object = self.key if isinstance(self.key, str) else self.key(payload)
            if not isinstance(made, str) or not made:
                raise InvalidPayload(
                    f"the unique key of {name} came out as {made!r}: it must be text, not empty"
                )
            key = made
        key = f"{name}:{key}"
        if len(key.encode()) > 255:
            key = f"{name[:190]}:{hashlib.sha256(key.encode()).hexdigest()}"
        return UniqueKey(key, self._until(), self.on_conflict)

    def rule(self, name: str) -> UniqueKey:
        """Return what is known without a payload: a key that is made from one is left empty."""
        if isinstance(self.key, str):
            return self.of(name, None, b"")
        return UniqueKey("", self._until(), self.on_conflict)

    def _until(self) -> Until | After | At:
        if isinstance(self.until, Until):
            return self.until
        if isinstance(self.until, datetime):
            return At(moment("Unique(until)", self.until))
        return After(duration("Unique(until)", self.until, positive=True))


class JobOptions(TypedDict, total=False):
    """Options that an app, a router, a job or a call may set. Calling it makes a dictionary.

    `attempts`, `timeout`, `expires`, `priority`, `queue`, the crash budget and retention are fixed
    when a job is scheduled; `backoff` and `retry_on` come from the code that runs.

    Example::

        Stoker(url, jobs=[emails], defaults=JobOptions(attempts=3, backoff=Exponential(1.0)))
    """

    attempts: int
    """How many runs in all, at least 1. Default: 1, nothing is repeated unasked."""
    backoff: Backoff
    """How long to wait between attempts. Default: `Exponential(1.0, cap=3600, jitter=0.1)`."""
    retry_on: ErrorTypes
    """Only these exceptions are retried, others fail at once. Default: every `Exception`."""
    timeout: Seconds | None
    """How long one run may take; `None`, the default, is without limit."""
    expires: Seconds | datetime | None
    """Do not start later than this: seconds after the job is due, or a datetime."""
    priority: int
    """0 to 9, 9 first. Default: 4."""
    queue: str
    """The queue that the job waits in. Default: `"default"`."""
    max_crashes: int
    """How many workers may die with the job before it fails. Default: 5."""
    keep_completed: bool | Seconds
    """Whether, or how long, the record outlives success. `True`, the default: the app's
    `retention` decides. `False`: removed at once, and `handle.result()` finds nothing."""
    keep_failed: bool | Seconds
    """The same for failed jobs."""
    keep_cancelled: bool | Seconds
    """The same for cancelled jobs."""
    unique: Unique | None
    """At most one such job at a time."""
    tags: Collection[str]
    """Words to search by."""
    metadata: Mapping[str, str]
    """Names and texts to search by."""


class CallOptions(JobOptions, total=False):
    """Options of a single call: those of the job, and when to run it."""

    delay: Seconds
    """Run it after so many seconds."""
    at: datetime
    """Run it at this time; aware datetimes only."""
    job_id: str
    """The job's id in its queue: a second schedule with the same id stores nothing."""


class _AllOptions(TypedDict):
    """The options of a job, all of them."""

    attempts: int
    backoff: Backoff
    retry_on: ErrorTypes
    timeout: Seconds | None
    expires: Seconds | datetime | None
    priority: int
    queue: str
    max_crashes: int
    keep_completed: bool | Seconds
    keep_failed: bool | Seconds
    keep_cancelled: bool | Seconds
    unique: Unique | None
    tags: Collection[str]
    metadata: Mapping[str, str]


DEFAULTS: Final[_AllOptions] = {
    "attempts": 1,
    "backoff": Exponential(1.0, cap=3600, jitter=0.1),
    "retry_on": Exception,
    "timeout": None,
    "expires": None,
    "priority": DEFAULT_PRIORITY,
    "queue": "default",
    "max_crashes": 5,
    "keep_completed": True,
    "keep_failed": True,
    "keep_cancelled": True,
    "unique": None,
    "tags": (),
    "metadata": {},
}
"""Every option is here once: the names that exist, and what holds where nobody says otherwise."""

_OF_A_CALL: Final = frozenset({"delay", "at", "job_id"})


@value
class Settings:
    """Merged options, checked, in the units of the store."""

    attempts: int
    backoff: Backoff
    retry_on: ErrorTypes
    timeout: timedelta | None
    expires: timedelta | datetime | None
    priority: int
    queue: str
    max_crashes: int
    keep: KeepFor | None
    unique: Unique | None
    tags: tuple[str, ...]
    metadata: Mapping[str, str]


def merge(*layers: JobOptions) -> JobOptions:
    """Return the options of all layers in one; later layers are stronger.

    Raises:
        InvalidOption: for a name that is no option, or only one of a call.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        for name in layer.keys() - DEFAULTS.keys():
            if name in _OF_A_CALL:
                raise InvalidOption(f"{name!r} is an option of a single call: give it to schedule")
            known = ", ".join(sorted(DEFAULTS.keys() | _OF_A_CALL))
            raise InvalidOption(f"there is no option {name!r}; there are {known}")
        merged.update(layer)
    return cast("JobOptions", merged)


def settings_of_call(options: JobOptions, settings: Settings, call: CallOptions) -> Settings:
    """Return the settings of one call of a job with these options and settings.

    Raises:
        InvalidOption: for a name that is no option, or a value out of its range.
    """
    own = {name: given for name, given in call.items() if name not in _OF_A_CALL}
    return settings_of(merge(options, cast("JobOptions", own))) if own else settings


def settings_of(options: JobOptions) -> Settings:
    """Return merged options as settings, defaults filled in.

    Raises:
        InvalidOption: for a value out of its range.
    """
    given = cast("_AllOptions", {**DEFAULTS, **options})
    timeout, expires = given["timeout"], given["expires"]
    settings = Settings(
        attempts=_whole("attempts", given["attempts"], 1, 1_000_000),
        backoff=_backoff(given["backoff"]),
        retry_on=_error_types(given["retry_on"]),
        timeout=None if timeout is None else duration("timeout", timeout, positive=True),
        expires=_expires(expires),
        priority=_whole("priority", given["priority"], LOWEST_PRIORITY, HIGHEST_PRIORITY),
        queue=given["queue"],
        max_crashes=_whole("max_crashes", given["max_crashes"], 0, 1_000_000),
        keep=_keep(given),
        unique=_unique(given["unique"]),
        tags=_tags(given["tags"]),
        metadata=_metadata(given["metadata"]),
    )
    check_queue(settings.queue)
    return settings


def when_of(options: CallOptions) -> When:
    """Return when a call is to run.

    Raises:
        InvalidTime: for both `delay` and `at`, a negative delay, or a naive datetime.
    """
    if "at" in options:
        if "delay" in options:
            raise InvalidTime("give either delay= or at=, not both")
        return At(moment("at", options["at"]))
    if "delay" not in options:
        return IMMEDIATELY
    try:
        return After(duration("delay", options["delay"]))
    except InvalidOption as error:
        raise InvalidTime(f"{error}; for a point in time use at=") from None


def expiry_of(settings: Settings, run_at: When) -> When | None:
    """Return the time after which a job with these settings must not start any more."""
    expires = settings.expires
    if expires is None:
        return None
    if isinstance(expires, datetime):
        return At(expires)
    if isinstance(run_at, At):
        return At(run_at.time + expires)
    return After(run_at.delay + expires)


def _expires(expires: Seconds | datetime | None) -> timedelta | datetime | None:
    if expires is None:
        return None
    if isinstance(expires, datetime):
        return moment("expires", expires)
    return duration("expires", expires)


def _keep(options: _AllOptions) -> KeepFor | None:
    ages = [
        _keep_age("keep_completed", options["keep_completed"]),
        _keep_age("keep_failed", options["keep_failed"]),
        _keep_age("keep_cancelled", options["keep_cancelled"]),
    ]
    return KeepFor(*ages) if any(age is not None for age in ages) else None


def _keep_age(what: str, keep: bool | Seconds) -> timedelta | None:
    if isinstance(keep, bool):
        return None if keep else timedelta(0)
    return duration(what, keep)


def _backoff(backoff: Backoff) -> Backoff:
    if not callable(backoff):
        raise InvalidOption(
            f"backoff={backoff!r} cannot be called: give Exponential(1.0), Linear(5), Fixed(10), "
            "Delays(1, 10, 60), or a function from the failed attempt to seconds"
        )
    return backoff


def _error_types(types: ErrorTypes) -> ErrorTypes:
    kinds: tuple[object, ...] = types if isinstance(types, tuple) else (types,)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise InvalidOption(f"retry_on={types!r}: give an exception class, or a tuple of some")
    return types


def _whole(what: str, number: object, least: int, most: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
        raise InvalidOption(f"{what}={number!r}: give a whole number from {least} to {most:,}")
    return number


def check_queue(queue: object) -> None:
    """Refuse what cannot be the name of a queue.

    Raises:
        InvalidOption: if it is no text, empty, too long, or has a colon, which stands between an
            app's prefix and a queue.
    """
    _text("queue", queue)
    if ":" in str(queue):
        raise InvalidOption(f"queue={queue!r}: a colon stands between prefix and queue; use '-'")


def _unique(unique: object) -> Unique | None:
    if unique is None or isinstance(unique, Unique):
        return unique
    raise InvalidOption(f"unique={unique!r}: give Unique(...), or None")


def _tags(tags: object) -> tuple[str, ...]:
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise InvalidOption(f"tags={tags!r}: give a list of texts")
    found = list(tags)
    for tag in found:
        _text("tag", tag)
    return _at_most_100("tags", tuple(dict.fromkeys(found)))


def _metadata(metadata: object) -> Mapping[str, str]:
    if not isinstance(metadata, Mapping):
        raise InvalidOption(f"metadata={metadata!r}: give a dictionary from text to text")
    for key, text in metadata.items():
        _text("metadata key", key)
        if not isinstance(text, str):
            raise InvalidOption(f"metadata {key!r} is {text!r}: give text, for example str(...)")
        try:
            check_value(f"metadata {key!r}", text)
        except InvalidInput as error:
            raise InvalidOption(str(error)) from error
    return _at_most_100("metadata", metadata)


def _text(what: str, text: object) -> None:
    if not isinstance(text, str):
        raise InvalidOption(f"{what} {text!r} is no text")
    try:
        check_text(what, text)
    except InvalidInput as error:
        raise InvalidOption(str(error)) from error


def _at_most_100(what: str, found: S) -> S:
    if len(found) > 100:
        raise InvalidOption(f"{len(found)} {what}: a job has at most 100")
    return found
