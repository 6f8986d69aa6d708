"""The certainty that a process which is done also ends."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from typing import Final

__all__ = ["end_within"]

log = logging.getLogger("stoker.worker")

PATIENCE: Final = 2.0
"""Seconds that threads have to return after the worker has stopped."""


def end_within(exit_code: int, seconds: float = PATIENCE) -> None:
    """End the process with `exit_code` if it has not ended by itself after `seconds`.

    The interpreter waits without limit for threads of pools, and a handler in a thread cannot be
    interrupted: its worker has waited for it, and has given up. What the application registered
    with `atexit` comes after the threads and may take its time.
    """
    ended = threading.Event()
    # The last one registered runs first.
    atexit.register(ended.set)

    def watch() -> None:
        if ended.wait(seconds):
            return
        try:
            log.error(
                "ending without threads that do not return: %s", ", ".join(_waited_for()) or "none"
            )
            sys.stdout.flush()
            logging.shutdown()
        finally:
            os._exit(exit_code)

    threading.Thread(target=watch, name="stoker-watchdog", daemon=True).start()


def _waited_for() -> list[str]:
    main = threading.main_thread()
    return [
        thread.name for thread in threading.enumerate() if thread is not main and not thread.daemon
    ]
