"""What was asked of a store, when, and what came back: the events of a history.

Two operations of different clients are ordered only when one returned before the other was
invoked, by one monotonic clock that all processes of a host share. Who was answered first tells
nothing: an answer may be late.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Any, Final

from stoker_conformance.history.codec import decode, encode

__all__ = ["KILL", "READS", "Operation", "dump", "invocation", "line_of", "load", "resolution"]

KILL: Final = "kill"
"""The name of the event that a client's process was killed; its `invoked` is the signal."""
READS: Final = frozenset({"get", "states", "search", "queues", "stats"})
"""The operations that change nothing."""
_LIFE: Final = frozenset({"open", "close", KILL})


@dataclass(slots=True, eq=False)
class Operation:
    """One call of one client."""

    client: str
    name: str
    """The operation of the protocol, `open`, `close`, or `kill`."""
    arguments: dict[str, Any]
    invoked: int
    """Nanoseconds of the monotonic clock, read before the call."""
    returned: int | None = None
    """Read after the call; `None`: the outcome is unknown, it may have happened or not."""
    answer: Any = None
    refusal: str | None = None
    """The error that was raised in place of an answer, by one that changed nothing."""
    latest: float = field(default=inf, repr=False)
    """When it has taken effect at the latest, if it has: `returned`, or never known."""

    def __post_init__(self) -> None:
        if self.returned is not None:
            self.latest = self.returned

    @property
    def unknown(self) -> bool:
        """Whether it may have happened, or not."""
        return self.returned is None

    @property
    def answered(self) -> bool:
        """Whether an answer tells what happened."""
        return self.returned is not None and self.refusal is None

    @property
    def idle(self) -> bool:
        """Whether it certainly changed nothing."""
        if self.refusal is not None or self.name in READS or self.name in _LIFE:
            return True
        if self.name == "claim":
            return self.answered and not self.answer.leases
        if self.name == "promote":
            return self.answered and self.answer.count == 0
        return self.name in ("reap", "purge") and self.answered and not self.answer

    @property
    def now(self) -> datetime | None:
        """The time that was given; `None`: the store's own clock."""
        now: datetime | None = self.arguments.get("now")
        return now

    def before(self, other: Operation) -> bool:
        """Whether it had returned when `other` was invoked."""
        return self.latest < other.invoked

    def end(self, returned: int, *, answer: Any = None, refusal: str | None = None) -> None:
        """Note how it ended."""
        self.returned = self.latest = returned
        self.answer, self.refusal = answer, refusal


def line_of(operation: Operation) -> str:
    """Return an operation as one line of JSON."""
    return json.dumps(_begin_of(operation) | _end_of(operation))


def invocation(operation: Operation, number: int) -> str:
    """Return the line that a process writes before a call, so that its death loses nothing."""
    return json.dumps(_begin_of(operation) | {"number": number})


def resolution(operation: Operation, number: int) -> str:
    """Return the line that it writes after the call."""
    end = {"client": operation.client, "number": number, "returned": operation.returned}
    return json.dumps(end | _end_of(operation))


def dump(operations: Iterable[Operation], path: Path) -> None:
    """Write a history, one operation a line."""
    path.write_text("".join(f"{line_of(operation)}\n" for operation in operations))


def load(path: Path) -> list[Operation]:
    """Read the operations of a file, in either form; a line cut short by a kill is left out."""
    return list(_read(path.read_text().split("\n")[:-1]))


def _read(lines: Iterable[str]) -> Iterator[Operation]:
    pending: dict[tuple[str, int], Operation] = {}
    for line in lines:
        if not line or line.startswith("#"):
            continue
        data = json.loads(line)
        if "returned" in data:
            operation = pending.pop((data["client"], data["number"]))
            answer = decode(data.get("answer"))
            operation.end(data["returned"], answer=answer, refusal=data.get("error"))
            continue
        operation = _operation(data)
        if "number" in data:
            pending[operation.client, data["number"]] = operation
        yield operation


def _operation(data: dict[str, Any]) -> Operation:
    invoked, returned = data["at"]
    arguments = {name: decode(value) for name, value in data.get("args", {}).items()}
    return Operation(
        client=data["client"],
        name=data["op"],
        arguments=arguments,
        invoked=invoked,
        returned=returned,
        answer=decode(data.get("answer")),
        refusal=data.get("error"),
    )


def _begin_of(operation: Operation) -> dict[str, Any]:
    return {
        "client": operation.client,
        "op": operation.name,
        "at": [operation.invoked, operation.returned],
        "args": {name: encode(value) for name, value in operation.arguments.items()},
    }


def _end_of(operation: Operation) -> dict[str, Any]:
    if operation.refusal is not None:
        return {"error": operation.refusal}
    return {} if operation.answer is None else {"answer": encode(operation.answer)}
