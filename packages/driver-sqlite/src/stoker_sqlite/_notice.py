"""When to look at the file: as soon as somebody writes to it, or every few milliseconds.

On Linux the kernel tells of writes (inotify), so that a process that waits costs nothing. What is
watched is the file's write-ahead log. It stays the same file while the thread has a connection:
checkpoints begin it anew in place, and only the last connection of all deletes it when it closes.

Elsewhere, and where the kernel does not tell, looking again and again has to do.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import sys
import time
from pathlib import Path
from typing import Final, Protocol

__all__ = ["Inotify", "Notice", "Polling"]


class Notice(Protocol):
    """Tells one thread when to look. All but `nudge` belongs to that thread."""

    def wait(self, changed: bool) -> None:
        """Return when the file may have changed since the last look, which found that or not."""

    def nudge(self) -> None:
        """Make the present wait end soon, or else the next one; from any thread."""

    def close(self) -> None:
        """Free what is held."""


class Polling:
    """A look every few milliseconds: half of that is the median time to a wake-up."""

    SECONDS: Final = 0.004
    QUIET_SECONDS: Final = 0.008
    QUIET_AFTER: Final = 250
    """After so many looks in vain, about a second, they are made half as often."""

    def __init__(self, _log: Path) -> None:
        self._in_vain = 0

    def wait(self, changed: bool) -> None:
        """Sleep: a wait with a timeout, for an event, would cost twice as much."""
        self._in_vain = 0 if changed else self._in_vain + 1
        time.sleep(self.QUIET_SECONDS if self._in_vain > self.QUIET_AFTER else self.SECONDS)

    def nudge(self) -> None:
        """Do nothing: a wait ends soon by itself."""

    def close(self) -> None:
        """Do nothing: nothing is held."""


class Inotify:
    """A look after each write to the log.

    A write is told of before its commit can be seen: the commit waits for the disk in between. So
    looks follow a write with pauses that grow, until only the slow safety look is left.

    Raises:
        OSError: writes cannot be watched here; also from `wait`, when they are not told.
    """

    GATHER_SECONDS: Final = 0.001
    """What is written within this time after a write is told of together."""
    STREAM_SECONDS: Final = 0.002
    """The same, while writes keep coming."""
    FIRST_PAUSE: Final = 1
    """In milliseconds, as all pauses. The next one is twice as long."""
    LAST_PAUSE: Final = 1_000
    """The pause between two safety looks."""

    def __init__(self, log: Path) -> None:
        self._pause = self.FIRST_PAUSE
        self._told = _watch_writes(log)
        try:
            self._nudged = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        except OSError:
            os.close(self._told)
            raise
        self._poll = select.poll()
        self._poll.register(self._told, select.POLLIN)
        self._poll.register(self._nudged, select.POLLIN)

    def wait(self, changed: bool) -> None:
        """Block until a write, a nudge, or the end of the pause."""
        if changed and self._pause == self.LAST_PAUSE and not self._poll.poll(0):
            raise OSError(errno.ENOTSUP, "the log was written to, and the kernel did not tell")
        ready = [descriptor for descriptor, _ in self._poll.poll(self._pause)]
        if self._nudged in ready:
            os.eventfd_read(self._nudged)
        if self._told in ready:
            streams = self._pause == self.FIRST_PAUSE
            time.sleep(self.STREAM_SECONDS if streams else self.GATHER_SECONDS)
            # Equal events in a row are one event, so there is no more than this to read.
            os.read(self._told, 4096)
            self._pause = self.FIRST_PAUSE
        elif not ready:
            self._pause = min(self._pause * 2, self.LAST_PAUSE)

    def nudge(self) -> None:
        """End the present wait, or the next one."""
        os.eventfd_write(self._nudged, 1)

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self._told)
        os.close(self._nudged)


_IN_MODIFY: Final = 0x2


def _watch_writes(path: Path) -> int:
    """Return a descriptor that can be read when somebody has written to a file."""
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, "only Linux has inotify")
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        raise _os_error(path)
    if libc.inotify_add_watch(descriptor, os.fsencode(path), ctypes.c_uint32(_IN_MODIFY)) < 0:
        error = _os_error(path)
        os.close(descriptor)
        raise error
    return descriptor


def _os_error(path: Path) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), str(path))
