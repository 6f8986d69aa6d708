"""What becomes of a settlement that is overtaken each time, and of the results of a batch."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from stoker.driver import Complete, NewJob, Settlement, Want
from stoker.errors import DriverUnavailable
from stoker.job import JobKey, JobState, Token
from stoker_postgres import PostgresDriver
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


async def test_of_a_batch_of_completions_each_keeps_its_result_also_one_of_no_bytes(
    driver: PostgresDriver,
) -> None:
    keys = [JobKey("q", name) for name in ("1", "2", "3")]
    for results in ([b"", None, None], [None, None, None], [None, b"[]", b""]):
        await driver.enqueue([NewJob(key, "a.b") for key in keys])
        claim = await driver.claim([Want("q", 3)], worker="w", lease=timedelta(minutes=1))
        tokens = {lease.token.key: lease.token for lease in claim.leases}
        ends = zip(keys, results, strict=True)
        await driver.settle([Settlement(tokens[key], Complete(result)) for key, result in ends])
        records = [record for record in await driver.get(keys) if record is not None]
        assert [record.result for record in records] == results
        await driver.remove(keys)
