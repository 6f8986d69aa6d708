"""A settlement that finds its lease changed each time ends, and says what is known."""

from __future__ import annotations

from typing import Any

import pytest

from stoker.driver import Complete, Settlement
from stoker.errors import DriverUnavailable
from stoker.job import JobKey, JobState, Token
from stoker_postgres._settle import settle


class AlwaysOvertaken:
    """Applies nothing, and says of every lease that it is valid."""

    channel = "stoker.hints"

    def __init__(self) -> None:
        self.tries = 0

    async def rows(self, name: str, *parameters: Any) -> list[Any]:
        """Answer a statement."""
        if name == "classify":
            return [(1, True, JobState.RUNNING, None, None)]
        self.tries += 1
        return []


async def test_a_settlement_that_is_always_overtaken_is_given_back_to_the_caller() -> None:
    db = AlwaysOvertaken()
    item = Settlement(Token(JobKey("q", "1"), 7), Complete())
    with pytest.raises(DriverUnavailable, match="1 of 1 leases changed whenever") as caught:
        await settle(db, [item], None)
    assert caught.value.maybe_applied
    assert 1 < db.tries < 100
