"""The first look at a harness, before any case: what is wrong here is wrong for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stoker.driver import DriverInfo
from stoker_conformance.catalog import CASES
from stoker_conformance.harness import Harness

__all__ = ["HarnessFailed", "introduce", "make"]


class HarnessFailed(Exception):
    """A harness cannot be used; the message says which part of it, and what to do."""


def make(factory: Callable[[], Harness[Any]]) -> Harness[Any]:
    """Return a new harness.

    Raises:
        HarnessFailed: it cannot be made, or declares deviations of cases that do not exist.
    """
    try:
        harness = factory()
    except TypeError as error:  # a method that every harness has to have is missing
        raise HarnessFailed(f"the harness cannot be made: {error}") from error
    unknown = set(harness.deviations) - {case.id for case in CASES}
    if unknown:
        raise HarnessFailed(
            f"`deviations` names cases that do not exist: {', '.join(sorted(unknown))}"
        )
    return harness


async def introduce(harness: Harness[Any]) -> DriverInfo:
    """Set a harness up, make one client that is thrown away, and return what it says of itself.

    Raises:
        HarnessFailed: a part of the harness does not work.
    """
    await _part("setup", harness.setup())
    namespace = await _part("namespace", harness.namespace())
    client = await _part("connect", harness.connect(namespace))
    info = getattr(client, "info", None)
    if not isinstance(info, DriverInfo):
        raise HarnessFailed(
            f"`connect` has to return a driver, which has a DriverInfo as `info`: {client!r} "
            f"has {info!r}"
        )
    await _part("discard", harness.discard(namespace))
    return info


async def _part(name: str, operation: Any) -> Any:
    try:
        return await operation
    except Exception as error:
        raise HarnessFailed(
            f"`{name}` of the harness failed: {type(error).__name__}: {error}"
        ) from error
