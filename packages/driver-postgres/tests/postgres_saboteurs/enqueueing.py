"""Defects of storing jobs."""

from __future__ import annotations

from typing import ClassVar

from postgres_saboteurs.base import Changed, Changes, saboteur


@saboteur("ENQ-03", "TXN-03")
class AnswersById(Changed):
    """The answer names the ids that were inserted: of two equal ones both are."""

    changes: ClassVar[Changes] = {
        "enqueue": (
            ("    returning place\n", "    returning queue, id\n"),
            (
                "array(select place from inserted)",
                "array(select i.place from items as i join inserted using (queue, id))",
            ),
        )
    }


_FIRST = """where items.n = (
    select min(o.n) from items as o where (o.queue, o.id) = (items.queue, items.id)
) order by"""


@saboteur("ENQ-02", "ENQ-11")
class Upserts(Changed):
    """An enqueue writes over the job that has the id."""

    changes: ClassVar[Changes] = {
        "enqueue": (
            (
                "on conflict (queue, id) do nothing",
                "on conflict (queue, id) do update set place = excluded.place",
            ),
            ("order by items.queue", f"{_FIRST} items.queue"),
        )
    }


@saboteur("ORD-05")
class PlacesFollowTheLocks(Changed):
    """Places are given in the order in which rows are taken."""

    changes: ClassVar[Changes] = {
        "enqueue": (
            ("    from unnest(\n        $5", "    from (select * from unnest(\n        $5"),
            ("more, n\n    )\n),", "more, n\n    ) order by u.queue, u.id) as u\n),"),
        )
    }


@saboteur("TXN-12")
class WaitsForEver(Changed):
    """An enqueue sets no bound for its wait for a lock."""

    changes: ClassVar[Changes] = {"enqueue": (("set_config('lock_timeout', $2, true)", "$2"),)}


_FREE = """if found and not exists (
    select from stoker.keys as k where k.queue = item.queue and k.key = item.key
) then"""


@saboteur("UNQ-07")
class KeyBeforeId(Changed):
    """The unique key is looked at before the id: a request sent again conflicts with itself."""

    functions: ClassVar[Changes] = {
        "enqueue_unique": (
            (
                "            if found then\n                status := case",
                f"            {_FREE}\n                status := case",
            ),
            ("when not found or holder.id = item.id", "when not found"),
        )
    }


@saboteur("UNQ-06")
class LooksForTheKeyFirst(Changed):
    """A key is looked for, and then taken by everybody who has found it free."""

    functions: ClassVar[Changes] = {
        "take_key": (
            ("begin\n    loop", "declare was_free boolean;\nbegin\n    loop"),
            (
                "        insert into stoker.keys",
                """\
        was_free := not exists (
            select from stoker.keys where queue = in_queue and key = in_key
        );
        perform pg_sleep(0.01);
        insert into stoker.keys""",
            ),
            ("do nothing", "do update set id = in_id where was_free"),
        )
    }


@saboteur("UNQ-04")
class KeysExpireLate(Changed):
    """A key that is held until a time is still held at it."""

    functions: ClassVar[Changes] = {"take_key": (("expires_at <= moment", "expires_at < moment"),)}


@saboteur("ENQ-07")
class CaseIsFolded(Changed):
    """Ids are compared as a collation does in which the case of letters does not matter."""

    changes: ClassVar[Changes] = {
        "enqueue": (("on conflict (queue, id)", "on conflict (queue, lower(id))"),)
    }
    script: ClassVar[str] = "create unique index on stoker.jobs (queue, lower(id))"


@saboteur("SCH-08")
class NamesAreSortedAsWords(Changed):
    """Schedules are sorted as a dictionary would: capitals do not come first."""

    changes: ClassVar[Changes] = {
        "schedule_list": (("order by s.queue, s.name", "order by s.queue, lower(s.name)"),)
    }
