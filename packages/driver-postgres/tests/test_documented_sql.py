"""What the README shows of scheduling from SQL is run, in its order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tools.servers.postgres import PostgresServer

from stoker import JobState, Router, Stoker, Unique
from stoker_postgres import PostgresDriver

README = (Path(__file__).parents[1] / "README.md").read_text()
SECTION = README.partition("## Scheduling from SQL\n")[2].partition("\n## ")[0]
CALL, TRIGGER, RIGHTS = re.findall(r"```sql\n(.*?)```", SECTION, re.DOTALL)
ARGUMENTS = re.findall(
    r"^\| (`\w+`(?:, `\w+`)*) \| (`[\w\[\]]+`(?:, `\w+`)*) \|", SECTION, re.MULTILINE
)


async def test_the_sql_of_the_readme_works(server: PostgresServer, raw: Any) -> None:
    router = Router[object]("shop")
    shipped: list[int] = []

    @router.job(unique=Unique(lambda payload: str(payload["order"])))
    async def ship(payload: dict[str, int]) -> None:
        shipped.append(payload["order"])

    @router.job
    async def other() -> None: ...

    call = CALL.replace("'5 s'", "'5 s', unique_key => '7'")
    await raw.execute("create table orders (id integer primary key); create role web login")
    async with Stoker(PostgresDriver(server.url), jobs=[router]) as app:
        with pytest.raises(
            asyncpg.UndefinedObjectError, match=r"no worker has stored .*shop\.ship"
        ):
            await raw.execute(CALL)
        await app.store_definitions()
        delayed = await app.get(await raw.fetchval(call))
        assert delayed is not None
        assert delayed.state is JobState.SCHEDULED
        assert delayed.payload == b'{"order": 7}'

        await raw.execute(TRIGGER)
        await raw.execute("insert into orders values (8), (9)")
        assert await app.run_until_idle() == 2
        assert sorted(shipped) == [8, 9]

        await raw.execute(RIGHTS)
        await raw.execute("grant insert on orders to web; set role web")
        await raw.execute("insert into orders values (10)")
        await raw.execute("reset role")
        assert await app.run_until_idle() == 1


async def test_a_trigger_may_go_on_without_its_job(
    driver: PostgresDriver, schema: str, raw: Any
) -> None:
    [handling] = re.findall(r"`(exception when others .*?)`", SECTION, re.DOTALL)
    warnings: list[str] = []
    raw.add_log_listener(lambda _, message: warnings.append(message.message))
    call = f"perform {schema}.schedule('shop.unknown');"
    await raw.execute(f"do $$ begin {call} {handling}; end $$")
    await raw.execute("select 1")
    assert warnings == ["no worker has stored a job 'shop.unknown'"]


async def test_every_argument_is_documented_with_its_type(
    driver: PostgresDriver, schema: str, raw: Any
) -> None:
    documented: dict[str, str] = {}
    for names, types in ARGUMENTS:
        all_names, all_types = names.replace("`", ""), types.replace("`", "")
        kinds = all_types.split(", ")
        for at, name in enumerate(all_names.split(", ")):
            documented[name] = kinds[min(at, len(kinds) - 1)]
    signature = await raw.fetchval(
        "select pg_get_function_identity_arguments(oid) from pg_proc"
        " where proname = 'schedule' and pronamespace = $1::regnamespace",
        schema,
    )
    long = {"timestamp with time zone": "timestamptz"}
    arguments = [part.partition(" ") for part in signature.split(", ")]
    assert documented == {name: long.get(kind, kind) for name, _, kind in arguments}
