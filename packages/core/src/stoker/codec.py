"""Payloads and results as JSON text, checked by pydantic on both ways."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from stoker.errors import InvalidHandler, InvalidPayload, UnserializableResult

__all__ = ["PayloadCodec", "ResultCodec"]

T = TypeVar("T")


class PayloadCodec(Generic[T]):
    """Turns the input of one job into stored text and back.

    Args:
        job: the job's name, for messages.
        annotation: any type that pydantic understands.

    Raises:
        InvalidHandler: if pydantic cannot make a schema for the annotation.
    """

    __slots__ = ("_adapter", "_job")

    def __init__(self, job: str, annotation: Any) -> None:
        self._job = job
        self._adapter: TypeAdapter[T] = _adapter(job, "input", annotation)

    def encode(self, payload: Any) -> tuple[T, bytes]:
        """Validate `payload`; return it, and JSON text of it that is known to validate again.

        Raises:
            InvalidPayload: if it does not validate, or does not survive the way through JSON.
        """
        try:
            valid = self._adapter.validate_python(payload)
        except ValidationError as error:
            raise InvalidPayload(f"the payload of {self._job} is not valid: {error}") from error
        try:
            data = self._adapter.dump_json(valid, by_alias=True, round_trip=True, warnings="error")
        except (PydanticSerializationError, ValueError, RecursionError) as error:
            raise InvalidPayload(
                f"the payload of {self._job} cannot be written as JSON ({error}): use types that "
                "pydantic can serialise, or pass a reference to the data"
            ) from error
        try:
            self._adapter.validate_json(data)
        except ValidationError as error:
            raise InvalidPayload(
                f"the payload of {self._job} is valid, but what is written of it as JSON is not: "
                f"{error}"
            ) from error
        return valid, data

    def decode(self, data: bytes) -> T:
        """Return the payload that was stored as `data`.

        Raises:
            InvalidPayload: if it no longer validates.
        """
        try:
            return self._adapter.validate_json(data)
        except ValidationError as error:
            raise InvalidPayload(
                f"the stored payload of {self._job} does not validate against the code that is "
                f"running: {error}"
            ) from error


class ResultCodec(Generic[T]):
    """Turns what a handler returns into stored text and back.

    Raises:
        InvalidHandler: if pydantic cannot make a schema for the return annotation.
    """

    __slots__ = ("_adapter", "_job")

    def __init__(self, job: str, annotation: Any) -> None:
        self._job = job
        self._adapter: TypeAdapter[T] = _adapter(job, "return", annotation)

    def encode(self, result: Any) -> bytes | None:
        """Return `result` as JSON text; `None` for `None`, which is not stored.

        Raises:
            UnserializableResult: if it cannot be written as its annotation says.
        """
        if result is None:
            return None
        try:
            return self._adapter.dump_json(result, by_alias=True, warnings="error")
        except (PydanticSerializationError, ValueError, RecursionError) as error:
            raise UnserializableResult(
                f"{self._job} returned a {type(result).__name__} that cannot be written as JSON "
                f"({error}): return what the handler's annotation says, in types that pydantic "
                "can serialise, or nothing"
            ) from error

    def decode(self, data: bytes | None) -> T:
        """Return the result that was stored as `data`."""
        return self._adapter.validate_json(b"null" if data is None else data)


def _adapter(job: str, what: str, annotation: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(annotation)
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise InvalidHandler(
            f"the {what} annotation of {job}, {annotation!r}, is not a type that pydantic can "
            f"read and write: {error}"
        ) from error
