"""What workers say of their jobs, for the function `schedule` of the schema."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.driver import Definition
from stoker.driver.checks import check_text
from stoker_postgres._enqueue import options_text
from stoker_postgres._statements import Statements

__all__ = ["put"]


async def put(db: Statements, prefix: str, definitions: Sequence[Definition]) -> None:
    """Keep definitions; those of the same prefix and name are replaced."""
    for definition in definitions:
        check_text("name", definition.name)
        check_text("queue", definition.queue)
    await db.rows(
        "definitions_put",
        prefix,
        [definition.name for definition in definitions],
        [definition.queue for definition in definitions],
        [definition.priority for definition in definitions],
        [definition.max_attempts for definition in definitions],
        [definition.max_crashes for definition in definitions],
        [definition.payload_version for definition in definitions],
        [options_text(definition) or "{}" for definition in definitions],
    )
