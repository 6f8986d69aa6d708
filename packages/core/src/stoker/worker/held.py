"""The leases that a worker holds, and what their handlers reported since the last heartbeat.

This is all that the heartbeat shares with the rest of the worker, and it is safe across threads:
so the heartbeat can live on a loop of its own, where no handler can block it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from stoker.driver import Extension, Token

__all__ = ["HeldLeases", "Reports"]

_NEWEST_LOGS: Final = 100
"""The store keeps no more."""


class Reports:
    """The newest progress of a run, and its log entries, that are not in the store yet."""

    __slots__ = ("logs", "progress")

    def __init__(self) -> None:
        self.progress: bytes | None = None
        self.logs: list[bytes] = []


class HeldLeases:
    """A thread-safe set of tokens with their reports."""

    def __init__(self) -> None:
        self.reported: Callable[[], None] | None = None
        """Called, from any thread, when there is a report to be stored."""
        self._lock = threading.Lock()
        self._reports: dict[Token, Reports | None] = {}

    def __len__(self) -> int:
        return len(self._reports)

    def add(self, token: Token) -> None:
        """Hold a lease from now on."""
        with self._lock:
            self._reports[token] = None

    def remove(self, token: Token) -> Reports | None:
        """Let go of a lease: no heartbeat takes it up any more. Returns what is left to store."""
        with self._lock:
            return self._reports.pop(token, None)

    def report(
        self, token: Token, *, progress: bytes | None = None, entry: bytes | None = None
    ) -> None:
        """Note progress or a log entry of a run; ignored when the lease is not held any more."""
        with self._lock:
            if token not in self._reports:
                return
            reports = self._reports[token]
            if reports is None:
                reports = self._reports[token] = Reports()
            if progress is not None:
                reports.progress = progress
            if entry is not None:
                reports.logs.append(entry)
                del reports.logs[:-_NEWEST_LOGS]
        if self.reported is not None:
            self.reported()

    def extensions(self, *, only_reports: bool) -> list[Extension]:
        """Return an extension for every lease held, or for those with something to store.

        The reports are taken; `give_back` returns those that could not be stored.
        """
        items = []
        with self._lock:
            for token, reports in self._reports.items():
                if reports is not None:
                    items.append(Extension(token, reports.progress, reports.logs))
                    self._reports[token] = None
                elif not only_reports:
                    items.append(Extension(token))
        return items

    def give_back(self, item: Extension) -> None:
        """Keep the reports of an extension that did not take effect for the next one."""
        with self._lock:
            if item.token not in self._reports or (item.progress is None and not item.logs):
                return
            reports = self._reports[item.token]
            if reports is None:
                reports = self._reports[item.token] = Reports()
            if reports.progress is None:
                reports.progress = item.progress
            reports.logs = [*item.logs, *reports.logs][-_NEWEST_LOGS:]
