"""Where a case is written."""

from __future__ import annotations

import inspect
from pathlib import Path

from stoker_conformance.case import Case

__all__ = ["location", "place"]


def place(case: Case) -> tuple[Path, int]:
    """Return the file of a case, and the line where it begins, counted from 1."""
    source = inspect.getsourcefile(case.body) or __file__
    _, line = inspect.getsourcelines(case.body)
    return Path(source), line


def location(case: Case) -> str:
    """Return where a case is written, as `stoker_conformance/families/leases.py:12`.

    It is the same on every machine, so that it may stand in a report.
    """
    path, line = place(case)
    parts = path.parts
    package = "stoker_conformance"
    start = len(parts) - 1 - parts[::-1].index(package) if package in parts else len(parts) - 1
    return f"{'/'.join(parts[start:])}:{line}"
