"""What all servers for tests have in common: a port, a user, a folder, an end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Final

__all__ = ["end", "free_port", "hand_over", "unprivileged"]

_STOP_SECONDS: Final = 20.0


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def unprivileged() -> str | None:
    """Return who runs a server: they refuse to run as root. `None` for whoever runs the tests."""
    return "nobody" if hasattr(os, "geteuid") and os.geteuid() == 0 else None


def hand_over(path: Path) -> None:
    """Give a file or a folder to whoever runs the server."""
    user = unprivileged()
    if user is not None:
        shutil.chown(path, user)


def end(
    process: subprocess.Popen[bytes] | None, first: signal.Signals, last: signal.Signals
) -> None:
    """End a process with a signal, and with another one if it does not follow the first."""
    if process is None or process.poll() is not None:
        return
    process.send_signal(first)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(last)
        process.wait(_STOP_SECONDS)
