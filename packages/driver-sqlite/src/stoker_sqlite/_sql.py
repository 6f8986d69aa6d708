"""The statements of the driver: one a file, read from the package once."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

__all__ = ["migrations", "statement"]

_FOLDER: Final = files(__package__ or "stoker_sqlite") / "sql"


@cache
def statement(name: str) -> str:
    """Return the statement of `sql/<name>.sql`, without its comments."""
    return _without_comments((_FOLDER / f"{name}.sql").read_text("utf-8"))


@cache
def migrations() -> tuple[str, ...]:
    """Return the scripts that lead from one version of the schema to the next, in order."""
    scripts = sorted((_FOLDER / "schema").iterdir(), key=lambda script: script.name)
    return tuple(_without_comments(script.read_text("utf-8")) for script in scripts)


def _without_comments(text: str) -> str:
    lines = (line for line in text.splitlines() if not line.startswith("--"))
    return "\n".join(lines).strip()
