"""Expectations: each says what was looked at, what the contract wants, and what was seen."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import fields
from typing import Any

from stoker.driver import JobRecord
from stoker.errors import DriverError
from stoker_conformance.showing import contrast, show

__all__ = [
    "Inconclusive",
    "Violation",
    "expect",
    "expect_refusal",
    "expect_that",
    "expect_unchanged",
]


class Violation(AssertionError):
    """The driver did something that the contract does not allow."""

    def __init__(self, what: str, expected: str, seen: str) -> None:
        super().__init__(f"{what}\n  expected: {expected}\n  seen:     {seen}")
        self.what = what
        self.expected = expected
        self.seen = seen


class Inconclusive(AssertionError):
    """What was seen proves nothing: the driver may keep the contract, or not.

    A history without enough races in it, a control that was disturbed. It is never a pass.
    """


def expect(what: str, seen: object, expected: object) -> None:
    """Fail unless `seen` equals `expected`."""
    if seen != expected:
        raise Violation(what, *contrast(expected, seen))


def expect_that(what: str, holds: bool, seen: object) -> None:
    """Fail unless `holds`; `what` is the sentence that has to be true, `seen` the evidence."""
    if not holds:
        raise Violation(what, "true", show(seen))


def expect_unchanged(what: str, seen: JobRecord | None, before: JobRecord) -> None:
    """Fail unless a record is still the same in every field; only the differences are shown."""
    if seen is None:
        raise Violation(what, "the record as it was", "no record")
    changed = [
        field.name
        for field in fields(before)
        if getattr(seen, field.name) != getattr(before, field.name)
    ]
    if changed:
        raise Violation(
            f"{what}: fields {', '.join(changed)}",
            show({name: getattr(before, name) for name in changed}),
            show({name: getattr(seen, name) for name in changed}),
        )


async def expect_refusal(what: str, operation: Awaitable[Any], refusal: type[DriverError]) -> None:
    """Fail unless the operation raises `refusal`; the caller checks that nothing was changed."""
    try:
        answer = await operation
    except refusal:
        return
    except Exception as error:
        raise Violation(what, f"{refusal.__name__}", f"{type(error).__name__}: {error}") from error
    raise Violation(what, f"{refusal.__name__}", f"the answer {show(answer)}")
