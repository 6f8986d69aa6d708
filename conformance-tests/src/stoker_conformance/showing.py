"""Values as a reader of a red case wants to see them: short, plain, and only what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final

from stoker.driver import JobKey, Token

__all__ = ["contrast", "show"]

_LONGEST: Final = 600
_LONG: Final = 160
_MOST_ITEMS: Final = 5
_WHOLE: Final = 30


def show(value: object) -> str:
    """Return a text of `value` that fits a terminal."""
    text = _text(value)
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]} ({len(text):,} characters)"


def contrast(expected: object, seen: object) -> tuple[str, str]:
    """Return texts of two values that are not equal; of large ones, only what differs."""
    if max(len(repr(expected)), len(repr(seen))) > _LONG:
        if isinstance(expected, list | tuple) and isinstance(seen, list | tuple):
            return _contrast_items(expected, seen)
        if is_dataclass(expected) and type(expected) is type(seen):
            return _contrast_fields(expected, seen)
    return show(expected), show(seen)


def _contrast_fields(expected: Any, seen: Any) -> tuple[str, str]:
    names = [
        field.name
        for field in fields(expected)
        if getattr(expected, field.name) != getattr(seen, field.name)
    ]
    kind = type(expected).__name__
    return _only(kind, expected, names), _only(kind, seen, names)


def _only(kind: str, value: Any, names: Sequence[str]) -> str:
    """Return some fields of a value; the dots say that it has others, which are equal."""
    some = (f"{name}={_text(getattr(value, name))}" for name in names)
    return show(_Plain(f"{kind}({', '.join(some)}, ...)"))


def _contrast_items(expected: Sequence[Any], seen: Sequence[Any]) -> tuple[str, str]:
    if len(expected) == len(seen):
        places = [
            n for n, pair in enumerate(zip(expected, seen, strict=True)) if pair[0] != pair[1]
        ]
        return _at(expected, places), _at(seen, places)
    missing, surplus = _without(expected, seen), _without(seen, expected)
    return _counted(expected, missing), _counted(seen, surplus)


def _at(items: Sequence[Any], places: Sequence[int]) -> str:
    """Return the items at some places, counted from 1."""
    some = ", ".join(f"item {place + 1}: {_text(items[place])}" for place in places[:_MOST_ITEMS])
    return show(_Plain(f"of {_items(items)}, {some}{_more(places)}"))


def _counted(items: Sequence[Any], different: Sequence[Any]) -> str:
    """Return how many items there are, and which of them the other value lacks."""
    if not different:
        return _items(items)
    some = ", ".join(map(_text, different[:_MOST_ITEMS]))
    return show(_Plain(f"{_items(items)}, among them {some}{_more(different)}"))


def _items(items: Sequence[Any]) -> str:
    return "1 item" if len(items) == 1 else f"{len(items)} items"


def _more(items: Sequence[Any]) -> str:
    number = len(items) - _MOST_ITEMS
    return f" and {number} more" if number > 0 else ""


def _without(items: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """Return the items that `others` lacks; each item of it stands for one only."""
    left, rest = list(others), []
    for item in items:
        if item in left:
            left.remove(item)
        else:
            rest.append(item)
    return rest


class _Plain(str):
    """A text that is shown as it is."""

    __slots__ = ()


def _text(value: object) -> str:
    match value:
        case _Plain():
            return str(value)
        case Enum():
            return value.name or repr(value)
        case datetime() if value.tzinfo is UTC:
            return f"{value.replace(tzinfo=None).isoformat()}Z"
        case datetime():
            return value.isoformat() + ("" if value.tzinfo else " (naive)")
        case timedelta():
            return str(value)
        case JobKey():
            return f"{value.queue}/{value.id}"
        case Token():
            return f"{_text(value.key)} (epoch {value.epoch})"
    if is_dataclass(value) and not isinstance(value, type):
        return _record(value)
    return _collection(value)


def _record(value: Any) -> str:
    """Return a dataclass with the fields that say something: not those that are unset or empty."""
    told = ((field.name, getattr(value, field.name)) for field in fields(value))
    some = (f"{name}={_text(item)}" for name, item in told if item not in (None, (), [], {}))
    return f"{type(value).__name__}({', '.join(some)})"


def _collection(value: object) -> str:
    match value:
        case list():
            return f"[{_sequence(value)}]"
        case tuple():
            return f"({_sequence(value)}{',' if len(value) == 1 else ''})"
        case AbstractSet():
            return f"{{{', '.join(sorted(map(_text, value)))}}}" if value else "nothing"
        case Mapping():
            return f"{{{', '.join(f'{_text(k)}: {_text(v)}' for k, v in value.items())}}}"
    return repr(value)


def _sequence(items: Sequence[Any]) -> str:
    """Return the items, of very many only the first and the last ones."""
    if len(items) <= _WHOLE:
        return ", ".join(map(_text, items))
    first, last = (", ".join(map(_text, some)) for some in (items[:_MOST_ITEMS], items[-2:]))
    return f"{first}, ..., {last}: {len(items):,} items"
