"""What a driver says of itself, in plain values that fit a JSON file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from stoker.driver import DriverInfo

__all__ = ["DriverFacts", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The declared limits of a driver."""

    time_precision_us: int
    """The step of stored times, in microseconds."""
    max_batch: int
    """Items a call."""
    max_batch_bytes: int
    max_payload: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class DriverFacts:
    """A `DriverInfo`, as a report keeps it."""

    name: str
    version: str
    scope: str
    clock: str
    durability: str
    capabilities: tuple[str, ...]
    """Sorted."""
    limits: Limits

    @classmethod
    def of(cls, info: DriverInfo) -> Self:
        """Return what `info` says."""
        return cls(
            name=info.name,
            version=info.version,
            scope=str(info.scope),
            clock=str(info.clock),
            durability=str(info.durability),
            capabilities=tuple(sorted(map(str, info.capabilities))),
            limits=Limits(
                time_precision_us=info.time_precision // timedelta(microseconds=1),
                max_batch=info.max_batch,
                max_batch_bytes=info.max_batch_bytes,
                max_payload=info.max_payload,
            ),
        )
