"""How a run ends, and how a running job stays alive."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TypeAlias

from stoker._value import value
from stoker.driver.times import When
from stoker.job import JobState, Token

__all__ = [
    "Cancel",
    "Complete",
    "ExtendStatus",
    "Extended",
    "Extension",
    "Fail",
    "Outcome",
    "Release",
    "Retry",
    "SettleStatus",
    "Settled",
    "Settlement",
    "Snooze",
]


@value
class Complete:
    """The handler returned. A result other than `None` needs the capability `results`."""

    result: bytes | None = None


@value
class Retry:
    """The attempt failed: again at `when`, or failed for good if attempt >= max_attempts."""

    when: When
    error: bytes
    """JSON text of at most 8 KiB, opaque to the driver; it comes back byte-identical."""


@value
class Fail:
    """The job failed for good, however many attempts are left."""

    error: bytes
    """As in `Retry`."""


@value
class Release:
    """The job did not really start: its attempt is refunded and it waits until `when`.

    `parked=True` sets `parked_since` if it is unset: this worker cannot run the job (an unknown
    name, a payload that no longer validates), another may.
    """

    when: When
    parked: bool = False


@value
class Snooze:
    """The handler asked for a later time: the attempt is refunded, `snoozes` is counted up."""

    when: When


@value
class Cancel:
    """The job is cancelled while it holds its lease."""

    reason: str


Outcome: TypeAlias = Complete | Retry | Fail | Release | Snooze | Cancel
"""What is asked for a run; the answer tells the state that it led to."""


@value
class Settlement:
    """The end of one lease, with the last progress and logs of its run."""

    token: Token
    outcome: Outcome
    progress: bytes | None = None
    """`None` leaves the stored progress as it is. Needs `results`, as do logs."""
    logs: Sequence[bytes] = ()
    """Appended to the stored ones."""


class SettleStatus(Enum):
    """Whether a settlement took effect."""

    APPLIED = "applied"
    ALREADY = "already"
    """This very kind of settlement had been applied on this token: a re-send."""
    STALE = "stale"
    """The token is no longer valid, and something else ended it; no effect."""
    GONE = "gone"
    """There is no record; no effect."""


@value
class Settled:
    """The answer to one `Settlement`."""

    status: SettleStatus
    state: JobState | None = None
    """With `APPLIED` and `ALREADY`: the state that the settlement led to."""


@value
class Extension:
    """A sign of life for one lease, with what the handler reported since the last one."""

    token: Token
    progress: bytes | None = None
    logs: Sequence[bytes] = ()


class ExtendStatus(Enum):
    """Whether a lease was extended."""

    EXTENDED = "extended"
    STALE = "stale"
    """The token is no longer valid; no effect."""
    GONE = "gone"
    """There is no record; no effect."""
    BUSY = "busy"
    """Another transaction holds the record: no effect, ask again."""


@value
class Extended:
    """The answer to one `Extension`."""

    status: ExtendStatus
    cancel_reason: str | None = None
    """Not `None`: a cancel of this run was requested."""
