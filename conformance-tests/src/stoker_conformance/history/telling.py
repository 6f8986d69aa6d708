"""Operations in words, for the one who has to find out what the driver did."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from stoker.driver import JobKey, Settlement
from stoker_conformance.history.events import KILL, Operation

__all__ = ["tell"]

_MOST: Final = 3
"""How many items of a call are shown when they are about no job in particular."""


def tell(operations: Sequence[Operation], keys: Collection[JobKey] = ()) -> str:
    """Return the operations in words, one a line, with times counted from the first.

    Args:
        operations: in the order in which they are to be read.
        keys: show only the items that are about these jobs; without any, the first few.
    """
    ordered = list(dict.fromkeys(operations))
    origin = min(operation.invoked for operation in ordered)
    return "\n".join(f"    {_line(operation, keys, origin)}" for operation in ordered)


def _line(operation: Operation, keys: Collection[JobKey], origin: int) -> str:
    start = _milliseconds(operation.invoked - origin)
    end = "?" if operation.returned is None else _milliseconds(operation.returned - origin)
    if operation.name == KILL:
        return f"{start} ms  {operation.client} is killed"
    at = "" if operation.now is None else f" at {operation.now:%H:%M:%S.%f}"
    what = f"{operation.name}{_asked(operation, keys)}{at}{_end(operation, keys)}"
    return f"{start} to {end} ms  {operation.client}: {what}"


def _milliseconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1_000_000:.3f}"


def _asked(operation: Operation, keys: Collection[JobKey]) -> str:
    arguments = operation.arguments
    if operation.name == "claim":
        wants = ", ".join(f"{want.limit} of {want.queue}" for want in arguments["wants"])
        return f" {wants}"
    if operation.name == "enqueue":
        return _listed([job for job in arguments["jobs"] if _about(job.key, keys)], _job)
    if operation.name in ("settle", "extend"):
        items = [item for item in arguments["items"] if _about(item.token.key, keys)]
        return _listed(items, _item)
    if "keys" in arguments:
        return _listed([one for one in arguments["keys"] if _about(one, keys)], lambda one: one.id)
    if operation.name == "pause":
        return f" {arguments['queue']}: {'on' if arguments['paused'] else 'off'}"
    return f" {', '.join(arguments.get('queues', [arguments.get('queue', '')]))}"


def _end(operation: Operation, keys: Collection[JobKey]) -> str:
    if operation.unknown:
        return " -> outcome unknown"
    if operation.refusal is not None:
        return f" -> {operation.refusal}"
    shown = _answer(operation, keys).strip()
    return f" -> {shown}" if shown else ""


def _answer(operation: Operation, keys: Collection[JobKey]) -> str:
    name, answer, arguments = operation.name, operation.answer, operation.arguments
    if name == "claim":
        return _listed([one for one in answer.leases if _about(one.token.key, keys)], _lease)
    if name == "reap":
        reaped = [one for one in answer if _about(one.lease.token.key, keys)]
        return _listed(reaped, lambda one: f"{_lease(one.lease)}, now {one.state}")
    if name == "promote":
        return f"{answer.count}, next in {answer.next_due_in}"
    if name == "stats":
        return _listed(
            list(answer.items()),
            lambda pair: f"{pair[0]}: { ({s.value: n for s, n in pair[1].counts.items() if n}) }",
        )
    if not isinstance(answer, list):
        return "" if answer is None else str(answer)
    jobs = _keys(arguments)
    kept = [one for one, job in zip(answer, jobs, strict=False) if _about(job, keys)]
    return _listed(kept if jobs else answer, _plain)


def _keys(arguments: dict[str, Any]) -> list[JobKey]:
    """Return the job of each item of a call."""
    if "jobs" in arguments:
        return [job.key for job in arguments["jobs"]]
    if "items" in arguments:
        return [item.token.key for item in arguments["items"]]
    return list(arguments.get("keys", []))


def _about(one: JobKey, keys: Collection[JobKey]) -> bool:
    return not keys or one in keys


def _listed(items: Sequence[Any], show: Callable[[Any], str]) -> str:
    if not items:
        return " nothing"
    more = f" and {len(items) - _MOST} more" if len(items) > _MOST else ""
    return f" {', '.join(map(show, items[:_MOST]))}{more}"


def _job(job: Any) -> str:
    unique = f" unique {job.unique.key}" if job.unique is not None else ""
    return f"{job.key.id} priority {job.priority}{unique}"


def _item(item: Any) -> str:
    text = f"{item.token.key.id}#{item.token.epoch}"
    return f"{text} {type(item.outcome).__name__}" if isinstance(item, Settlement) else text


def _lease(lease: Any) -> str:
    token = lease.token
    return f"{token.key.id}#{token.epoch} attempt {lease.attempt} crashes {lease.crashes}"


def _plain(one: Any) -> str:
    """Show an answer by what tells most: its status and state."""
    if one is None:
        return "no record"
    status = getattr(one, "status", None)
    state = getattr(one, "state", one if status is None else None)
    epoch = getattr(one, "epoch", None)
    parts = [status.name if status else "", f"{state}" if state else ""]
    parts.append("" if epoch is None else f"epoch {epoch}")
    return " ".join(filter(None, parts))
