"""Progress and log entries as the store keeps them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from pydantic_core import PydanticSerializationError, to_json

from stoker.driver.checks import MAX_LOG_BYTES, storable
from stoker.router import Progress
from stoker.worker.failure import text_of

__all__ = ["log_entry", "progress_entry"]

_MESSAGE_CHARACTERS: Final = 1_000


def progress_entry(progress: Progress) -> bytes:
    """Return progress as JSON text; a long message is cut."""
    message = progress.message
    if message is not None:
        message = storable(text_of(message)[:_MESSAGE_CHARACTERS])
    return to_json({"percent": float(progress.percent), "message": message})


def log_entry(at: datetime, entry: dict[str, Any]) -> bytes:
    """Return a log entry as JSON text of at most 8 KiB.

    What cannot be written as JSON is written as text; an entry that is too long, or that cannot
    be written at all, keeps the beginning of its message.
    """
    try:
        data = to_json({**entry, "at": at}, fallback=text_of)
    except (PydanticSerializationError, ValueError, RecursionError):
        data = b""
    if data and len(data) <= MAX_LOG_BYTES:
        return data
    message = storable(text_of(entry["message"])[:_MESSAGE_CHARACTERS])
    return to_json({"at": at, "message": message, "cut": True})
