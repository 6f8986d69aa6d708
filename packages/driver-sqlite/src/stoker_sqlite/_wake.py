"""Waking waiting workers: in this process at once, in others within a few milliseconds.

Every transaction that could matter to a waiting worker counts up the hints of its queue, in the
database. A bell, one for each file and process, knows the highest counts seen so far. A commit of
this process tells it directly. For the commits of other processes, and of users' own connections,
a thread looks at `pragma data_version` while somebody waits, when a notice says that it is time:
that costs microseconds, and only when it has changed are the counts read. So settlements and
heartbeats wake nobody.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from stoker.driver import Wake
from stoker.errors import DriverClosed, InvalidInput
from stoker_sqlite._notice import Inotify, Notice, Polling
from stoker_sqlite._sql import statement
from stoker_sqlite._transaction import Hints, HintsOf, array

__all__ = ["Bell", "Latch"]

_log: Final = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 0.25

_NONE: Final = Hints(0, 0)


class Latch:
    """What one client has seen of the hints, and its wait. Belongs to the client's loop."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._loop = asyncio.get_running_loop()
        self._seen: HintsOf = {}
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        self.queues: frozenset[str] = frozenset()
        """The queues that the present wait is for."""

    def unseen(self, queues: Sequence[str]) -> list[str]:
        """Return the queues that were never waited for."""
        return [queue for queue in queues if queue not in self._seen]

    def begin(self, queues: Iterable[str], hints: HintsOf) -> None:
        """Latch the hints for some queues from now on."""
        for queue in queues:
            self._seen[queue] = hints.get(queue, _NONE)

    async def wait(self, queues: Sequence[str], seconds: float) -> Wake:
        """Wait for a hint that was not seen yet."""
        if self._waiter is not None:
            raise InvalidInput("this client is waiting already: a client has one waiter at a time")
        if wake := self._news(queues):
            return wake
        if self._closed or seconds <= 0:
            return Wake.NOTHING
        self._waiter = self._loop.create_future()
        self.queues = frozenset(queues)
        self._bell.add(self)
        timer = self._loop.call_later(seconds, self.ring)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._bell.discard(self)
            self._waiter = None
        return self._news(queues)

    def ring(self) -> None:
        """End the present wait, if there is one."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def ring_from_anywhere(self) -> None:
        """End the present wait from another thread or loop."""
        try:
            self._loop.call_soon_threadsafe(self.ring)
        except RuntimeError:
            # The loop was closed under a client that waited: there is nobody to wake any more.
            self._bell.discard(self)

    def close(self) -> None:
        """End the present wait, and every later one at once."""
        self._closed = True
        self.ring()

    def _news(self, queues: Sequence[str]) -> Wake:
        wake = Wake.NOTHING
        for queue in queues:
            known, seen = self._bell.known(queue), self._seen[queue]
            if known.work > seen.work:
                wake |= Wake.WORK
            if known.cancels > seen.cancels:
                wake |= Wake.CANCEL
            self._seen[queue] = _highest(known, seen)
        return wake


class Bell:
    """The hints of one file, for all clients of this process."""

    _bells: Final[dict[Path, Bell]] = {}
    _inherited: Final[set[Path]] = set()
    """Files that were open when this process was forked."""
    _registry = threading.Lock()

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._users = 0
        self._lock = threading.Lock()
        self._known: HintsOf = {}
        self._waiting: set[Latch] = set()
        self._queues: frozenset[str] = frozenset()
        """The queues that somebody waits for."""
        self._looked_for: frozenset[str] = frozenset()
        """Those of the last time that the thread has read hints."""
        self._notice: Notice | None = None
        """What the thread waits for between two looks."""
        self._thread: threading.Thread | None = None
        self._wanted = threading.Event()
        """Set while somebody waits, and at the end."""
        self._ended: Callable[[], object] = lambda: None
        """What the thread does last."""

    @classmethod
    def of(cls, path: Path) -> Bell:
        """Return the bell of a file, to be given back with `release`.

        To be called before the file is opened.

        Raises:
            DriverClosed: the file was open when this process was forked.
        """
        with cls._registry:
            if path in cls._inherited:
                raise DriverClosed(
                    f"{path} was open when this process was forked, so SQLite would not lock it "
                    "here, and writes could be lost: fork first and open then, or start "
                    "processes in another way (spawn)"
                )
            bell = cls._bells.setdefault(path, cls(path))
            bell.use()
            return bell

    @classmethod
    def begin_fork(cls) -> None:
        """Begin in a forked child: threads and locks of files stayed with the parent."""
        cls._registry = threading.Lock()
        cls._inherited.update(cls._bells)
        cls._bells.clear()

    def use(self) -> None:
        """Count one more user."""
        self._users += 1

    async def release(self) -> None:
        """Give the bell back; the last user's release ends the thread."""
        with self._registry:
            self._users -= 1
            if self._users:
                return
            del self._bells[self._path]
        if self._thread is not None:
            loop = asyncio.get_running_loop()
            ended = loop.create_future()
            self._ended = lambda: loop.call_soon_threadsafe(ended.set_result, None)
            with self._lock:
                self._wanted.set()
                self._nudge()
            await ended
            self._thread.join()

    def known(self, queue: str) -> Hints:
        """Return the hints of a queue, as far as this process has seen them."""
        return self._known.get(queue, _NONE)

    def publish(self, hints: HintsOf) -> None:
        """Take note of hints that are committed, and wake who waits for them; from any thread."""
        if not hints:
            return
        with self._lock:
            news = {queue for queue, count in hints.items() if self._raise(queue, count)}
            ring = [latch for latch in self._waiting if not news.isdisjoint(latch.queues)]
        for latch in ring:
            latch.ring_from_anywhere()

    def add(self, latch: Latch) -> None:
        """Watch the file for a client that waits."""
        with self._lock:
            self._waiting.add(latch)
            self._count_queues()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._watch, name="stoker-sqlite-watch", daemon=True
                )
                self._thread.start()
            self._wanted.set()
            if not self._queues <= self._looked_for:
                self._nudge()

    def discard(self, latch: Latch) -> None:
        """Forget a client that waits no more."""
        with self._lock:
            self._waiting.discard(latch)
            self._count_queues()
            if not self._waiting and self._users:
                self._wanted.clear()

    def _count_queues(self) -> None:
        self._queues = frozenset().union(*(latch.queues for latch in self._waiting))

    def _nudge(self) -> None:
        if self._notice is not None:
            self._notice.nudge()

    def _raise(self, queue: str, count: Hints) -> bool:
        known = self._known.get(queue, _NONE)
        highest = self._known[queue] = _highest(known, count)
        return highest != known

    def _watch(self) -> None:
        """Look for commits of others, while somebody waits; the body of the thread."""
        kind: type[Inotify | Polling] = Inotify
        while self._users:
            try:
                with closing(sqlite3.connect(self._path, isolation_level=None)) as raw:
                    raw.execute("pragma query_only = on")
                    self._look_again_and_again(raw.cursor(), kind)
            except OSError as error:
                _log.info("looking at %s every few milliseconds: %s", self._path, error)
                kind = Polling
            except sqlite3.Error as error:
                _log.warning("cannot watch %s for hints, trying again: %s", self._path, error)
                time.sleep(_RETRY_SECONDS)
        self._ended()

    def _look_again_and_again(self, cursor: sqlite3.Cursor, kind: type[Inotify | Polling]) -> None:
        # The first look makes sure that there is a write-ahead log to wait for, and that it stays.
        seen = _version(cursor)
        with self._noticing(kind) as notice:
            self._look(cursor)
            while self._wanted.wait() and self._users:
                version = _version(cursor)
                if version != seen or not self._queues <= self._looked_for:
                    self._look(cursor)
                notice.wait(version != seen)
                seen = version

    @contextmanager
    def _noticing(self, kind: type[Inotify | Polling]) -> Iterator[Notice]:
        notice = kind(self._log)
        with self._lock:
            self._notice = notice
        try:
            yield notice
        finally:
            with self._lock:
                self._notice = None
                notice.close()

    def _look(self, cursor: sqlite3.Cursor) -> None:
        self._looked_for = self._queues
        self._read(cursor, self._looked_for)

    def _read(self, cursor: sqlite3.Cursor, queues: frozenset[str]) -> None:
        rows = cursor.execute(statement("queue_hints"), {"queues": array(sorted(queues))})
        self.publish({queue: Hints(work, cancels) for queue, work, cancels in rows.fetchall()})


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Bell.begin_fork)


def _highest(one: Hints, other: Hints) -> Hints:
    return Hints(max(one.work, other.work), max(one.cancels, other.cancels))


def _version(cursor: sqlite3.Cursor) -> int:
    """Return a number that changes whenever another connection has committed."""
    ((version,),) = cursor.execute("pragma data_version").fetchall()
    return int(version)
