"""The leases that a worker holds, and what their handlers reported since the last heartbeat.

This is all that the heartbeat shares with the rest of the worker, and it is safe across threads:
so the heartbeat can live on a loop of its own, where no handler can block it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Final

from stoker.driver import Extension, Token

__all__ = ["HeldLeases", "Reports"]

_NEWEST_LOGS: Final = 100
"""The store keeps no more."""


class Reports:
    """The newest progress of a run, and its log entries, that are not in the store yet."""

    __slots__ = ("logs", "progress")

    def __init__(self, progress: bytes | None = None, logs: Sequence[bytes] = ()) -> None:
        self.progress = progress
        self.logs: list[bytes] = list(logs)

    def put_before(self, progress: bytes | None, logs: Sequence[bytes]) -> None:
        """Add what was reported earlier."""
        if self.progress is None:
            self.progress = progress
        self.logs = [*logs, *self.logs][-_NEWEST_LOGS:]


class HeldLeases:
    """A thread-safe set of tokens with their reports."""

    def __init__(self) -> None:
        self.reported: Callable[[], None] | None = None
        """Called, from any thread, when there is a report to be stored."""
        self._lock = threading.Lock()
        self._reports: dict[Token, Reports | None] = {}
        self._under_way: dict[Token, Extension] = {}
        self._landings: dict[Token, asyncio.Future[None]] = {}

    def __len__(self) -> int:
        return len(self._reports)

    def add(self, token: Token, reports: Reports | None = None) -> None:
        """Hold a lease from now on."""
        with self._lock:
            self._reports[token] = reports

    def take(self, token: Token) -> Reports | None:
        """Return what is left to store of a lease that is being settled.

        The lease is held on: a settlement may have to wait for longer than a lease.
        """
        with self._lock:
            reports = self._reports.get(token)
            if reports is not None:
                self._reports[token] = None
            return reports

    def remove(self, token: Token, *, also_under_way: bool = False) -> Reports | None:
        """Let go of a lease: no heartbeat takes it up any more. Returns what is left to store.

        Args:
            token: the lease.
            also_under_way: include reports that a heartbeat is just sending: they may then be
                stored twice, but not lost.
        """
        with self._lock:
            reports = self._reports.pop(token, None)
            item = self._under_way.get(token) if also_under_way else None
            if item is not None:
                reports = reports or Reports()
                reports.put_before(item.progress, item.logs)
            return reports

    async def landed(self, token: Token) -> None:
        """Wait until no report of this lease is on its way, so that none is lost or doubled."""
        # One that has landed may have been followed by the next at once.
        while True:
            with self._lock:
                if token not in self._under_way:
                    return
                landing = asyncio.get_running_loop().create_future()
                self._landings[token] = landing
            await landing

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

        Each has to be answered with `stored` or `give_back`.
        """
        items = []
        with self._lock:
            for token, reports in self._reports.items():
                if reports is not None:
                    item = Extension(token, reports.progress, reports.logs)
                    items.append(item)
                    self._under_way[token] = item
                    self._reports[token] = None
                elif not only_reports:
                    items.append(Extension(token))
        return items

    def stored(self, item: Extension) -> None:
        """Take note that an extension was answered."""
        with self._lock:
            self._land(item)

    def give_back(self, item: Extension) -> None:
        """Keep the reports of an extension that did not take effect for the next one."""
        with self._lock:
            if self._land(item) and item.token in self._reports:
                reports = self._reports[item.token] or Reports()
                reports.put_before(item.progress, item.logs)
                self._reports[item.token] = reports

    def _land(self, item: Extension) -> bool:
        if self._under_way.get(item.token) is not item:
            return False
        del self._under_way[item.token]
        landing = self._landings.pop(item.token, None)
        if landing is not None:
            landing.get_loop().call_soon_threadsafe(_release, landing)
        return True


def _release(landing: asyncio.Future[None]) -> None:
    if not landing.done():
        landing.set_result(None)
