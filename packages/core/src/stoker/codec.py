"""Payloads and results as JSON text, checked by pydantic on both ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar, cast

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter

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

    __slots__ = ("_adapter", "_job", "_read", "_validate", "_write")

    def __init__(self, job: str, annotation: Any) -> None:
        self._job = job
        self._adapter: TypeAdapter[T] = _adapter(job, "input", annotation)
        # What the methods of the adapter call. Their own share, a dozen arguments that nobody has
        # given, is half the time of reading a small payload.
        self._validate: Callable[[Any], T] = self._adapter.validator.validate_python
        self._read: Callable[[bytes], T] = self._adapter.validator.validate_json
        self._write: Callable[..., bytes] = self._adapter.serializer.to_json

    def encode(self, payload: Any) -> tuple[T, bytes]:
        """Validate `payload`; return it, and JSON text that is known to bring the same back.

        A field that its model excludes is not part of the text.

        Raises:
            InvalidPayload: if it does not validate, or does not survive the way through JSON.
        """
        try:
            valid = self._validate(payload)
        except Exception as error:
            raise InvalidPayload(f"the payload of {self._job} is not valid: {error}") from error
        # To ask for pydantic's warnings takes longer than to write: that is left to what did not
        # come back equal.
        data = self._written(valid, warnings=False)
        try:
            back = self._read(data)
        except Exception as error:
            self._written(valid, warnings="error")
            raise InvalidPayload(
                f"the payload of {self._job} is valid, but what is written of it as JSON is not: "
                f"{error}"
            ) from error
        if back != valid:
            self._written(valid, warnings="error")
            if not self._is_same(back, valid):
                raise InvalidPayload(
                    f"the payload of {self._job} would not arrive as it is: a "
                    f"{type(valid).__name__} comes back changed from JSON, as a "
                    f"{type(back).__name__}. Annotate the handler with a type that tells all of it"
                )
        return valid, data

    def _written(self, valid: T, *, warnings: Literal["error", False]) -> bytes:
        try:
            return self._write(valid, by_alias=True, round_trip=True, warnings=warnings)
        except Exception as error:
            raise InvalidPayload(
                f"the payload of {self._job} cannot be written as JSON ({error}): use types that "
                "pydantic can serialise, or pass a reference to the data"
            ) from error

    def _is_same(self, back: T, valid: T) -> bool:
        # Private attributes, and classes without an __eq__, are compared by what is written.
        if type(back) is not type(valid):
            return False
        dump = self._adapter.dump_python
        return bool(dump(back, round_trip=True) == dump(valid, round_trip=True))

    def decode(self, data: bytes) -> T:
        """Return the payload that was stored as `data`.

        Raises:
            InvalidPayload: if it no longer validates.
        """
        try:
            return self._read(data)
        except Exception as error:  # a validator of the user's may raise anything
            raise InvalidPayload(
                f"the stored payload of {self._job} does not validate against the code that is "
                f"running: {error}"
            ) from error


class ResultCodec(Generic[T]):
    """Turns what a handler returns into stored text and back.

    Raises:
        InvalidHandler: if pydantic cannot make a schema for the return annotation.
    """

    __slots__ = ("_adapter", "_job", "_may_be_none", "is_none")

    def __init__(self, job: str, annotation: Any) -> None:
        self._job = job
        self._adapter: TypeAdapter[T] = _adapter(job, "return", annotation)
        self.is_none: bool = annotation in (None, type(None))
        """Whether the job returns nothing, ever."""
        try:
            self._adapter.validate_json(b"null")
        except Exception:  # noqa: BLE001  a validator of the user's may raise anything
            self._may_be_none = False
        else:
            self._may_be_none = True

    def encode(self, result: T | None) -> bytes | None:
        """Return `result` as JSON text that can be read back; `None` is not stored.

        Raises:
            UnserializableResult: if it cannot be written as its annotation says.
        """
        if result is None and self._may_be_none:
            return None
        try:
            data = self._adapter.dump_json(
                cast("T", result), by_alias=True, round_trip=True, warnings="error"
            )
            self._adapter.validate_json(data)
        except Exception as error:
            raise UnserializableResult(
                f"{self._job} returned a {type(result).__name__} that cannot be written as JSON "
                f"({error}): return what the handler's annotation says, in types that pydantic "
                "can serialise, or nothing"
            ) from error
        return data

    def decode(self, data: bytes | None) -> T:
        """Return the result that was stored as `data`."""
        return self._adapter.validate_json(b"null" if data is None else data)


def _adapter(job: str, what: str, annotation: Any) -> TypeAdapter[Any]:
    try:
        adapter = TypeAdapter(annotation)
        if not adapter.pydantic_complete:
            adapter.rebuild(raise_errors=True)
        return adapter
    except (PydanticSchemaGenerationError, PydanticUserError, NameError) as error:
        raise InvalidHandler(
            f"the {what} annotation of {job}, {annotation!r}, is not a type that pydantic can "
            f"read and write: {error}"
        ) from error
