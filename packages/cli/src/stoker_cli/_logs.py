"""Where messages go: to stderr, as lines for people or as JSON for machines."""

from __future__ import annotations

import logging
import sys
from typing import Final

from pythonjsonlogger.json import JsonFormatter

__all__ = ["FORMATS", "LEVELS", "configure"]

LEVELS: Final = ("debug", "info", "warning", "error")
"""What `--log-level` may be."""
FORMATS: Final = ("text", "json")
"""What `--log-format` may be."""


def configure(level: str, style: str) -> None:
    """Send all messages of the process to stderr.

    `level` is that of Stoker and of its jobs' logger. Other libraries do not go below `info`:
    what they say at `debug` may hold the payloads of jobs, which are not for logs.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_json() if style == "json" else _text())
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=max(number, logging.INFO), handlers=[handler], force=True)
    logging.getLogger("stoker").setLevel(number)
    logging.captureWarnings(True)


def _text() -> logging.Formatter:
    return logging.Formatter(
        "%(asctime)s %(levelname)-8s %(name)s  %(message)s", datefmt="%Y-%m-%d %H:%M:%S"
    )


def _json() -> logging.Formatter:
    return JsonFormatter(
        ["levelname", "name", "message"],
        rename_fields={"levelname": "level", "name": "logger"},
        timestamp="time",
    )
