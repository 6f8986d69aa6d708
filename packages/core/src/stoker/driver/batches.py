"""Cutting many items into calls that a driver takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from stoker.driver.info import DriverInfo
from stoker.driver.jobs import NewJob
from stoker.driver.settlements import Complete, Extension, Fail, Retry, Settlement

__all__ = ["batches", "size_of_extension", "size_of_job", "size_of_settlement"]

T = TypeVar("T")


def batches(items: Sequence[T], size: Callable[[T], int], info: DriverInfo) -> Iterator[list[T]]:
    """Cut `items` into lists within `max_batch` and `max_batch_bytes`, in their order.

    Args:
        items: what to send.
        size: how many bytes of an item count.
        info: the limits.
    """
    batch: list[T] = []
    room = info.max_batch_bytes
    for item in items:
        length = size(item)
        if batch and (len(batch) == info.max_batch or length > room):
            yield batch
            batch, room = [], info.max_batch_bytes
        batch.append(item)
        room -= length
    if batch:
        yield batch


def size_of_job(job: NewJob) -> int:
    """Return how many bytes of a job count: its payload."""
    return len(job.payload)


def size_of_settlement(item: Settlement) -> int:
    """Return how many bytes of a settlement count: result or error, progress and logs."""
    outcome = item.outcome
    size = _size_of_reports(item)
    if isinstance(outcome, Complete):
        return size if outcome.result is None else size + len(outcome.result)
    return size + len(outcome.error) if isinstance(outcome, Fail | Retry) else size


def size_of_extension(item: Extension) -> int:
    """Return how many bytes of an extension count: progress and logs."""
    return _size_of_reports(item)


def _size_of_reports(item: Settlement | Extension) -> int:
    size = 0 if item.progress is None else len(item.progress)
    return size + sum(map(len, item.logs)) if item.logs else size
