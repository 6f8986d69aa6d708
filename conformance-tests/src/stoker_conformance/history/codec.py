"""The values of the contract as JSON, so that a history can be kept in a file and read by eye.

What JSON knows is itself; everything else is an object with one member, whose name is the type:
`{"seconds": 60}`, `{"time": "2031-03-14T12:00:00+00:00"}`, `{"JobState": "ready"}`,
`{"Token": ["letters", "job-1", 7]}`, `{"Want": {"queue": "letters", "limit": 1}}`. Fields that have
their default, are `None` or empty, are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from types import ModuleType
from typing import Any, Final

from stoker import driver

__all__ = ["decode", "encode"]

_EMPTY: Final[dict[str, Any]] = {
    "tags": (),
    "errors": (),
    "logs": (),
    "metadata": {},
    "headers": {},
    "leases": [],
    "records": [],
    "at_least": frozenset(),
}
"""What a required field is when it was left out; others are `None`."""


def encode(value: Any) -> Any:
    """Return `value` as something that `json` writes.

    Raises:
        TypeError: it is no value of the contract.
    """
    if value is None or type(value) in _PLAIN:
        return value
    if isinstance(value, list):
        return [encode(item) for item in value]
    known = _ENCODERS.get(type(value))
    if known is None:
        raise TypeError(f"{value!r} is no value of the contract")
    return known(value)


def decode(data: Any) -> Any:
    """Return the value that `encode` was given."""
    if isinstance(data, list):
        return [decode(item) for item in data]
    if not isinstance(data, dict):
        return data
    [(name, content)] = data.items()
    return _DECODERS[name](content)


_PLAIN: Final = frozenset({bool, int, float, str})


def _encode_pairs(pairs: dict[Any, Any]) -> Any:
    return {"map": [[encode(key), encode(item)] for key, item in pairs.items()]}


def _encode_enum(value: Enum) -> Any:
    return {type(value).__name__: value.value}


def _record_codec(cls: type[Any]) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return the two directions for a dataclass."""
    name = cls.__name__
    defaults = {one.name: _default(one) for one in fields(cls)}
    blanks = {one.name: defaults[one.name] for one in fields(cls) if not _has_default(one)}

    def to_json(value: Any) -> Any:
        items = ((field, getattr(value, field)) for field in defaults)
        return {name: {field: encode(item) for field, item in items if item != defaults[field]}}

    def from_json(content: dict[str, Any]) -> Any:
        return cls(**(blanks | {field: decode(item) for field, item in content.items()}))

    return to_json, from_json


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _default(field: Field[Any]) -> Any:
    """Return the value of a field that is not worth writing down."""
    if field.default is not MISSING:
        return field.default
    if field.default_factory is not MISSING:
        return field.default_factory()
    return _EMPTY.get(field.name)


_ENCODERS: Final[dict[type, Callable[[Any], Any]]] = {
    bytes: lambda value: {"bytes": value.decode()},
    datetime: lambda value: {"time": value.isoformat()},
    timedelta: lambda value: {"seconds": value.total_seconds()},
    tuple: lambda value: {"tuple": [encode(item) for item in value]},
    frozenset: lambda value: {"set": sorted(map(encode, value), key=str)},
    dict: _encode_pairs,
    driver.JobKey: lambda value: {"JobKey": list(value)},
    driver.Token: lambda value: {"Token": [*value.key, value.epoch]},
}

_DECODERS: Final[dict[str, Callable[[Any], Any]]] = {
    "bytes": lambda content: content.encode(),
    "time": datetime.fromisoformat,
    "seconds": lambda content: timedelta(seconds=content),
    "tuple": lambda content: tuple(decode(content)),
    "set": lambda content: frozenset(decode(content)),
    "map": lambda content: {decode(key): decode(item) for key, item in content},
    "JobKey": lambda content: driver.JobKey(*content),
    "Token": lambda content: driver.Token(driver.JobKey(*content[:2]), content[2]),
}


def _register(module: ModuleType) -> None:
    """Learn every dataclass and enum that the contract exports."""
    for name in module.__all__:
        cls = getattr(module, name)
        if isinstance(cls, type) and is_dataclass(cls):
            _ENCODERS[cls], _DECODERS[name] = _record_codec(cls)
        elif isinstance(cls, type) and issubclass(cls, Enum):
            _ENCODERS[cls], _DECODERS[name] = _encode_enum, cls


_register(driver)
