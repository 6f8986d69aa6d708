"""What a driver says of itself."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Final

from stoker._value import value

__all__ = [
    "PROTOCOL_VERSION",
    "Capability",
    "ClockSource",
    "DriverInfo",
    "Durability",
    "Scope",
]

PROTOCOL_VERSION: Final = 1
"""The version of the contract that this package describes."""


class Capability(StrEnum):
    """An optional power of a driver. Declared ones are certified, others refuse loudly."""

    WAKEUP = "wakeup"
    TRANSACTIONAL = "transactional"
    SCHEDULE = "schedule"
    UNIQUE = "unique"
    PRIORITY = "priority"
    RESULTS = "results"
    PRESENCE = "presence"
    DURABLE_RESTART = "durable_restart"


class Scope(StrEnum):
    """How far apart the clients of one store may be."""

    PROCESS = "process"
    """In one process, on any of its threads and event loops."""
    HOST = "host"
    """In several processes of one machine."""
    NETWORK = "network"
    """On several machines."""


class ClockSource(StrEnum):
    """Whose clock decides when an operation is given no `now`."""

    PROCESS = "process"
    """The client's own: right for one process or host, whose clients have one clock."""
    SERVER = "server"
    """The store's."""


class Durability(StrEnum):
    """What an acknowledged write survives."""

    MEMORY = "memory"
    """Nothing: it is gone with the process."""
    BUFFERED = "buffered"
    """The death of every client; a crash of the store's machine may lose the last moments."""
    DURABLE = "durable"
    """The death of every client, and a crash of the store and its machine."""


@value
class DriverInfo:
    """What a driver is and what it promises; the same before and after `open()`."""

    name: str
    """What messages and reports call the driver: the scheme of its URLs is a good one."""
    version: str
    """Of the driver's package, not of the store."""
    capabilities: frozenset[Capability]
    scope: Scope
    clock: ClockSource
    durability: Durability
    protocol: int = PROTOCOL_VERSION
    time_precision: timedelta = timedelta(microseconds=1)
    """Times are stored rounded *up* to a multiple of this."""
    max_batch: int = 1_000
    """The most items one call may carry; at least 1,000. More is `InvalidInput`, whole."""
    max_batch_bytes: int = 16 * 1024 * 1024
    """The most bytes of payloads, results, errors, progress and logs that one call may carry; at
    least twice `max_payload`."""
    max_payload: int = 1024 * 1024
    """The largest payload, result or progress, in bytes; at least 1 MiB."""
