"""What a store may be told of an application's jobs: for those who schedule without its code.

This is no capability. Nothing is promised to the application, which never reads it back; a driver
whose store can be asked for a job by others (by a function in SQL, say) has the operation, and the
core calls it where it is. What the others are offered is the driver's own feature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import timedelta
from typing import Protocol, runtime_checkable

from stoker._value import value
from stoker.driver.jobs import KeepFor, Unique
from stoker.driver.times import When
from stoker.job import DEFAULT_PRIORITY

__all__ = ["Definition", "Definitions"]


@value
class Definition:
    """What a job of this name has when a call says nothing else; the fields are as in `NewJob`."""

    name: str
    """The job's full name, `namespace.job`."""
    queue: str
    """As in the job's options, without the prefix."""
    priority: int = DEFAULT_PRIORITY
    max_attempts: int = 1
    max_crashes: int = 5
    payload_version: int = 1
    expires: When | None = None
    """Here `After` counts from the time at which the job is due."""
    timeout: timedelta | None = None
    keep: KeepFor | None = None
    unique: Unique | None = None
    """Its key is empty where it is made from the payload, which only the application can do: then
    the call has to give one. A job `a.b` with the key `k` has the key `a.b:k` in the store; where
    that is longer than 255 bytes, the first 190 characters of the name, a colon, and the SHA-256
    of the long key in hexadecimal digits."""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@runtime_checkable
class Definitions(Protocol):
    """The optional operation of a driver whose store can schedule by itself."""

    async def put_definitions(self, prefix: str, definitions: Sequence[Definition]) -> None:
        """Keep what the jobs of an application are; a definition of the same name is replaced.

        Workers call it when they start. Definitions that are not named stay: another program may
        have jobs of its own in the same store.

        Args:
            prefix: what the names of the application's queues begin with in the store: empty, or
                `tenant:`. It keeps the definitions of several applications apart.
            definitions: those of one program, any number; no name is there twice.
        """
        ...
