"""Payloads and results as JSON text."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import Annotated, Any, Generic, Literal, Optional, TypeVar
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError
from typing_extensions import TypedDict

from stoker.codec import PayloadCodec, ResultCodec
from stoker.errors import InvalidHandler, InvalidPayload, UnserializableResult

T = TypeVar("T")


class Point(BaseModel):
    x: int
    y: int = 0


class Aliased(BaseModel):
    user_id: int = Field(alias="userId")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    tricks: list[str]


class Box(BaseModel, Generic[T]):
    content: T


class Colour(Enum):
    RED = "red"


class Movie(TypedDict):
    title: str
    year: int


@dataclass
class Money:
    amount: Decimal
    currency: str


class Names(RootModel[list[str]]):
    pass


SAMPLES: list[tuple[Any, Any]] = [
    (int, 3),
    (str, "Grüße \N{SNOWMAN}"),
    (float, 0.1),
    (bool, True),
    (None, None),
    (bytes, b"plain"),
    (Decimal, Decimal("0.10")),
    (datetime, datetime(2030, 1, 1, 12, 30, tzinfo=UTC)),
    (date, date(2030, 1, 1)),
    (time, time(12, 30)),
    (timedelta, timedelta(days=1, microseconds=1)),
    (UUID, UUID(int=7)),
    (Colour, Colour.RED),
    (PurePosixPath, PurePosixPath("a/b")),
    (list[int], [1, 2]),
    (tuple[int, str], (1, "a")),
    (set[int], {1, 2}),
    (frozenset[str], frozenset({"a"})),
    (dict[int, str], {1: "a"}),
    (int | str, 1),
    (int | str, "1"),
    (Optional[int], None),  # noqa: UP045  people write it like this, too
    (Literal["a", "b"], "b"),
    (Annotated[int, Field(gt=0)], 1),
    (Point, Point(x=1, y=2)),
    (Aliased, Aliased(userId=3)),
    (list[Point], [Point(x=1)]),
    (Cat | Dog, Dog(tricks=["sit"])),
    (Annotated[Cat | Dog, Field(discriminator="kind")], Cat(lives=9)),
    (Box[Point], Box[Point](content=Point(x=1))),
    (Box[datetime], Box[datetime](content=datetime(2030, 1, 1, tzinfo=UTC))),
    (Movie, {"title": "Alien", "year": 1979}),
    (Money, Money(Decimal("9.99"), "EUR")),
    (Names, Names(["a", "b"])),
]


@pytest.mark.parametrize(("annotation", "payload"), SAMPLES, ids=lambda v: repr(v)[:40])
def test_a_payload_comes_back_equal_and_of_the_same_type(annotation: Any, payload: Any) -> None:
    codec = PayloadCodec[Any]("job", annotation)
    valid, data = codec.encode(payload)
    back = codec.decode(data)
    assert (valid, back) == (payload, payload)
    assert type(back) is type(payload)


@pytest.mark.parametrize(("annotation", "result"), SAMPLES, ids=lambda v: repr(v)[:40])
def test_a_result_comes_back_equal_and_of_the_same_type(annotation: Any, result: Any) -> None:
    codec = ResultCodec[Any]("job", annotation)
    back = codec.decode(codec.encode(result))
    assert back == result
    assert type(back) is type(result)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON)
def test_whatever_is_json_goes_through_a_handler_without_annotation(payload: Any) -> None:
    codec = PayloadCodec[Any]("job", Any)
    assert codec.decode(codec.encode(payload)[1]) == payload


def test_what_is_stored_is_compact_utf8_json_under_the_aliases() -> None:
    _, data = PayloadCodec[Any]("job", Aliased).encode(Aliased(userId=3))
    assert data == b'{"userId":3}'
    assert ResultCodec[Any]("job", Aliased).encode(Aliased(userId=3)) == b'{"userId":3}'
    _, data = PayloadCodec[Any]("job", str).encode("ü")
    assert data == '"ü"'.encode()


def test_what_validates_as_the_payload_is_taken_for_it() -> None:
    valid, data = PayloadCodec[Any]("job", Point).encode({"x": "1"})
    assert valid == Point(x=1)
    assert json.loads(data) == {"x": 1, "y": 0}


@pytest.mark.parametrize(
    ("annotation", "payload"),
    [(int, "many"), (Point, {"y": 1}), (Strict, {"name": "a", "age": 3}), (Cat | Dog, {"k": 1})],
)
def test_a_payload_that_does_not_validate_is_refused_with_the_reason(
    annotation: Any, payload: Any
) -> None:
    with pytest.raises(InvalidPayload, match="the payload of send is not valid") as caught:
        PayloadCodec[Any]("send", annotation).encode(payload)
    assert isinstance(caught.value.__cause__, ValidationError)


class Opaque:
    def __repr__(self) -> str:  # part of a test's id, which has to be the same in every process
        return "Opaque()"


@pytest.mark.parametrize(
    ("annotation", "payload"),
    [
        (Any, Opaque()),
        (Any, {"deep": [Opaque()]}),
        (bytes, b"\xff\xfe"),
        (Any, len),
        (str, "\ud800"),
    ],
    ids=repr,
)
def test_a_payload_that_cannot_be_written_is_refused_with_a_remedy(
    annotation: Any, payload: Any
) -> None:
    with pytest.raises(InvalidPayload, match=r"send|valid"):
        PayloadCodec[Any]("send", annotation).encode(payload)


def test_a_payload_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(InvalidPayload, match=r"cannot be written as JSON .* pass a reference"):
        PayloadCodec[Any]("send", Any).encode(loop)


def test_a_model_that_was_changed_behind_its_back_is_refused() -> None:
    point = Point(x=1)
    point.x = "one"  # type: ignore[assignment]
    with pytest.raises(InvalidPayload, match="the payload of send cannot be written as JSON"):
        PayloadCodec[Any]("send", Point).encode(point)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_float_that_json_does_not_have_is_refused(number: float) -> None:
    with pytest.raises(InvalidPayload, match="what is written of it as JSON is not"):
        PayloadCodec[Any]("send", float).encode(number)


def test_a_stored_payload_that_the_running_code_cannot_read_is_an_invalid_payload() -> None:
    codec = PayloadCodec[Any]("send", Point)
    for data in (b'{"z": 1}', b"not json", b""):
        with pytest.raises(InvalidPayload, match="the stored payload of send does not validate"):
            codec.decode(data)


def test_a_result_of_none_is_not_stored() -> None:
    codec = ResultCodec[Any]("job", None)
    assert codec.encode(None) is None
    assert codec.decode(None) is None


@pytest.mark.parametrize(
    ("annotation", "result"),
    [(Any, Opaque()), (int, "one"), (Point, {"x": 1}), (bytes, b"\xff"), (Any, {1: Opaque()})],
    ids=repr,
)
def test_a_result_against_its_annotation_or_json_is_refused_with_a_remedy(
    annotation: Any, result: Any
) -> None:
    with pytest.raises(UnserializableResult) as caught:
        ResultCodec[Any]("send", annotation).encode(result)
    assert f"send returned a {type(result).__name__}" in str(caught.value)
    assert "return what the handler's annotation says" in str(caught.value)


@pytest.mark.parametrize("codec", [PayloadCodec, ResultCodec])
def test_an_annotation_that_pydantic_does_not_understand_is_refused(codec: Any) -> None:
    with pytest.raises(InvalidHandler, match=r"annotation of send, .*Opaque.* is not a type that"):
        codec("send", Opaque)
