"""A time limit for what a task waits for: `asyncio.timeout`, in a third of the time."""

from __future__ import annotations

import asyncio

__all__ = ["Deadline"]


class Deadline:
    """Raises TimeoutError out of its block when that takes longer than `seconds`.

    It is made where its block begins, in the task that runs it, and cannot be moved. Each exchange
    with a server has one, so it has no coroutines of its own, and nothing that is not used here.
    """

    __slots__ = ("_cancels", "_has_passed", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancels = task.cancelling()
        """How often somebody else has cancelled the task: that is not ours to take back."""
        self._has_passed = False
        self._timer = asyncio.get_running_loop().call_later(seconds, self._pass)

    def _pass(self) -> None:
        self._has_passed = True
        self._task.cancel()

    def __enter__(self) -> None:
        """Enter the block."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        self._timer.cancel()
        if self._has_passed:
            is_ours = self._task.uncancel() <= self._cancels
            if is_ours and kind is asyncio.CancelledError:
                raise TimeoutError from error
