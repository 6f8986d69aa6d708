"""What a handler's signature says."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from stoker import JobRun, Router
from stoker.errors import InvalidHandler
from stoker.router.handler import inspect_handler


class Welcome(BaseModel):
    user_id: str


class App:
    pass


async def none() -> int:
    return 1


async def one(payload: Welcome) -> str:
    return payload.user_id


async def two(payload: Welcome, context: App) -> None: ...


async def three(payload: Welcome, context: App, job: JobRun) -> None: ...


def plain(payload: int) -> int:
    return payload


async def bare(payload, context):  # type: ignore[no-untyped-def]  # as people write it
    ...


async def no_input(payload: None, context: App) -> None: ...


async def with_defaults(payload: Welcome, context: App, extra: int = 3, *, more: str = "") -> None:
    """Only what must be given counts."""


async def positional(payload: Welcome, context: App, /) -> None: ...


class Sender:
    async def method(self, payload: Welcome) -> None: ...

    @classmethod
    async def of_class(cls, payload: Welcome) -> None: ...

    @staticmethod
    async def static(payload: Welcome) -> None: ...

    async def __call__(self, payload: Welcome, context: App) -> int:
        return 1


class PlainSender:
    def __call__(self, payload: Welcome) -> int:
        return 1


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


async def many(prefix: str, payload: Welcome, context: App) -> str:
    return prefix


@pytest.mark.parametrize(
    ("function", "arity", "is_async", "payload", "result"),
    [
        (none, 0, True, None, int),
        (one, 1, True, Welcome, str),
        (two, 2, True, Welcome, type(None)),
        (three, 3, True, Welcome, type(None)),
        (plain, 1, False, int, int),
        (bare, 2, True, Any, Any),
        (no_input, 2, True, type(None), type(None)),
        (with_defaults, 2, True, Welcome, type(None)),
        (positional, 2, True, Welcome, type(None)),
        (Sender().method, 1, True, Welcome, type(None)),
        (Sender.of_class, 1, True, Welcome, type(None)),
        (Sender.static, 1, True, Welcome, type(None)),
        (Sender(), 2, True, Welcome, int),
        (PlainSender(), 1, False, Welcome, int),
        (logged(two), 2, True, Welcome, type(None)),
        (functools.partial(many, "a"), 2, True, Welcome, str),
        (functools.partial(functools.partial(many, "a")), 2, True, Welcome, str),
        (functools.partial(plain), 1, False, int, int),
        (lambda payload: payload, 1, False, Any, Any),
    ],
)
def test_a_signature_is_read(
    function: Callable[..., Any], arity: int, is_async: bool, payload: Any, result: Any
) -> None:
    handler = inspect_handler(function, "send")
    assert handler.function is function
    assert (handler.arity, handler.is_async) == (arity, is_async)
    assert (handler.payload, handler.result) == (payload, result)
    assert handler.wants_context is (arity >= 2)


def test_a_postponed_annotation_may_name_a_class_of_the_function_around_it() -> None:
    class Local(BaseModel):
        x: int

    router = Router[object]("r")

    @router.job
    async def send(payload: Local) -> Local:
        return payload

    assert send.handler.payload is Local
    assert send.handler.result is Local


def test_an_annotation_that_leads_nowhere_is_refused_with_a_remedy() -> None:
    async def send(payload: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(InvalidHandler, match=r"annotation of send .*'Missing'.*: import it, or"):
        inspect_handler(send, "send")


async def four(payload: int, context: App, job: JobRun, more: int) -> None: ...


async def variadic(*payloads: int) -> None: ...


async def keywords(payload: int, **options: int) -> None: ...


async def keyword_only(payload: int, *, context: App) -> None: ...


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (four, "send takes 4 parameters: a handler takes"),
        (variadic, "send has a parameter 'payloads' that nobody passes: a handler takes"),
        (keywords, "send has a parameter 'options' that nobody passes"),
        (keyword_only, "send has a parameter 'context' that nobody passes"),
        (
            functools.partial(many, payload=Welcome(user_id="1")),
            "send has a parameter 'context' that nobody passes",
        ),
        (5, "the handler of send is 5: give a function"),
        ("one", "the handler of send is 'one': give a function"),
        (None, "the handler of send is None: give a function"),
    ],
)
def test_what_cannot_be_a_handler_is_refused_with_what_can(function: Any, words: str) -> None:
    with pytest.raises(InvalidHandler, match=words):
        inspect_handler(function, "send")


def test_a_handler_whose_signature_cannot_be_read_is_refused() -> None:
    with pytest.raises(InvalidHandler, match="the signature of send cannot be read"):
        inspect_handler(getattr, "send")
