"""What was done, step by step, in a form that can be read and typed in again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

from stoker.driver import JobKey, Lease, Reaped, Token

__all__ = ["Program"]

_LONGEST: Final = 400
_CLIENTS: Final = ("first", "second", "third")


@dataclass(slots=True)
class _Asked:
    client: str
    operation: str
    arguments: Mapping[str, Any]
    answers: list[object] = field(default_factory=list)
    """The one answer; none when there was an error in its place."""


class Program:
    """The steps of one program, as lines: time, client, operation and its answer."""

    def __init__(self, origin: datetime) -> None:
        self._origin = origin
        self._steps: list[_Asked] = []

    def __len__(self) -> int:
        return len(self._steps)

    def __str__(self) -> str:
        return "\n".join(
            f"    {number:2}  {self._line(asked)}" for number, asked in enumerate(self._steps, 1)
        )

    def asked(self, client: int, operation: str, arguments: Mapping[str, Any]) -> None:
        """Note what a client is about to ask."""
        self._steps.append(_Asked(_CLIENTS[client], operation, arguments))

    def answered(self, answer: object) -> None:
        """Note what it was told."""
        self._steps[-1].answers.append(answer)

    def _line(self, asked: _Asked) -> str:
        arguments = dict(asked.arguments)
        at = f"{self._text(arguments.pop('now'))}: " if "now" in arguments else ""
        given = ", ".join(f"{name}={self._text(value)}" for name, value in arguments.items())
        line = f"{at}{asked.client}.{asked.operation}({given})"
        return "\n         -> ".join([line, *(_cut(self._text(one)) for one in asked.answers)])

    def _text(self, value: object) -> str:
        match value:
            case Enum():
                return value.name or repr(value)
            case datetime():
                return self._moment(value)
            case timedelta():
                return _seconds(value)
            case JobKey():
                return f"{value.queue}/{value.id}"
            case Token():
                return f"{self._text(value.key)}#{value.epoch}"
            case Lease():
                return f"{self._text(value.token)} until {self._text(value.expires_at)}"
            case Reaped():
                return f"{self._text(value.lease)} now {self._text(value.state)}"
        return self._value(value) if is_dataclass(value) else self._collection(value)

    def _collection(self, value: object) -> str:
        match value:
            case bytes() | str():
                return repr(value)
            case Mapping():
                pairs = (f"{self._text(key)}: {self._text(item)}" for key, item in value.items())
                return f"{{{', '.join(pairs)}}}"
            case AbstractSet():
                return f"{{{', '.join(sorted(map(self._text, value)))}}}"
            case Sequence():
                return f"[{', '.join(map(self._text, value))}]"
        return repr(value)

    def _moment(self, moment: datetime) -> str:
        """Return a time as seconds since the program began."""
        since = moment - self._origin
        return f"t-{_seconds(-since)}" if since < timedelta(0) else f"t+{_seconds(since)}"

    def _value(self, value: Any) -> str:
        """Return a dataclass with the fields that are not what they are by default."""
        parts = []
        for one in fields(value):
            item = getattr(value, one.name)
            default = one.default if one.default_factory is MISSING else one.default_factory()
            if default is MISSING:
                parts.append(self._text(item))
            elif item != default:
                parts.append(f"{one.name}={self._text(item)}")
        return f"{type(value).__name__}({', '.join(parts)})"


def _seconds(length: timedelta) -> str:
    return f"{length.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
