"""The statements of the driver: one a file, read from the package once for each schema."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

from stoker.driver import Migration

__all__ = ["DEFAULT_SCHEMA", "migrations", "quoted", "statement"]

DEFAULT_SCHEMA: Final = "stoker"
"""The files say this; another schema is put in its place."""

_FOLDER: Final = files(__package__ or "stoker_postgres") / "sql"
_QUALIFIER: Final = re.compile(rf"\b{DEFAULT_SCHEMA}\.")


@cache
def statement(name: str, schema: str = DEFAULT_SCHEMA) -> str:
    """Return the statement of `sql/<name>.sql`, without its comments, for a schema."""
    text = (_FOLDER / f"{name}.sql").read_text("utf-8")
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return _in_schema("\n".join(lines).strip(), schema)


@cache
def migrations(schema: str = DEFAULT_SCHEMA) -> tuple[Migration, ...]:
    """Return the steps that lead to the newest version of the schema, in order.

    They keep their comments: `\\sf` then shows functions with them.
    """
    scripts = sorted((_FOLDER / "migrations").iterdir(), key=lambda script: script.name)
    return tuple(
        Migration(
            int(script.name[:4]),
            script.name.removesuffix(".sql"),
            _in_schema(script.read_text("utf-8"), schema),
        )
        for script in scripts
    )


def quoted(identifier: str) -> str:
    """Return an identifier as SQL takes it literally."""
    return '"' + identifier.replace('"', '""') + '"'


def _in_schema(text: str, schema: str) -> str:
    if schema == DEFAULT_SCHEMA:
        return text
    qualifier = f"{quoted(schema)}."
    return _QUALIFIER.sub(lambda _: qualifier, text)
