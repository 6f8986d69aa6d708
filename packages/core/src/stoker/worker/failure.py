"""Errors as the store keeps them: JSON text of at most 8 KiB."""

from __future__ import annotations

import json
import traceback
from typing import Final

from stoker.driver.checks import MAX_ERROR_BYTES

__all__ = ["JobTimeout", "WorkerLost", "describe", "text_of"]

_MESSAGE_CHARACTERS: Final = 1_000


class JobTimeout(TimeoutError):
    """A run took longer than the job's `timeout`."""


class WorkerLost(Exception):
    """The worker that ran the job disappeared, more often than the job's `max_crashes` allows."""


def text_of(thing: object) -> str:
    """Return `str(thing)`, or, where that fails, a text that says so."""
    try:
        return str(thing)
    except Exception as failure:  # noqa: BLE001  errors of client libraries do that
        return f"<{type(thing).__name__} whose text cannot be read: {type(failure).__name__}>"


def _skip_our_frames(error: BaseException) -> BaseException | None:
    """Drop the frames above the handler from the traceback: they are the same for every job."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        if not trace.tb_frame.f_globals.get("__name__", "").startswith("stoker.worker."):
            break
        trace = trace.tb_next
    return error.with_traceback(trace) if trace is not None else None


def describe(error: BaseException, attempt: int | None = None) -> bytes:
    """Return type, message and the end of the traceback of `error` as JSON text."""
    message = text_of(error)
    details: dict[str, object] = {
        "type": f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins."),
        "message": message[:_MESSAGE_CHARACTERS],
    }
    if attempt is not None:
        details["attempt"] = attempt
    trace = "".join(traceback.format_exception(error)) if _skip_our_frames(error) else ""
    # JSON escapes make a character up to twelve bytes: shorten until it fits, the newest frames,
    # which are at the end, last.
    room = MAX_ERROR_BYTES
    while trace:
        data = json.dumps({**details, "traceback": trace}).encode()
        if len(data) <= MAX_ERROR_BYTES:
            return data
        room //= 2
        trace = trace[-room:] if room > 100 else ""
    data = json.dumps(details).encode()
    if len(data) > MAX_ERROR_BYTES:
        details["message"] = message[: _MESSAGE_CHARACTERS // 4]
        data = json.dumps(details).encode()
    return data
